"""What `BeatSegmenter` does, of one lead or of several: window and rates, and beats written back."""

from collections.abc import Sequence
from fractions import Fraction
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch

from skagile.segmentation._cut import fits_record, rate_ratio, resampled_length, window_samples
from skagile.segmentation._gaps import refuse_gaps_under
from skagile.segmentation._inputs import as_records, check_beats
from skagile.segmentation._restore import write_back


class Cutter:
    """Cuts records into beats, and writes beats back.

    Parameters
    ----------
    segmenter : BeatSegmenter
        Whose parameters are meant; what ``fit`` learns is set on it.
    on_bad : {"auto", "nan", "raise"}
        In place of its own.
    """

    def __init__(self, segmenter: Any, on_bad: str):
        self.segmenter, self.on_bad = segmenter, on_bad

    def fit(self, X: ArrayLike | Bunch) -> None:
        """Check records, and keep their length."""
        raise NotImplementedError

    def rows(self, X: ArrayLike | Bunch) -> np.ndarray:
        """Return a row for each record, as `layout` says."""
        raise NotImplementedError

    def segment(self, records: ArrayLike | Sequence[ArrayLike] | Bunch, r_peaks: Sequence[ArrayLike] | None) -> Bunch:
        """Do what ``BeatSegmenter.segment`` does."""
        raise NotImplementedError

    def at_beat_rate(self, records: Bunch) -> Sequence[np.ndarray]:
        """Return what beats are cut from."""
        raise NotImplementedError

    def restore(
        self,
        records: ArrayLike | Sequence[ArrayLike],
        beats: ArrayLike,
        r_peak: ArrayLike,
        record: ArrayLike,
        fade: float,
    ) -> np.ndarray | list[np.ndarray]:
        """Do what ``BeatSegmenter.restore`` does."""
        if not isinstance(fade, Real) or not 0 <= fade < np.inf:
            raise ValueError(f"fade must be a finite number of seconds, 0 or more, got {fade!r}.")
        n_before, n_samples = self.window_samples()
        records = as_records(records, finite=self.refuses_gaps)
        lengths = np.array([len(x) for x in records])
        beats, r_peak, record = check_beats(beats, r_peak, record, lengths, n_before, n_samples)
        refuse_gaps_under(records, record)
        n_fade = min(round(fade * self.beat_rate), n_samples // 2)
        return write_back(records, beats, r_peak - n_before, record, n_fade)

    def columns(self) -> list[str]:
        """Names of the columns of 2-D output."""
        n_before, n_samples = self.window_samples()
        samples = self._samples([f"sample{k - n_before:+d}" for k in range(n_samples)])
        if self.segmenter.layout == "flat":
            samples = [f"beat{beat}_{sample}" for beat in range(self.segmenter.n_beats) for sample in samples]
        return samples

    def _samples(self, samples):
        return samples

    @property
    def refuses_gaps(self) -> bool:
        """Whether NaN in a record is an error, wherever beats are written."""
        return self.segmenter.on_bad != "nan"

    @property
    def beat_rate(self) -> float:
        """Samples per second of the beats."""
        own = self.segmenter
        return own.sampling_rate if own.resample_to is None else own.resample_to

    def window_samples(self) -> tuple[int, int]:
        """Count the samples of a beat before the R peak, and in all."""
        own, rate = self.segmenter, self.beat_rate
        for name in ("sampling_rate", "resample_to"):
            if getattr(own, name) is not None and not np.isfinite(getattr(own, name)):
                raise ValueError(f"{name} must be finite, got {getattr(own, name)!r}.")
        window = own.window
        if len(window) != 2 or not all(isinstance(side, Real) and 0 <= side < np.inf for side in window):
            raise ValueError(
                f"window must be two finite numbers of seconds, before and after the R peak, neither negative, "
                f"such as (0.25, 0.45); got {window!r}."
            )
        n_before, n_samples = window_samples(window, rate)
        if n_samples < 2:
            raise ValueError(
                f"window={window!r} at {'sampling_rate' if own.resample_to is None else 'resample_to'}={rate!r} makes "
                f"a beat of {n_samples} sample(s); at least 2 are needed. Give the window in seconds and the rate in "
                "Hz."
            )
        return n_before, n_samples

    def check_length(self, n_times: int, sampling_rate: float, name: str, hint: str = "") -> None:
        """Refuse a record that is shorter than a beat."""
        n_samples = self.window_samples()[1]
        n_left = resampled_length(n_times, self.ratio(sampling_rate))
        if n_left < n_samples:
            raise ValueError(
                f"window={self.segmenter.window!r} is longer than {name}: at sampling_rate={self.beat_rate!r} the "
                f"window is {n_samples} samples and the record {n_left}. Give a shorter window or longer records.{hint}"
            )

    def ratio(self, sampling_rate: float) -> Fraction:
        """Return how many samples of a beat there are for each of a record."""
        if self.segmenter.resample_to is None:
            return Fraction(1)
        return rate_ratio(sampling_rate, self.segmenter.resample_to)

    def complete(self, r_peaks: Sequence[np.ndarray], lengths: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Return record and sample of every R peak whose window lies wholly inside its record."""
        record = np.repeat(np.arange(len(lengths)), [len(peaks) for peaks in r_peaks])
        r_peak = np.concatenate(r_peaks)
        complete = fits_record(r_peak, *self.window_samples(), np.asarray(lengths)[record])
        return record[complete], r_peak[complete]
