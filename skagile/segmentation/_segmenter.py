"""Cut records into beats around their R peaks, and write beats back into records."""

from numbers import Integral, Real

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from ._pan_tompkins import check_sampling_rate, find_r_peaks


def _is_two_dimensional(segmenter):
    """Only 2-D output has columns to name, and so a DataFrame form."""
    return segmenter.layout != "beats"


class BeatSegmenter(TransformerMixin, BaseEstimator):
    """Cut single-lead electrocardiograms into beats around their R peaks.

    One row in, one row out: ``transform`` turns a matrix of records into an array with the beats of
    one record a row, so that labels, subjects and cross-validation stay aligned. For work on
    single beats, `segment` gives every complete beat as a row of its own, and `restore` writes
    (anonymized) beats back into the records.

    Parameters
    ----------
    sampling_rate : float, default=360
        Samples per second of the records, in Hz; at least 100 where R peaks are to be found.
    window : tuple of 2 floats, default=(0.25, 0.45)
        Seconds before and after the R peak that make up a beat. A beat has
        ``round(window[0] * sampling_rate) + round(window[1] * sampling_rate)`` samples, and its R
        peak at index ``round(window[0] * sampling_rate)``.
    n_beats : int, default=8
        Beats per record in the layouts "beats" and "flat": the first `n_beats` complete ones, in
        order of time. A beat is complete when its window lies wholly inside the record.
    layout : {"beats", "flat", "median"}, default="beats"
        What ``transform`` returns:

        - "beats": shape (n_records, n_beats, n_samples); a missing beat is NaN throughout.
        - "flat": the same as (n_records, n_beats * n_samples), beat after beat; a missing beat is
          NaN in all its columns.
        - "median": shape (n_records, n_samples), the sample-wise median of *all* complete beats of
          the record; NaN where there is none.
    on_bad : {"raise", "nan"}, default="raise"
        What to do with a record that no R peaks can be found in because it is flat or shorter than
        2 s: raise ValueError, or treat it as a record without beats. NaN, infinity and records
        shorter than the window are errors in either case.

    Attributes
    ----------
    n_features_in_ : int
        Samples per record seen in ``fit``.
    feature_names_in_ : ndarray of str of shape (n_features,)
        Column names seen in ``fit``; only when the records were a DataFrame with string columns.

    See Also
    --------
    detect_r_peaks : Find the R peaks alone.

    Notes
    -----
    ``fit`` checks parameters and records and learns nothing else. `segment` and `restore` need no
    ``fit``. ``float32`` and ``float64`` records keep their dtype; integers become ``float64``.
    ``set_output`` and ``get_feature_names_out`` exist for the 2-D layouts only.

    References
    ----------
    .. [1] J. Pan and W. J. Tompkins, "A Real-Time QRS Detection Algorithm", IEEE Transactions on
       Biomedical Engineering, vol. BME-32, no. 3, pp. 230-236, 1985.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.segmentation import BeatSegmenter
    >>> time = np.arange(10 * 250) / 250
    >>> beat_times = np.arange(0.5, 10, 0.8)
    >>> ecg = np.exp(-0.5 * ((time[:, None] - beat_times) / 0.012) ** 2).sum(axis=1)
    >>> records = np.stack([ecg, 2 * ecg, -ecg])
    >>> segmenter = BeatSegmenter(sampling_rate=250, n_beats=5)
    >>> segmenter.fit_transform(records).shape
    (3, 5, 174)
    >>> beats = segmenter.segment(records)
    >>> beats.X.shape, beats.record[:3], beats.r_peak[:3]
    ((36, 174), array([0, 0, 0]), array([125, 325, 525]))
    >>> released = segmenter.restore(records, 0.5 * beats.X, beats.r_peak, beats.record)
    >>> released.shape
    (3, 2500)
    """

    _parameter_constraints = {
        "sampling_rate": [Interval(Real, 0, None, closed="neither")],
        "window": [tuple, list],
        "n_beats": [Interval(Integral, 1, None, closed="left")],
        "layout": [StrOptions({"beats", "flat", "median"})],
        "on_bad": [StrOptions({"raise", "nan"})],
    }

    def __init__(self, sampling_rate=360, window=(0.25, 0.45), n_beats=8, layout="beats", on_bad="raise"):
        self.sampling_rate = sampling_rate
        self.window = window
        self.n_beats = n_beats
        self.layout = layout
        self.on_bad = on_bad

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Check the parameters and the records.

        Parameters
        ----------
        X : array-like of shape (n_records, n_times)
            Records, one lead each, in millivolts (or any unit: the detector is scale-free).
        y : None
            Ignored.

        Returns
        -------
        self : BeatSegmenter

        Raises
        ------
        ValueError
            For a parameter out of range; for records that are not 2-D, contain NaN or infinity, or
            are shorter than the window.
        """
        self._check_records(X, reset=True)
        check_sampling_rate(self.sampling_rate)
        return self

    def transform(self, X):
        """Cut every record into beats.

        Parameters
        ----------
        X : array-like of shape (n_records, n_times)
            Records, one lead each, as long as those seen in ``fit``.

        Returns
        -------
        ndarray
            One row per record, laid out as `layout` says. Missing beats are NaN.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            As in ``fit``, for another length than in ``fit``, and, unless ``on_bad="nan"``, for a
            record that is flat or shorter than 2 s.
        """
        check_is_fitted(self)
        X = self._check_records(X, reset=False)
        n_before, n_samples = self._window_samples()
        record, r_peak = self._complete(self._find(X), [X.shape[1]] * len(X))
        beats = sliding_window_view(X, n_samples, axis=1)
        if self.layout == "median":
            out = np.full((len(X), n_samples), np.nan, dtype=X.dtype)
            bounds = np.searchsorted(record, np.arange(len(X) + 1))
            for row in np.unique(record):
                out[row] = np.median(beats[row, r_peak[bounds[row] : bounds[row + 1]] - n_before], axis=0)
            return out
        rank = np.arange(len(record)) - np.searchsorted(record, record)
        first = rank < self.n_beats
        out = np.full((len(X), self.n_beats, n_samples), np.nan, dtype=X.dtype)
        out[record[first], rank[first]] = beats[record[first], r_peak[first] - n_before]
        return out if self.layout == "beats" else out.reshape(len(X), -1)

    def segment(self, records, r_peaks=None):
        """Cut records of any length into beats, every complete beat a row.

        Parameters
        ----------
        records : array-like of shape (n_records, n_times) or list of arrays of shape (n_times_i,)
            One lead of each record.
        r_peaks : list of arrays of int, default=None
            R peaks of each record as sample indices, for example an expert's annotations; None
            finds them with `detect_r_peaks`.

        Returns
        -------
        Bunch
            ``X`` of shape (n_beats_total, n_samples), the beats; ``record`` of shape
            (n_beats_total,), the index of the record each beat came from, ascending; ``r_peak`` of
            shape (n_beats_total,), the sample of its R peak in that record. Beats whose window
            reaches over an end of the record are left out.

        Raises
        ------
        ValueError
            For a parameter out of range; for records that are not 1-D each, contain NaN or
            infinity, or are shorter than the window; for flat records or records under 2 s where R
            peaks are to be found, unless ``on_bad="nan"``; for `r_peaks` that are not integers,
            not one array per record, or not inside the record.
        """
        self._validate_params()
        records = _as_records(records)
        lengths = [len(record) for record in records]
        n_before, n_samples = self._window_samples()
        for row, length in enumerate(lengths):
            self._check_length(length, n_samples, f"record {row}")
        r_peaks = self._find(records) if r_peaks is None else _check_r_peaks(r_peaks, lengths)
        record, r_peak = self._complete(r_peaks, lengths)
        start = r_peak - n_before
        if isinstance(records, np.ndarray):
            X = sliding_window_view(records, n_samples, axis=1)[record, start]
        else:
            parts = np.split(start, np.searchsorted(record, np.arange(1, len(records))))
            X = np.concatenate(
                [sliding_window_view(x, n_samples)[part] for x, part in zip(records, parts, strict=True)]
            )
        return Bunch(X=X, record=record, r_peak=r_peak)

    def restore(self, records, beats, r_peak, record, *, fade=0.04):
        """Write beats back into copies of the records.

        The arguments are those that `segment` took and gave: ``restore(records, beats.X,
        beats.r_peak, beats.record)`` gives `records` back. A beat fades in from the record and out
        to it again at its seams; where beats overlap, they are blended with weights that sum to 1.
        Samples that no beat covers are bit-identical to those of `records`.

        Parameters
        ----------
        records : array-like of shape (n_records, n_times) or list of arrays of shape (n_times_i,)
            Records to write into copies of.
        beats : array-like of shape (n_beats_total, n_samples)
            Beats, in the unit of the records.
        r_peak : array-like of int of shape (n_beats_total,)
            Sample of each beat's R peak in its record.
        record : array-like of int of shape (n_beats_total,)
            Index of each beat's record.
        fade : float, default=0.04
            Seconds over which a beat fades at each end, at most half the window. The record shines
            through there: with 0 nothing of the record is left under a beat, and seams may jump.

        Returns
        -------
        ndarray of shape (n_records, n_times) or list of ndarray
            As `records` came. ``float32`` stays ``float32``; integers become ``float64``.

        Raises
        ------
        ValueError
            For a parameter out of range; for records or beats that contain NaN or infinity; for
            arguments that do not fit each other; for a beat that reaches out of its record.
        """
        self._validate_params()
        n_before, n_samples = self._window_samples()
        if not isinstance(fade, Real) or not 0 <= fade < np.inf:
            raise ValueError(f"fade must be a finite number of seconds, 0 or more, got {fade!r}.")
        records = _as_records(records)
        lengths = np.array([len(x) for x in records])
        beats, r_peak, record = _check_beats(beats, r_peak, record, lengths, n_before, n_samples)
        # The records lie end to end, and so do the beats: two bincounts add up weights and weighted changes.
        ends = np.cumsum(lengths)
        flat = np.concatenate(list(records)).astype(np.float64)
        start = ends[record] - lengths[record] + r_peak - n_before
        index = (start[:, None] + np.arange(n_samples)).ravel()
        weight = _fading_weights(n_samples, min(round(fade * self.sampling_rate), n_samples // 2))
        change = weight * (beats - flat[index].reshape(beats.shape))
        total_change = np.bincount(index, change.ravel(), minlength=len(flat))
        total_weight = np.bincount(index, np.tile(weight, len(beats)), minlength=len(flat))
        covered = total_weight > 0
        flat[covered] += total_change[covered] / np.maximum(total_weight[covered], 1.0)
        restored = np.split(flat, ends[:-1])
        if isinstance(records, np.ndarray):
            return np.stack(restored).astype(records.dtype)
        return [new.astype(old.dtype) for new, old in zip(restored, records, strict=True)]

    @available_if(_is_two_dimensional)
    def get_feature_names_out(self, input_features=None):
        """Name the columns of the output: sample counted from the R peak, and beat in layout "flat".

        Parameters
        ----------
        input_features : array-like of str, default=None
            Checked against those seen in ``fit`` and otherwise not used.

        Returns
        -------
        ndarray of str objects of shape (n_columns,)
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features)
        n_before, n_samples = self._window_samples()
        samples = [f"sample{k - n_before:+d}" for k in range(n_samples)]
        if self.layout == "flat":
            samples = [f"beat{beat}_{sample}" for beat in range(self.n_beats) for sample in samples]
        return np.array(samples, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _window_samples(self):
        """Count the samples of a beat before the R peak, and in all."""
        if not np.isfinite(self.sampling_rate):
            raise ValueError(f"sampling_rate must be finite, got {self.sampling_rate!r}.")
        window = self.window
        if len(window) != 2 or not all(isinstance(side, Real) and 0 <= side < np.inf for side in window):
            raise ValueError(
                f"window must be two finite numbers of seconds, before and after the R peak, neither negative, "
                f"such as (0.25, 0.45); got {window!r}."
            )
        n_before = round(window[0] * self.sampling_rate)
        n_samples = n_before + round(window[1] * self.sampling_rate)
        if n_samples < 2:
            raise ValueError(
                f"window={window!r} at sampling_rate={self.sampling_rate!r} makes a beat of {n_samples} sample(s); at "
                "least 2 are needed. Give the window in seconds and the rate in Hz."
            )
        return n_before, n_samples

    def _check_length(self, n_times, n_samples, name):
        if n_times < n_samples:
            raise ValueError(
                f"window={self.window!r} is longer than {name}: at sampling_rate={self.sampling_rate!r} the window is "
                f"{n_samples} samples and the record {n_times}. Give a shorter window or longer records."
            )

    def _check_records(self, X, *, reset):
        X = validate_data(self, X, reset=reset, dtype=[np.float64, np.float32], ensure_min_features=2 if reset else 1)
        self._check_length(X.shape[1], self._window_samples()[1], "the records")
        return X

    def _find(self, records):
        """Find the R peaks of every record."""
        return find_r_peaks(records, check_sampling_rate(self.sampling_rate), name="record {}", on_bad=self.on_bad)

    def _complete(self, r_peaks, lengths):
        """Record and sample of every R peak whose window lies wholly inside its record."""
        n_before, n_samples = self._window_samples()
        record = np.repeat(np.arange(len(lengths)), [len(peaks) for peaks in r_peaks])
        r_peak = np.concatenate(r_peaks)
        start = r_peak - n_before
        complete = (start >= 0) & (start + n_samples <= np.asarray(lengths)[record])
        return record[complete], r_peak[complete]


def _fading_weights(n_samples, n_fade):
    """Ones that rise from and fall to zero over `n_fade` samples, as squared sines."""
    weight = np.ones(n_samples)
    ramp = np.sin(np.pi / 2 * (np.arange(n_fade) + 0.5) / max(n_fade, 1)) ** 2
    weight[:n_fade] = ramp
    weight[n_samples - n_fade :] = ramp[::-1]
    return weight


def _as_records(records):
    """Return float records as a 2-D array or a list of 1-D arrays."""
    if not isinstance(records, (list, tuple)):
        records = np.asarray(records)
        if records.ndim != 2:
            raise ValueError(
                f"records has shape {records.shape}; expected (n_records, n_times) or a list of 1-D arrays, one lead "
                "of each record. Wrap a single record in a list."
            )
    if len(records) == 0:
        raise ValueError("records is empty; give at least one record.")
    if isinstance(records, np.ndarray):
        return _as_floats(records, "records")
    records = [np.asarray(record) for record in records]
    for row, record in enumerate(records):
        if record.ndim != 1:
            raise ValueError(
                f"record {row} has shape {record.shape}; each record of a list must be 1-D, one lead of it."
            )
    return [_as_floats(record, f"record {row}") for row, record in enumerate(records)]


def _as_floats(values, name):
    """Return `values` as float32 or float64, finite."""
    if values.dtype.kind not in "fiu":
        raise ValueError(f"{name} must hold real numbers, got dtype {values.dtype}.")
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        raise ValueError(
            f"{name} contains NaN or infinity ({bad.sum()} of {values.size} values, the first at index "
            f"{tuple(map(int, np.argwhere(bad)[0]))}). Interpolate the gaps, or cut them out."
        )
    return values


def _check_r_peaks(r_peaks, lengths):
    if not isinstance(r_peaks, (list, tuple)) or len(r_peaks) != len(lengths):
        found = f"{len(r_peaks)} entries" if isinstance(r_peaks, (list, tuple)) else type(r_peaks).__name__
        raise ValueError(f"r_peaks must be a list with one array per record ({len(lengths)}), got {found}.")
    return [
        _check_indices(peaks, length, f"r_peaks[{row}]", "samples of the record")
        for row, (peaks, length) in enumerate(zip(r_peaks, lengths, strict=True))
    ]


def _check_indices(values, limit, name, of):
    """Return `values` as 1-D integers within 0..limit-1."""
    values = np.asarray(values)
    if values.ndim != 1:
        raise ValueError(f"{name} must be 1-D, got shape {values.shape}.")
    if values.size == 0:
        return np.empty(0, dtype=np.intp)
    if values.dtype.kind not in "iu":
        raise ValueError(f"{name} must hold integers, got dtype {values.dtype}. Give indices, not seconds.")
    if values.min() < 0 or values.max() >= limit:
        raise ValueError(f"{name} runs from {values.min()} to {values.max()}; the {of} run from 0 to {limit - 1}.")
    return values.astype(np.intp)


def _check_beats(beats, r_peak, record, lengths, n_before, n_samples):
    """Validate what is to be restored; return float64 beats and integer indices."""
    beats = np.asarray(beats)
    if beats.ndim != 2 or beats.shape[1] != n_samples:
        raise ValueError(
            f"beats has shape {beats.shape}; expected (n_beats_total, {n_samples}), as segment gives with this window "
            "and sampling_rate."
        )
    beats = _as_floats(beats, "beats").astype(np.float64)
    record = _check_indices(record, len(lengths), "record", "records")
    r_peak = _check_indices(r_peak, lengths.max(), "r_peak", "samples of the longest record")
    if not len(beats) == len(record) == len(r_peak):
        raise ValueError(
            f"beats, r_peak and record must have one entry per beat, got {len(beats)}, {len(r_peak)} and {len(record)}."
        )
    start = r_peak - n_before
    outside = (start < 0) | (start + n_samples > lengths[record])
    if outside.any():
        first = np.flatnonzero(outside)[0]
        raise ValueError(
            f"{outside.sum()} beat(s) reach out of their record, the first is beat {first}: its window runs from "
            f"sample {start[first]} to {start[first] + n_samples - 1} of record {record[first]}, which has "
            f"{lengths[record[first]]}."
        )
    return beats, r_peak, record
