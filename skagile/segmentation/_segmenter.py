"""Cut records into beats around their R peaks, and write beats back into records."""

from collections.abc import Iterator, Sequence
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from skagile._output import SetOutputMixin
from skagile._state import Field, Names, Number, Optional, Stateful, features_in
from skagile.segmentation._lazily import are_lazy, first_batch, segment_in_batches, stack_batches
from skagile.segmentation._one_lead import OneLead
from skagile.segmentation._over_leads import OverLeads
from skagile.segmentation._several_leads import are_several


def _is_two_dimensional(segmenter):
    """Only 2-D output has columns to name, and so a DataFrame form."""
    return segmenter.layout == "flat" or (segmenter.layout == "median" and not are_several(segmenter.lead))


class BeatSegmenter(SetOutputMixin, Stateful, TransformerMixin, BaseEstimator):
    """Cut electrocardiograms into beats around their R peaks, of one lead or of several.

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

        Of several leads: (n_records, n_beats, n_leads, n_samples), n_beats being 1 for "median";
        "flat" lays it out beat after beat and lead after lead.
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
    lead : int, str, "all" or sequence of int or str, default=None
        Which lead to use of records with several: its index, or its name if the records are a Bunch
        that names its leads. None takes records of one lead only. With "all", or a sequence, beats
        have several leads, see Notes.
    resample_to : float, default=None
        Samples per second of the beats, to bring records of several databases to a common rate. R
        peaks are found at the rate of the records, and move to the nearest sample at the new one (of
        two equally near to the even one). None keeps the rate.

    Attributes
    ----------
    n_features_in_ : int
        Samples per record and lead seen in ``fit``.
    leads_ : list of str or None
        Names of the leads of a beat, where several were asked for and the records name them.
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

    **Several leads.** Each lead is searched, and a beat is where more than half of those that can be read
    there have one, or half of them, the leading one among them: lead II, or where none has that name, the
    lead with the highest R waves. It is placed on the R wave of the leading lead; where that goes down
    three times as far as up, on its lowest point. So of two leads the leading one says. A lead that a
    record lacks, that is NaN throughout or that has no usable signal around a beat (`check_quality`) is
    missing: NaN throughout. A beat without any lead is missing. "all" takes the leads in the order in
    which the records name them, and ``transform`` those of ``fit``.

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
        "lead": [Interval(Integral, 0, None, closed="left"), str, "array-like", None],
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
        lead: int | str | Sequence[int | str] | None = None,
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
        self._cutter().fit(X)
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
            return self._cutter().rows(X)
        return stack_batches(X, self.lead, self.on_bad, lambda batch, on_bad: self._cutter(on_bad).rows(batch))

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
            - ``X`` of shape (n_beats_total, n_samples), or of several leads (n_beats_total, 1, n_leads,
              n_samples): the beats; NaN throughout where not good.
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
            return self._cutter().segment(records, r_peaks)

        def cut(batch, on_bad, r_peaks):
            return self._cutter(on_bad).segment(batch, r_peaks)

        return segment_in_batches(records, self.lead, self.on_bad, r_peaks, cut, self._cutter().at_beat_rate)

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
            Records to write into copies of: one lead, at the rate of the beats. Of several leads
            (n_records, n_leads, n_times), or a list of (n_leads, n_times_i).
        beats : array-like of shape (n_beats_total, n_samples) or (n_beats_total, 1, n_leads, n_samples)
            Beats, in the unit of the records. A missing lead covers nothing either.
        r_peak : array-like of int of shape (n_beats_total,)
            Sample of each beat's R peak in its record.
        record : array-like of int of shape (n_beats_total,)
            Index of each beat's record.
        fade : float, default=0.04
            Seconds over which a beat fades at each end, at most half the window. The record shines
            through there: with 0 nothing of the record is left under a beat, and seams may jump.

        Returns
        -------
        ndarray or list of ndarray
            As `records` came. ``float32`` stays ``float32``; integers become ``float64``.

        Raises
        ------
        ValueError
            For a parameter out of range; for records that contain NaN or infinity, or beats that
            contain infinity or NaN beside numbers; for arguments that do not fit each other; for a
            beat that reaches out of its record.
        """
        self._validate_params()
        return self._cutter().restore(records, beats, r_peak, record, fade)

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
        return np.array(self._cutter().columns(), dtype=object)

    def _state_fields(self) -> Iterator[Field]:
        yield from features_in(self, least=2, most=2**40)  # samples of a record, of which nothing is made
        if are_several(self.lead):
            yield Number("_n_leads", low=1)
            yield Optional("leads_", Names("leads_", self._n_leads))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.allow_nan = self.on_bad == "nan"
        return tags

    def _cutter(self, on_bad=None):
        """Return what cuts beats of one lead or of several; batches of lazy records have an `on_bad` of their own."""
        return (OverLeads if are_several(self.lead) else OneLead)(self, on_bad or self.on_bad)
