"""Files are written beside their place and renamed, so that a reader never meets half a file."""

import hashlib
import os
import re
import secrets
import time
from contextlib import contextmanager, suppress
from pathlib import Path

_NAME = re.compile(r"\.[0-9a-f]{32}\.part(\.[^.]{1,16})?")
# No file takes so long to write: what is older was left by a run that was killed.
_LEFT_AFTER = 24 * 3600.0


@contextmanager
def replacing(path, *, private=False):
    """Give a path beside `path` to write to; it takes the place of `path` when the block ends without an error.

    The file beside is new: its name is random, and a file or link of that name is an error, so nothing that somebody
    has planted is written through. A link at `path` itself is replaced, and what it pointed to is left alone.

    Parameters
    ----------
    path : path-like
        The file.
    private : bool, default=False
        Its owner alone may read it (mode 0600), whatever the umask.
    """
    path = Path(path)
    suffix = path.suffix if len(path.suffix) <= 17 else ""  # NumPy goes by it
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


def sha256_of(path):
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
