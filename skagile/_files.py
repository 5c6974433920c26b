"""Files are written beside their place and renamed, so that a reader never meets half a file."""

import hashlib
import os
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path):
    """Give a path beside `path` to write to; it takes the place of `path` when the block ends without an error."""
    path = Path(path)
    beside = path.with_name(f".{os.getpid()}.part.{path.name}")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def sha256_of(path):
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
