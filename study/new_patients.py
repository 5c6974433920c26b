"""What a release is good for, measured on people who are not in it: MIT-BIH DS1 to DS2, LUDB by folds over people."""

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import f1_score, recall_score

from skagile import AgileAnonymizer, KSameAnonymizer, WarpAnonymizer
from skagile.datasets import load_ludb_beats, load_mitdb_beats
from study._generators import Diffusion, MixtureOfClasses, NormalOfClasses, TwoLevelVAE
from study._judges import judges
from study._mixture import MixtureOfDonors
from study._settings import SAMPLING_RATE
from study._table import write_page
from study.agile import memory

SEEDS = range(5)
MAX_BEATS = 150
CLASSES = ("N", "S", "V")
# De Chazal et al. 2004. Record 201 is in DS1 and 202, of the same person, in DS2.
DS1 = (
    *("101", "106", "108", "109", "112", "114", "115", "116", "118", "119", "122", "124"),
    *("201", "203", "205", "207", "208", "209", "215", "220", "223", "230"),
)
N_FOLDS = 5
RELEASES = {
    "k-same": KSameAnonymizer(10),
    "two donors, .95 and .05 (until 2026-11)": MixtureOfDonors(10),
    "k-same, max_draws=1": KSameAnonymizer(10, max_draws=1),
    'k-same, grouping="diverse"': KSameAnonymizer(10, grouping="diverse"),
    'k-same, grouping="class_mix"': KSameAnonymizer(10, grouping="class_mix"),
    'k-same, coherence="subject"': KSameAnonymizer(10, coherence="subject"),
    "one normal law a diagnosis": NormalOfClasses(),
    "eight normal laws a diagnosis": MixtureOfClasses(),
    "two-level VAE": TwoLevelVAE(),
    "diffusion": Diffusion(),
    "AGILE": AgileAnonymizer(),
    "warp": WarpAnonymizer(),
}
MAIN = ("k-same", "two donors, .95 and .05 (until 2026-11)")
_MEASURES = ("accuracy", "macro-F1", *(f"sensitivity {name}" for name in CLASSES))
_N_RESAMPLES = 1000
TEXT = """
Two networks that no anonymizer knows, a perceptron and a convolutional network, are trained on the beats of some
people, original or released, and tested on originals of **other people**. MIT-BIH as de Chazal parted it: {n_train}
beats of 22 people (DS1), {n_test} of 22 others (DS2; one person has a record in each), N, S and V, at most {max_beats}
of each half of a record, at 180 Hz, R peaks detected. Both halves of DS1 are fitted on and released. Default parameters
but for what a row says. Seeds {seeds} for k-same and the two donors, the first for the others.

Figures are means over seeds, differences to originals in points with paired 95 % intervals over the people of DS2 (and
over seeds). The laws of diagnoses, the autoencoder and the diffusion model are generators that were tried in place of
pseudo-people, and are not in the package. LUDB: the record's rhythm, read from single beats: atrial fibrillation or
flutter, or any sinus rhythm; 200 people, folds over people, the first seed.
"""
_COMMAND = "tox run -e study -- new_patients"


def load_beats(seed):
    """MIT-BIH's beats of three classes, and which are of DS1."""
    beats = load_mitdb_beats(
        sampling_rate=SAMPLING_RATE,
        r_peaks="detected",
        classes=CLASSES,
        guard=60.0,
        max_beats=MAX_BEATS,
        random_state=seed,
    )
    beats.X = beats.X.astype(np.float32)
    beats.record = np.asarray(beats.record_names)[beats.records]
    beats.first = np.isin(beats.record, DS1)
    return beats


def _released(name, seed, X, y, subjects):
    """What the beats are released as; originals where name is None."""
    if name is None:
        return X
    anonymizer = clone(RELEASES[name]).set_params(random_state=seed).fit(X, y, subjects=subjects)
    return anonymizer.transform(X, subjects=subjects)


@memory.cache
def predictions(name, seed):
    """What each judge says of DS2, trained on DS1's originals (name None) or on its release."""
    beats = load_beats(seed)
    paced = np.isin(beats.record, ["102", "104", "107", "217"])
    train, test = beats.first & ~paced, ~beats.first & ~paced
    X, y, subjects = beats.X[train], beats.y[train], beats.subjects[train]
    X = _released(name, seed, X, y, subjects)
    kept = ~np.isnan(X).any(axis=1)
    out = {judge: fit(X[kept], y[kept])(beats.X[test]) for judge, fit in judges(seed).items()}
    return out, beats.y[test], beats.record[test], int(train.sum())


def measure(truth, said):
    """All measures of one judge."""
    return np.array(
        [
            np.mean(truth == said),
            f1_score(truth, said, average="macro", zero_division=0),
            *recall_score(truth, said, labels=CLASSES, average=None, zero_division=0),
        ]
    )


def compare(name, seeds, judge):
    """Mean over seeds, differences to originals and their intervals over people, in points."""
    pairs = [(predictions(None, seed), predictions(name, seed)) for seed in seeds]
    values = np.mean([measure(new[1], new[0][judge]) for _, new in pairs], axis=0)
    difference = np.mean(
        [measure(new[1], new[0][judge]) - measure(old[1], old[0][judge]) for old, new in pairs], axis=0
    )
    rng, resampled = np.random.default_rng(0), []
    for i in range(_N_RESAMPLES):
        (old, new) = pairs[i % len(pairs)]
        people = np.unique(new[2])
        rows = np.concatenate([np.flatnonzero(new[2] == person) for person in rng.choice(people, len(people))])
        resampled.append(measure(new[1][rows], new[0][judge][rows]) - measure(old[1][rows], old[0][judge][rows]))
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    return values, 100 * difference, 100 * low, 100 * high


@memory.cache
def ludb(seed, name):
    """Accuracy and macro-F1 of the rhythm, atrial or sinus, on people of other folds, by judge."""
    beats = load_ludb_beats(sampling_rate=SAMPLING_RATE, r_peaks="detected", max_beats=20, random_state=seed)
    X, y = beats.X.astype(np.float32), np.where(np.char.startswith(beats.y.astype(str), "Atrial"), "atrial", "sinus")
    people = np.random.default_rng(seed).permutation(np.unique(beats.subjects))
    said = {judge: np.empty(len(y), dtype=object) for judge in judges(seed)}
    for fold in np.array_split(people, N_FOLDS):
        test = np.isin(beats.subjects, fold)
        Z = _released(name, seed, X[~test], y[~test], beats.subjects[~test])
        for judge, fit in judges(seed).items():
            said[judge][test] = fit(Z, y[~test])(X[test])
    return {judge: (np.mean(of == y), f1_score(y, list(of), average="macro")) for judge, of in said.items()}, len(
        people
    )


def run(seeds=SEEDS):
    """Run the study; its page is written anew after each release."""
    page, rows, of_ludb = None, [], []
    for name in RELEASES:
        some = seeds if name in MAIN else seeds[:1]
        rows += _rows(name, some)
        print(rows[-2:], flush=True)
        if name == MAIN[-1]:
            of_ludb = _ludb_rows(seeds[:1])
        page = _write(seeds, rows, of_ludb)
    return page


def _ludb_rows(seeds):
    rows = []
    for name in (None, *MAIN):
        both = [ludb(seed, name)[0] for seed in seeds]
        for judge in both[0]:
            accuracy, macro = np.mean([of[judge] for of in both], axis=0)
            rows.append(
                {
                    "trained on": name or "originals",
                    "judge": judge,
                    "accuracy": f"{accuracy:.3f}",
                    "macro-F1": f"{macro:.3f}",
                }
            )
    return rows


def _rows(name, seeds):
    out = []
    for judge in judges(0):
        if not out or name == "k-same":
            clean = np.mean([measure(old[1], old[0][judge]) for old in (predictions(None, s) for s in seeds)], axis=0)
            if name == "k-same":
                out.append({"trained on": "originals", "judge": judge, **_cells(clean)})
        values, difference, low, high = compare(name, seeds, judge)
        cells = {
            m: f"{v:.3f}; {d:+.1f} ({a:+.1f} to {b:+.1f})"
            for m, v, d, a, b in zip(_MEASURES, values, difference, low, high, strict=True)
        }
        out.append({"trained on": name, "judge": judge, **cells})
    return out


def _cells(values):
    return {measure: f"{value:.3f}" for measure, value in zip(_MEASURES, values, strict=True)}


def _write(seeds, rows, of_ludb):
    _, truth, _, n_train = predictions(None, seeds[0])
    text = TEXT.format(seeds=", ".join(map(str, seeds)), max_beats=MAX_BEATS, n_train=n_train, n_test=len(truth))
    tables = [("MIT-BIH, trained on DS1, tested on originals of DS2", pd.DataFrame(rows))]
    if of_ludb:
        tables.append(("LUDB, rhythm, tested on originals of people of other folds", pd.DataFrame(of_ludb)))
    return write_page("new_patients", "What a release is good for: new patients", text, tables, _COMMAND)
