"""What `BeatSegmenter` does where beats have several leads."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch

from skagile.segmentation._cut import move_peaks, resample
from skagile.segmentation._cutter import Cutter
from skagile.segmentation._inputs import check_r_peaks, check_sampling_rate, common_length
from skagile.segmentation._several_leads import (
    Signals,
    choose_leads,
    cut_over_leads,
    find_over_leads,
    restore_leads,
)


class OverLeads(Cutter):
    """Cuts the chosen leads of records into beats."""

    def fit(self, X: ArrayLike | Bunch) -> None:
        """Check records, and keep their length and leads."""
        own, signals = self.segmenter, self._choose(X)
        own.n_features_in_, own.leads_ = common_length([leads.shape[1] for leads in signals.records]), signals.leads
        own._n_leads = len(signals.records[0])
        check_sampling_rate(signals.sampling_rate)

    def rows(self, X: ArrayLike | Bunch) -> np.ndarray:
        """Return a row for each record, as `layout` says."""
        own = self.segmenter
        signals = self._choose(X, own.leads_)
        length, n_leads = common_length([leads.shape[1] for leads in signals.records]), len(signals.records[0])
        if (length, n_leads) != (own.n_features_in_, own._n_leads):
            raise ValueError(
                f"X has {n_leads} lead(s) of {length} samples, but BeatSegmenter is expecting {own._n_leads} of "
                f"{own.n_features_in_}, as in fit. Give records of the same leads and length, or use segment."
            )
        beats = self._cut(signals)
        there = ~np.isnan(beats.X).all(axis=(1, 2))
        X, record = beats.X[there], beats.record[there]
        n_records, shape = len(signals.records), X.shape[1:]
        if own.layout == "median":
            out = np.full((n_records, 1, *shape), np.nan, dtype=X.dtype)
            bounds = np.searchsorted(record, np.arange(n_records + 1))
            for row in np.unique(record):
                of_row = X[bounds[row] : bounds[row + 1]]
                known = ~np.isnan(of_row).all(axis=(0, 2))
                out[row, 0, known] = np.nanmedian(of_row[:, known], axis=0)
            return out
        rank = np.arange(len(record)) - np.searchsorted(record, record)
        first = rank < own.n_beats
        out = np.full((n_records, own.n_beats, *shape), np.nan, dtype=X.dtype)
        out[record[first], rank[first]] = X[first]
        return out if own.layout == "beats" else out.reshape(n_records, -1)

    def segment(self, records: ArrayLike | Sequence[ArrayLike] | Bunch, r_peaks: Sequence[ArrayLike] | None) -> Bunch:
        """Do what ``BeatSegmenter.segment`` does."""
        beats = self._cut(self._choose(records), r_peaks)
        good = ~np.isnan(beats.X).all(axis=(1, 2))
        return Bunch(
            X=beats.X[:, None],
            record=beats.record,
            r_peak=beats.r_peak,
            good=good,
            n_missing=np.bincount(beats.record[~good], minlength=len(beats.records)),
            records=np.stack(beats.records) if len({leads.shape for leads in beats.records}) == 1 else beats.records,
        )

    def at_beat_rate(self, records: Bunch) -> Sequence[np.ndarray]:
        """Return what beats are cut from."""
        signals = self._choose(records)
        return [resample(leads, self.ratio(signals.sampling_rate)) for leads in signals.records]

    def restore(
        self,
        records: ArrayLike | Sequence[ArrayLike],
        beats: ArrayLike,
        r_peak: ArrayLike,
        record: ArrayLike,
        fade: float,
    ) -> np.ndarray | list[np.ndarray]:
        """Do what ``BeatSegmenter.restore`` does, lead by lead."""
        given, beats = [np.asarray(own) for own in records], np.asarray(beats)
        shapes = {own.shape[:-1] for own in given}
        if len(shapes) != 1 or beats.ndim != 4 or {(1, *shape) for shape in shapes} != {beats.shape[1:3]}:
            raise ValueError(
                f"beats has shape {beats.shape} and the records, of {sorted(shapes)} leads, with "
                f"lead={self.segmenter.lead!r}; expected (n_beats_total, 1, n_leads, n_samples) and as many leads of "
                "each record, as segment gives them."
            )
        n_leads = beats.shape[2]
        leads, beats, r_peak, record = restore_leads(given, beats, r_peak, record)
        out = super().restore(leads, beats, r_peak, record, fade)
        restored = [np.stack(out[row : row + n_leads]) for row in range(0, len(out), n_leads)]
        return np.stack(restored) if isinstance(records, np.ndarray) else restored

    @property
    def refuses_gaps(self) -> bool:
        """Whether NaN in a record is an error, wherever beats are written: a missing lead is none."""
        return False

    def _samples(self, samples):
        leads = self.segmenter.leads_ or [f"lead{lead}" for lead in range(self.segmenter._n_leads)]
        return [f"{lead}_{sample}" for lead in leads for sample in samples]

    def _choose(self, records, known=None):
        """Chosen leads of the records, each at least as long as a beat."""
        own = self.segmenter
        signals = choose_leads(records, own.lead, own.sampling_rate, own.resample_to, known=known, on_bad=own.on_bad)
        for leads, name in zip(signals.records, signals.names, strict=True):
            self.check_length(leads.shape[1], signals.sampling_rate, name)
        return signals

    def _cut(self, signals: Signals, r_peaks=None):
        """Beats around R peaks, found over the leads or given."""
        bad = None
        if r_peaks is None:
            check_sampling_rate(signals.sampling_rate)
            r_peaks, bad = find_over_leads(signals, self.on_bad, quality=self.segmenter.check_quality)
        else:
            r_peaks = check_r_peaks(r_peaks, [leads.shape[1] for leads in signals.records])
        ratio = self.ratio(signals.sampling_rate)
        records = [resample(leads, ratio) for leads in signals.records]
        r_peaks = [move_peaks(peaks, ratio) for peaks in r_peaks]
        record, r_peak = self.complete(r_peaks, [leads.shape[1] for leads in records])
        X = cut_over_leads(records, record, r_peak, bad, self.window_samples(), ratio)
        return Bunch(X=X, record=record, r_peak=r_peak, records=records)
