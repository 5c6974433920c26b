"""A log that an auditor can follow, for the owner alone: it names the records as the original does."""

import os
import stat
from datetime import datetime, timezone
from pathlib import Path

# No link, and no waiting for who reads a pipe.
_HOW = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class RunLog:
    """Lines of text with their time, added to a file.

    Parameters
    ----------
    path : path-like
        The file, of mode 0600.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path).expanduser().absolute()
        self._stream = None

    def __enter__(self) -> "RunLog":
        number = os.open(self.path, _HOW, 0o600)
        # Names of records may be no Unicode.
        self._stream = os.fdopen(number, "a", encoding="utf-8", errors="backslashreplace")
        if not stat.S_ISREG(os.fstat(number).st_mode):
            self._stream.close()
            raise ValueError(f"log={str(self.path)!r} is no plain file; expected one, or a new name.")
        if hasattr(os, "fchmod"):
            os.fchmod(number, 0o600)  # one that was there may be open to others
        return self

    def __exit__(self, kind, error, _):
        try:
            if error is not None:
                self._line(f"stopped: {kind.__name__}: {error}")
            self._stream.close()
        except OSError:
            if error is None:  # else it is known what went wrong, such as a full disk
                raise

    def begin(self, folder, model, rules, n_resumed) -> None:
        """Say what is to be done."""
        self._line(f"{len(folder.names)} records under {folder.root}, model {model}, {rules}")
        if folder.others:
            kinds = ", ".join(f"{count} {suffix}" for suffix, count in folder.others.items())
            self._line(f"files of no recording, not looked at: {kinds}")
        if n_resumed:
            self._line(f"{n_resumed} of them were finished by an earlier run")

    def record(self, line: dict) -> None:
        """Say what became of a record."""
        name = line["private"]["name"]
        if "left_out" in line:
            self._line(f"left out {name}: {line['private']['reason']}")
            return
        unknown = line["private"]["unknown_leads"]
        more = f"; leads without a model, released as missing: {', '.join(unknown)}" if unknown else ""
        more += "".join(f"; {note}" for note in line["private"]["notes"])
        self._line(
            f"released {name} as {line['subject']}/{line['record']}: {line['n_leads']} leads, {line['n_samples']} "
            f"samples, {line['n_beats']} beats, {line['samples_of_the_original']} samples as in the original{more}"
        )

    def found_names(self, places: list[str]) -> None:
        """Say where the release names people."""
        for place in places:
            self._line(f"names somebody: {place}")

    def end(self, result) -> None:
        """Say what was made."""
        self._line(
            f"complete: {result.n_records} records of {result.n_people} people in {result.out}, "
            f"{len(result.left_out)} left out"
        )

    def _line(self, text):
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self._stream.write(f"{now} {' '.join(str(text).split())}\n")
        self._stream.flush()
