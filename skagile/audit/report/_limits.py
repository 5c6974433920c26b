"""Limits that a contract can name, held against the unfavourable end of the interval.

`LIMITS` alone knows them: the options of the command line, the arguments of ``AuditReport.check`` and its docstring,
the rows of the page and the sentences are made from it. A new limit is one more entry.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

from skagile.audit.report._judged import names_left_out, unjudged
from skagile.audit.report._threats import called
from skagile.audit.report._words import who


class Measured(NamedTuple):
    """What a limit is held against: the worst attack in words, its figure, and the interval."""

    what: str
    value: float | None
    low: float | None
    high: float | None


_NOT_MEASURED = Measured("not measured", None, None, None)


@dataclass(frozen=True)
class Limit:
    """A limit on a share.

    Parameters
    ----------
    name : str
        Argument of ``AuditReport.check``, and with hyphens the option of the command line. It begins with "max_" or
        with "min_", which says what end of the interval counts.
    metavar : str
        What the value is called in the help.
    help : str
        The option's help.
    words : str
        Of what it is a limit: the row of the page.
    sentence : str
        The measured figure completes it.
    measure : callable
        From a report to what it is held against.
    threat : str or None
        Which of the four threats it is of: where that cannot be judged, the limit is not kept.
    """

    name: str
    metavar: str
    help: str
    words: str
    sentence: str
    measure: Callable[[Any], Measured]
    threat: str | None = None

    @property
    def is_maximum(self) -> bool:
        """Whether the upper end of the interval counts."""
        return self.name.startswith("max_")

    def is_held(self, measured: Measured, limit: float) -> bool:
        """Say whether the unfavourable end keeps the limit; what was not measured keeps none."""
        end = measured.high if self.is_maximum else measured.low
        return end is not None and bool(end <= limit if self.is_maximum else end >= limit)


def check(report, limits):
    """Hold `report` against limits; see ``AuditReport.check``."""
    for name, limit in limits.items():
        if name not in LIMITS:
            raise ValueError(f"{name!r} is no threshold; choose from {', '.join(LIMITS)}.")
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, Real) or not 0 <= limit <= 1):
            raise ValueError(f"{name} is {limit!r}; expected a share between 0 and 1, such as 0.05 for 5 %.")
    checks = []
    for name, row in LIMITS.items():
        if (limit := limits.get(name)) is not None:
            measured, reason = _least_favourable(report, row, limit)
            checks.append(
                {
                    "name": name,
                    "limit": float(limit),
                    "value": measured.value,
                    "low": measured.low,
                    "high": measured.high,
                    "passed": not reason and row.is_held(measured, limit),
                    "what": measured.what,
                    **({"reason": reason} if reason else {}),
                }
            )
    return checks


def why_unjudged(report, row):
    """Say why the threat that a limit is of cannot be judged; "" where it can."""
    return unjudged(report, row.threat) if row.threat else ""


def _least_favourable(report, row, limit):
    """Give what a limit is held against, of all views the furthest from keeping it, and why that cannot be judged."""
    cases = [(row.measure(report), why_unjudged(report, row))]
    if len(report.lead_results) > 1:
        of_views = [(view, view["figures"].get(row.name)) for view in report.lead_results]
        cases = [_case(view, figure) for view, figure in of_views if figure is not None] or cases

    def furthest(case):
        measured, reason = case
        end = measured.high if row.is_maximum else measured.low
        # One that fails by its figure says more than one that nobody can judge.
        fails = not row.is_held(measured, limit)
        return (fails and end is not None, bool(reason), fails), 0.0 if end is None else end * (1, -1)[
            not row.is_maximum
        ]

    measured, reason = max(cases, key=furthest)
    return measured, reason or names_left_out(report)


def _case(view, figure):
    what, *ends = (figure[key] for key in Measured._fields)
    return Measured(f"{what}; {called(view)}", *ends), figure["reason"]


def lists_limits(method):
    """Put the limits into the docstring of `method`, in place of the line ``LIMITS``."""
    if method.__doc__:  # None under python -OO
        lines = "\n    ".join(f"- ``{limit.name}``: {limit.words}" for limit in LIMITS.values())
        method.__doc__ = inspect.cleandoc(method.__doc__).replace("LIMITS", lines)
    return method


def _of_headline(kind):
    def measured(report):
        entry = report.worst_case()[kind]
        return _NOT_MEASURED if entry is None else Measured(who(entry), entry["value"], entry["low"], entry["high"])

    return measured


def _eer(report):
    if (entry := (report.headline or {}).get("eer")) is not None:
        return Measured(who(entry), entry["value"], entry["low"], entry["high"])
    attacks = report.attacks_with(None, "eer")
    if not attacks:
        return _NOT_MEASURED
    worst = min(attacks, key=lambda attack: attack["eer"])
    return Measured(who(worst), worst["eer"], _end(min, attacks, "eer_low"), worst["eer_high"])


def _attribute(report):
    results = [
        result
        for result in report.attribute_results
        if result["tested_on"] != "original" and result["auroc"] is not None
    ]
    if not results:
        return _NOT_MEASURED
    worst = max(results, key=lambda result: result["auroc"])
    what = f"{worst['name']}, trained on {worst['trained_on']}"
    return Measured(what, worst["auroc"], worst["auroc_low"], _end(max, results, "auroc_high"))


def _of_threat(name):
    def measured(report):
        entry = (report.headline or {}).get(name)
        return _NOT_MEASURED if entry is None else Measured(entry["what"], entry["value"], entry["low"], entry["high"])

    return measured


def _end(furthest, results, key):
    """Furthest end of all intervals: the worst attack need not have it. None where an interval is missing."""
    ends = [result[key] for result in results]
    return None if None in ends else furthest(ends)


LIMITS = {
    limit.name: limit
    for limit in (
        Limit(
            name="max_reidentification",
            metavar="SHARE",
            help="At most this share of single beats named right by the strongest attack, say 0.05.",
            words="single heartbeats whose person is named right, at most",
            sentence="the right person was named from a single released beat in",
            measure=_of_headline("single"),
            threat="sources",
        ),
        Limit(
            name="max_fused",
            metavar="SHARE",
            help="At most this share of people named right from all their beats together, say 0.2.",
            words="people named right from all their heartbeats, at most",
            sentence="the right person was named from all released beats of a person in",
            measure=_of_headline("fused"),
            threat="sources",
        ),
        Limit(
            name="min_eer",
            metavar="RATE",
            help="At least this equal error rate of the best attacker who tells one person from two, say 0.4.",
            words="equal error rate of verification, at least",
            sentence="released pieces were told to be of one person with an equal error rate of",
            measure=_eer,
            threat="sources",
        ),
        Limit(
            name="max_attribute_auroc",
            metavar="AREA",
            help="At most this area under the ROC curve at which sex or age is read off the release, say 0.7.",
            words="AUROC of any trait read off the release, at most",
            sentence="a trait of people was read off the release with an area under the ROC curve of",
            measure=_attribute,
        ),
        Limit(
            name="max_presence_auroc",
            metavar="AREA",
            help="At most this area under the ROC curve at which it is told who is in the release, say 0.65.",
            words="AUROC of telling who is in the release, at most",
            sentence="who is in the release was told with an area under the ROC curve of",
            measure=_of_threat("presence"),
            threat="presence",
        ),
        Limit(
            name="max_copies",
            metavar="SHARE",
            help="At most this share of released beats nearer to an original than 95 % of strangers' beats, say 0.06.",
            words="released beats as near to an original as the nearest 5 % of strangers' beats, at most",
            sentence="nearer to an original than 95 % of strangers' beats are, of the released beats,",
            measure=_of_threat("copies"),
            threat="copies",
        ),
        Limit(
            name="max_disclosure",
            metavar="DIFFERENCE",
            help="At most this much more read right of people in the release than of others, say 0.05.",
            words="labels read right of people in the release, more than of others by at most",
            sentence="the labels of people in the release were read right more often than those of others, by",
            measure=_of_threat("disclosure"),
            threat="disclosure",
        ),
    )
}
