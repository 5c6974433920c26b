"""Commands that are told to end do so tidily: their temporary files and their workers end with them."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Interrupts are Python's own already. Windows has no SIGHUP.
_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def tidy_end() -> Iterator[None]:
    """Leave the block by ``SystemExit``, with the usual exit code, where the process is told to end."""
    before = {}
    # Another thread may set no handler; a signal that is ignored, as by nohup, stays so.
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        before = {number: old for number, old in before.items() if old is signal.SIG_DFL}
    for number in before:
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
