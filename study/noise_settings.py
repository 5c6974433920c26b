"""NoiseAnonymizer and REACTAnonymizer on the enrolment half of MIT-BIH alone; the probe half is never looked at."""

import time

import numpy as np
import pandas as pd

from skagile import NoiseAnonymizer, REACTAnonymizer
from skagile.metrics import prdn
from study._table import write_page
from study.warp_defaults import MAX_BEATS, figures, quarters

SETTINGS = (
    (NoiseAnonymizer, {"scale": 0.1}),
    (NoiseAnonymizer, {"scale": 0.3}),
    (NoiseAnonymizer, {"scale": 0.3, "law": "laplace"}),
    (NoiseAnonymizer, {"epsilon": 8.0, "unit": "sample", "clip": 2.0, "law": "laplace"}),
    (REACTAnonymizer, {"fidelity_weight": 1.0}),
    (REACTAnonymizer, {}),
    (REACTAnonymizer, {"fidelity_weight": 0.0}),
)
TEXT = """
On the enrolment half of MIT-BIH alone: {n_train} beats of its first quarter to fit on, {n_choose} of its second quarter
to ask about, at most {max_beats} of each of 47 people and quarter, one minute between; one seed. "static": single beats
named by an attacker trained on originals; "adaptive": by one retrained on the release. Diagnosis (N, S, V, F) by a
network trained on the one and tested on the other. PRDN is the median of the second quarter's beats, in percent. Beats
have {n_samples} samples, and a median standard deviation of {spread:.2f} mV.

What the table says. Noise misleads who has originals only. Who retrains on the release learns to see through it, whether
a policy placed it or not; what REACT's policy brings is that a model which was trained on originals still works.
"""
_COMMAND = "tox run -e study -- noise_settings"


def run(seed=0, settings=SETTINGS):
    """Run the study and write its page."""
    train, choose = quarters(seed)
    rows = [{"setting": "originals", "PRDN": 0.0, **figures(train, choose, (train[0], choose[0]), seed)}]
    for cls, params in settings:
        start = time.perf_counter()
        anonymizer = cls(random_state=seed, **params).fit(train[0], train[1], subjects=train[2])
        fitted = time.perf_counter() - start
        released = [anonymizer.transform(X) for X, _, _ in (train, choose)]
        words = ", ".join(f"{key}={value!r}" for key, value in params.items())
        row = {"setting": f"{cls.__name__}({words})", "PRDN": float(np.median(prdn(choose[0], released[1])))}
        rows.append({**row, **figures(train, choose, released, seed)})
        print(rows[-1], f"fitted in {fitted:.0f} s", flush=True)
    frame = pd.DataFrame(rows).map(lambda cell: cell if isinstance(cell, str) else f"{cell:.3f}")
    frame["PRDN"] = [f"{row['PRDN']:.0f}" for row in rows]
    text = TEXT.format(
        n_train=len(train[0]),
        n_choose=len(choose[0]),
        max_beats=MAX_BEATS,
        n_samples=train[0].shape[1],
        spread=np.median(train[0].std(axis=1)),
    )
    tables = [("Re-identification from single beats, and diagnosis", frame)]
    return write_page("noise_settings", "Added noise: of a given size, and of a learned one", text, tables, _COMMAND)
