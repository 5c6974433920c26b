"""Choose WarpAnonymizer's defaults on the enrolment half of MIT-BIH alone; the probe half is never looked at."""

import sys
import time

import numpy as np
import pandas as pd

from skagile import DeepECGIdentifier, SVDIdentifier, WarpAnonymizer
from study.agile_defaults import training_quarters

MAX_BEATS = 50  # of a subject and quarter
SETTINGS = (
    {"mu": 0.05, "gain": 0.3, "privacy_weight": 0.3},
    {"mu": 0.08, "gain": 0.5, "privacy_weight": 0.3},
    {"mu": 0.12, "gain": 0.6, "privacy_weight": 1.0},
    {"mu": 0.12, "gain": 0.6, "privacy_weight": 1.0, "noise": False},
)


def quarters(seed):
    """Beats, diagnoses and subjects of the first quarter, to train on, and of the second, to choose on."""
    beats, *quarter = training_quarters(seed)
    rng = np.random.default_rng(seed)
    parts = []
    for marked in quarter:
        order = rng.permutation(np.flatnonzero(marked))
        rank = pd.Series(beats.subjects[order]).groupby(beats.subjects[order]).cumcount().to_numpy()
        rows = np.sort(order[rank < MAX_BEATS])
        parts.append((beats.X[rows], beats.y[rows], beats.subjects[rows]))
    return parts


def figures(train, choose, released, seed):
    """Rank-1 of attackers trained on originals or anew on the release, and diagnosis both ways; all single beats."""
    (X, y, subjects), (X_new, y_new, subjects_new) = train, choose
    row = {}
    for name, make in {"svd": SVDIdentifier, "deep_ecg": lambda: DeepECGIdentifier(random_state=seed)}.items():
        row[f"{name} static"] = make().fit(X, subjects).score(released[1], subjects_new)
        row[f"{name} adaptive"] = make().fit(released[0], subjects).score(released[1], subjects_new)
    row["original -> release"] = DeepECGIdentifier(random_state=seed + 1).fit(X, y).score(released[1], y_new)
    row["release -> original"] = DeepECGIdentifier(random_state=seed + 1).fit(released[0], y).score(X_new, y_new)
    return row


def run(seed=0, settings=SETTINGS):
    """Print a row of figures for the originals and for each setting."""
    train, choose = quarters(seed)
    print(len(train[0]), "beats to train on,", len(choose[0]), "to choose on", flush=True)
    rows = [{"setting": "originals", **figures(train, choose, (train[0], choose[0]), seed)}]
    print(rows[-1], flush=True)
    for setting in settings:
        start = time.perf_counter()
        warp = WarpAnonymizer(random_state=seed, **setting).fit(train[0], train[1], subjects=train[2])
        fitted = time.perf_counter() - start
        released = [warp.transform(X) for X, _, _ in (train, choose)]
        rows.append({"setting": str(setting), **figures(train, choose, released, seed), "fit, s": fitted})
        print(rows[-1], flush=True)
    return pd.DataFrame(rows)


if __name__ == "__main__":
    print(run(int(sys.argv[1]) if len(sys.argv) > 1 else 0).to_string(float_format="%.3f"))
