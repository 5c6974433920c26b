"""The waves of a beat measured: bounds, intervals and amplitudes, all beats at once."""

from collections import namedtuple
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from sklearn.utils import Bunch

from skagile.segmentation._measure_leads import check_over, measure_over_leads

_BLOCK = 2**18  # samples worked on at a time: bounds memory
_MIN_SAMPLING_RATE = 100.0
_QRS_HALF = 0.3  # s to either side of the R peak that the QRS lies within
_OVERLAP = 0.14  # s around the R peak that both P and T are looked at with
_MIN_SIDE = 0.1  # s on either side of the R peak, without which there is no QRS to bound
_ISOELECTRIC = 0.016  # s before the QRS onset, whose mean is the level that amplitudes count from
_ST_DELAY = 0.06  # s after the J point
_REACH = 0.004  # s to either side of ST, P and T, over which their levels are averaged
_LEAST_WAVE = 0.05  # share of the QRS's height below which an R, Q or S wave does not count


@dataclass(frozen=True)
class Rules:
    """The constants of the ruler: times in seconds, smoothing widths as standard deviations of Gaussians.

    Found by a random search over one half of LUDB's subjects, leads II and V2, but for those of T's last, usual and
    settled times and the neighbours' slope, which were set by hand, and P's height over the noise, lowered on the same
    half; ``study/measurements.py`` reports the errors on the other half, and what more or less doubt about P costs.
    """

    qrs_smoothing: float = 0.0061
    qrs_reach: float = 0.1016  # the steepest slope within it is the QRS's
    onset_slope: float = 0.0233  # share of the steepest slope
    onset_quiet: float = 0.0067  # for how long the slope stays below
    offset_slope: float = 0.0615
    offset_quiet: float = 0.0225
    slope_over_noise: float = 2.2526  # times the median slope of the beat
    neighbour_slope: float = 0.6  # share of the steepest slope that betrays the next or the previous QRS ...
    neighbour_after: float = 0.2469  # ... this far from the R peak, ...
    neighbour_margin: float = 0.0762  # ... which begins or ends so much nearer

    t_smoothing: float = 0.0065
    t_area: float = 0.1215  # length of the sliding area
    t_both: float = 7.6654  # two opposite areas closer in size than this are a biphasic T wave
    t_first: float = 0.1068  # end of T after the QRS
    t_onset: float = 0.0172  # peak of T after the QRS
    t_last: float = 0.62
    t_usual: float = 0.34
    t_spread: float = 0.13
    t_settled: float = 0.06  # after the end of T, in which less than a T wave may come
    t_return: float = 0.8  # share of the way from its begin to its end that T's height must exceed, there
    t_over_noise: float = 1.0
    t_over_qrs: float = 0.01

    p_smoothing: float = 0.0115
    p_width: float = 0.0556
    p_first: float = 0.3093  # before the QRS
    p_last: float = 0.0563
    p_usual: float = 0.1019
    p_spread: float = 0.045
    # Smoothed as it is, a wave of less is what filters leave of its neighbours in a beat without noise.
    p_over_qrs: float = 0.007
    p_over_noise: float = 2.3
    p_onset_slope: float = 0.3857  # share of the P wave's steepest slope
    p_onset_quiet: float = 0.004
    p_offset_slope: float = 0.5296
    # What speaks against a P wave: others like it before (flutter, fibrillation, noise) and an unusual time.
    p_rival_first: float = 0.2002  # before the P wave
    p_rival_last: float = 0.0672
    p_opposite: float = 0.9396  # weight of a rival of the other sign
    p_odd_time: float = 0.0739  # away from the usual time, that weighs as much as a rival of the same height
    p_doubt: float = 0.9513


RULES = Rules()
Marks = namedtuple("Marks", ("p_onset", "p_peak", "p_offset", "qrs_onset", "qrs_offset", "t_peak", "t_end"))
_INTERVALS = ("pr_interval", "qrs_duration", "qt_interval")
_LEVELS = ("st_level", "p_amplitude", "q_amplitude", "r_amplitude", "s_amplitude", "t_amplitude")
_FIELDS = ("p_present", *_INTERVALS, *_LEVELS, *Marks._fields)


def measure_beats(
    beats: ArrayLike,
    sampling_rate: float,
    *,
    window: tuple[float, float] = (0.25, 0.45),
    lead_names: Sequence[str] | None = None,
    over: str = "median",
) -> Bunch:
    """Measure the waves of beats: intervals, ST level and amplitudes.

    Parameters
    ----------
    beats : array-like of shape (n_beats, n_samples), (n_rows, n_beats, n_samples) or \
(n_rows, n_beats, n_leads, n_samples)
        Beats in millivolts, as `BeatSegmenter` cuts them. A beat, or a lead of it, that is NaN throughout is missing.
    sampling_rate : float
        Samples per second, at least 100 Hz. Marks fall on samples: bounds are no finer than ``1000 / sampling_rate``
        ms.
    window : tuple of 2 floats, default=(0.25, 0.45)
        Seconds before and after the R peak that the beats were cut with, each at least 0.1. The default of
        `BeatSegmenter` cuts off the P wave where PR is long and the T wave where QT is: what is to be measured is best
        cut with ``(0.35, 0.65)``.
    lead_names : sequence of str, default=None
        Names of the leads of 4-D beats, which the axis needs.
    over : {"median", "rms"}, default="median"
        What is measured of 4-D beats. "median": every lead is, and each mark and amplitude is the median of the leads
        that have it, NaN where less than half of those there do. "rms": the root mean square of the leads is, as if it
        were a lead; its amplitudes have no sign.

    Returns
    -------
    measurements : :class:`~sklearn.utils.Bunch`
        Arrays of shape (n_beats,) or (n_rows, n_beats); ``pandas.DataFrame(measurements)`` makes a table of those of
        2-D beats. NaN where a wave is absent, was not found, or is cut off by the window.

        p_present : bool
            Whether there is a P wave; False for a missing beat.
        pr_interval, qrs_duration, qt_interval : float
            Onset of P to onset of QRS; onset to offset of QRS; onset of QRS to end of T. In ms.
        st_level : float
            Level 60 ms after the offset of QRS (J + 60 ms), in mV.
        p_amplitude, q_amplitude, r_amplitude, s_amplitude, t_amplitude : float
            Extremes of the waves, in mV with their sign. R is the highest point of the QRS, Q the lowest before R
            and S the lowest after it; those under 5 % of the QRS's height count as absent. A QRS that only goes down
            (QS) has no R and no Q, and its depth is the S.
        p_onset, p_peak, p_offset, qrs_onset, qrs_offset, t_peak, t_end : float
            Where the waves are, in ms from the R peak, negative before it.

        Levels and amplitudes count from the mean of the 16 ms before the onset of QRS. Of 4-D beats there are also:

        global_qrs_duration, global_qt_interval : float
            Earliest onset of QRS in any lead to the latest offset, and to the latest end of T, in ms: the 12-lead QT. A
            mark counts that two other leads have within 10 ms (20 ms for T), or all others where there are fewer; the
            median lead's where none does.
        qrs_axis : float
            Direction of the QRS in the frontal plane, in degrees: 0 to the left, 90 to the feet, above -180 up to 180.
            NaN without `lead_names`, and without two limb leads.
        by_lead : :class:`~sklearn.utils.Bunch`
            What was measured on each lead by itself, of shape (n_rows, n_beats, n_leads).

    Raises
    ------
    TypeError, ValueError
        For beats that are not 2-D to 4-D numbers, hold infinity, or NaN and numbers in one beat; for a sampling rate
        below 100 Hz; for a window shorter than 0.1 s on a side, or one that does not fit the beats' length; for
        `lead_names` that are not one a lead, and for another `over`.

    See Also
    --------
    BeatSegmenter : Cuts beats.
    detect_r_peaks : Finds the R peaks they are cut around.

    Notes
    -----
    All beats are measured at once, each by itself, and only ratios of slopes, areas and heights are compared: gain,
    offset and polarity change no bound.

    Over leads the median is the default because it came closer to the median of cardiologists' marks in all twelve
    leads of LUDB (even-numbered subjects; mean absolute error in ms): QRS duration 7.2, QT 9.2 and PR 6.4, against 9.2,
    11.6 and 7.8 of the root mean square, and 13.1, 16.7 and 11.2 of lead II alone.

    The axis is that of the net area of QRS, in the plane of Einthoven's triangle. Areas between common bounds obey
    Einthoven's law as samples do, so that any two limb leads give one answer; heights of R and S do not. Of the limb
    leads that are there, all have a say (least squares), but not MLII and the like, which are of the chest.

    The QRS reaches from its steepest slopes outwards to where the slope stays small against the steepest and against
    the beat's noise. T ends where the area between the curve and its value there, over a sliding stretch before, is
    largest (after Zhang et al. [1]_; the favoured time of the end is ours). P is what stands out most from its two
    sides before the QRS, and is doubted the more, the less it does so against other deflections before it and the
    further from its usual time it is. Another QRS within the window ends the search.

    In atrial fibrillation and flutter some of the waves of the atria are still taken for P, the more so where the
    window before the R peak is short. In the leads where P is low and biphasic, such as V2, about four in ten P waves
    are doubted away: to find more means to invent more, and a PR interval that is there should be right. T waves
    that end later than 440 ms after the R peak are often ended too early. The figures against cardiologists' marks are
    in the study "Beats measured" of the documentation.

    References
    ----------
    .. [1] Q. Zhang, A. Illanes Manriquez, C. Medigue, Y. Papelier and M. Sorine, "An algorithm for robust and
       efficient location of T-wave ends in electrocardiograms", IEEE Transactions on Biomedical Engineering 53(12),
       2544-2552, 2006.
    .. [2] A. I. Kalyakulina et al., "LUDB: a new open-access validation tool for electrocardiogram delineation
       algorithms", IEEE Access 8, 186181-186190, 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.segmentation import measure_beats
    >>> time = np.arange(-175, 325) / 500
    >>> waves = [(-0.16, 0.1, 0.02), (0.0, 1.2, 0.01), (0.03, -0.3, 0.01), (0.3, 0.3, 0.04)]  # s, mV, s
    >>> beat = sum(height * np.exp(-0.5 * ((time - at) / width) ** 2) for at, height, width in waves)
    >>> measures = measure_beats([beat, beat], 500, window=(0.35, 0.65))
    >>> measures.p_present, measures.t_peak, measures.t_amplitude.round(2)
    (array([ True,  True]), array([300., 300.]), array([0.3, 0.3]))
    """
    rate = _check_rate(sampling_rate)
    beats = _check_beats(beats)
    check_over(over, lead_names, beats.shape)
    r_index = _check_window(window, rate, beats.shape)
    measure = partial(_measure_rows, sampling_rate=rate, r_index=r_index)
    if beats.ndim < 4:
        return measure(beats)
    return measure_over_leads(beats, measure(beats), measure, lead_names, over, (rate, r_index))


def _measure_rows(beats, *, sampling_rate, r_index):
    """Measurements of beats of one lead, in arrays of their shape without the last axis; NaN for missing ones."""
    rows = beats.reshape(-1, beats.shape[-1])
    present = ~np.isnan(rows).any(axis=1)
    measured = np.full((len(_FIELDS), len(rows)), np.nan)
    measured[0] = 0.0
    for block in np.array_split(np.flatnonzero(present), max(1, -(-rows.size // _BLOCK))):
        if len(block):
            measured[:, block] = _measure(rows[block], sampling_rate, r_index)
    out = Bunch(**{name: row.reshape(beats.shape[:-1]) for name, row in zip(_FIELDS, measured, strict=True)})
    out.p_present = out.p_present.astype(bool)
    return out


def _measure(beats, sampling_rate, r_index):
    """All measurements of present beats, one a row in the order of _FIELDS."""
    # Beats of height 1 without offset: the measurements then do not depend on either, and nothing overflows.
    size = np.abs(beats).max(axis=1)
    beats = beats / np.where(size > 0, size, 1.0)[:, None]
    beats -= beats.mean(axis=1)[:, None]
    height = np.abs(beats).max(axis=1)
    # Less than this is what rounding leaves of a flat line.
    height[height < 1e-9] = 0.0
    beats = np.where(height[:, None] > 0, beats / np.where(height > 0, height, 1.0)[:, None], 0.0)
    # Bounds are compared, not summed up: single precision does, at half the time.
    marks = delineate(beats.astype(np.float32), sampling_rate, r_index)
    at = Marks(*(np.where(index < 0, np.nan, (index - r_index) * 1000 / sampling_rate) for index in marks))
    before = round(_ISOELECTRIC * sampling_rate)
    total = np.cumsum(np.pad(beats, ((0, 0), (1, 0))), axis=1)
    base = _mean_between(total, marks.qrs_onset - before, marks.qrs_onset)
    reach = max(round(_REACH * sampling_rate), 0)
    j_60 = np.where(marks.qrs_offset < 0, -1, marks.qrs_offset + round(_ST_DELAY * sampling_rate))
    st, p, t = (_mean_between(total, i - reach, i + reach, i) for i in (j_60, marks.p_peak, marks.t_peak))
    levels = [st, p, *_qrs_extremes(beats, marks, base), t]
    mv = [(level - base) * height * size for level in levels]
    intervals = [at.qrs_onset - at.p_onset, at.qrs_offset - at.qrs_onset, at.t_end - at.qrs_onset]
    return np.stack([marks.p_peak >= 0, *intervals, *mv, *at])


def _qrs_extremes(beats, marks, base):
    """Levels of Q, R and S: the top of the QRS and the lowest points to both sides; NaN where they are too small."""
    time = np.arange(beats.shape[1])
    bounded = (marks.qrs_onset >= 0) & (marks.qrs_offset >= 0)
    inside = (time >= marks.qrs_onset[:, None]) & (time <= marks.qrs_offset[:, None]) & bounded[:, None]
    top = _best(np.where(inside, beats, -np.inf))
    high = _at(beats, top)
    low = np.where(inside, beats, np.inf).min(axis=1)
    least = _LEAST_WAVE * np.where(bounded, high - low, np.nan)
    has_r = high - base > least
    top = np.where(has_r, top, marks.qrs_onset)[:, None]
    q = np.where(inside & (time < top), beats, np.inf).min(axis=1)
    s = np.where(inside & (time > top), beats, np.inf).min(axis=1)
    q, s = (np.where(np.isfinite(wave) & (base - wave > least), wave, np.nan) for wave in (q, s))
    return q, np.where(has_r, high, np.nan), s


def _mean_between(total, first, last, valid=None):
    """Mean of samples `first` to `last`, from totals led by 0; NaN where `valid` (or `last`) is outside the beat."""
    n_samples = total.shape[1] - 1
    valid = last if valid is None else valid
    first, end = np.clip(first, 0, n_samples - 1), np.clip(last + 1, 1, n_samples)
    mean = (_at(total, end) - _at(total, first)) / np.maximum(end - first, 1)
    return np.where((valid >= 0) & (valid < n_samples), mean, np.nan)


def _check_rate(sampling_rate):
    if not isinstance(sampling_rate, Real) or isinstance(sampling_rate, bool) or not np.isfinite(sampling_rate):
        raise ValueError(f"sampling_rate must be a finite number of samples per second, got {sampling_rate!r}.")
    if sampling_rate < _MIN_SAMPLING_RATE:
        raise ValueError(
            f"sampling_rate must be at least {_MIN_SAMPLING_RATE:g} Hz to tell waves apart, got {sampling_rate!r}. "
            "Resample the records before they are cut, or give the rate in Hz if it was in another unit."
        )
    return float(sampling_rate)


def _check_beats(beats):
    """Return float64 beats of 2 to 4 dimensions, each finite or NaN throughout."""
    beats = np.asarray(beats)
    if beats.dtype.kind not in "fiu":
        raise ValueError(f"beats must hold real numbers, got dtype {beats.dtype}.")
    if beats.ndim not in (2, 3, 4):
        raise ValueError(
            f"beats has shape {beats.shape}; expected (n_beats, n_samples), (n_rows, n_beats, n_samples) or (n_rows, "
            "n_beats, n_leads, n_samples). Put a single beat in a list."
        )
    beats = beats.astype(np.float64)
    if np.isinf(beats).any():
        raise ValueError("beats contains infinity. Drop those beats, or mark them missing (NaN throughout).")
    missing = np.isnan(beats)
    partly = missing.any(axis=-1) & ~missing.all(axis=-1)
    if partly.any():
        first = tuple(map(int, np.argwhere(partly)[0]))
        raise ValueError(
            f"beats has {partly.sum()} beat(s) with some samples NaN, the first at {first}. "
            "Interpolate the gaps, or mark the beats missing (NaN throughout)."
        )
    return beats


def _check_window(window, sampling_rate, shape):
    """Return the index of the R peak."""
    if (
        not isinstance(window, (tuple, list))
        or len(window) != 2
        or not all(isinstance(side, Real) and _MIN_SIDE <= side < np.inf for side in window)
    ):
        raise ValueError(
            f"window must be two finite numbers of seconds, before and after the R peak, of at least {_MIN_SIDE} each, "
            f"such as (0.35, 0.65); got {window!r}."
        )
    r_index = round(window[0] * sampling_rate)
    n_samples = r_index + round(window[1] * sampling_rate)
    if shape[-1] != n_samples:
        raise ValueError(
            f"beats has {shape[-1]} samples, but window={window!r} at sampling_rate={sampling_rate:g} makes "
            f"{n_samples}. Give the window and the rate that the beats were cut with."
        )
    return r_index


def delineate(beats: np.ndarray, sampling_rate: float, r_index: int, rules: Rules = RULES) -> Marks:
    """Bounds and peaks of the waves as sample indices, -1 where there is none.

    Parameters
    ----------
    beats : ndarray of float64 of shape (n_beats, n_samples)
        Beats without missing ones.
    sampling_rate : float
        Samples per second.
    r_index : int
        Sample of the R peak.
    rules : Rules
        The constants.

    Returns
    -------
    Marks of ndarray of int of shape (n_beats,)
    """
    slope, steepest, onset, offset = _bound_qrs(beats, sampling_rate, r_index, rules)
    other_qrs = slope > rules.neighbour_slope * steepest[:, None]
    height = np.ptp(_near(beats, r_index, rules.qrs_reach * sampling_rate), axis=1)
    # P and T are looked for on their own sides of the R peak, with some of the QRS for the filters' sake.
    end = r_index + round(_OVERLAP * sampling_rate)
    p_marks, noise = _find_p(beats[:, :end], sampling_rate, r_index, onset, other_qrs[:, :end], height, rules)
    start = max(r_index - round(_OVERLAP * sampling_rate), 0)
    t_marks = _find_t(
        beats[:, start:], sampling_rate, r_index - start, offset - start, other_qrs[:, start:], noise, height, rules
    )
    t_marks = (np.where(there & (offset >= 0), index + start, -1) for index, there in t_marks)
    return Marks(*p_marks, onset, offset, *t_marks)


def _bound_qrs(beats, sampling_rate, r_index, rules):
    """From the steepest slopes outwards to where the slope stays small."""
    width = rules.qrs_smoothing * sampling_rate
    slope = np.abs(gaussian_filter1d(beats, width, axis=1, order=1, mode="nearest", truncate=3))
    least = rules.slope_over_noise * np.median(slope[:, ::2], axis=1)
    start = max(r_index - round(_QRS_HALF * sampling_rate), 0)
    near = _near(slope, r_index, _QRS_HALF * sampling_rate)
    time = np.arange(start, start + near.shape[1])
    central = np.abs(time - r_index) <= round(rules.qrs_reach * sampling_rate)
    steepest = near[:, central].max(axis=1)
    steep = (near >= 0.5 * steepest[:, None]) & central
    quiet = _running_max(near, rules.onset_quiet * sampling_rate, ahead=False)
    quiet = quiet < np.maximum(rules.onset_slope * steepest, least)[:, None]
    onset = _last(quiet & (time <= start + _first(steep)[:, None]))
    quiet = _running_max(near, rules.offset_quiet * sampling_rate, ahead=True)
    quiet = quiet < np.maximum(rules.offset_slope * steepest, least)[:, None]
    offset = _first(quiet & (time >= start + _last(steep)[:, None]))
    return slope, steepest, *(np.where(index < 0, -1, index + start) for index in (onset, offset))


def _find_t(beats, sampling_rate, r_index, qrs_offset, other_qrs, noise, height, rules):
    """End of T where the area between the curve and its value there, over a sliding stretch before, is largest."""
    n_samples = beats.shape[1]
    time = np.arange(n_samples)
    following = _first(other_qrs & (time > r_index + rules.neighbour_after * sampling_rate))
    end = np.where(following < 0, n_samples, following - round(rules.neighbour_margin * sampling_rate))
    smooth = gaussian_filter1d(beats, rules.t_smoothing * sampling_rate, axis=1, mode="nearest", truncate=3)
    length = max(round(rules.t_area * sampling_rate), 1)
    total = np.cumsum(smooth, axis=1)
    area = np.zeros_like(smooth)
    area[:, length:] = (total[:, length:] - total[:, :-length]) / length - smooth[:, length:]
    area *= _around(time, r_index + rules.t_usual * sampling_rate, rules.t_spread * sampling_rate)
    begin = qrs_offset + rules.t_first * sampling_rate
    within = (time >= begin[:, None]) & (time < np.minimum(end, r_index + rules.t_last * sampling_rate)[:, None])
    up, down = _best(np.where(within, area, -np.inf)), _best(np.where(within, -area, -np.inf))
    up_area, down_area = np.maximum(_at(area, up), 1e-12), np.maximum(-_at(area, down), 1e-12)
    both = np.maximum(up_area, down_area) < rules.t_both * np.minimum(up_area, down_area)
    t_end = np.where(both, np.maximum(up, down), np.where(up_area > down_area, up, down))
    # The peak is what stands out most from the straight line between the ST segment and the end of T.
    start = np.clip(np.rint(qrs_offset + rules.t_onset * sampling_rate).astype(int), 0, n_samples - 1)
    share = (time - start[:, None]).astype(smooth.dtype) / np.maximum(t_end - start, 1)[:, None].astype(smooth.dtype)
    line = _at(smooth, start)[:, None] * (1 - share) + _at(smooth, t_end)[:, None] * share
    wave = np.abs(smooth - line)
    t_peak = _best(np.where((time >= start[:, None]) & (time <= t_end[:, None]), wave, -np.inf))
    after = (
        (time > t_end[:, None]) & (time <= (t_end + rules.t_settled * sampling_rate)[:, None]) & (time < end[:, None])
    )
    rest = np.where(after, np.abs(smooth - _at(smooth, t_end)[:, None]), 0.0).max(axis=1)
    # Close to the window's end, a curve that has gone far from where T began is a T wave still under way.
    under_way = rules.t_return * np.abs(_at(smooth, t_end) - _at(smooth, start))
    rest = np.where(t_end + rules.t_settled * sampling_rate < n_samples, rest, np.maximum(rest, under_way))
    least = np.maximum(rules.t_over_noise * noise, rules.t_over_qrs * height)
    tall = _at(wave, t_peak) > np.maximum(rest, least)
    # An end at the very end of the window is where the window cuts the T wave off.
    there = within.any(axis=1) & tall & (t_end < np.minimum(end, n_samples) - 1)
    return (t_peak, there & (t_peak < t_end)), (t_end, there)


def _find_p(beats, sampling_rate, r_index, qrs_onset, other_qrs, qrs_height, rules):
    """P where the curve stands out most from its sides, bounded where the slope has died down; and the noise."""
    n_samples = beats.shape[1]
    time = np.arange(n_samples)
    width = rules.p_smoothing * sampling_rate
    smooth = gaussian_filter1d(beats, width, axis=1, mode="nearest", truncate=3)
    noise = np.median(np.abs(beats - smooth)[:, ::2], axis=1)
    side = max(round(rules.p_width * sampling_rate), 1)
    left = smooth[:, np.maximum(time - side, 0)]
    right = np.take_along_axis(smooth, np.clip(np.minimum(time + side, qrs_onset[:, None]), 0, n_samples - 1), axis=1)
    wave = smooth - (left + right) / 2
    lead = qrs_onset[:, None] - time
    usual = _around(lead, rules.p_usual * sampling_rate, rules.p_spread * sampling_rate)
    previous = _last(other_qrs & (time < r_index - rules.neighbour_after * sampling_rate))
    begin = np.where(previous < 0, 0, previous + rules.neighbour_after * sampling_rate)
    begin = np.maximum(begin, qrs_onset - rules.p_first * sampling_rate)
    within = (time > begin[:, None]) & (lead > rules.p_last * sampling_rate)
    peak = _best(np.where(within, np.abs(wave) * usual, -np.inf))
    height = _at(wave, peak)
    before = peak[:, None] - time
    rivals = (before > rules.p_rival_last * sampling_rate) & (before < rules.p_rival_first * sampling_rate)
    rivals = np.where(rivals, wave * np.sign(height)[:, None], 0.0)
    doubt = rivals.max(axis=1) - rules.p_opposite * rivals.min(axis=1)
    doubt += np.abs(height) * ((_at(lead, peak) / sampling_rate - rules.p_usual) / rules.p_odd_time) ** 2
    least = np.maximum(rules.p_over_noise * noise, rules.p_over_qrs * qrs_height)
    there = within.any(axis=1) & (qrs_onset >= 0) & (np.abs(height) > least)
    there &= doubt < rules.p_doubt * np.abs(height)
    slope = np.abs(np.gradient(smooth, axis=1))
    bounds = []
    for ahead in (False, True):
        if ahead:
            flank = (time >= peak[:, None]) & (time <= np.minimum(peak + 1.5 * side, qrs_onset)[:, None])
        else:
            flank = (time <= peak[:, None]) & (time >= (peak - 1.5 * side)[:, None])
        steepest = _best(np.where(flank, slope, -np.inf))
        quiet = _running_max(slope, rules.p_onset_quiet * sampling_rate, ahead=ahead)
        share = rules.p_offset_slope if ahead else rules.p_onset_slope
        quiet = quiet < (share * _at(slope, steepest))[:, None]
        if ahead:
            bound = _first(quiet & (time >= steepest[:, None]))
            bound = np.minimum(np.where(bound < 0, n_samples, bound), qrs_onset)
        else:
            bound = _last(quiet & (time <= steepest[:, None]))
        bounds.append(np.where(there, bound, -1))
    return (bounds[0], np.where(there, peak, -1), bounds[1]), noise


def _near(values, index, reach):
    return values[:, max(index - round(reach), 0) : index + round(reach) + 1]


def _around(time, centre, spread):
    return np.exp(-0.5 * ((time - centre) / np.float32(spread)).astype(np.float32) ** 2)


def _running_max(values, length, *, ahead):
    """Largest of each value and the `length` samples after it, or before it."""
    size = max(round(length), 1) + 1
    origin = -(size // 2) if ahead else size - 1 - size // 2
    return maximum_filter1d(values, size, axis=1, mode="nearest", origin=origin)


def _first(mask):
    index = mask.argmax(axis=1)
    return np.where(mask.any(axis=1), index, -1)


def _last(mask):
    return np.where(mask.any(axis=1), mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1), -1)


def _best(values):
    return values.argmax(axis=1)


def _at(values, index):
    return np.take_along_axis(values, index[:, None], axis=1)[:, 0]
