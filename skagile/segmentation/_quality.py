"""Stretches of a recording that hold no heartbeats to speak of."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from scipy.fft import rfft
from sklearn.utils import Bunch

from skagile.segmentation._inputs import as_signals, check_sampling_rate
from skagile.segmentation._moving import BLOCK as _BLOCK
from skagile.segmentation._moving import Scaler, count_odd, count_samples, moving, working_factor

_FLAT = 0.5  # s without any change
_RAIL = 0.025  # s at the record's own maximum or minimum; the round top of a wave is shorter at 12 bits
_RAIL_SAMPLES = 6
_RAIL_DISTANCE = 0.1  # of the record's range, between its median and a rail
_EXCURSION = 8.0  # times the record's typical peak-to-peak amplitude
_EXCURSION_WINDOW = 2.0  # s over which an amplitude is taken
_EXCURSION_MARGIN = 0.25  # s that an excursion taints on either side
_LOW_PASS = 0.018
_HIGH_PASS = 0.2
_INTEGRATION = 0.1
_ENVELOPE_RATE = 40.0  # Hz
_CELL = 1.0  # s: noise is judged in windows of four cells
_CELLS = 4
# In MIT-BIH the ratio is over 2 in all but a few of 86,000 windows: pauses, flutter and the noise of 104, 105 and 108.
# In Gaussian noise of any colour and in mains hum it is under 1.9.
_PEAKINESS = 1.9
_RHYTHM = 0.75  # autocorrelation above which a regular rhythm is there, however broad its complexes
_RISE_AND_FALL = 0.06  # standard deviation over mean that its energy has at least; that of hum hardly changes
_TONE = 0.999  # share of the power above _TONE_FROM that hum holds, above which what is left is the converter's
_TONE_FROM = 1.0  # Hz
_TONE_REACH = 1.0  # Hz on either side
_TONES = 3  # mains and harmonics


def signal_quality(signal: ArrayLike | Sequence[ArrayLike], sampling_rate: float) -> Bunch:
    """Flag the stretches of electrocardiograms in which no heartbeat can be told.

    Parameters
    ----------
    signal : array-like of shape (n_times,) or (n_records, n_times), or list of arrays of shape (n_times_i,)
        One lead of one record, or of many, in any unit.
    sampling_rate : float
        Samples per second, at least 100 Hz.

    Returns
    -------
    Bunch
        Boolean arrays as `signal` is: of shape (n_times,) or (n_records, n_times), or lists of
        arrays of shape (n_times_i,).

        - ``flat``: nothing changes for at least 0.5 s;
        - ``saturated``: at least 25 ms (and 6 samples) on end at the record's own maximum or
          minimum, as at the end of a converter's range, away from its median by a tenth of its
          range;
        - ``disconnected``: 0.25 s around samples farther from the record's median than 8 times its
          typical amplitude (the median over 2 s windows of the peak-to-peak amplitude), as when a
          lead falls off or is put back;
        - ``noise``: no complexes stand out of what is between them, nor is there a regular rhythm, or
          all is hum of the mains: hum, muscle and amplifier noise, an open lead. Judged over 4 s, to
          within about 1.5 s; records under 4 s are not judged;
        - ``good``: none of these.

    Raises
    ------
    ValueError
        As `detect_r_peaks`, for `sampling_rate`, wrong dimensions or types, and NaN or infinity.
        Flat and short records are no error: they are flagged, or too short to be judged.

    See Also
    --------
    detect_r_peaks : Finds beats without regard to quality.
    BeatSegmenter : Marks beats in bad stretches as missing.

    Notes
    -----
    A pause of several seconds and ventricular flutter may be flagged as noise: neither holds
    complexes. Noise that comes in bursts, or with beats among it, is not flagged; nor is a lead
    with the wrong electrode. Where more than half of a record is disconnected, so is its typical
    amplitude, and the flag fails.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.segmentation import signal_quality
    >>> time = np.arange(20 * 250) / 250
    >>> ecg = np.exp(-0.5 * ((time[:, None] - np.arange(0.5, 20, 0.8)) / 0.012) ** 2).sum(axis=1)
    >>> ecg[2000:3000] = 0.25
    >>> quality = signal_quality(ecg, sampling_rate=250)
    >>> np.flatnonzero(quality.flat)[[0, -1]], quality.good.mean()
    (array([2000, 2999]), np.float64(0.8))
    """
    sampling_rate = check_sampling_rate(sampling_rate)
    records, single = as_signals(signal)
    for row, record in enumerate(records):
        if not np.isfinite(np.sum([np.min(record, initial=0), np.max(record, initial=0)], dtype=np.longdouble)):
            raise ValueError(
                f"{'signal' if single else f'record {row} of signal'} contains NaN or infinity. Interpolate the gaps, "
                "or cut them out."
            )
    flags = [flags for block in _blocks(records) for flags in _judge(block, sampling_rate)]
    if single:
        return Bunch(**flags[0])
    together = np.stack if isinstance(records, np.ndarray) else list
    return Bunch(**{name: together([flag[name] for flag in flags]) for name in flags[0]})


def _blocks(records):
    """Stack neighbours that are equally long, as the leads of a recording: they are judged at once."""
    start = 0
    while start < len(records):
        first, stop = records[start], start + 1
        most = max(1, _BLOCK // max(1, len(first)))
        while (
            stop < min(len(records), start + most)
            and len(records[stop]) == len(first)
            and records[stop].dtype == first.dtype
        ):
            stop += 1
        yield np.stack(records[start:stop]) if stop > start + 1 else first[None]
        start = stop


def mostly_noise(record: np.ndarray, sampling_rate: float) -> bool:
    """Say whether most of a stretch of a record holds no complexes; a short one is not judged, and is noise."""
    if len(record) < _CELLS * (_CELL + 0.1) * sampling_rate:
        return True
    low, high = record.min(), record.max()
    return low == high or _noise(record[None], low[None], high[None], sampling_rate).mean() > 0.5


def touches(
    bad: list[np.ndarray], record: np.ndarray, r_peak: np.ndarray, window: tuple[int, int], ratio: Fraction
) -> np.ndarray:
    """Say of every beat whether its window touches a bad sample; `bad` is at the rate of the records."""
    touched = np.zeros(len(record), dtype=bool)
    bounds = np.searchsorted(record, np.arange(len(bad) + 1))
    for row in np.flatnonzero([mask.any() for mask in bad]):
        part = slice(bounds[row], bounds[row + 1])
        touched[part] = touches_leads(bad[row][None], r_peak[part], window, ratio)[0]
    return touched


def touches_leads(bad: np.ndarray, r_peak: np.ndarray, window: tuple[int, int], ratio: Fraction) -> np.ndarray:
    """Say the same of the beats of one record in each of its leads, of shape (n_leads, n_beats)."""
    n_before, n_samples = window
    n_times = bad.shape[1]
    touched = np.zeros((len(bad), len(r_peak)), dtype=bool)
    start = np.clip(np.floor((r_peak - n_before) / float(ratio)).astype(np.intp), 0, n_times)
    stop = np.clip(np.ceil((r_peak - n_before + n_samples) / float(ratio)).astype(np.intp), 0, n_times)
    for lead in np.flatnonzero(bad.any(axis=1)):  # one by one: of a day's signal the counts are large
        count = np.concatenate([[0], np.cumsum(bad[lead])])
        touched[lead] = count[stop] > count[start]
    return touched


def _judge(records, sampling_rate):
    """Flag the stretches of equally long records; return the flags of each."""
    n_times = records.shape[1]
    names = ("flat", "saturated", "disconnected", "noise")
    flags = [{name: np.zeros(n_times, dtype=bool) for name in names} for _ in records]
    if n_times:
        low, high = records.min(axis=1), records.max(axis=1)
        for row in np.flatnonzero(_holds(records, low, high, sampling_rate)):
            _mark_runs(flags[row], records[row], low[row], high[row], sampling_rate)
        rows = np.flatnonzero(low < high)
        if len(rows):
            part = records if len(rows) == len(records) else records[rows]
            _mark_excursions([flags[row]["disconnected"] for row in rows], part, low[rows], high[rows], sampling_rate)
            for row, noise in zip(rows, _noise(part, low[rows], high[rows], sampling_rate), strict=True):
                flags[row]["noise"] = noise
    for own in flags:
        own["good"] = ~(own["flat"] | own["saturated"] | own["disconnected"] | own["noise"])
    return flags


def _holds(records, low, high, sampling_rate):
    """Say which records are level for as long as a mark needs: anywhere, or for less time at an end of their range."""
    same = records[:, 1:] == records[:, :-1]
    at_rail = same & ((records[:, 1:] == low[:, None]) | (records[:, 1:] == high[:, None]))
    held = np.zeros(len(records), dtype=bool)
    for level, least in ((same, count_samples(_FLAT, sampling_rate)), (at_rail, _rail_samples(sampling_rate))):
        width = min(least, records.shape[1]) - 1
        held |= moving(level, width, np.logical_and).any(axis=1) if width else True
    return held


def _rail_samples(sampling_rate):
    return max(_RAIL_SAMPLES, int(np.ceil(_RAIL * sampling_rate)))


def _mark_runs(flags, record, low, high, sampling_rate):
    """Mark where nothing changes, and where a rail is held."""
    n_times = len(record)
    # Runs of equal samples: they start where a sample differs from the one before.
    start = np.concatenate([[0], np.flatnonzero(record[1:] != record[:-1]) + 1])
    length = np.diff(start, append=n_times)
    flat = length >= min(count_samples(_FLAT, sampling_rate), n_times)
    _mark(flags["flat"], start[flat], (start + length)[flat])
    if low == high:
        return
    rail = length >= _rail_samples(sampling_rate)
    if not rail.any():
        return
    # The baseline of a noiseless signal may be its minimum too: a rail is away from the typical sample.
    typical = np.median(record[:: max(1, n_times // 4096)] / 4) * 4
    away = _RAIL_DISTANCE * (high / 2 - low / 2)
    rail &= ((record[start] == low) & (typical / 2 - low / 2 > away)) | (
        (record[start] == high) & (high / 2 - typical / 2 > away)
    )
    _mark(flags["saturated"], start[rail], (start + length)[rail])


def _mark(mask, starts, stops):
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        mask[max(start, 0) : stop] = True


def _mark_excursions(masks, records, low, high, sampling_rate):
    n_times = records.shape[1]
    window = min(n_times, count_samples(_EXCURSION_WINDOW, sampling_rate))
    whole = records[:, : n_times // window * window].reshape(len(records), -1, window)
    # Halves and quarters, so that range and mean of the largest floats are floats.
    typical = np.median(whole.max(axis=2) / 4 - whole.min(axis=2) / 4, axis=1) * 2
    middle = np.median((whole[:, :, :: max(1, window // 16)] / 4).reshape(len(records), -1), axis=1) * 2
    farthest = np.maximum(high / 2 - middle, middle - low / 2) / _EXCURSION
    margin = count_samples(_EXCURSION_MARGIN, sampling_rate)
    for row in np.flatnonzero((typical != 0) & (farthest > typical)):
        at = np.flatnonzero(np.abs(records[row] / 2 - middle[row]) / _EXCURSION > typical[row])
        first = np.concatenate([[True], np.diff(at) > 2 * margin])
        _mark(masks[row], at[first] - margin, at[np.append(first[1:], True)] + margin + 1)


def _noise(records, low, high, sampling_rate):
    """Where no complexes stand out, of shape (n_records, n_times); no record is level throughout."""
    mask = np.zeros(records.shape, dtype=bool)
    factor = working_factor(sampling_rate)
    rate = sampling_rate / factor
    coarse = max(1, round(rate / _ENVELOPE_RATE))
    cell = max(1, round(_CELL * rate / coarse))  # envelope samples
    cell_times = cell * coarse * factor
    n_records, n_cells = len(records), records.shape[1] // cell_times
    if n_cells < _CELLS:
        return mask
    scaler = Scaler(records, low.astype(np.float64), high.astype(np.float64))
    n_windows = n_cells - _CELLS + 1
    is_noise = np.empty((n_records, n_windows), dtype=bool)
    n_block = max(1, _BLOCK // (cell_times * n_records))
    for start in range(0, n_windows, n_block):
        stop = min(n_windows, start + n_block)
        values = scaler(records[:, start * cell_times : (stop + _CELLS - 1) * cell_times])
        signal = values.reshape(n_records, -1, factor).mean(axis=2)
        own = _without_complexes(signal, rate, coarse, cell, stop - start)
        windows = sliding_window_view(values, _CELLS * cell_times, axis=1)[:, ::cell_times]
        heard = np.nonzero(~own)
        own[heard] = _only_tones(windows[heard], sampling_rate)
        is_noise[:, start:stop] = own
    # A window speaks for its middle, and at the ends of the record for all.
    bad = np.zeros((n_records, n_cells), dtype=bool)
    for shift in range(1, _CELLS - 1):
        bad[:, shift : shift + n_windows] |= is_noise
    bad[:, 0] |= is_noise[:, 0]
    bad[:, -1] |= is_noise[:, -1]
    mask[:, : n_cells * cell_times] = np.repeat(bad, cell_times, axis=1)
    mask[:, n_cells * cell_times :] = bad[:, -1:]
    return mask


def _without_complexes(signal, rate, coarse, cell, n_windows):
    """Say of windows of four cells whether their energy in the band of QRS complexes knows neither peaks nor rhythm."""
    low_pass, high_pass, integration = (count_odd(seconds, rate) for seconds in (_LOW_PASS, _HIGH_PASS, _INTEGRATION))
    n_records, n_times = signal.shape
    border = low_pass - 1 + high_pass // 2 + integration // 2 + 1
    signal = np.pad(signal, ((0, 0), (border, border)), mode="edge")
    smooth = moving(moving(signal, low_pass), low_pass)
    filtered = moving(smooth, high_pass)
    filtered *= -1 / high_pass
    filtered += smooth[:, high_pass // 2 : high_pass // 2 + filtered.shape[1]]
    energy = np.square(filtered[:, 2:] - filtered[:, :-2])
    envelope = np.sqrt(moving(energy, integration)[:, :n_times].reshape(n_records, -1, coarse).max(axis=2))
    width = _CELLS * cell
    windows = sliding_window_view(envelope, width, axis=1)[:, ::cell][:, :n_windows].reshape(-1, width)
    highest = np.median(windows.reshape(-1, _CELLS, cell).max(axis=2), axis=1)
    between = np.median(windows, axis=1)
    noise = highest < _PEAKINESS * between
    doubtful = np.flatnonzero(noise)
    if len(doubtful):
        centred = windows[doubtful] - windows[doubtful].mean(axis=1, keepdims=True)
        power = np.abs(np.fft.rfft(centred, 2 * width)) ** 2
        correlation = np.fft.irfft(power)[:, : width // 2] * (width / (width - np.arange(width // 2)))
        lag = max(1, cell // 4)
        noise[doubtful] = correlation[:, lag:].max(axis=1) < _RHYTHM * correlation[:, 0]
        noise[doubtful] |= windows[doubtful].std(axis=1) < _RISE_AND_FALL * windows[doubtful].mean(axis=1)
    return noise.reshape(n_records, n_windows)


def _only_tones(windows, sampling_rate):
    """Say which windows hold hum of the mains, of whatever frequency sampling made of it, and next to nothing else.

    Rounding by the converter leaves of pure hum a small pattern that repeats as regularly as a heart beats.
    """
    n_times = windows.shape[1]
    power = np.abs(rfft(windows * np.hanning(n_times).astype(np.float32), axis=1)) ** 2
    per_hertz = n_times / sampling_rate
    power[:, : int(_TONE_FROM * per_hertz) + 1] = 0
    total, rest, reach = power.sum(axis=1), power, int(np.ceil(_TONE_REACH * per_hertz))
    around = np.arange(-reach, reach + 1)
    rows = np.arange(len(power))[:, None]
    for _ in range(_TONES):
        rest[rows, np.clip(rest.argmax(axis=1)[:, None] + around, 0, rest.shape[1] - 1)] = 0
    return rest.sum(axis=1) < (1 - _TONE) * total
