"""One of several processes works on a file, the others wait for it."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows: there processes are not kept apart
    fcntl = None

_TICK = 0.05  # s


@contextmanager
def only_one(part: Path, target: Path, deadline: float) -> Iterator[BinaryIO | None]:
    """Give `part`, open for reading and writing and locked; None where another process finished `target` meanwhile.

    The lock is on the file itself and goes with the process, however that ends.

    Raises
    ------
    OSError
        If another process still holds it at the deadline, by ``time.monotonic``; if a link stands in its place.
    """
    while True:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        file = os.fdopen(os.open(part, flags, 0o666), "r+b", buffering=0)
        try:
            waited = _lock(file, part, deadline)
            if _is(file, part):
                # Finished by another, with a file begun anew in between.
                if waited and target.is_file():
                    part.unlink(missing_ok=True)
                    yield None
                    return
                yield file
                return
            if target.is_file():
                yield None
                return
        finally:
            file.close()


def _lock(file, part, deadline):
    """Wait for the lock; whether there was anything to wait for."""
    waited = False
    while fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            waited = True
            if time.monotonic() >= deadline:
                raise OSError(
                    f"{part}: another process is still downloading it. Wait for that, or end it, and call again."
                ) from None
            time.sleep(_TICK)
        except OSError:  # a file system without locks
            break
    return waited


def _is(file, path):
    """Whether a path still names the open file."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    return False
