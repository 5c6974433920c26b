"""What is cut of a record: how, its beats, and what is said of a release that is not in time with its original."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from skagile.records import Entry
from skagile.release._own_peaks import OwnBeats

# Beats of the release's own, and of the original's, with fewer of which it has none: hum has an R peak or two.
FEWEST, FEWEST_OF = 3, 0.1
NO_PEAKS = "no R peak of its own is found in the release"
ELSEWHERE = "the release has its R peaks elsewhere"
AT_ORIGINAL, AT_RELEASE = "R peaks of the original", "R peaks of the release"
RATE, LENGTH = "the release has another sampling rate", "the release is of another length"


@dataclass(frozen=True)
class Cutting:
    """How beats are cut; see :func:`~skagile.records.read_release_pair`.

    Attributes
    ----------
    lead : int, str, sequence of them or None
        One lead of each record; None: `leads` says which.
    leads : tuple of int or str
        Leads by position or name, each by itself; empty: every lead that both sides have.
    """

    lead: object
    window: object
    band: object
    r_peaks: str
    guard: float
    leads: tuple = ()

    @property
    def is_every(self) -> bool:
        """Whether every lead that both sides have is cut."""
        return self.lead is None and not self.leads


@dataclass
class Cut:
    """One lead of a record of both sides, or all its leads together: its beats row by row."""

    entry: Entry  # without the signal
    key: str
    name: str  # as the original has it
    original: np.ndarray  # (n_beats, n_samples), of all leads together (n_beats, n_leads, n_samples)
    released: np.ndarray
    symbol: np.ndarray
    half: np.ndarray
    times: np.ndarray
    own: OwnBeats | None = None
    dropped: Counter = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)


@dataclass
class RecordCuts:
    """What a record gave: cuts of its leads, all these together, and the leads that gave none, with the reason."""

    cuts: list[Cut] = field(default_factory=list)
    together: Cut | str | None = None  # leads in the order of `cuts`; why there is none; None with less than two leads
    refused: list[tuple[str, str, bool]] = field(default_factory=list)  # lead, why, whether the release has it


def seconds(entry: Entry) -> float:
    return entry.recording.signal.shape[1] / entry.recording.sampling_rate


def other_length(before: Entry, after: Entry) -> bool:
    """Whether the sides differ by more than the rounding of a resampled record."""
    slowest = min(before.recording.sampling_rate, after.recording.sampling_rate)
    return abs(seconds(before) - seconds(after)) * slowest > (
        0 if before.recording.sampling_rate == after.recording.sampling_rate else 1.5
    )


def remarks_of(before: Entry, after: Entry) -> list[str]:
    """Say in what a released record is laid out otherwise than its original."""
    remarks = []
    if before.recording.sampling_rate != after.recording.sampling_rate:
        remarks.append(RATE)
    if other_length(before, after):
        remarks.append(LENGTH)
    return remarks


def at_own(cuts: Sequence[Cut]) -> list[Cut]:
    """Give the same records cut where the release has its R peaks; none where it has them where the original has."""
    if all(cut.own is None for cut in cuts):
        return []
    return [cut if cut.own is None else _own(cut) for cut in cuts]


def _own(cut):
    at = cut.own.partner
    return replace(
        cut,
        original=cut.original[at],
        released=cut.own.released,
        symbol=cut.symbol[at],
        half=cut.own.half,
        times=cut.times[at],
    )
