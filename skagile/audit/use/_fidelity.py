"""How far a release was moved from its original."""

import numpy as np

from skagile import metrics
from skagile.audit._measurement import Measurement, Row
from skagile.audit._with_leads import with_leads
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
_SIDES = "original", "released"
_OVER_LEADS = {"global_qrs_duration": "ms", "global_qt_interval": "ms", "qrs_axis": "degrees"}


class Fidelity(Measurement):
    """How far beats were moved, measure by measure. Its ends are percentiles over beats, and no interval."""

    name = "fidelity"

    def __init__(self, inputs):
        self.inputs = inputs

    def rows(self, results):
        """Give a row for each measure; they need no fit."""
        del results
        release, settings, names = self.inputs.release, self.inputs.settings, self.inputs.lead_names
        if release.n_leads == 1:
            measured = fidelity(release.beats, settings, _MAX_BEATS)
        else:
            beats = {source: with_leads(release.beats[source], release.n_leads)[:, 0] for source in _SIDES}
            measured = fidelity(beats, settings, _MAX_BEATS, names)
            of_leads = fidelity_by_lead(beats, settings, _MAX_BEATS // release.n_leads, names)
            measured |= {f"prdn of lead {lead}": own["prdn"] for lead, own in of_leads.items()}
        return [_row(name, detail) for name, detail in measured.items()]


def _row(name, detail):
    value, low, high = detail["median"], detail["p05"], detail["p95"]
    words = "not measured" if value is None else f"median {value:.3g} {detail['unit']}".rstrip()
    if value is not None:
        words += f" over beats, 5 % below {low:.3g} and 5 % above {high:.3g}"
    return Row(name, value, low, high, None, f"{name}: {words}.", detail)


def fidelity(beats, settings, max_beats, lead_names=None):
    """Median and 5th and 95th percentile over beats; percentiles are beats' own values, so inf does no harm.

    Of more than `max_beats` beats so many are drawn.

    Parameters
    ----------
    beats : dict of ndarray of shape (n_beats, n_samples) or (n_beats, n_leads, n_samples)
        Of "original" and "released". Of several leads, a figure is of every lead of every beat, and a measurement of
        the leads together; NaN throughout where a lead is missing.
    settings : Settings
        Of the audit.
    max_beats : int
        How many at most; of several leads each lead of a beat counts.
    lead_names : sequence of str, default=None
        Names of the leads. With them axis and contradictions of the leads are told, too.
    """
    several = beats["original"].ndim == 3
    n_leads = beats["original"].shape[1] if several else 1
    original, released = _drawn(beats, settings, max(1, max_beats // n_leads))
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
        measured = [_measure(rows, settings, lead_names) for rows in (original, released)]
        if None not in measured:
            errors = metrics.measurement_errors(*measured)
            wanted = {**_MEASUREMENTS, **(_OVER_LEADS if several else {})}
            values.update({name: (np.abs(errors[name]), unit) for name, unit in wanted.items()})
    if several and lead_names is not None:
        residual = metrics.lead_consistency(original, released, lead_names)
        values.update({f"lead_residual_{name}": (residual[name], "mV") for name in ("original", "released")})
    return {name: {**_percentiles(of_beats), "unit": unit} for name, (of_beats, unit) in values.items()}


def fidelity_by_lead(beats, settings, max_beats, lead_names=None):
    """Give the figures of `fidelity` of each lead by itself, by its name; by its number where leads have no names.

    Parameters
    ----------
    beats, settings, max_beats, lead_names
        As of `fidelity`, of several leads.
    """
    pair = _drawn(beats, settings, max_beats)
    by_lead = {}
    for lead in range(pair[0].shape[1]):
        own = dict(zip(("original", "released"), (rows[:, lead] for rows in pair), strict=True))
        name = str(lead) if lead_names is None else lead_names[lead]
        by_lead[name] = fidelity(own, settings, max_beats)
    return by_lead


def _drawn(beats, settings, max_beats):
    original, released = beats["original"], beats["released"]
    if len(original) > max_beats:
        drawn = np.sort(np.random.RandomState(settings.seed).permutation(len(original))[:max_beats])
        original, released = original[drawn], released[drawn]
    return original, released


def _measure(rows, settings, lead_names=None):
    """Intervals and amplitudes of beats; None where their window is not the one that was named."""
    try:
        if rows.ndim < 3:
            return measure_beats(rows, settings.sampling_rate, window=settings.window)
        return measure_beats(rows[:, None], settings.sampling_rate, window=settings.window, lead_names=lead_names)
    except ValueError:
        return None


def _percentiles(values):
    values = values[~np.isnan(values)]
    if not len(values):
        return dict.fromkeys(("median", "p05", "p95"))
    low, median, high = np.quantile(values, [0.05, 0.5, 0.95], method="inverted_cdf")
    return {"median": float(median), "p05": float(low), "p95": float(high)}
