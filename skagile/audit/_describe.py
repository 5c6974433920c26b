"""What a release is still good for, how far it was moved, and what guessing gives."""

import numpy as np

from skagile import metrics
from skagile.audit._attack import fit, with_interval
from skagile.segmentation import measure_beats

# A median over fewer people is close to a recording of one of them, and the report may be passed on.
_MIN_SUBJECTS_DRAWN = 5
_MAX_CLASSES_DRAWN = 6
SOURCES = ("original", "released")
# Measurements compared, and their units.
_MEASUREMENTS = {
    "pr_interval": "ms",
    "qrs_duration": "ms",
    "qt_interval": "ms",
    "st_level": "mV",
    "r_amplitude": "mV",
    "t_amplitude": "mV",
}


def diagnose(what, estimator, parts, source, label, names, known, settings):
    """Train a classifier of `label` on one source and test it on both.

    `known` is a mask of the beats that have a label.
    """
    part = parts[source]
    enrolment, probe = part.enrolment[known[part.enrolment]], part.probe[known[part.probe]]
    fitted = fit(what, estimator, part.X[enrolment], label[enrolment])
    truth, person = label[probe], part.subject[probe]
    predicted = {on: fitted.predict(parts[on].X[probe]) for on in SOURCES}
    agreement = float(np.mean(predicted["original"] == predicted["released"]))
    results = []
    for on in SOURCES:
        found = metrics.diagnostic_utility(truth, predicted[on], subjects=person, **settings.resampling)
        classes = [str(names[code]) for code in found.labels]
        results.append(
            {
                "trained_on": source,
                "tested_on": on,
                **with_interval("accuracy", found.accuracy, found.accuracy_interval),
                **with_interval("macro_f1", found.macro_f1, found.macro_f1_interval),
                "agreement": agreement,
                "sensitivity": dict(zip(classes, found.sensitivity.tolist(), strict=True)),
                "predictivity": dict(zip(classes, found.predictivity.tolist(), strict=True)),
                "support": dict(zip(classes, found.support.tolist(), strict=True)),
                "n_subjects": len(np.unique(person)),
                "n_probe": len(truth),
            }
        )
    return results


def check_labels_both_sides(label, known, release, name):
    """Raise ValueError where there is nothing to train or to test on."""
    for side, index in (("enrol", release.enrolment), ("are probed", release.probe)):
        index = index[known[index]]
        if len(np.unique(label[index])) < 2 and side == "enrol":
            raise ValueError(
                f"{name} holds one class among the beats that enrol; a diagnosis needs at least 2. Give sessions=None, "
                "or diagnostic_estimator=None to leave utility out."
            )
        if len(np.unique(release.subject[index])) < 2:
            raise ValueError(f"{name} is known of fewer than 2 people among the beats that {side}.")


def floors(release):
    """Score guessing without a look at the signal."""
    enrolled, probed = release.subject[release.enrolment], release.subject[release.probe]
    found = {
        "chance": 1 / len(np.unique(enrolled)),
        "majority": metrics.majority_floor(enrolled, probed),
        "label_only": None,
        "label_only_fused": None,
        "diagnosis_majority": None,
    }
    if release.label is not None:
        label, asked = release.label[release.enrolment], release.label[release.probe]
        found["label_only"] = metrics.label_only_floor(label, enrolled, asked, probed)
        found["label_only_fused"] = metrics.label_only_floor(label, enrolled, asked, probed, fused=True)
        found["diagnosis_majority"] = metrics.majority_floor(label, asked)
    return found


def highest(floors, keys):
    """Highest of the floors that are known."""
    return max(floors[key] for key in keys if floors[key] is not None)


def fidelity(beats, settings, max_beats):
    """Median and 5th and 95th percentile over beats; percentiles are beats' own values, so inf does no harm.

    Of more than `max_beats` beats so many are drawn.
    """
    original, released = beats["original"], beats["released"]
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


def attention(found, release, settings):
    """Where the transformer looks to tell people apart, before and after; None where it was not run."""
    seen = {entry.row["knowledge"]: entry.attention for entry in found if entry.attention is not None}
    people = np.unique(release.subject)
    if not {"clean", "adaptive"} <= set(seen) or len(people) < _MIN_SUBJECTS_DRAWN:
        return None
    before, after = seen["clean"], seen["adaptive"]
    beats = release.beats["original"]
    of_person = [np.median(beats[release.subject == person], axis=0) for person in people]
    return {
        "beat": np.round(np.median(of_person, axis=0).astype(np.float64), 4).tolist(),
        "original": before["samples"],
        "released": after["samples"],
        "waves": {"original": before["waves"], "released": after["waves"]},
        "n_subjects": len(people),
    }


def pictures(release):
    """Median beats of the commonest classes: of each person first, then over people, so that each counts once."""
    label = np.zeros(len(release.subject), dtype=int) if release.label is None else release.label
    names = ["all beats"] if release.label is None else [str(name) for name in release.labels]
    pictures = []
    for code in np.argsort(-np.bincount(label), kind="stable")[:_MAX_CLASSES_DRAWN]:
        chosen = label == code
        people = np.unique(release.subject[chosen])
        picture = {"class": names[code], "n_beats": int(chosen.sum()), "n_subjects": len(people)}
        if len(people) >= _MIN_SUBJECTS_DRAWN:
            for source in SOURCES:
                values = release.beats[source]
                of_person = [np.median(values[chosen & (release.subject == person)], axis=0) for person in people]
                # A tenth of a microvolt is less than any recorder resolves.
                picture[source] = np.round(np.median(of_person, axis=0).astype(np.float64), 4).tolist()
        pictures.append(picture)
    return pictures
