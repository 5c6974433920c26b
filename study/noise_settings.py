"""NoiseAnonymizer and REACTAnonymizer on the enrolment half of MIT-BIH alone; the probe half is never looked at."""

import time

import numpy as np
import pandas as pd

from skagile import DeepECGIdentifier, NoiseAnonymizer, REACTAnonymizer, SVDIdentifier
from skagile.metrics import prdn
from study._table import write_page
from study.warp_defaults import MAX_BEATS, quarters

SETTINGS = (
    (NoiseAnonymizer, {"scale": 0.1}),
    (NoiseAnonymizer, {"scale": 0.3}),
    (NoiseAnonymizer, {"epsilon": 8.0, "unit": "sample", "clip": 2.0, "law": "laplace"}),
    (REACTAnonymizer, {}),
    (REACTAnonymizer, {"fidelity_weight": 0.0}),
)
TEXT = """
On the enrolment half of MIT-BIH alone: {n_train} beats of its first quarter to fit on, {n_choose} of its second quarter
to ask about, at most {max_beats} of each of 47 people and quarter, one minute between; one seed. "static": single beats
named by an attacker trained on originals; "adaptive": by one retrained on the release. Diagnosis (N, S, V, F) by a
network trained on the one and tested on the other. PRDN is the median of the second quarter's beats, in percent. Beats
have {n_samples} samples, and a median standard deviation of {spread:.2f} mV.

What the table says. Noise misleads who has originals only. Who retrains on the release learns to see through it,
whether a policy placed it or not. Beside noise of one size at nearly the same PRDN (96), the policy of
``fidelity_weight=0`` (87) hides as much and keeps somewhat more of the diagnosis for who trained on originals, and less
for who trains on the release. One seed.
"""
_COMMAND = "tox run -e study -- noise_settings"


class Judges:
    """Attackers and a network for the diagnosis, trained on originals once, and anew on each release."""

    def __init__(self, train, choose, seed):
        self.train, self.choose, self.seed = train, choose, seed
        X, y, subjects = train
        self.attackers = {name: make().fit(X, subjects) for name, make in self._makers().items()}
        self.clinical = self._clinical().fit(X, y)

    def _makers(self):
        return {"svd": SVDIdentifier, "deep_ecg": lambda: DeepECGIdentifier(random_state=self.seed)}

    def _clinical(self):
        return DeepECGIdentifier(random_state=self.seed + 1)

    def figures(self, released):
        """Rank-1 of single beats, and diagnosis, both trained on originals and on the release."""
        (_, y, subjects), (X_new, y_new, subjects_new) = self.train, self.choose
        row = {}
        for name, make in self._makers().items():
            row[f"{name} static"] = self.attackers[name].score(released[1], subjects_new)
            row[f"{name} adaptive"] = make().fit(released[0], subjects).score(released[1], subjects_new)
        row["original -> release"] = self.clinical.score(released[1], y_new)
        row["release -> original"] = self._clinical().fit(released[0], y).score(X_new, y_new)
        return row


def run(seed=0, settings=SETTINGS):
    """Run the study and write its page."""
    train, choose = quarters(seed)
    judges = Judges(train, choose, seed)
    rows = [{"setting": "originals", "PRDN": 0.0, **judges.figures((train[0], choose[0]))}]
    for cls, params in settings:
        start = time.perf_counter()
        anonymizer = cls(random_state=seed, **params).fit(train[0], train[1], subjects=train[2])
        fitted = time.perf_counter() - start
        released = [anonymizer.transform(X) for X, _, _ in (train, choose)]
        words = ", ".join(f"{key}={value!r}" for key, value in params.items())
        row = {"setting": f"{cls.__name__}({words})", "PRDN": float(np.median(prdn(choose[0], released[1])))}
        rows.append({**row, **judges.figures(released)})
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
