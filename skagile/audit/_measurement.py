"""The one contract of everything that an audit measures: jobs to run, and rows made of their results."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Sources:
    """Parts of a release by source, looked up when a job runs: denoised ones are made first."""

    parts: Mapping[str, Any]
    names: tuple[str, ...]

    def look_up(self):
        return {name: self.parts[name] for name in self.names}


@dataclass(frozen=True, eq=False)
class Job:
    """A fit, and what is measured from its outcome.

    The two are kept apart, here and in the cache: a fit knows nothing of confidence, resamples or galleries, so that a
    change of these alone fits nothing anew. Both functions are on top of a module, since they go to other processes;
    what they return holds plain values, lists, dicts and arrays only, since it goes into an archive.

    Attributes
    ----------
    what : str
        Names the job, in progress and in errors.
    fit : callable
        ``fit(what, **inputs)`` gives the outcome: scores, predictions.
    inputs : dict
        All that the fit depends on; :class:`Sources` among them are looked up when the job runs.
    measure : callable or None
        ``measure(outcome, settings, **about)`` gives the result. None: the outcome is the result.
    about : dict
        What the measurement needs besides.
    is_kept : bool
        Whether its outcome may lie in the cache. No: it holds recordings, which are made anew each time.
    """

    what: str
    fit: Callable
    inputs: dict[str, Any]
    measure: Callable | None = None
    about: dict[str, Any] = field(default_factory=dict)
    is_kept: bool = True

    def bind(self):
        """Put parts in the place of their names."""
        bound = {name: value.look_up() if isinstance(value, Sources) else value for name, value in self.inputs.items()}
        return replace(self, inputs=bound)


@dataclass(frozen=True, eq=False)
class Row:
    """One figure: its value with its interval, beside what is got without looking, in plain words too.

    Attributes
    ----------
    name : str
        What was measured.
    value, low, high : float or None
        The figure and the ends of its interval; None where it could not be measured.
    null : float or None
        Control or floor: the figure where there is nothing to find.
    sentence : str
        The same in plain words.
    detail : dict
        The entry of the report.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    null: float | None
    sentence: str
    detail: dict[str, Any]


class Measurement(ABC):
    """A threat to people, or a use of a release: it declares its jobs and turns their results into rows."""

    name: str  # under which the plan gives its rows

    def jobs(self) -> list[Job]:
        """Give the jobs that must run first; none where rows are made of other rows."""
        return []

    @abstractmethod
    def rows(self, results: list) -> list[Row]:
        """Give the rows, of the results of :meth:`jobs` in their order."""


def in_words(value, low, high, *, percent=True):
    """Figure with its interval, for a sentence."""
    if value is None:
        return "not measured"
    unit, scale, digits = (" %", 100, 1) if percent else ("", 1, 2)
    words = f"{scale * value:.{digits}f}{unit}"
    if low is None or high is None:
        return words
    return f"{words} (interval {scale * low:.{digits}f} to {scale * high:.{digits}f}{unit})"
