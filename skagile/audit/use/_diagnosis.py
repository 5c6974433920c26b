"""What a release is still good for, how far it was moved, and what guessing gives."""

import numpy as np

from skagile import metrics
from skagile.audit.threats._identity import fit, with_interval

SOURCES = ("original", "released")


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
