"""What commands show while they work, and how an error reads on one line."""

import sys
from threading import Event, Thread

from tqdm import tqdm

_TICK = 1.0  # s


class Bar:
    """A progress bar on a terminal, nothing elsewhere; gives the function to call with (done, total, what).

    Its clock goes on by itself: a network is trained for a while, and a bar that stands still looks dead.
    """

    def __enter__(self) -> "Bar":
        self.tqdm = tqdm(
            unit="step",
            disable=True if sys.stderr is None else None,
            leave=False,
            bar_format="{desc} {bar} {n_fmt}/{total_fmt} {elapsed}",
        )
        self._closed = Event()
        if not self.tqdm.disable:
            Thread(target=self._tick, daemon=True).start()
        return self

    def _tick(self):
        while not self._closed.wait(_TICK):
            self.tqdm.refresh()

    def __call__(self, done: int, total: int, what: str) -> None:
        self.tqdm.total, self.tqdm.n = total, done
        self.tqdm.set_description_str(f"{what:<40}", refresh=False)
        self.tqdm.refresh()

    def close(self) -> None:
        self._closed.set()
        self.tqdm.close()

    def __exit__(self, *error):
        self.close()


def in_one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
