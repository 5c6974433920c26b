"""What commands show while they work, and how an error reads on one line."""

from tqdm import tqdm


class Bar:
    """A progress bar on a terminal, nothing elsewhere; gives the function to call with (done, total, what)."""

    def __enter__(self):
        self.tqdm = tqdm(
            unit="step", disable=None, leave=False, bar_format="{desc} {bar} {n_fmt}/{total_fmt} {elapsed}"
        )
        return self

    def __call__(self, done, total, what):
        self.tqdm.total, self.tqdm.n = total, done
        self.tqdm.set_description_str(f"{what:<40}", refresh=False)
        self.tqdm.refresh()

    def close(self):
        self.tqdm.close()

    def __exit__(self, *error):
        self.close()


def in_one_line(error):
    return " ".join(str(error).split()) or type(error).__name__
