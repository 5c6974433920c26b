"""Everything that is wrong with an input, said at once."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

_MAX_NAMED = 8
_MAX_LISTED = 60


class ReleaseProblems(ValueError):
    """Why a release cannot be audited: every problem found, in one list.

    Parameters
    ----------
    problems : sequence of str
        One sentence or two each: the file or argument, what came, what was wanted, the way out.
    hint : str, default=""
        A closing line.

    Attributes
    ----------
    problems : list of str
        All of them; the message names the first 60.

    Examples
    --------
    >>> from skagile.release import ReleaseProblems
    >>> print(ReleaseProblems(["original/100.hea: the header describes no signal."]))
    1 problem:
      1. original/100.hea: the header describes no signal.
    """

    def __init__(self, problems: Sequence[str], hint: str = ""):
        self.problems = [printable(problem) for problem in problems]
        self.hint = hint
        super().__init__(self.problems, hint)

    def __str__(self):
        count = len(self.problems)
        lines = [f"{count} problem{'s' if count > 1 else ''}:"]
        lines += [f"{number:>3}. {problem}" for number, problem in enumerate(self.problems[:_MAX_LISTED], 1)]
        if count > _MAX_LISTED:
            lines.append(f"     ... and {count - _MAX_LISTED} more.")
        return "\n".join([*lines, self.hint] if self.hint else lines)


def printable(text: object) -> str:
    """`text` on one line, without the control characters that a hostile file name could send to a terminal."""
    return "".join(character if character.isprintable() else "?" for character in " ".join(str(text).split()))


class Collector:
    """Collects problems: those of one record, which can be left out, and those of the whole."""

    def __init__(self, *, skip: bool):
        self.skip = skip
        self._whole = []
        self._of_records = []  # (record, where, what)
        self._notes = []

    def of_whole(self, where: str, what: str) -> None:
        """Note a problem that leaving a record out does not mend."""
        self._whole.append(f"{where}: {what}")

    def of_record(self, record: str, where: str, what: str) -> None:
        """Note a problem of one record (or, of an array, of some rows)."""
        self._of_records.append((record, where, what if what.endswith(".") else f"{what}."))

    def note(self, where: str, what: str) -> None:
        """Note what stops nothing and should be known."""
        self._notes.append((where, what))

    @property
    def notes(self) -> list[str]:
        """What should be known, the same words together and once."""
        same = defaultdict(list)
        for where, what in dict.fromkeys(self._notes):
            same[what].append(where)
        return [printable(f"{first_of(places)}: {what}.") for what, places in same.items()]

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """Records that have a problem, and which: list of (record, problem)."""
        return [(printable(record), printable(f"{where}: {what}")) for record, where, what in self._of_records]

    def stop_if_any(self, *, last: bool = False) -> None:
        """Raise what was collected. Problems of records alone stop nothing under ``skip``, except with `last`."""
        if self._whole or (self._of_records and (last or not self.skip)):
            hint = ""
            if self._of_records and not self._whole and not self.skip:
                hint = "Mend these, or leave what is bad out: on_error='skip', on the command line --skip-bad."
            raise ReleaseProblems(self._whole + self._grouped(), hint)

    def _grouped(self):
        """Problems of records, those of the same words together."""
        same = defaultdict(list)
        for _, where, what in self._of_records:
            same[what].append(where)
        return [f"{first_of(places)}: {what}" for what, places in same.items()]


def first_of(names: Iterable[str]) -> str:
    """Names with commas, the first few of them."""
    names = list(names)
    more = len(names) - _MAX_NAMED
    return ", ".join(names[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
