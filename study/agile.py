"""AGILE with its default parameters, on MIT-BIH and across the dates of ECG-ID, against attackers it has never seen."""

from functools import partial
from pathlib import Path
from time import perf_counter

import joblib
import numpy as np
import pandas as pd

from skagile import AgileAnonymizer, DeepECGIdentifier, SVDIdentifier
from skagile.attackers import SiameseIdentifier, TransECGIdentifier
from skagile.datasets import load_ecgid_beats, load_mitdb_beats
from skagile.metrics import (
    bootstrap_interval,
    equal_error_rate,
    equal_error_rate_interval,
    verification_scores,
)
from study._settings import SAMPLING_RATE
from study._table import write_page
from study.agile_defaults import perceptron

SEEDS = range(5)
MAX_BEATS = 100
ATTACKERS = {
    "svd": lambda seed: SVDIdentifier(),
    "nearest_neighbour": lambda seed: SVDIdentifier(classifier="neighbour"),
    "deep_ecg": lambda seed: DeepECGIdentifier(random_state=100 + seed),
    "siamese": lambda seed: SiameseIdentifier(random_state=100 + seed),
    "transecg": lambda seed: TransECGIdentifier(random_state=100 + seed),
    "perceptron": perceptron,
}
# The slow ones are retrained on the release with the first seed only; deep_ecg is the worst of them with any.
RETRAINED_ONCE = ("siamese", "transecg")
# Parameters and number of seeds. Of smooth, the epsilon that changes a beat about as much (PRDN) as the default.
VARIANTS = {
    "signal": ({}, 5),
    "smooth": ({"smooth": True, "sampling_rate": SAMPLING_RATE, "epsilon": 0.87}, 1),
}
IMAGE = {"max_beats": 30, "max_epochs": 6, "n_steps": 5}
ROOT = Path(__file__).parents[1]
# What was fitted is kept under a digest of the sources that it depends on, and there by its parameters and data.
_SOURCES = sorted(
    path for room in ("anonymizers", "attackers", "networks") for path in ROOT.glob(f"skagile/{room}/**/*.py")
)
CACHE = ROOT / ".skagile-cache" / "study-agile" / joblib.hash([path.read_bytes() for path in _SOURCES])[:12]
memory = joblib.Memory(CACHE, verbose=0)

TEXT = """
Default parameters, seeds {seeds} ("smooth": ``smooth=True`` with ``epsilon=0.87``, the first seed only). Beats at
180 Hz, R peaks detected, at most {max_beats} of a person and session; AGILE is fitted on the enrolment session (first
half of a MIT-BIH record, with a guard of 60 s; first date of an ECG-ID person), the probes are the other session's.
Attackers and the diagnostic network are trained without AGILE and from other seeds; transecg (a vision transformer) and
perceptron are networks of kinds not among the surrogates. "clean": trained on originals, tested on originals;
"static": trained on originals, tested on the release; "adaptive": **retrained on the release**, tested on the
release (siamese and transecg with the first seed only, for their cost). A cell is the mean over seeds of the share of
single beats named right, or of the equal error rate; in brackets the widest of the seeds' 95 % intervals over people.
"image" is run at a small size for its cost, beside "signal" at the same size: {max_beats_image} beats a person and
session, {max_epochs} epochs, {n_steps} steps, one seed.

Read the adaptive column first: AGILE misleads who trained on originals, and nobody who can retrain on the release.
"""


@memory.cache
def fit(estimator, X, targets):
    """Fit an attacker or a diagnostic network, once for each content."""
    return estimator.fit(X, targets)


@memory.cache
def anonymize(agile, X, y, subjects, enrolled):
    """Fit AGILE on the enrolled beats and release all; with the seconds of both and its budget."""
    start = perf_counter()
    agile.fit(X[enrolled], y[enrolled], subjects=subjects[enrolled])
    middle = perf_counter()
    released = agile.transform(X)
    seconds = {"fit, s": middle - start, "transform, s": perf_counter() - middle}
    return released, {**agile.summarize(X, released), "epsilon_mv": agile.epsilon_mv_, **seconds}


LOADERS = {
    "MIT-BIH, second half against the first": partial(load_mitdb_beats, guard=60.0, classes=("N", "S", "V", "F")),
    "ECG-ID, later dates against the first (y = sex)": load_ecgid_beats,
}


def attack(beats, released, seed, retrained_too=True):
    """Figures of one release: for each attacker clean, static and adaptive rank-1 and static EER; and of diagnosis.

    Parameters
    ----------
    beats : Bunch
        Original beats.
    released : ndarray
        What AGILE made of them.
    seed : int
        Of networks.
    retrained_too : bool, default=True
        Retrain those of `RETRAINED_ONCE`, too.

    Returns
    -------
    rows : list of dict
        `what`, `figure`, `value`, `low`, `high`.
    """
    X, subjects = beats.X, beats.subjects
    enrolled, probed = beats.sessions == 0, beats.sessions > 0
    asked = subjects[probed]
    rows = []

    def add(what, figure, right):
        low, high = bootstrap_interval(right, asked, random_state=0)
        rows.append({"what": what, "figure": figure, "value": right.mean(), "low": low, "high": high})
        print(f"  {what}, {figure}: {right.mean():.3f} [{low:.3f}, {high:.3f}]", flush=True)

    for name, make in ATTACKERS.items():
        attacker = fit(make(seed), X[enrolled], subjects[enrolled])
        add(name, "clean", (attacker.predict(X[probed]) == asked).astype(float))
        add(name, "static", (attacker.predict(released[probed]) == asked).astype(float))
        if retrained_too or name not in RETRAINED_ONCE:
            retrained = fit(make(seed), released[enrolled], subjects[enrolled])
            add(name, "adaptive", (retrained.predict(released[probed]) == asked).astype(float))
        if hasattr(attacker, "transform"):
            for figure, probes in (("clean EER", X[probed]), ("static EER", released[probed])):
                results = verification_scores(
                    attacker.transform(X[enrolled]), subjects[enrolled], attacker.transform(probes), asked
                )
                value = equal_error_rate(results.mated, results.scores)
                low, high = equal_error_rate_interval(results, asked, n_resamples=500, random_state=0)
                rows.append({"what": name, "figure": figure, "value": value, "low": low, "high": high})
                print(f"  {name}, {figure}: {value:.3f} [{low:.3f}, {high:.3f}]", flush=True)
    for trained_on, training in (("originals", X), ("the release", released)):
        net = fit(DeepECGIdentifier(random_state=200 + seed), training[enrolled], beats.y[enrolled])
        for tested_on, tested in (("originals", X), ("the release", released)):
            right = (net.predict(tested[probed]) == beats.y[probed]).astype(float)
            add(f"trained on {trained_on}, tested on {tested_on}", "accuracy", right)
    return rows


def spread(rows, index="what", columns="figure"):
    """One table of several seeds' rows: mean over seeds [widest interval]."""
    frame = pd.DataFrame(rows)
    groups = frame.groupby([index, columns], sort=False)
    mean, low, high = groups["value"].mean(), groups["low"].min(), groups["high"].max()
    cells = mean.map("{:.3f}".format)
    known = low.notna()
    cells[known] = [f"{m:.3f} [{a:.3f}, {b:.3f}]" for m, a, b in zip(mean[known], low[known], high[known], strict=True)]
    table = cells.unstack(columns).fillna("")
    table = table.loc[frame[index].unique(), frame[columns].unique()]
    return table.reset_index()


def run(seeds=SEEDS):
    """Run the study; its page is written anew after each seed, so that a run cut short leaves what it found."""
    page, done, budget = None, [], []
    rows = {(database, variant): [] for database in LOADERS for variant in VARIANTS}
    worst = {database: [] for database in LOADERS}
    for seed in seeds:
        for database, load in LOADERS.items():
            beats = load(sampling_rate=SAMPLING_RATE, r_peaks="detected", max_beats=MAX_BEATS, random_state=seed)
            enrolled = beats.sessions == 0
            # Of the persons tested on: on ECG-ID few of those enrolled came again.
            asked = np.unique(beats.subjects[~enrolled], return_counts=True)[1]
            floors = {"one over the enrolled": 1 / len(np.unique(beats.subjects[enrolled]))}
            floors["majority"] = asked.max() / asked.sum()
            for variant, (params, n_seeds) in VARIANTS.items():
                if len(done) >= n_seeds:
                    continue
                released, summary = anonymize(
                    AgileAnonymizer(**params, random_state=seed), beats.X, beats.y, beats.subjects, enrolled
                )
                budget.append({"database": database, "variant": variant, "beats": len(beats.X), **summary})
                results = attack(beats, released, seed, retrained_too=not done and variant == "signal")
                rows[database, variant] += results
                line = {"release": variant, "seed": seed, **floors, **_worst(results)}
                worst[database].append(line)
                print(database, line, flush=True)
        done.append(seed)
        page = _write(done, rows, worst, budget)
    return page


def _write(seeds, rows, worst, budget):
    tables = []
    for (database, variant), results in rows.items():
        people = [row for row in results if row["figure"] != "accuracy"]
        tables.append((f"{database}: {variant}, re-identification", spread(people)))
        diagnosis = [row for row in results if row["figure"] == "accuracy"]
        tables.append((f"{database}: {variant}, diagnosis", spread(diagnosis)))
    for database, lines in worst.items():
        tables.append((f"{database}: the worst attacker of each seed", _rounded(pd.DataFrame(lines))))
    tables.append(("Signal and image side by side, MIT-BIH at a small size", _representations()))
    mean = pd.DataFrame(budget).groupby(["database", "variant"], sort=False).mean().reset_index()
    tables.append(("Change of a beat (PRDN in percent, SNR in dB, changes in mV), and seconds", _rounded(mean)))
    text = TEXT.format(
        seeds=", ".join(map(str, seeds)),
        max_beats=MAX_BEATS,
        max_beats_image=IMAGE["max_beats"],
        max_epochs=IMAGE["max_epochs"],
        n_steps=IMAGE["n_steps"],
    )
    return write_page("agile", "AGILE against attackers it has never seen", text, tables, "tox run -e study -- agile")


def _worst(rows):
    frame = pd.DataFrame(rows).set_index(["figure", "what"])["value"]
    original, released = (
        frame["accuracy", f"trained on originals, tested on {tested}"] for tested in ("originals", "the release")
    )
    return {
        **{figure: frame[figure].max() for figure in ("clean", "static", "adaptive")},
        "static EER, lowest": frame["static EER"].min(),
        "diagnosis, clean": original,
        "diagnosis, released": released,
    }


def _representations(seed=0):
    load = LOADERS["MIT-BIH, second half against the first"]
    beats = load(sampling_rate=SAMPLING_RATE, r_peaks="detected", max_beats=IMAGE["max_beats"], random_state=seed)
    rows = []
    for representation in ("signal", "image"):
        params = {"max_epochs": IMAGE["max_epochs"], "n_steps": IMAGE["n_steps"], "random_state": seed}
        released, summary = anonymize(
            AgileAnonymizer(representation=representation, **params),
            beats.X,
            beats.y,
            beats.subjects,
            beats.sessions == 0,
        )
        rows.append(
            {"representation": representation, **_worst(attack(beats, released, seed, retrained_too=False)), **summary}
        )
        print(rows[-1], flush=True)
    return _rounded(pd.DataFrame(rows))


def _rounded(table):
    return table.map(lambda cell: f"{cell:.3f}" if isinstance(cell, float | np.floating) else cell)


if __name__ == "__main__":
    print(run())
