"""Files are written beside their place and renamed; what a file promises is checked before memory is taken for it."""

import hashlib
import os
import re
import secrets
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np

FREE_BYTES = 1 << 26  # that anybody has
# Beats of float64 that hold what a 12-bit recorder gave shrink to a tenth. What shrinks to a fiftieth is no recording.
_SHRINKING = 50

_NAME = re.compile(r"\.[0-9a-f]{32}\.part(\.[^.]{1,16})?")
# No file takes so long to write: what is older was left by a run that was killed.
_LEFT_AFTER = 24 * 3600.0


@contextmanager
def replacing(path, *, private=False, suffix=True):
    """Give a path beside `path` to write to; it takes the place of `path` when the block ends without an error.

    The file beside is new: its name is random, and a file or link of that name is an error, so nothing that somebody
    has planted is written through. A link at `path` itself is replaced, and what it pointed to is left alone.

    Parameters
    ----------
    path : path-like
        The file.
    private : bool, default=False
        Its owner alone may read it (mode 0600), whatever the umask.
    suffix : bool, default=True
        The file beside has the suffix of `path`, by which NumPy goes. Without it, what a killed run leaves looks like
        no file of its kind.
    """
    path = Path(path)
    suffix = path.suffix if suffix and len(path.suffix) <= 17 else ""
    beside = path.with_name(f".{secrets.token_hex(16)}.part{suffix}")
    os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666))
    try:
        yield beside
        os.replace(beside, path)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()


def remove_leftovers(folder):
    """Remove what killed runs left of :func:`replacing` in a folder, a day old or more."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _NAME.fullmatch(entry.name):
                with suppress(OSError):
                    if time.time() - entry.stat(follow_symlinks=False).st_mtime > _LEFT_AFTER:
                        os.unlink(entry.path)


def sync(path):
    """Have a file, or the names in a folder, on disk: what is noted as finished must outlive a power cut."""
    with suppress(PermissionError):  # Windows opens no folder
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def sha256_of(path):
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def check_size(
    where: object,
    n_bytes: int,
    *,
    stored: int | None = None,
    shrinking: int = _SHRINKING,
    free: int = FREE_BYTES,
    most: int | None = None,
) -> None:
    """Refuse what a file promises before memory is taken for it: everything that reads a stranger's file asks here.

    Parameters
    ----------
    where : str or path-like
        What promises, for the error.
    n_bytes : int
        Bytes of memory that reading it takes.
    stored : int, default=None
        Bytes that hold it on disk. What is larger than `free` must not unpack to more than `shrinking` times these.
    shrinking : int, default=50
    free : int, default=64 MiB
        See `stored`.
    most : int, default=None
        Largest size whatever is stored.

    Raises
    ------
    ValueError
        Naming what was promised, and what was expected.
    """
    if most is not None and n_bytes > most:
        raise ValueError(f"{where}: has {n_bytes} bytes; expected at most {most}: it would only fill the memory.")
    if stored is not None and n_bytes > max(free, shrinking * stored):
        raise ValueError(
            f"{where}: unpacks {stored} bytes to {n_bytes}; expected at most {shrinking} times as many, as of a "
            "recording; it would only fill the memory. Drop constant rows and needless text, or store it uncompressed."
        )


def npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Read shape and dtype of an array as ``numpy.save`` writes it, and nothing of the array.

    Raises
    ------
    ValueError
        For whatever else: numpy's own reader raises what its parser did.
    """
    try:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, _, dtype = read(stream)
        shape = tuple(int(length) for length in shape)
    except Exception as error:
        raise ValueError(f"does not start like an array of numpy ({type(error).__name__})") from error
    if any(length < 0 for length in shape):
        raise ValueError(f"has shape {shape}")
    return shape, dtype
