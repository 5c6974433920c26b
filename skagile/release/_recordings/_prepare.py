"""A recording cut into beats, those at its ends as well."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skagile.datasets import bridge
from skagile.records import Recording
from skagile.segmentation import (
    Signals,
    band_pass,
    cut_over_leads,
    find_over_leads,
    move_peaks,
    place_of_lead,
    rate_ratio,
    resample,
    window_samples,
)

_LEAST_RATE = 100.0  # Hz, for R peaks
_TOGETHER = 2**20  # samples filtered at once


class NoBeatsError(ValueError):
    """A recording in which no heartbeat can be told."""


@dataclass(frozen=True)
class Cut:
    """A recording in beats.

    Attributes
    ----------
    signal : ndarray of float32 of shape (n_leads, n_times)
        Of the wanted leads, in mV, gaps bridged; NaN throughout where the recording lacks the lead.
    broken : ndarray of bool of shape (n_leads, n_times)
        Where nothing is known of the signal, or it is absurd.
    beats : ndarray of float32 of shape (n_beats, n_leads, n_samples)
        NaN where a lead has no usable signal.
    r_peak : ndarray of int of shape (n_beats,)
        Sample of the recording; of each beat with a lead at least.
    rows : list of int or None
        Place of each wanted lead in the recording.
    """

    signal: np.ndarray
    broken: np.ndarray
    beats: np.ndarray
    r_peak: np.ndarray
    rows: list


def cut_recording(
    recording: Recording,
    leads: Sequence[str],
    *,
    window: tuple[float, float],
    band: tuple[float, float],
    sampling_rate: float,
) -> Cut:
    """Find the R peaks over the leads of a recording, and cut its beats.

    Parameters
    ----------
    recording : Recording
    leads : sequence of str
        Wanted leads; other spellings of their names are known.
    window : tuple of float
        Seconds before and after an R peak.
    band : tuple of float
        Pass band in Hz of what beats are cut from.
    sampling_rate : float
        Of the beats, in Hz.

    Raises
    ------
    NoBeatsError
        Where it has none of the leads, or no beat can be told in them.
    """
    rate = recording.sampling_rate
    if rate < _LEAST_RATE:
        raise NoBeatsError(f"is sampled at {rate:g} Hz; R peaks are found from {_LEAST_RATE:g} Hz on")
    rows = [place_of_lead(lead, recording.leads) for lead in leads]
    if all(row is None for row in rows):
        raise NoBeatsError(f"has none of the leads {', '.join(leads)} (its own: {', '.join(recording.leads)})")
    signal, broken = _bridged(recording.signal, rows)
    if np.isnan(signal[:, 0]).all():
        raise NoBeatsError("has no lead with a signal: all are flat or missing throughout")
    signals = Signals([signal], list(leads), rate, ["the recording"])
    (r_peak,), (bad,) = find_over_leads(signals, "nan", quality=True)
    beats = _cut(signal, bad | broken, r_peak, rate, (window, band, sampling_rate))
    there = ~np.isnan(beats[:, :, 0]).all(axis=1)
    if not there.any():
        raise NoBeatsError("holds no heartbeat that can be told: it is flat, too short or noise throughout")
    return Cut(signal, broken, beats[there], r_peak[there], rows)


def _bridged(given, rows):
    """Leads without gaps, and where the gaps were."""
    signal = np.full((len(rows), given.shape[1]), np.nan, dtype=np.float32)
    broken = np.ones(signal.shape, dtype=bool)
    for lead, row in enumerate(rows):
        if row is None:
            continue
        try:
            signal[lead], broken[lead] = bridge(given[row])
        except ValueError:  # flat or missing throughout
            continue
    return signal, broken


def _cut(signal, bad, r_peak, rate, how):
    """Beats of all R peaks; at the ends of the recording its first and last values go on."""
    window, band, beat_rate = how
    ratio = rate_ratio(rate, beat_rate)
    pad = int(np.ceil(max(window) * rate)) + 2 * int(np.ceil(float(1 / ratio))) + 1
    known = ~np.isnan(signal[:, 0])
    at_rate = None
    leads = np.flatnonzero(known)
    n_together = max(1, _TOGETHER // signal.shape[1])  # few of a day's signal, which is large
    for start in range(0, len(leads), n_together):
        some = leads[start : start + n_together]
        filtered = np.pad(band_pass(signal[some], band, rate), ((0, 0), (pad, pad)), mode="edge")
        own = resample(filtered, ratio, axis=1)
        if at_rate is None:
            at_rate = np.full((len(signal), own.shape[1]), np.nan, dtype=np.float32)
        at_rate[some] = own
    bad = np.pad(bad, ((0, 0), (pad, pad)), constant_values=False)
    bad[~known] = True
    r_peak = move_peaks(r_peak + pad, ratio)
    return cut_over_leads(
        [at_rate], np.zeros(len(r_peak), np.intp), r_peak, [bad], window_samples(window, beat_rate), ratio
    )
