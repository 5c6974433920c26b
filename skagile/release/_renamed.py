"""Which record of a release is which of the original, for whoever has the key."""

import json
from collections.abc import Sequence
from pathlib import Path

from skagile._files import check_size
from skagile.release._keys import pseudonym

MANIFEST = "manifest.json"
MOST_BYTES = 1 << 28


def original_names(released: Sequence[str], originals: Sequence[str], key: bytes) -> dict[str, str]:
    """Find the original of each record of a release by its pseudonym.

    Parameters
    ----------
    released, originals : sequence of str
        Paths of records.
    key : bytes
        What the release was made with.

    Returns
    -------
    dict
        From the original's path to the release's, of those that are found.

    Raises
    ------
    ValueError
        Where none is found.
    """
    by_name = {name.rpartition("/")[2].removesuffix(".edf"): name for name in released}
    names = {name: by_name[own] for name in originals if (own := pseudonym(key, "record", name)) in by_name}
    if released and originals and not names:
        raise ValueError(
            f"none of the {len(released)} records of the release is the pseudonym of one of the {len(originals)} "
            "originals under this key. Give the key, and the folder of originals, that it was made with."
        )
    return names


def left_out_names(folder: Path, originals: Sequence[str], key: bytes) -> list[str]:
    """Originals that the manifest of a release says were left out; none without a manifest."""
    path = folder / MANIFEST
    if not path.is_file():
        return []
    check_size(path, path.stat().st_size, most=MOST_BYTES)
    try:
        left_out = {line["record"] for line in json.loads(path.read_text(encoding="utf-8"))["left_out"]}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: not the manifest of a release ({type(error).__name__}). Copy it again.") from None
    return [name for name in originals if pseudonym(key, "record", name) in left_out]
