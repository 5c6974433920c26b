"""Cut records into beats around their R peaks, and write beats back into records."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from skagile._output import SetOutputMixin
from skagile._state import Field, Stateful, features_in
from skagile.segmentation._cut import (
    cut_beats,
    fits_record,
    move_peaks,
    rate_ratio,
    resample,
    resampled_length,
    window_samples,
)
from skagile.segmentation._gaps import has_gaps, refuse_gaps, refuse_gaps_under, without_gaps
from skagile.segmentation._inputs import (
    as_records,
    check_beats,
    check_r_peaks,
    check_sampling_rate,
    choose_lead,
    names_of,
    refuse_huge,
    transposed,
)
from skagile.segmentation._lazily import are_lazy, first_batch, segment_in_batches, stack_batches
from skagile.segmentation._pan_tompkins import find_r_peaks
from skagile.segmentation._quality import signal_quality, touches
from skagile.segmentation._restore import write_back


def _is_two_dimensional(segmenter):
    """Only 2-D output has columns to name, and so a DataFrame form."""
    return segmenter.layout != "beats"


class BeatSegmenter(SetOutputMixin, Stateful, TransformerMixin, BaseEstimator):
    """Cut electrocardiograms into beats around the R peaks of one lead.

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
    on_bad : {"auto", "nan", "raise"}, default="auto"
        What to do with a record that no R peaks can be found in because it is flat or shorter than
        2 s: "nan" treats it as a record without beats, "raise" raises ValueError, and "auto" is
        "nan" as long as there is another record in the batch that is not so, else "raise". A record
        with NaN or infinity anywhere is one without beats with "nan", else an error. Records
        shorter than the window are errors in any case.
    check_quality : bool, default=True
        Whether beats that the segmenter found itself count as missing where `signal_quality` says
        that no beat can be told: where the lead is flat, saturated, disconnected or mere noise
        anywhere within the window of the beat.
    lead : int or str, default=None
        Which lead to use of records with several: its index, or its name if the records are a Bunch
        that names its leads. None takes records of one lead only.
    resample_to : float, default=None
        Samples per second of the beats, to bring records of several databases to a common rate. R
        peaks are found at the rate of the records, and move to the nearest sample at the new one (of
        two equally near to the even one). None keeps the rate.

    Attributes
    ----------
    n_features_in_ : int
        Samples per record and lead seen in ``fit``.
    feature_names_in_ : ndarray of str of shape (n_features,)
        Column names seen in ``fit``; only when the records were a DataFrame with string columns.

    See Also
    --------
    detect_r_peaks : Find the R peaks alone.

    Notes
    -----
    ``fit`` checks parameters and records and learns nothing else. `segment` and `restore` need no
    ``fit``. ``float32`` and ``float64`` records keep their dtype; integers become ``float64``.
    ``get_feature_names_out`` exists for the 2-D layouts only, and ``set_output`` changes nothing in the
    other, whose output stays an array.

    Records are ``(n_records, n_times)`` for one lead, ``(n_records, n_leads, n_times)`` for several,
    or a Bunch as ``skagile.datasets`` returns, whose ``sampling_rate`` then has to be that of the
    segmenter unless `resample_to` is given. Where its signals stay in their files, as those of
    ``fetch_mimic_iv_ecg`` and ``fetch_code15``, some records are in memory at a time: ``fit`` looks at
    the first ones, and the ``records`` that `segment` returns are read when they are asked for.
    For `segment`, a list of arrays ``(n_times_i,)`` or
    ``(n_leads_i, n_times_i)`` does as well. How many beats a record lacks is in ``n_missing`` of
    what `segment` returns; of what ``transform`` returns, ``np.isnan(out[..., 0]).sum(axis=1)`` are
    missing in layout "beats".

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
        "on_bad": [StrOptions({"auto", "nan", "raise"})],
        "check_quality": ["boolean"],
        "lead": [Interval(Integral, 0, None, closed="left"), str, None],
        "resample_to": [Interval(Real, 0, None, closed="neither"), None],
    }

    def __init__(
        self,
        sampling_rate: float = 360,
        window: tuple[float, float] = (0.25, 0.45),
        n_beats: int = 8,
        layout: str = "beats",
        on_bad: str = "auto",
        check_quality: bool = True,
        lead: int | str | None = None,
        resample_to: float | None = None,
    ):
        self.sampling_rate = sampling_rate
        self.window = window
        self.n_beats = n_beats
        self.layout = layout
        self.on_bad = on_bad
        self.check_quality = check_quality
        self.lead = lead
        self.resample_to = resample_to

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike | Bunch, y: None = None) -> "BeatSegmenter":
        """Check the parameters and the records.

        Parameters
        ----------
        X : array-like of shape (n_records, n_times) or (n_records, n_leads, n_times), or Bunch of records
            Records in millivolts (or any unit: the detector is scale-free).
        y : None
            Ignored.

        Returns
        -------
        self : BeatSegmenter

        Raises
        ------
        ValueError
            For a parameter out of range; for records that are not 2-D (or 3-D, with `lead`),
            contain NaN or infinity (but with ``on_bad="nan"``), or are shorter than the window; for
            a lead that is not there.
        """
        if are_lazy(X):
            X = first_batch(X, self.lead)
        _, sampling_rate = self._check_records(X, reset=True)
        check_sampling_rate(sampling_rate)
        return self

    def transform(self, X: ArrayLike | Bunch) -> np.ndarray:
        """Cut every record into beats.

        Parameters
        ----------
        X : array-like of shape (n_records, n_times) or (n_records, n_leads, n_times), or Bunch of records
            Records as long as those seen in ``fit``.

        Returns
        -------
        ndarray
            One row per record, laid out as `layout` says. Missing beats are NaN.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            As in ``fit``, for another length than in ``fit``, and, as `on_bad` says, for records
            that are flat or shorter than 2 s.
        """
        check_is_fitted(self)
        if not are_lazy(X):
            return self._cut_rows(X, self.on_bad)
        return stack_batches(X, self.lead, self.on_bad, self._cut_rows)

    def _cut_rows(self, X, on_bad):
        """Cut records into a row each."""
        X, sampling_rate = self._check_records(X, reset=False)
        X = without_gaps(X, has_gaps(X))
        n_before, n_samples = self._window_samples()
        r_peaks, bad = self._find(X, sampling_rate, on_bad)
        X, r_peaks = self._resample(X, r_peaks, sampling_rate)
        record, r_peak = self._complete(r_peaks, [X.shape[1]] * len(X))
        if bad is not None:
            good = ~touches(bad, record, r_peak, self._window_samples(), self._ratio(sampling_rate))
            record, r_peak = record[good], r_peak[good]
        if self.layout == "median":
            out = np.full((len(X), n_samples), np.nan, dtype=X.dtype)
            bounds = np.searchsorted(record, np.arange(len(X) + 1))
            for row in np.unique(record):
                own = r_peak[bounds[row] : bounds[row + 1]]
                out[row] = np.median(cut_beats(X[row], own, n_before, n_samples), axis=0)
            return out
        rank = np.arange(len(record)) - np.searchsorted(record, record)
        first = rank < self.n_beats
        out = np.full((len(X), self.n_beats, n_samples), np.nan, dtype=X.dtype)
        out[record[first], rank[first]] = cut_beats(X, (record[first], r_peak[first]), n_before, n_samples)
        return out if self.layout == "beats" else out.reshape(len(X), -1)

    def segment(
        self, records: ArrayLike | Sequence[ArrayLike] | Bunch, r_peaks: Sequence[ArrayLike] | None = None
    ) -> Bunch:
        """Cut records of any length into beats, every complete beat a row.

        Parameters
        ----------
        records : array-like of shape (n_records, n_times) or (n_records, n_leads, n_times), list of arrays, or Bunch
            Records; in a list each of shape (n_times_i,) or (n_leads_i, n_times_i).
        r_peaks : list of arrays of int, default=None
            R peaks of each record as sample indices at the rate of `records`, for example an
            expert's annotations; None finds them with `detect_r_peaks`. Given ones are taken at
            their word: their beats count as good.

        Returns
        -------
        Bunch
            - ``X`` of shape (n_beats_total, n_samples): the beats; NaN throughout where not good.
            - ``record`` of shape (n_beats_total,): the index of each beat's record, ascending.
            - ``r_peak`` of shape (n_beats_total,): the sample of each beat's R peak in
              ``records``.
            - ``good`` of shape (n_beats_total,): False for beats in stretches without a usable
              signal, see `check_quality`.
            - ``n_missing`` of shape (n_records,): how many beats of each record are not good.
            - ``records``: one lead of each record at the rate of the beats, which ``r_peak``
              indexes and `restore` takes; the records as they came if `lead` and `resample_to`
              are None.

            Beats whose window reaches over an end of the record are left out.

        Raises
        ------
        ValueError
            For a parameter out of range; for a lead that is not there; for records that contain
            NaN or infinity, or are shorter than the window; as `on_bad` says, for flat records or
            records under 2 s where R peaks are to be found; for `r_peaks` that are not integers,
            not one array per record, or not inside the record.
        """
        self._validate_params()
        if not are_lazy(records):
            return self._cut_beats(records, self.on_bad, r_peaks)
        return segment_in_batches(records, self.lead, self.on_bad, r_peaks, self._cut_beats, self._lead_at_beat_rate)

    def _lead_at_beat_rate(self, records):
        leads, sampling_rate = choose_lead(records, self.lead, self.sampling_rate, self.resample_to)
        leads = as_records(leads, finite=self.on_bad != "nan")
        if self._ratio(sampling_rate) != 1:
            leads = without_gaps(leads, has_gaps(leads), np.nan)
        return self._resample(leads, [], sampling_rate)[0]

    def _cut_beats(self, records, on_bad, r_peaks):
        """Cut records into a row for each complete beat."""
        n_before, n_samples = self._window_samples()
        names = names_of(records, len(records.signals if isinstance(records, Bunch) else records))
        records, sampling_rate = choose_lead(records, self.lead, self.sampling_rate, self.resample_to)
        records = as_records(records, names, finite=self.on_bad != "nan")
        lengths = [len(record) for record in records]
        hint = transposed(np.shape(records)) if isinstance(records, np.ndarray) else ""
        for length, name in zip(lengths, names, strict=True):
            self._check_length(length, n_samples, sampling_rate, name, hint)
        gaps, bad = has_gaps(records), None
        if r_peaks is None:
            r_peaks, bad = self._find(without_gaps(records, gaps), sampling_rate, on_bad)
        else:
            r_peaks = check_r_peaks(r_peaks, lengths)
            r_peaks = [peaks[:0] if gap else peaks for peaks, gap in zip(r_peaks, gaps, strict=True)]
        if self._ratio(sampling_rate) != 1:
            records = without_gaps(records, gaps, np.nan)
        records, r_peaks = self._resample(records, r_peaks, sampling_rate)
        record, r_peak = self._complete(r_peaks, [len(x) for x in records])
        if isinstance(records, np.ndarray):
            X = cut_beats(records, (record, r_peak), n_before, n_samples)
        else:
            parts = np.split(r_peak, np.searchsorted(record, np.arange(1, len(records))))
            X = np.concatenate(
                [cut_beats(x, part, n_before, n_samples) for x, part in zip(records, parts, strict=True)]
            )
        good = np.ones(len(record), dtype=bool)
        if bad is not None:
            good = ~touches(bad, record, r_peak, self._window_samples(), self._ratio(sampling_rate))
            X[~good] = np.nan
        n_missing = np.bincount(record[~good], minlength=len(records))
        return Bunch(X=X, record=record, r_peak=r_peak, good=good, n_missing=n_missing, records=records)

    def restore(
        self,
        records: ArrayLike | Sequence[ArrayLike],
        beats: ArrayLike,
        r_peak: ArrayLike,
        record: ArrayLike,
        *,
        fade: float = 0.04,
    ) -> np.ndarray | list[np.ndarray]:
        """Write beats back into copies of the records.

        The arguments are those that `segment` gave: ``restore(beats.records, beats.X, beats.r_peak,
        beats.record)`` gives ``beats.records`` back. A beat fades in from the record and out to it
        again at its seams; where beats overlap, they are blended with weights that sum to 1.
        Samples that no beat covers are bit-identical to those of `records`. Missing beats, NaN
        throughout, cover nothing.

        Parameters
        ----------
        records : array-like of shape (n_records, n_times) or list of arrays of shape (n_times_i,)
            Records to write into copies of: one lead, at the rate of the beats.
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
            For a parameter out of range; for records that contain NaN or infinity, or beats that
            contain infinity or NaN beside numbers; for arguments that do not fit each other; for a
            beat that reaches out of its record.
        """
        self._validate_params()
        n_before, n_samples = self._window_samples()
        if not isinstance(fade, Real) or not 0 <= fade < np.inf:
            raise ValueError(f"fade must be a finite number of seconds, 0 or more, got {fade!r}.")
        records = as_records(records, finite=self.on_bad != "nan")
        lengths = np.array([len(x) for x in records])
        beats, r_peak, record = check_beats(beats, r_peak, record, lengths, n_before, n_samples)
        refuse_gaps_under(records, record)
        n_fade = min(round(fade * self._beat_rate()), n_samples // 2)
        return write_back(records, beats, r_peak - n_before, record, n_fade)

    @available_if(_is_two_dimensional)
    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
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

    def _state_fields(self) -> Iterator[Field]:
        yield from features_in(self, least=2, most=2**40)  # samples of a record, of which nothing is made

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.allow_nan = self.on_bad == "nan"
        return tags

    def _beat_rate(self):
        return self.sampling_rate if self.resample_to is None else self.resample_to

    def _window_samples(self):
        """Count the samples of a beat before the R peak, and in all."""
        rate = self._beat_rate()
        for name in ("sampling_rate", "resample_to"):
            if getattr(self, name) is not None and not np.isfinite(getattr(self, name)):
                raise ValueError(f"{name} must be finite, got {getattr(self, name)!r}.")
        window = self.window
        if len(window) != 2 or not all(isinstance(side, Real) and 0 <= side < np.inf for side in window):
            raise ValueError(
                f"window must be two finite numbers of seconds, before and after the R peak, neither negative, "
                f"such as (0.25, 0.45); got {window!r}."
            )
        n_before, n_samples = window_samples(window, rate)
        if n_samples < 2:
            raise ValueError(
                f"window={window!r} at {'sampling_rate' if self.resample_to is None else 'resample_to'}={rate!r} makes "
                f"a beat of {n_samples} sample(s); at least 2 are needed. Give the window in seconds and the rate in "
                "Hz."
            )
        return n_before, n_samples

    def _check_length(self, n_times, n_samples, sampling_rate, name, hint=""):
        n_left = resampled_length(n_times, self._ratio(sampling_rate))
        if n_left < n_samples:
            raise ValueError(
                f"window={self.window!r} is longer than {name}: at sampling_rate={self._beat_rate()!r} the window is "
                f"{n_samples} samples and the record {n_left}. Give a shorter window or longer records.{hint}"
            )

    def _check_records(self, X, *, reset):
        given = X
        X, sampling_rate = choose_lead(X, self.lead, self.sampling_rate, self.resample_to)
        if isinstance(X, list) and len({np.shape(record) for record in X}) > 1 and np.ndim(X[0]) == 1:
            lengths = sorted({np.shape(record)[-1] for record in X})
            raise ValueError(
                f"records must be equally long here, one row each, got {lengths[0]} to {lengths[-1]} samples. Cut them "
                "to one length, or use segment."
            )
        options = {"ensure_min_features": 2 if reset else 1, "ensure_all_finite": False}  # gaps: below, by their record
        X = validate_data(self, X, reset=reset, dtype=[np.float64, np.float32], **options)
        self._check_length(X.shape[1], self._window_samples()[1], sampling_rate, "the records", transposed(X.shape))
        if self.on_bad != "nan":
            refuse_gaps(X, names_of(given, len(X)))
        refuse_huge(X, "records")
        return X, sampling_rate

    def _find(self, records, sampling_rate, on_bad):
        """Find the R peaks of every record, and a mask of the samples without a usable signal."""
        sampling_rate = check_sampling_rate(sampling_rate)
        peaks = find_r_peaks(records, sampling_rate, name="record {}", on_bad=on_bad)
        if not self.check_quality:
            return peaks, None
        good = signal_quality(records, sampling_rate).good
        return peaks, [~row for row in good]

    def _ratio(self, sampling_rate):
        if self.resample_to is None:
            return Fraction(1)
        return rate_ratio(sampling_rate, self.resample_to)

    def _resample(self, records, r_peaks, sampling_rate):
        """Bring records and R peaks to the rate of the beats."""
        ratio = self._ratio(sampling_rate)
        if isinstance(records, np.ndarray):
            records = resample(records, ratio, axis=1)
        else:
            records = [resample(record, ratio) for record in records]
        return records, [move_peaks(peaks, ratio) for peaks in r_peaks]

    def _complete(self, r_peaks, lengths):
        """Record and sample of every R peak whose window lies wholly inside its record."""
        record = np.repeat(np.arange(len(lengths)), [len(peaks) for peaks in r_peaks])
        r_peak = np.concatenate(r_peaks)
        complete = fits_record(r_peak, *self._window_samples(), np.asarray(lengths)[record])
        return record[complete], r_peak[complete]
