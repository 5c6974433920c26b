"""What lies under and between beats: baseline and noise, measured over people and made anew for each recording."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from scipy.fft import irfft, next_fast_len, rfftfreq

from skagile._state import Array, Field, Number, Stateful
from skagile.segmentation import band_pass

_EDGES = (0.05, 0.5, 40.0)  # Hz: baseline, what beats have too, and noise above them
_BLOCK = 60.0  # s made at a time
_OVERLAP = 5.0  # s over which blocks blend
_AROUND_QRS = 0.1  # s around an R peak in which steep waves reach above 40 Hz
_LEAST = 1.0  # s of a recording to measure in
_FLOOR, _MOST = 1e-5, 1e4  # mV


class Background(Stateful):
    """Amounts of baseline, of what lies between beats, and of noise above beats' frequencies, one of each a lead.

    Attributes
    ----------
    level : ndarray of float of shape (n_leads, 3)
        Standard deviations in mV: geometric means over people, each counting the same.
    sampling_rate : float
        In Hz, up to half of which noise was seen: above that none is made.
    """

    def __init__(self, level: np.ndarray, sampling_rate: float):
        self.level, self.sampling_rate = level, float(sampling_rate)

    @classmethod
    def of_people(cls, logs: np.ndarray, subjects: np.ndarray, sampling_rate: float) -> "Background":
        """Average what `log_levels` gave of recordings: over those of a person, then over people.

        Parameters
        ----------
        logs : ndarray of shape (n_recordings, n_leads, 3)
            NaN where nothing could be measured.
        subjects : ndarray of shape (n_recordings,)
            Whose each is.
        sampling_rate : float
            Highest of the recordings.
        """
        means = [_mean(logs[subjects == person]) for person in np.unique(subjects)]
        logs = _mean(np.stack(means))
        # Where beats left no room to measure it in a lead, its amount is that of the other leads.
        logs = np.where(np.isnan(logs), _mean(logs), logs)
        return cls(np.exp(np.where(np.isnan(logs), np.log(_FLOOR), logs)), sampling_rate)

    def add_to(
        self, signal: np.ndarray, covered: np.ndarray, sampling_rate: float, random: np.random.SeedSequence
    ) -> None:
        """Add a background to a recording, in place.

        Parameters
        ----------
        signal : ndarray of float32 of shape (n_leads, n_times)
            In mV.
        covered : ndarray of float32 of shape (n_leads, n_times)
            How far each sample is a beat's, from 0 to 1: what lies between beats is added to the rest.
        sampling_rate : float
            Of the recording, in Hz.
        random : numpy.random.SeedSequence
            The same gives the same background, and no part of it depends on the recording.
        """
        for start, stop, everywhere, between in self._blocks(signal.shape[1], sampling_rate, random):
            signal[:, start:stop] += everywhere + (1 - covered[:, start:stop]) * between

    def _blocks(self, n_times, sampling_rate, random):
        """Give stretches of a background, which overlap and are to be added up: everywhere, and between beats."""
        size, overlap = (min(round(seconds * sampling_rate), n_times) for seconds in (_BLOCK, _OVERLAP))
        step = max(1, size - overlap)
        n_blocks = max(1, -(-(n_times - overlap) // step))
        shapes = _spectra(size, sampling_rate, self.sampling_rate)
        ramp = np.sin(np.pi / 2 * (np.arange(overlap) + 0.5) / max(overlap, 1)).astype(np.float32)  # powers add to one
        for number, seed in enumerate(random.spawn(n_blocks)):
            start = number * step
            stop = min(start + size, n_times)
            weight = np.ones(size, dtype=np.float32)
            if number:
                weight[:overlap] = ramp
            if number < n_blocks - 1:
                weight[size - overlap :] = ramp[::-1]
            everywhere, between = _noise(np.random.Generator(np.random.PCG64(seed)), self.level, *shapes, stop - start)
            yield start, stop, everywhere * weight[: stop - start], between * weight[: stop - start]

    def _state_fields(self) -> Iterator[Field]:
        yield Array("level", "float", (None, 3), low=0.0, high=_MOST)
        yield Number("sampling_rate", float, low=1.0, high=1e6)


def log_levels(
    signal: np.ndarray, r_peak: np.ndarray, sampling_rate: float, window: tuple[float, float], broken: np.ndarray
) -> np.ndarray:
    """Measure the background of one recording.

    Parameters
    ----------
    signal : ndarray of shape (n_leads, n_times)
        Raw, in mV, without gaps; NaN throughout where a lead is missing.
    r_peak : ndarray of int of shape (n_beats,)
    sampling_rate : float
    window : tuple of float
        Of beats, in seconds.
    broken : ndarray of bool of shape (n_leads, n_times)
        Samples that are not to be used.

    Returns
    -------
    ndarray of shape (n_leads, 3)
        Logarithms of standard deviations; NaN where there is less than a second to measure in.
    """
    n_leads, n_times = signal.shape
    beats = _covered(n_times, r_peak, window, sampling_rate)
    steep = _covered(n_times, r_peak, (_AROUND_QRS, _AROUND_QRS), sampling_rate)
    out = np.full((n_leads, 3), np.nan)
    _, middle, high = _EDGES
    for lead in np.flatnonzero(np.isfinite(signal[:, 0])):
        slow = band_pass(signal[lead], (0, middle), sampling_rate)
        out[lead, 0] = _log_spread(slow, ~broken[lead], sampling_rate)
        smooth = signal[lead]
        if high < 0.45 * sampling_rate:
            smooth = band_pass(signal[lead], (0, high), sampling_rate)
            out[lead, 2] = _log_spread(signal[lead] - smooth, ~broken[lead] & ~steep, sampling_rate)
        out[lead, 1] = _log_spread(smooth - slow, ~broken[lead] & ~beats, sampling_rate)
    return out


def _log_spread(signal, usable, sampling_rate):
    """Logarithm of the standard deviation; by absolute deviations, so that a jolt does not count."""
    if usable.sum() < _LEAST * sampling_rate:
        return np.nan
    own = signal[usable]
    return np.log(max(1.4826 * np.median(np.abs(own - np.median(own))), _FLOOR))


def _covered(n_times, r_peak, window, sampling_rate):
    """Which samples lie in the window of a beat."""
    before, after = (round(seconds * sampling_rate) for seconds in window)
    change = np.zeros(n_times + 1, dtype=np.int64)
    np.add.at(change, np.clip(r_peak - before, 0, n_times), 1)
    np.add.at(change, np.clip(r_peak + after, 0, n_times), -1)
    return np.cumsum(change[:-1]) > 0


def _mean(logs):
    """Mean over the first axis of what is known; NaN where nothing is."""
    known = ~np.isnan(logs)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, logs, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


@lru_cache(maxsize=8)
def _spectra(size, sampling_rate, seen):
    """Amplitudes over frequencies of the three parts, each of standard deviation 1, and none where another is."""
    n_fft = next_fast_len(size, real=True)
    at = rfftfreq(n_fft, 1 / sampling_rate)
    lowest, middle, high = _EDGES
    parts = [
        np.where((at >= lowest) & (at < middle), 1 / np.maximum(at, lowest), 0.0),
        np.where((at >= middle) & (at < high), 1 / np.maximum(at, middle), 0.0),
        ((at >= high) & (at <= 0.5 * seen)).astype(float),
    ]
    power = [2 * (part**2).sum() / n_fft for part in parts]
    shapes = [np.sqrt(0.5 * n_fft / p) * part if p else part for part, p in zip(parts, power, strict=True)]
    return n_fft, np.stack(shapes).astype(np.float32)


def _noise(random, level, n_fft, spectra, size):
    """Gaussian noise of shape (n_leads, size): low and high frequencies, and those in the middle.

    One white noise does for all, as no two have a frequency in common.
    """
    drawn = random.standard_normal((2, len(level), spectra.shape[1]), dtype=np.float32)
    white = drawn[0] + 1j * drawn[1]
    low, middle, high = (level[:, part, None].astype(np.float32) * spectra[part] for part in range(3))
    return tuple(irfft(white * shape, n_fft, axis=-1)[:, :size] for shape in (low + high, middle))
