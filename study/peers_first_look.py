"""PrivECG and the ODE GAN at their defaults, on the enrolment half of MIT-BIH alone: what their docstrings say.

Run with ``python -m study.peers_first_look`` in the environment of the studies; it prints, and writes no page.
"""

import numpy as np

from skagile import DeepECGIdentifier, ODEGANAnonymizer, PrivECGAnonymizer, SVDIdentifier
from study.warp_defaults import quarters

SETTINGS = (
    (ODEGANAnonymizer, {}),
    (PrivECGAnonymizer, {}),
    (PrivECGAnonymizer, {"adversary": "frozen"}),
    (ODEGANAnonymizer, {"privacy_weight": 0.3, "max_epochs": 15}),
    (ODEGANAnonymizer, {"privacy_weight": 0.3, "ode_weight": 0.0, "max_epochs": 15}),
)
_SHORT = {"max_epochs": 15, "random_state": 0, "device": "cpu"}


def run(seed=0):
    """Print rank-1 of attackers trained on originals and on the release, and the mean recall of N and V."""
    (X, y, subjects), (X_new, y_new, subjects_new) = quarters(seed)
    attackers = {"svd": SVDIdentifier, "deep": lambda: DeepECGIdentifier(**_SHORT)}
    static = {name: make().fit(X, subjects) for name, make in attackers.items()}
    readers = {name: make().fit(X, y) for name, make in attackers.items()}

    def show(title, train, new):
        row = {}
        for name, make in attackers.items():
            row[f"{name} static"] = static[name].score(new, subjects_new)
            row[f"{name} adaptive"] = make().fit(train, subjects).score(new, subjects_new)
            read = readers[name].predict(new)
            row[f"{name} diagnosis"] = np.mean([np.mean(read[y_new == label] == label) for label in ("N", "V")])
        print(title, {key: f"{value:.3f}" for key, value in row.items()}, flush=True)

    show("originals", X, X_new)
    for cls, setting in SETTINGS:
        anonymizer = cls(random_state=seed, device="cpu", **setting).fit(X, y, subjects=subjects)
        show(f"{cls.__name__} {setting}", anonymizer.transform(X), anonymizer.transform(X_new))


if __name__ == "__main__":
    run()
