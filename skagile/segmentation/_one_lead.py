"""What `BeatSegmenter` does where beats have one lead."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch
from sklearn.utils.validation import validate_data

from skagile.segmentation._cut import cut_beats, move_peaks, resample
from skagile.segmentation._cutter import Cutter
from skagile.segmentation._gaps import has_gaps, refuse_gaps, without_gaps
from skagile.segmentation._inputs import (
    as_records,
    check_r_peaks,
    check_sampling_rate,
    choose_lead,
    common_length,
    names_of,
    refuse_huge,
    transposed,
)
from skagile.segmentation._pan_tompkins import find_r_peaks
from skagile.segmentation._quality import signal_quality, touches


class OneLead(Cutter):
    """Cuts one lead of records into beats."""

    def fit(self, X: ArrayLike | Bunch) -> None:
        """Check records, and keep their length."""
        check_sampling_rate(self._check_records(X, reset=True)[1])

    def rows(self, X: ArrayLike | Bunch) -> np.ndarray:
        """Return a row for each record, as `layout` says."""
        X, sampling_rate = self._check_records(X, reset=False)
        X = without_gaps(X, has_gaps(X))
        n_before, n_samples = self.window_samples()
        r_peaks, bad = self._find(X, sampling_rate)
        X, r_peaks = self._resample(X, r_peaks, sampling_rate)
        record, r_peak = self.complete(r_peaks, [X.shape[1]] * len(X))
        if bad is not None:
            good = ~touches(bad, record, r_peak, self.window_samples(), self.ratio(sampling_rate))
            record, r_peak = record[good], r_peak[good]
        if self.segmenter.layout == "median":
            out = np.full((len(X), n_samples), np.nan, dtype=X.dtype)
            bounds = np.searchsorted(record, np.arange(len(X) + 1))
            for row in np.unique(record):
                own = r_peak[bounds[row] : bounds[row + 1]]
                out[row] = np.median(cut_beats(X[row], own, n_before, n_samples), axis=0)
            return out
        rank = np.arange(len(record)) - np.searchsorted(record, record)
        first = rank < self.segmenter.n_beats
        out = np.full((len(X), self.segmenter.n_beats, n_samples), np.nan, dtype=X.dtype)
        out[record[first], rank[first]] = cut_beats(X, (record[first], r_peak[first]), n_before, n_samples)
        return out if self.segmenter.layout == "beats" else out.reshape(len(X), -1)

    def segment(self, records: ArrayLike | Sequence[ArrayLike] | Bunch, r_peaks: Sequence[ArrayLike] | None) -> Bunch:
        """Do what ``BeatSegmenter.segment`` does."""
        n_before, n_samples = self.window_samples()
        names = names_of(records, len(records.signals if isinstance(records, Bunch) else records))
        records, sampling_rate = self._choose(records)
        records = as_records(records, names, finite=self.segmenter.on_bad != "nan")
        lengths = [len(record) for record in records]
        hint = transposed(np.shape(records)) if isinstance(records, np.ndarray) else ""
        for length, name in zip(lengths, names, strict=True):
            self.check_length(length, sampling_rate, name, hint)
        gaps, bad = has_gaps(records), None
        if r_peaks is None:
            r_peaks, bad = self._find(without_gaps(records, gaps), sampling_rate)
        else:
            r_peaks = check_r_peaks(r_peaks, lengths)
            r_peaks = [peaks[:0] if gap else peaks for peaks, gap in zip(r_peaks, gaps, strict=True)]
        if self.ratio(sampling_rate) != 1:
            records = without_gaps(records, gaps, np.nan)
        records, r_peaks = self._resample(records, r_peaks, sampling_rate)
        record, r_peak = self.complete(r_peaks, [len(x) for x in records])
        if isinstance(records, np.ndarray):
            X = cut_beats(records, (record, r_peak), n_before, n_samples)
        else:
            parts = np.split(r_peak, np.searchsorted(record, np.arange(1, len(records))))
            X = np.concatenate(
                [cut_beats(x, part, n_before, n_samples) for x, part in zip(records, parts, strict=True)]
            )
        good = np.ones(len(record), dtype=bool)
        if bad is not None:
            good = ~touches(bad, record, r_peak, self.window_samples(), self.ratio(sampling_rate))
            X[~good] = np.nan
        n_missing = np.bincount(record[~good], minlength=len(records))
        return Bunch(X=X, record=record, r_peak=r_peak, good=good, n_missing=n_missing, records=records)

    def at_beat_rate(self, records: Bunch) -> Sequence[np.ndarray]:
        """Return what beats are cut from."""
        leads, sampling_rate = self._choose(records)
        leads = as_records(leads, finite=self.segmenter.on_bad != "nan")
        if self.ratio(sampling_rate) != 1:
            leads = without_gaps(leads, has_gaps(leads), np.nan)
        return self._resample(leads, [], sampling_rate)[0]

    def _choose(self, records):
        own = self.segmenter
        return choose_lead(records, own.lead, own.sampling_rate, own.resample_to)

    def _check_records(self, X, *, reset):
        given = X
        X, sampling_rate = self._choose(X)
        if isinstance(X, list) and len({np.shape(record) for record in X}) > 1 and np.ndim(X[0]) == 1:
            common_length([np.shape(record)[-1] for record in X])
        options = {"ensure_min_features": 2 if reset else 1, "ensure_all_finite": False}  # gaps: below, by their record
        X = validate_data(self.segmenter, X, reset=reset, dtype=[np.float64, np.float32], **options)
        self.check_length(X.shape[1], sampling_rate, "the records", transposed(X.shape))
        if self.segmenter.on_bad != "nan":
            refuse_gaps(X, names_of(given, len(X)))
        refuse_huge(X, "records")
        return X, sampling_rate

    def _find(self, records, sampling_rate):
        """Find the R peaks of every record, and a mask of the samples without a usable signal."""
        sampling_rate = check_sampling_rate(sampling_rate)
        peaks = find_r_peaks(records, sampling_rate, name="record {}", on_bad=self.on_bad)
        if not self.segmenter.check_quality:
            return peaks, None
        good = signal_quality(records, sampling_rate).good
        return peaks, [~row for row in good]

    def _resample(self, records, r_peaks, sampling_rate):
        """Bring records and R peaks to the rate of the beats."""
        ratio = self.ratio(sampling_rate)
        if isinstance(records, np.ndarray):
            records = resample(records, ratio, axis=1)
        else:
            records = [resample(record, ratio) for record in records]
        return records, [move_peaks(peaks, ratio) for peaks in r_peaks]
