"""Where a release is made, and where it goes: nobody else's, nobody enters, and one run at a time."""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from skagile._files import check_size, sha256_of
from skagile.release._folders._journal import JOURNAL, RELEASE
from skagile.release._renamed import MANIFEST, MOST_BYTES

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None

PARTIAL = ".partial"
_LOCK = "lock"
_OWN = re.compile(rf"{_LOCK}|{RELEASE}|{re.escape(JOURNAL)}|\.[0-9a-f]{{32}}\.part(\..*)?")


def check_places(root: Path, out: Path, files: Mapping[str, Path]) -> None:
    """Refuse places that would mix originals, secrets and the release.

    Parameters
    ----------
    root : Path
        Of the originals.
    out : Path
        Of the release.
    files : mapping of str to Path
        Other files, by argument: "model", "key", "log".

    Raises
    ------
    ValueError
        Naming the argument.
    """
    if out.name in ("", ".."):
        raise ValueError(f"out={str(out)!r} is no name of a new folder.")
    if os.path.lexists(out) and (out.is_symlink() or not out.is_dir()):
        raise ValueError(f"out={str(out)!r} is a file or a link; expected a new folder.")
    if not out.parent.is_dir():
        raise ValueError(f"out={str(out)!r}: the folder {str(out.parent)!r} does not exist. Make it first.")
    # Links above them may make two of one.
    real, source = out.resolve(), root.resolve()
    if real == source or source in real.parents or real in source.parents:
        raise ValueError(f"out={str(out)!r} and the originals {str(root)!r} lie in each other. Choose another folder.")
    made = real.with_name(real.name + PARTIAL)
    if made == source or made in source.parents:
        raise ValueError(f"out={str(out)!r} is made in {str(made)!r}, where the originals lie. Choose another name.")
    for name, file in files.items():
        own = {file.parent.resolve() / file.name, file.resolve()}
        above = {parent for place in own for parent in place.parents} | own
        if {real, made} & above:
            raise ValueError(f"{name}={str(file)!r} lies in the release {str(out)!r}. Keep it elsewhere.")
        if name != "log":
            continue
        if source in above:
            raise ValueError(f"log={str(file)!r} lies among the originals {str(root)!r}. Keep it elsewhere.")
        for other in files.keys() - {"log"}:
            if files[other].resolve() in own:
                raise ValueError(f"log={str(file)!r} is the {other}; expected a file of its own.")


def is_complete(out: Path, run: str) -> dict | None:
    """Give the manifest of a release that is there already, and is as it was written; None where `out` is free.

    Raises
    ------
    ValueError
        Where there is something else.
    """
    if not out.is_dir() or not any(out.iterdir()):
        return None
    other = f"out={str(out)!r} exists and is not empty. Choose another folder, or remove it."
    path = out / MANIFEST
    try:
        check_size(path, path.stat().st_size, most=MOST_BYTES)
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest["run"] != run:
            raise ValueError(other)
        digests = {file: digest for line in manifest["records"] for file, digest in line["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError(other) from None
    for file, digest in digests.items():
        if not (out / file).is_file() or sha256_of(out / file) != digest:
            raise ValueError(
                f"out={str(out)!r} holds this release, and {file} is not as it was written. Remove the folder, and "
                "call again."
            )
    return manifest


@contextmanager
def held(partial: Path, *, restart: bool = False) -> Iterator[None]:
    """Make the folder that a release is made in, for its owner alone, and keep other runs out of it.

    Parameters
    ----------
    partial : Path
    restart : bool, default=False
        Remove what an earlier run left in it.

    Raises
    ------
    ValueError
        For a folder that is no such one, or that another run works in.
    """
    if os.path.lexists(partial) and (partial.is_symlink() or not partial.is_dir()):
        raise ValueError(f"{str(partial)!r}, where the release is made, is a link or a file. Remove it.")
    partial.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "geteuid") and partial.stat().st_uid != os.geteuid():
        raise ValueError(f"{str(partial)!r}, where the release is made, is somebody else's. Remove it.")
    strange = sorted(name for name in os.listdir(partial) if not _OWN.fullmatch(name))
    if strange:
        raise ValueError(
            f"{str(partial)!r}, where the release is made, holds what no run left there, such as {strange[0]!r}. Move "
            "it elsewhere, or choose another `out`."
        )
    partial.chmod(0o700)
    lock = os.open(partial / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        _take(lock, partial)
        if restart:
            _remove(partial)
        yield
    finally:
        os.close(lock)


def clear(partial: Path) -> None:
    """Remove what is left of a run that is finished; it holds the folder."""
    _remove(partial)
    (partial / _LOCK).unlink(missing_ok=True)
    with suppress(OSError):  # somebody has put a file there meanwhile
        partial.rmdir()


def _take(lock, partial):
    if fcntl is None:
        return
    busy = f"{str(partial)!r} is being worked on by another run. Wait for its end."
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.stat(partial / _LOCK).st_ino != os.fstat(lock).st_ino:
            raise ValueError(busy)
    except OSError:  # or the other has ended, and removed it, this very moment
        raise ValueError(busy) from None


def _remove(partial):
    for place in partial.iterdir():
        if place.name == RELEASE and not place.is_symlink():
            shutil.rmtree(place)
        elif place.name != _LOCK and _OWN.fullmatch(place.name):
            place.unlink(missing_ok=True)
