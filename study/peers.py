"""Every anonymizer of the package on the same people, each at its best of a small grid."""

import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils import Bunch

import skagile
from skagile import (
    AgileAnonymizer,
    KSameAnonymizer,
    NoiseAnonymizer,
    ODEGANAnonymizer,
    PPVAEAnonymizer,
    PrivECGAnonymizer,
    REACTAnonymizer,
    WarpAnonymizer,
    audit_release,
)
from skagile._files import replacing
from skagile.audit import Estimators, Size
from skagile.datasets import load_ecgid_beats, load_mitdb_beats
from skagile.metrics import prdn
from skagile.model_selection import canary_disclosure
from study import heartprint, new_patients, warp_defaults
from study._judges import judges
from study._settings import SAMPLING_RATE
from study._table import CACHE, FOLDER, write_page
from study.agile import memory
from study.ksame import cell, told_of_members

SEED = 0
MAX_BEATS = 40  # of a person and session
ATTACKERS = ("svd", "nearest_neighbour", "deep_ecg")
MOST_LOST = 0.02  # of diagnosis, while settings are chosen
N_FLIPS = 1
N_MEMBERS = 24  # of MIT-BIH's people, who are fitted on where presence is tested
DATABASES = ("MIT-BIH", "ECG-ID", "Heartprint")
COSTS = ("PRDN, %", "fit, s", "transform, ms a beat", "model, MB")
KNOWN = {"static": "trained on originals", "adaptive": "retrained"}
MARKERS = "os^vD<>PXh"
GRID = {
    "noise, Gaussian": [NoiseAnonymizer(scale=scale) for scale in (0.05, 0.1, 0.2)],
    "noise, Laplace": [NoiseAnonymizer(law="laplace", scale=scale) for scale in (0.05, 0.1, 0.2)],
    "AGILE": [AgileAnonymizer(epsilon=epsilon) for epsilon in (0.4, 0.65, 1.0)],
    "AGILE, amortized": [AgileAnonymizer(inference="amortized", epsilon=epsilon) for epsilon in (0.4, 0.65, 1.0)],
    "warp": [WarpAnonymizer(**setting) for setting in (warp_defaults.SETTINGS[at] for at in (0, 1, 3))],
    "PrivECG": [PrivECGAnonymizer(privacy_weight=weight) for weight in (0.01, 0.03, 0.1)],
    "ODE-GAN": [ODEGANAnonymizer(privacy_weight=weight) for weight in (0.3, 1.0, 3.0)],
    "REACT": [REACTAnonymizer(fidelity_weight=weight) for weight in (0.0, 0.25, 0.5)],
    "PP-VAE": [PPVAEAnonymizer(privacy_weight=weight) for weight in (1.0, 3.0, 10.0)],
    "k-same": [KSameAnonymizer(k, grouping=grouping) for k, grouping in ((10, "one"), (5, "one"), (10, "diverse"))],
}
TEXT = """
Every anonymizer of the package, and the papers' that AGILE is compared with, on the same beats: at 180 Hz, R peaks
detected, at most {max_beats} of a person and session, seed {seed}. Each was given three settings, tried on the first
half of MIT-BIH's records alone: fitted on their first quarter and attacked on their second ({n_tuned} beats of each
of 47 people and quarter), by SVD with LDA and a network. Of the settings whose diagnosis (a network trained on
originals, tested on the release) loses at most {lost:.0f} points, the one is taken that leaves least to the stronger
attacker trained on originals and the stronger one retrained on the release, taken together; where all lose more, the
one that loses least. That setting is fitted on the first half of MIT-BIH, on the first date of ECG-ID, and on visit 1
of Heartprint, and attacked on the other half, on later dates and on visit 2, by {attackers}: the highest rank-1 of
single beats, with the audit's corrected interval. Heartprint has no diagnosis; its beats have a label each that a
coin gave, and people are those of visits 1 and 2.

On MIT-BIH, presence, copies and disclosure are the audit's of {members} of the 47; "canary" is the share of people
whose coin flip, released in place of the diagnosis, is read from their other recordings ({flips} flip; .5 is chance);
"new patients" the macro-F1 of two networks trained on the release of 22 people and tested on originals of 22 others,
with the difference to training on originals in points: of some dozens of people, it is uncertain by several points.
"PRDN": median root-mean-square difference to the original, of its own, in percent; k-same's beats are nobody's, and
theirs says nothing. Times are of one thread of a shared machine: compare them with each other.

Presence, copies, disclosure and canary are of somebody who holds *originals*. What misleads attackers who were trained
on originals misleads these as well, and a low figure of theirs is no more than that where the column "retrained" is
high: who finds somebody's released beats by retraining finds what stands beside them. Where
"retrained" is low, of k-same and nearly so of PP-VAE, they say what they seem to. Presence is as uncertain as its
intervals.

.. figure:: peers.svg
   :alt: Single beats named by the worst retrained attacker, against macro-F1 on new patients.

   MIT-BIH: single beats named by the worst attacker that was retrained on the release, with its interval, against use
   on new patients. Down and to the right is better. Hollow: named by the worst attacker trained on originals.

What the papers print, and what it measures: AGILE, 15.7 % of PTB's people named by a Siamese network trained on
originals; PrivECG, .529 (.014) accuracy of *sex*, which the AGILE paper lists beside identification; PP-VAE, AUROC of
sex .79 to .59 and of age .78 to .63, with LVEF .86 to .82 (ours: :doc:`pp_vae`); noise of the Laplace mechanism at
epsilon .5, .087 trained on originals and .904 retrained (MIT-BIH). None of these but the last is of an attacker who
retrains.
"""
_COMMAND = "tox run -e study -- peers"


@memory.cache
def load(name, seed):
    """Beats, labels, people and sessions of a database."""
    params = {"sampling_rate": SAMPLING_RATE, "r_peaks": "detected", "max_beats": MAX_BEATS, "random_state": seed}
    if name == "MIT-BIH":
        beats = load_mitdb_beats(classes=("N", "S", "V", "F"), guard=60.0, **params)
        X, y, subjects, sessions = beats.X, beats.y, beats.subjects, beats.sessions
    elif name == "ECG-ID":
        beats = load_ecgid_beats(**params)
        X, y, subjects, sessions = beats.X, beats.y, beats.subjects, beats.sessions
    else:
        beats = heartprint.load_beats()
        both = np.intersect1d(*(beats.subjects[beats.visits == visit] for visit in ("1", "2")))
        kept = np.isin(beats.visits, ["1", "2"]) & np.isin(beats.subjects, both)
        kept &= _first_of_each(beats.subjects, beats.visits, MAX_BEATS)
        X, subjects, sessions = beats.X[kept], beats.subjects[kept], (beats.visits[kept] == "2").astype(int)
        y = np.random.default_rng(seed).choice(["heads", "tails"], len(X))
    return X.astype(np.float32), y, subjects, sessions


def _first_of_each(subjects, visits, n):
    whose = pd.Series(subjects.astype(str)) + "/" + pd.Series(visits.astype(str))
    return whose.groupby(whose).cumcount().to_numpy() < n


@memory.cache
def tried(name, number, seed):
    """Figures of a setting on the first half of MIT-BIH's records."""
    train, choose = _quarters(seed)
    released = _seeded(GRID[name][number], seed).fit(train[0], train[1], subjects=train[2])
    return warp_defaults.figures(train, choose, [_release(released, X, s) for X, _, s in (train, choose)], seed)


@memory.cache
def _quarters(seed):
    parts = warp_defaults.quarters(seed)
    return [
        tuple(values[_first_of_each(part[2], np.zeros(len(part[2])), MAX_BEATS // 2)] for values in part)
        for part in parts
    ]


@memory.cache
def _clean(seed):
    train, choose = _quarters(seed)
    return warp_defaults.figures(train, choose, (train[0], choose[0]), seed)


def chosen(name, seed):
    """Place in the grid of the setting that is taken, by figures of the first half alone."""
    rows = [tried(name, number, seed) for number in range(len(GRID[name]))]
    lost = [_clean(seed)["original -> release"] - row["original -> release"] for row in rows]
    risk = [
        sum(max(row[f"{who} {known}"] for who in ("svd", "deep_ecg")) for known in ("static", "adaptive"))
        for row in rows
    ]
    kept = [number for number, points in enumerate(lost) if points <= MOST_LOST]
    return min(kept, key=lambda number: risk[number]) if kept else int(np.argmin(lost))


def _seeded(anonymizer, seed):
    return clone(anonymizer).set_params(random_state=seed)


def _release(fitted, X, subjects):
    return fitted.transform(X, subjects=subjects)


@memory.cache
def attacked(anonymizer, database, seed):
    """Fit on the sessions that enrol, release all, attack."""
    X, y, subjects, sessions = load(database, seed)
    enrolled = sessions == sessions.min()
    row, released = {}, X
    if anonymizer is not None:
        start = perf_counter()
        fitted = _seeded(anonymizer, seed).fit(X[enrolled], y[enrolled], subjects=subjects[enrolled])
        middle = perf_counter()
        released = _release(fitted, X, subjects)
        row = {
            "PRDN, %": float(np.median(prdn(X, released))),
            "fit, s": middle - start,
            "transform, ms a beat": 1000 * (perf_counter() - middle) / len(X),
            "model, MB": _size(fitted),
        }
    report = audit_release(
        X,
        released,
        subjects=subjects,
        sessions=sessions,
        attackers=ATTACKERS,
        knowledge=("static", "adaptive"),
        estimators=Estimators(diagnostic_estimator=None),
        size=Size(galleries=()),
        cache=CACHE / "peers",
        random_state=seed,
    )
    for known, words in KNOWN.items():
        worst = max((a for a in report.attacks if a["knowledge"] == known), key=lambda a: a["rank1"])
        row[f"{database}, {words}"] = worst["rank1"], worst["rank1_low"], worst["rank1_high"]
    return row


def _size(fitted):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        skagile.save(fitted, path)
        return path.stat().st_size / 1e6


@memory.cache
def more_of_mitdb(anonymizer, seed):
    """Presence, copies, disclosure, canary, and use on new patients."""
    X, y, subjects, sessions = load("MIT-BIH", seed)
    beats = Bunch(X=X, y=y, subjects=subjects, sessions=sessions)
    row = told_of_members(_seeded(anonymizer, seed), beats, seed, N_MEMBERS)
    flips = canary_disclosure(
        _seeded(anonymizer, seed), X, subjects=subjects, sessions=sessions, n_flips=N_FLIPS, random_state=seed
    )
    row["canary"] = flips.value, flips.low, flips.high
    old, new = (_new_patients(which, seed) for which in (None, anonymizer))
    return {**row, "new patients, macro-F1": f"{new:.3f} ({100 * (new - old):+.1f})"}


@memory.cache
def _new_patients(anonymizer, seed):
    beats = new_patients.load_beats(seed)
    few = _first_of_each(beats.subjects, beats.sessions, MAX_BEATS) & ~np.isin(
        beats.record, ["102", "104", "107", "217"]
    )
    train, test = few & beats.first, few & ~beats.first
    X, y, subjects = beats.X[train], beats.y[train], beats.subjects[train]
    if anonymizer is not None:
        X = _release(_seeded(anonymizer, seed).fit(X, y, subjects=subjects), X, subjects)
    said = [fit(X, y)(beats.X[test]) for fit in judges(seed).values()]
    return float(np.mean([new_patients.measure(beats.y[test], one)[1] for one in said]))


def run(seed=SEED):
    """Run the study; its page is written anew after each anonymizer."""
    page, tables = None, {"row": [], "told": [], "chosen": []}
    clean = {"anonymizer": "originals", "setting": ""}
    for database in DATABASES:
        clean |= attacked(None, database, seed)
    tables["row"].append(clean)
    for name, grid in GRID.items():
        anonymizer = grid[chosen(name, seed)]
        for number, setting in enumerate(grid):
            tables["chosen"].append({"anonymizer": name, "setting": _words(setting), **tried(name, number, seed)})
        row = {"anonymizer": name, "setting": _words(anonymizer)}
        for database in DATABASES:
            row = {**attacked(anonymizer, database, seed), **row}  # times and sizes are MIT-BIH's
        tables["row"].append(row)
        tables["told"].append({"anonymizer": name, **more_of_mitdb(anonymizer, seed)})
        print(row, tables["told"][-1], flush=True)
        page = _write(seed, tables)
    return page


def _words(anonymizer):
    default = type(anonymizer)().get_params()
    changed = {key: value for key, value in anonymizer.get_params().items() if value != default[key]}
    return ", ".join(f"{key}={value!r}" for key, value in changed.items()) or "default"


def _write(seed, tables):
    row = pd.DataFrame(tables["row"])
    named = [f"{database}, {words}" for database in DATABASES for words in KNOWN.values()]
    row = row[["anonymizer", "setting", *named, *COSTS]]
    told = pd.DataFrame(tables["told"])
    _draw(row, told)
    row = row.apply(lambda column: column.map(lambda value: _cell(column.name, value)))
    told = told.apply(lambda column: column.map(lambda value: _cell(column.name, value)))
    tried_rows = pd.DataFrame(tables["chosen"]).map(lambda value: f"{value:.3f}" if isinstance(value, float) else value)
    for known, words in KNOWN.items():
        tried_rows.columns = tried_rows.columns.str.replace(f" {known}", f", {words}")
    text = TEXT.format(
        seed=seed,
        max_beats=MAX_BEATS,
        n_tuned=MAX_BEATS // 2,
        lost=100 * MOST_LOST,
        attackers=", ".join(ATTACKERS),
        flips=N_FLIPS,
        members=N_MEMBERS,
    )
    pages = [
        ("Whose row is it: worst of single beats", row),
        ("MIT-BIH: whose heartbeat, what it says of a person, and use", told),
        ("Settings tried, on the first half of MIT-BIH's records", tried_rows),
    ]
    return write_page("peers", "Every anonymizer, each at its best of a small grid", text, pages, _COMMAND)


def _draw(row, told):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.8), layout="constrained")
    axes = figure.subplots()
    rows = row.set_index("anonymizer")
    for number, (name, used) in enumerate(zip(told["anonymizer"], told["new patients, macro-F1"], strict=True)):
        x, colour = float(used.split()[0]), f"C{number}"
        worst, low, high = rows.loc[name, "MIT-BIH, retrained"]
        axes.errorbar(x, worst, [[worst - low], [high - worst]], fmt=MARKERS[number], color=colour, label=name)
        axes.plot(x, rows.loc[name, "MIT-BIH, trained on originals"][0], MARKERS[number], color=colour, mfc="none")
    macro, points = told["new patients, macro-F1"].iloc[0].rstrip(")").split(" (")
    originals = float(macro) - float(points) / 100
    axes.plot(originals, rows.loc["originals", "MIT-BIH, retrained"][0], "*", color="black", ms=11, label="originals")
    axes.axvline(originals, color="0.8", linestyle=":")
    axes.set_xlabel("macro-F1 on new patients, trained on the release")
    axes.set_ylabel("single beats named")
    axes.set_ylim(0, 1)
    axes.grid(color="0.93")
    axes.set_axisbelow(True)
    figure.legend(loc="outside right center", fontsize=9, frameon=False)
    with replacing(FOLDER / "peers.svg") as beside:
        figure.savefig(beside, format="svg", metadata={"Date": None})


def _cell(name, value):
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.3g}"
    return cell(name, [value])
