"""How far a release was moved from its original."""

import numpy as np

from skagile import metrics
from skagile.audit._measurement import Measurement, Row
from skagile.segmentation import measure_beats

_MAX_BEATS = 2000  # drawn at random: the distance after warping takes a while

# Measurements compared, and their units.
_MEASUREMENTS = {
    "pr_interval": "ms",
    "qrs_duration": "ms",
    "qt_interval": "ms",
    "st_level": "mV",
    "r_amplitude": "mV",
    "t_amplitude": "mV",
}


class Fidelity(Measurement):
    """How far beats were moved, measure by measure. Its ends are percentiles over beats, and no interval."""

    name = "fidelity"

    def __init__(self, inputs):
        self.inputs = inputs

    def rows(self, results):
        """Give a row for each measure; they need no fit."""
        del results
        measured = fidelity(self.inputs.release.beats, self.inputs.settings, _MAX_BEATS, self.inputs.release.n_leads)
        return [_row(name, detail) for name, detail in measured.items()]


def _row(name, detail):
    value, low, high = detail["median"], detail["p05"], detail["p95"]
    words = "not measured" if value is None else f"median {value:.3g} {detail['unit']}".rstrip()
    if value is not None:
        words += f" over beats, 5 % below {low:.3g} and 5 % above {high:.3g}"
    return Row(name, value, low, high, None, f"{name}: {words}.", detail)


def fidelity(beats, settings, max_beats, n_leads=1):
    """Median and 5th and 95th percentile over beats and leads; percentiles are their own values, so inf does no harm.

    Of more than `max_beats` beats so many are drawn.
    """
    original, released = (by_lead(beats[source], n_leads) for source in ("original", "released"))
    there = original.any(axis=1) if n_leads > 1 else slice(None)
    original, released = original[there], released[there]
    if len(original) > max_beats:
        drawn = np.sort(np.random.RandomState(settings.seed).permutation(len(original))[:max_beats])
        original, released = original[drawn], released[drawn]
    values = {
        "prdn": (metrics.prdn(original, released), "%"),
        "snr": (metrics.snr(original, released), "dB"),
        "max_abs_error": (metrics.max_abs_error(original, released), "mV"),
        "pearson": (metrics.pearson_correlation(original, released), ""),
        "dtw": (metrics.dtw_distance(original, released), "mV"),
    }
    rate = settings.sampling_rate
    if rate is not None:
        values["r_shift"] = np.abs(metrics.r_peak_shift(original, released, rate)), "ms"
        if rate > 80:
            share = metrics.high_frequency_energy(released, rate) - metrics.high_frequency_energy(original, rate)
            values["energy_above_40hz"] = share, "points of %"
        measured = [_measure(rows, settings) for rows in (original, released)]
        if None not in measured:
            errors = metrics.measurement_errors(*measured)
            values.update({name: (np.abs(errors[name]), unit) for name, unit in _MEASUREMENTS.items()})
    return {name: {**_percentiles(of_beats), "unit": unit} for name, (of_beats, unit) in values.items()}


def by_lead(beats, n_leads):
    """Give beats of several leads as a row for each lead."""
    return beats.reshape(len(beats) * n_leads, -1)


def _measure(rows, settings):
    """Intervals and amplitudes of beats; None where their window is not the one that was named."""
    try:
        return measure_beats(rows, settings.sampling_rate, window=settings.window)
    except ValueError:
        return None


def _percentiles(values):
    values = values[~np.isnan(values)]
    if not len(values):
        return dict.fromkeys(("median", "p05", "p95"))
    low, median, high = np.quantile(values, [0.05, 0.5, 0.95], method="inverted_cdf")
    return {"median": float(median), "p05": float(low), "p95": float(high)}
