"""Results of finished fits on disk, so that an interrupted audit goes on where it stopped."""

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np

from skagile._files import replacing
from skagile.audit.threats._identity import Found
from skagile.metrics import VerificationScores

_TUPLES = {"Found": Found, "VerificationScores": VerificationScores, "tuple": None}


class Cache:
    """A folder of results by the content of what they were made from.

    Files are NumPy archives with a JSON skeleton: nothing in them is executed when they are read. A file that cannot
    be read counts as missing.

    Parameters
    ----------
    folder : path-like
        Made where it is missing.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def fetch(self, key, make, *arguments):
        """Give the result under `key`, made by ``make(*arguments)`` and kept where it is missing."""
        file = self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
        try:
            # Opened here: numpy leaves a file open that turns out to be no archive.
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
                return _unpack(json.loads(str(content["skeleton"])), content)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            pass
        result = make(*arguments)
        arrays = {}
        skeleton = json.dumps(_pack(result, arrays))
        with replacing(file) as beside, beside.open("wb") as stream:
            np.savez_compressed(stream, skeleton=skeleton, **arrays)
        return result


def _pack(value, arrays):
    """Nested lists and dicts of plain values; arrays go to `arrays`, tuples say what they are."""
    if isinstance(value, np.ndarray):
        name = f"a{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if isinstance(value, dict):
        return {"dict": [[key, _pack(entry, arrays)] for key, entry in value.items()]}
    if isinstance(value, tuple):
        kind = type(value).__name__
        return {"is": kind if kind in _TUPLES else "tuple", "of": [_pack(entry, arrays) for entry in value]}
    if isinstance(value, list):
        return [_pack(entry, arrays) for entry in value]
    if isinstance(value, np.generic):
        return value.item()
    return value


def _unpack(value, arrays):
    if isinstance(value, list):
        return [_unpack(entry, arrays) for entry in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays[value["array"]]
    if "dict" in value:
        return {key: _unpack(entry, arrays) for key, entry in value["dict"]}
    kind, entries = _TUPLES[value["is"]], [_unpack(entry, arrays) for entry in value["of"]]
    return tuple(entries) if kind is None else kind(*entries)
