"""What commands show while they work, and how an error reads on one line."""

from tqdm import tqdm


class Bar:
    """A progress bar on a terminal, nothing elsewhere; gives the function to call with (done, total, what)."""

    def __enter__(self) -> "Bar":
        self.tqdm = tqdm(
            unit="step", disable=None, leave=False, bar_format="{desc} {bar} {n_fmt}/{total_fmt} {elapsed}"
        )
        return self

    def __call__(self, done: int, total: int, what: str) -> None:
        self.tqdm.total, self.tqdm.n = total, done
        self.tqdm.set_description_str(f"{what:<40}", refresh=False)
        self.tqdm.refresh()

    def close(self) -> None:
        self.tqdm.close()

    def __exit__(self, *error):
        self.close()


def in_one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
