"""What guessing gives."""

import numpy as np

from skagile import metrics


def measure_floors(release):
    """Score guessing without a look at the signal."""
    enrolled, probed = release.subject[release.enrolment], release.subject[release.probe]
    floors = {
        "chance": 1 / len(np.unique(enrolled)),
        "majority": metrics.majority_floor(enrolled, probed),
        "label_only": None,
        "label_only_fused": None,
        "diagnosis_majority": None,
    }
    if release.label is not None:
        label, asked = release.label[release.enrolment], release.label[release.probe]
        floors["label_only"] = metrics.label_only_floor(label, enrolled, asked, probed)
        floors["label_only_fused"] = metrics.label_only_floor(label, enrolled, asked, probed, fused=True)
        floors["diagnosis_majority"] = metrics.majority_floor(label, asked)
    return floors
