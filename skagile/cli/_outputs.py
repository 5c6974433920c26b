"""Places that commands write to, checked before hours of work; and what becomes of words that nobody can read."""

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path


def file_fault(path: str | PathLike) -> str:
    """Say why a file cannot be written, or must not be; "" where it can."""
    place = Path(path)
    if not place.parent.is_dir():
        return f"the folder {str(place.parent)!r} does not exist. Make it first."
    if place.is_dir():
        return f"{str(place)!r} is a folder; expected a file."
    try:
        kind = place.stat().st_mode if place.exists() else stat.S_IFREG
    except OSError as error:
        return f"{str(place)!r} cannot be written ({error.strerror}). Choose another place."
    if not stat.S_ISREG(kind):
        return f"{str(place)!r} is a device or a pipe, which a file would take the place of; expected a file."
    return folder_fault(place.parent)


def folder_fault(path: str | PathLike) -> str:
    """Say why nothing can be written into a folder; "" where it can."""
    try:
        with tempfile.TemporaryFile(dir=path) as file:
            file.write(b"\0" * 4096)
    except OSError as error:
        return f"the folder {str(path)!r} cannot be written to ({error.strerror}). Choose another place."
    return ""


def new_folder_fault(path: str | PathLike) -> str:
    """Say why a folder cannot be made, where it is missing, and written to; nothing is made by asking."""
    place = Path(path).absolute()
    there = next((folder for folder in (place, *place.parents) if os.path.lexists(folder)), place)
    if not there.is_dir():
        return f"the folder {str(path)!r} cannot be made: {str(there)!r} is no folder. Choose another place."
    return folder_fault(there)


def overwriting_fault(outputs: Mapping[str, str | PathLike], inputs: Iterable[str | PathLike]) -> str:
    """Say which output would overwrite an input, lies in one as a file that is there, or is another output too.

    Parameters
    ----------
    outputs : mapping
        From an option to a file.
    inputs : iterable of path-like
        Files and folders.
    """
    inputs, taken = [Path(path) for path in inputs], {}
    for option, path in outputs.items():
        place = Path(path)
        for given in inputs:
            if _is_same(place, given):
                return f"{str(place)!r} is an input too; it would be overwritten. Choose another name."
            if place.exists() and given.is_dir() and given.resolve() in place.resolve().parents:
                return f"{str(place)!r} is a file of an input too; it would be overwritten. Choose another name."
        for other, there in taken.items():
            if _is_same(place, there):
                return f"{str(place)!r} is the output {other} too; it would be overwritten. Choose another name."
        taken[option] = place
    return ""


def _is_same(one, other):
    """Whether two paths are of one file, by another name, case or link too."""
    with contextlib.suppress(OSError):
        return os.path.samefile(one, other)
    return one.resolve() == other.resolve()


def hold_open() -> None:
    """Open what the caller closed of input, output and errors on nothing, so that no file takes their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


@contextlib.contextmanager
def read_or_not() -> Iterator[None]:
    """Run a block that prints; where nobody reads any more, or the disk is full, the exit code counts all the same."""
    try:
        yield
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) and "closed file" not in str(error):
            raise
        # What is left in the buffers would be written at the end, and end the program with another code.
        nothing = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
                continue
            with contextlib.suppress(OSError, ValueError, AttributeError):
                os.dup2(nothing, stream.fileno())
