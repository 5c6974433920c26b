"""What threats to people inside a release share: what is published, rows with resamples, the worst of several."""

from dataclasses import dataclass

import numpy as np

from skagile import metrics
from skagile.audit._measurement import Row

# Of each person, the attacker's beats that count: what is told is of the person, not of the beat.
MAX_HELD = 100


def published_rows(release, members):
    """Give the indices of the published beats: where members are known, theirs that enrol; else all that are used."""
    if members is None:
        return np.union1d(release.enrolment, release.probe)
    return release.enrolment[members[release.subject[release.enrolment]]]


@dataclass(frozen=True, eq=False)
class PeopleRow(Row):
    """A row with its share in each resample of people: the headline corrects for picking the worst of several rows.

    Attributes
    ----------
    share : float
        The figure as a share: itself, or where `signed` is True (1 + value) / 2.
    draws : ndarray of shape (n_resamples,)
        The share in each resample; rows of one threat have the same resamples.
    n_subjects, n_rows : int
        Sizes that the interval is made with.
    signed : bool
        Whether the figure is a difference, from -1 to 1.
    """

    share: float
    draws: np.ndarray
    n_subjects: int
    n_rows: int
    signed: bool = False


def interval_of(share, draws, n_subjects, n_rows, settings):
    """Give the ends of the interval of one share."""
    measured = _worst([(share, draws, n_subjects, n_rows)], settings)
    return measured.low, measured.high


def worst_of(rows, settings):
    """Give the entry of the headline: the worst row with its interval corrected for picking it; None for no rows."""
    return worst_of_each([rows], settings)[0]


def worst_of_each(groups, settings):
    """Give the same of each group of rows, each corrected for picking the worst of all groups together."""
    rows = [row for group in groups for row in group]
    if not rows:
        return [None] * len(groups)
    measured = _worst([(row.share, row.draws, row.n_subjects, row.n_rows) for row in rows], settings)
    entries, start = [], 0
    for group in groups:
        start, part = start + len(group), slice(start, start + len(group))
        entries.append(_entry(group, measured.lows_at_once[part], measured.highs[part], len(rows)) if group else None)
    return entries


def _entry(rows, lows, highs, n_attacks):
    worst = max(rows, key=lambda row: row.share)
    low, high = float(lows.max()), float(highs.max())
    if worst.signed:
        low, high = 2 * low - 1, 2 * high - 1
    return {
        "what": worst.name,
        "value": worst.value,
        "low": low,
        "high": high,
        "null": worst.null,
        "n_attacks": n_attacks,
        "corrected": True,
    }


def _worst(measured, settings):
    shares, draws, n_subjects, n_rows = zip(*measured, strict=True)
    return metrics.worst_of_draws(
        np.stack(draws, axis=1),
        shares,
        n_subjects=n_subjects,
        n_rows=n_rows,
        confidence=settings.confidence,
        random_state=settings.seed,
    )
