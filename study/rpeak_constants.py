"""Where the constants of ``detect_r_peaks`` come from: a random search that never sees the records reported apart.

Seen are every other record of MIT-BIH by sorted name (100, 102, ...), every other subject of LUDB (1, 3, ...), record
119 with synthetic noise of other seeds than the study's, and synthetic signals whose peaks are known. ``python -m
study.rpeak_constants --seconds 600 --seed 0`` starts from the constants in the file and prints every improvement.
"""

import argparse
import json
from time import monotonic

import numpy as np

from skagile.segmentation import _pan_tompkins, _surroundings
from study.segmentation import mitdb_names, read_ludb, read_mitdb, score
from tests.benchmarks._noise import add_noise

SPACE = {
    "_LOW_PASS": (0.012, 0.018, 0.029),
    "_HIGH_PASS": (0.1, 0.11, 0.12, 0.13, 0.14, 0.16, 0.18, 0.2, 0.225, 0.25, 0.3),
    "_DERIVATIVE_STEP": (0.006, 0.012, 0.017),
    "_CANDIDATE_GAP": (0.06, 0.08, 0.1, 0.12, 0.14, 0.16, 0.18, 0.2),
    "_INTEGRATION": (0.07, 0.08, 0.09, 0.1, 0.11, 0.12, 0.13),
    "_THRESHOLD": (0.2, 0.23, 0.26, 0.29, 0.32, 0.35, 0.38, 0.41, 0.44, 0.48),
    "_SEARCH_BACK_THRESHOLD": (0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6),
    "_SEARCH_BACK_OVER_NOISE": (1.2, 1.5, 1.8, 2.1),
    "_P_WAVE": (0.2, 0.23, 0.26, 0.29),
    "_P_WAVE_RATIO": (0.6, 0.7, 0.8, 0.9, 1.0),
    "_DECAY": (0.03, 0.05, 0.08, 0.12, 0.2, 0.3),
    "_LEVEL_FLOOR": (1.5, 2.0, 3.0, 4.0, 5.0, 6.0),
    "_MAX_GROWTH": (1.5, 2.0, 3.0, 4.0, 6.0),
    "_T_WAVE": (0.34, 0.36, 0.38, 0.4, 0.42, 0.45),
    "_T_WAVE_SLOPE": (0.4, 0.5, 0.6, 0.7),
    "_SLOPE_REACH": (0.03, 0.04, 0.05, 0.06, 0.075, 0.09),
    "_FLANK_REACH": (0.05, 0.06, 0.08, 0.1),
    "_EVEN": (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7),
    "_EVEN_POWER": (1.0, 1.5, 2.0, 2.5, 3.0, 4.0),
    "_EVEN_LEAST": (0.4, 0.5, 0.6, 0.7),
    "_WEIGHT": (0.08, 0.125, 0.18, 0.25),
    "_SEARCH_BACK_WEIGHT": (0.125, 0.25, 0.4),
    "_SEARCH_BACK_RR": (1.4, 1.5, 1.66, 1.8),
    "_N_RR": (6, 8, 12),
}
MODULE = dict.fromkeys(SPACE, _pan_tompkins) | dict.fromkeys(("_P_WAVE", "_P_WAVE_RATIO"), _surroundings)
NOISE = (("electrode", 12, 7), ("electrode", 6, 8), ("electrode", 0, 7), ("electrode", 0, 9), ("muscle", 0, 7))


def synthetic():
    """(signal, peaks, sampling rate, seconds from which peaks count): what each is for says its line."""
    cases = [(*_ecg(20, rate, rr), rate, 0) for rate in (100, 360) for rr in (0.4, 0.8, 1.5)]
    signal, peaks = _ecg(30, 360, 1.0)
    cases.append((signal + _waves(len(signal), peaks, 0.28, 0.8, 0.03), peaks, 360, 0))  # T waves as high as R
    cases.append((signal + _waves(len(signal), peaks, -0.22, 0.8, 0.012), peaks, 360, 0))  # high P waves
    signal, peaks = _ecg(120, 360, 0.8)
    cases.append((np.where(np.arange(len(signal)) < 60 * 360, 1, 0.05) * signal, peaks, 360, 90))  # loss of gain
    signal = signal + 0.01 * np.random.default_rng(0).standard_normal(len(signal))
    signal[30 * 360 : 90 * 360] = 0.01 * np.random.default_rng(1).standard_normal(60 * 360)
    cases.append((signal, peaks, 360, 95))  # a lead that was off
    return cases


def _ecg(duration, rate, rr):
    intervals = rr * (1 + 0.05 * np.random.default_rng(0).uniform(-1, 1, size=int(2 * duration / rr)))
    times = 0.4 + np.cumsum(intervals)
    peaks = np.round(times[times < duration - 0.3] * rate).astype(int)
    waves = ((-0.17, 0.12, 0.022), (-0.032, -0.12, 0.008), (0.0, 1.0, 0.010), (0.034, -0.2, 0.009), (0.28, 0.3, 0.045))
    return sum(_waves(duration * rate, peaks, *wave, rate=rate) for wave in waves), peaks


def _waves(n_times, peaks, at, height, width, rate=360):
    time = np.arange(n_times)[:, None] / rate - peaks / rate - at
    return height * np.exp(-0.5 * (time / width) ** 2).sum(axis=1)


class Errors:
    """Beats missed and invented on everything the search may see."""

    def __init__(self):
        self.records = [read_mitdb(name) for name in mitdb_names()[::2]]
        signals, marks = read_ludb()
        self.ludb = signals[::2], marks[::2]
        signal, beats, _ = read_mitdb("119")
        self.noisy = [(add_noise(signal, beats, kind, snr, 360, seed), beats) for kind, snr, seed in NOISE]
        self.synthetic = synthetic()

    def __call__(self, constants, limit):
        """Weighted sum; gives up, with infinity, once it is over `limit`."""
        for name, value in constants.items():
            setattr(MODULE[name], name, value)
        total = 0.0
        for part in (self._synthetic, self._ludb, self._noisy, self._mitdb):
            for error in part():
                total += error
                if total > limit:
                    return np.inf
        return total

    def _synthetic(self):
        for signal, peaks, rate, since in self.synthetic:
            detected = _pan_tompkins.detect_r_peaks(signal, rate)
            since *= rate
            yield 2 * sum(score(peaks[peaks > since], detected[detected > since], rate)[0][1:])
        yield 2 * max(0, np.sum((detected > 31 * 360) & (detected < 89 * 360)) - 24)

    def _ludb(self):
        signals, marks = self.ludb
        for beats, detected in zip(marks, _pan_tompkins.detect_r_peaks(signals, 500), strict=True):
            detected = detected[(detected >= beats[0] - 75) & (detected <= beats[-1] + 75)]
            yield 6 * sum(score(beats, detected, 500)[0][1:])

    def _noisy(self):
        for signal, beats in self.noisy:
            yield 0.3 * sum(score(beats, _pan_tompkins.detect_r_peaks(signal, 360), 360)[0][1:])

    def _mitdb(self):
        for signal, beats, flutter in self.records:
            yield sum(score(beats, _pan_tompkins.detect_r_peaks(signal, 360), 360, flutter)[0][1:])


def main():
    """Search for some seconds."""
    parser = argparse.ArgumentParser(prog="study.rpeak_constants", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng, errors, end = np.random.default_rng(arguments.seed), Errors(), monotonic() + arguments.seconds
    best = {name: getattr(MODULE[name], name) for name in SPACE}
    least = errors(best, np.inf)
    print(least, json.dumps(best), flush=True)
    while monotonic() < end:
        tried = dict(best)
        for name in rng.choice(list(SPACE), rng.integers(1, 4), replace=False):
            values = SPACE[name]
            near = int(np.argmin(np.abs(np.array(values) - tried[name]))) + rng.choice([-2, -1, 1, 2])
            tried[name] = values[int(np.clip(near, 0, len(values) - 1))]
        error = errors(tried, least)
        if error < least:
            print(error, json.dumps(tried), flush=True)
        if error <= least:
            least, best = error, tried


if __name__ == "__main__":
    main()
