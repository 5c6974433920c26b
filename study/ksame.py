"""k-same on MIT-BIH and ECG-ID: whose row, whose heartbeat, what a release says of a person; recall of the cohort."""

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score

from skagile import KSameAnonymizer, audit_release, measure_beats
from skagile.audit import Estimators, Size
from skagile.datasets import load_ecgid_beats, load_mitdb_beats
from skagile.metrics import label_only_floor, pearson_correlation, prdn
from skagile.model_selection import canary_disclosure
from study._judges import judges, score
from study._settings import SAMPLING_RATE
from study._table import CACHE, write_page
from study.agile import memory

SEEDS = range(5)
MAX_BEATS = 100
QUICK = ("svd", "nearest_neighbour", "fiducial", "low_order", "label_counting", "deep_ecg")
N_MEMBERS = 24
N_FLIPS = 5
RELEASES = {
    "default": {},
    'grouping="diverse"': {"grouping": "diverse"},
    'grouping="class_mix"': {"grouping": "class_mix"},
}
TEXT = """
KSameAnonymizer with its default parameters but for what a row says, seeds {seeds} (groups: the first two). Beats at
180 Hz, R peaks detected, at most {max_beats} of a person and session. MIT-BIH: 47 people, N, S, V and F; fitted on the
first half of each record, which enrols, the second is probed, one minute between. ECG-ID: 60 people fitted on and
enrolled on their first date, those recorded later probed; what is kept is the sex. Use on new patients is in
:doc:`new_patients`.

**Whose row.** Every attacker is retrained on the release: {quick}; fusions of 1, 5, 10 and all beats of a person.
"worst" is the highest rank-1 of all, mean over seeds; in brackets the lowest and highest bound of the seeds' 95 %
intervals over people, corrected for picking the worst. "floor" is what the best attacker gets who sees the keys and
nothing else, on the same beats. "above" counts attacks, of all seeds, whose own uncorrected interval lies above it.

**Whose heartbeat, and what it says of a person.** Fitted on {members} of the 47 people and released; the others are
those that members are told from. "presence": the area under the ROC curve of telling members, of the strongest of the
audit's calibrated attacks; "copies": share of released beats nearer to somebody's original than 95 % of a stranger's
beats are (null .05); "disclosure": how much better a person's diagnosis is read off the release than that of people who
are not in it. "canary": a coin flip of each person, released in place of the diagnosis, read by who holds other
recordings (share of people, {flips} flips, .5 is chance).

**Recall of the cohort.** Networks that k-same does not know: "released", trained on originals and tested on the
release; "back", trained on the release and tested on other originals of the same people: what they then know of these
people is memory of them, and no use. Differences to the same networks on originals, in points.
"""


def load_beats(seed):
    """MIT-BIH's beats, with six fine labels beside the four."""
    beats = load_mitdb_beats(
        sampling_rate=SAMPLING_RATE,
        r_peaks="detected",
        classes=("N", "S", "V", "F"),
        guard=60.0,
        max_beats=MAX_BEATS,
        random_state=seed,
    )
    beats.X = beats.X.astype(np.float32)
    beats.fine = np.where(np.isin(beats.symbol, ["L", "R"]), beats.symbol, beats.y)
    return beats


def release(ksame, beats, **facts):
    """Release all beats; with their keys."""
    given = {"subjects": beats.subjects, **facts}
    return ksame.transform(beats.X, **given), ksame.assign(beats.X, **given)


def attack(beats, released, keys, attackers, seed):
    """Worst of the retrained attackers, from single beats and fused, beside the floors of the keys."""
    report = audit_release(
        beats.X,
        released,
        beats.y,
        subjects=beats.subjects,
        sessions=beats.sessions,
        attackers=attackers,
        knowledge=("adaptive",),
        estimators=Estimators(diagnostic_estimator=None),
        size=Size(galleries=()),
        sampling_rate=SAMPLING_RATE,
        window=beats.window,
        cache=CACHE / "ksame",
        random_state=seed,
    )
    enrolled = beats.sessions == 0
    parts = keys[enrolled], beats.subjects[enrolled], keys[~enrolled], beats.subjects[~enrolled]
    single_floor, fused_floor = label_only_floor(*parts), label_only_floor(*parts, fused=True)
    single, fused = report.headline["single"], report.headline["fused"]
    return {
        "single": (single["value"], single["low"], single["high"]),
        "single floor": single_floor,
        "single by": single["attacker"],
        "fused": (fused["value"], fused["low"], fused["high"]),
        "fused floor": fused_floor,
        "above": sum(row["rank1_low"] > single_floor for row in report.attacks)
        + sum(row["fused_rank1_low"] > fused_floor for row in report.attacks),
        "attacks": 2 * len(report.attacks),
    }


def diagnose(beats, released, y, seed, known):
    """Differences, in points, of accuracy and macro-F1 to originals, both ways; `known` holds what is fitted once."""
    enrolled, asked = beats.sessions == 0, y[beats.sessions > 0]
    figures, clean = {}, {}
    for name, fit in judges(seed).items():
        if name not in known:
            known[name] = fit(beats.X[enrolled], y[enrolled])
        predict = known[name]
        score(clean, name, asked, predict(beats.X[~enrolled]))
        score(figures, f"{name}, released", asked, predict(released[~enrolled]))
        score(figures, f"{name}, back", asked, fit(released[enrolled], y[enrolled])(beats.X[~enrolled]))
    out = {f"clean, {key}": value[0] for key, value in clean.items()}
    for key, value in figures.items():
        judge, measure = key.split(", ")[0], key.split(", ")[2]
        out[key] = 100 * (value[0] - clean[f"{judge}, {measure}"][0])
    return out


def block_recognised(beats, released, seed):
    """Balanced accuracy of networks trained on originals at telling left and right bundle-branch block from none."""
    normal = (beats.y == "N") & (beats.sessions == 0), (beats.y == "N") & (beats.sessions > 0)
    block = np.where(beats.fine == "N", "none", beats.fine)
    out = {}
    for name, fit in judges(seed).items():
        predict = fit(beats.X[normal[0]], block[normal[0]])
        for what, X in (("clean", beats.X), ("released", released)):
            out[f"{what}, {name}"] = balanced_accuracy_score(block[normal[1]], predict(X[normal[1]]))
    return out


def qrs_error(beats, released):
    """Mean absolute difference of the QRS duration, in ms, where both are measured."""
    before, after = (measure_beats(X, SAMPLING_RATE, window=beats.window).qrs_duration for X in (beats.X, released))
    return np.nanmean(np.abs(after - before)[beats.sessions > 0])


def told_of_members(anonymizer, beats, seed, n_members=N_MEMBERS):
    """Presence, copies and disclosure, where some of the people are fitted on and released."""
    people = np.random.default_rng(seed).permutation(np.unique(beats.subjects))
    members = np.isin(beats.subjects, people[:n_members])
    part = members & (beats.sessions == 0)
    fitted = clone(anonymizer).fit(beats.X[part], beats.y[part], subjects=beats.subjects[part])
    released = fitted.transform(beats.X, subjects=beats.subjects)
    kept = ~np.isnan(released).any(axis=1)
    report = audit_release(
        beats.X[kept],
        released[kept],
        beats.y[kept],
        subjects=beats.subjects[kept],
        sessions=beats.sessions[kept],
        attackers=("svd",),
        knowledge=("static",),
        members=members[kept],
        estimators=Estimators(diagnostic_estimator=None),
        size=Size(galleries=()),
        cache=CACHE / "ksame",
        random_state=seed,
    )
    threats = ("presence", "copies", "disclosure") if len(np.unique(beats.y)) > 1 else ("presence", "copies")
    return {name: told(report, name) for name in threats}


def told(report, threat):
    """Worst figure of a threat, with its interval."""
    entry = report.headline[threat]
    return entry["value"], entry["low"], entry["high"]


@memory.cache
def canary(anonymizer, n_flips=N_FLIPS):
    """Canary of an anonymizer on MIT-BIH's beats of the first seed: the strongest of both attackers."""
    beats = load_beats(0)
    found = canary_disclosure(
        anonymizer, beats.X, subjects=beats.subjects, sessions=beats.sessions, n_flips=n_flips, random_state=0
    )
    return found.value, found.low, found.high


def across_dates(seed):
    """ECG-ID: k-same on the first dates, people probed on later ones."""
    beats = load_ecgid_beats(sampling_rate=SAMPLING_RATE, r_peaks="detected", max_beats=MAX_BEATS, random_state=seed)
    beats.X = beats.X.astype(np.float32)
    enrolled = beats.sessions == 0
    ksame = KSameAnonymizer(random_state=seed)
    ksame.fit(beats.X[enrolled], beats.y[enrolled], subjects=beats.subjects[enrolled])
    released, keys = release(ksame, beats)
    figures = attack(beats, released, keys, QUICK, seed)
    figures["correlation"] = np.median(pearson_correlation(beats.X, released))
    figures["PRDN, %"] = np.median(prdn(beats.X, released))
    return figures


@memory.cache
def one_release(name, seed):
    """Rows of one setting and seed: attacks, diagnosis, and what is told of members."""
    beats = load_beats(seed)
    enrolled = beats.sessions == 0
    ksame = KSameAnonymizer(random_state=seed, **RELEASES[name])
    ksame.fit(beats.X[enrolled], beats.y[enrolled], subjects=beats.subjects[enrolled])
    released, keys = release(ksame, beats)
    row = {"release": name, "expected": ksame.expected_leakage_}
    return {
        "attacks": {**row, **attack(beats, released, keys, QUICK, seed)},
        "told": {"release": name, **told_of_members(KSameAnonymizer(random_state=seed, **RELEASES[name]), beats, seed)},
        "diagnosis": {"release": name, **diagnose(beats, released, beats.y, seed, {})},
    }


@memory.cache
def fine_labels(seed):
    """Rows of six labels, with and without the QRS duration kept."""
    beats, rows = load_beats(seed), []
    enrolled = beats.sessions == 0
    for name, params in (("six labels", {}), ("six labels, QRS kept", {"keep": ("qrs_duration",)})):
        ksame = KSameAnonymizer(sampling_rate=SAMPLING_RATE, random_state=seed, **params)
        ksame.fit(beats.X[enrolled], beats.fine[enrolled], subjects=beats.subjects[enrolled])
        released, keys = release(ksame, beats)
        row = {
            "release": name,
            **attack(beats, released, keys, QUICK, seed),
            "QRS error, ms": qrs_error(beats, released),
        }
        rows.append({**row, **block_recognised(beats, released, seed)})
    return rows


def run(seeds=SEEDS):
    """Run the study; its page is written anew after each setting."""
    tables = {name: [] for name in ("attacks", "told", "diagnosis", "canary", "fine", "ecgid")}
    page = None
    for name, params in RELEASES.items():
        for seed in seeds if name == "default" else seeds[:2]:
            for table, row in one_release(name, seed).items():
                tables[table].append(row)
                print(seed, row, flush=True)
        tables["canary"].append({"release": name, "people": canary(KSameAnonymizer(random_state=0, **params))})
        print(tables["canary"][-1], flush=True)
        page = _write(seeds, tables)
    for seed in seeds[:2]:
        tables["fine"] += fine_labels(seed)
        tables["ecgid"].append(across_dates(seed))
        page = _write(seeds, tables)
    return page


def _write(seeds, tables):
    captions = {
        "attacks": "MIT-BIH, whose row: worst of the attackers retrained on the release",
        "told": f"MIT-BIH, fitted on {N_MEMBERS} of the 47: whose heartbeat, and what it says of a person",
        "canary": "MIT-BIH: a coin flip of each person",
        "diagnosis": "MIT-BIH: recall of the cohort, differences to originals in points",
        "fine": "MIT-BIH, labels N, L, R, S, V and F: bundle-branch block (balanced accuracy of networks "
        "trained on originals) and QRS duration; two seeds",
        "ecgid": "ECG-ID across dates; two seeds",
    }
    text = TEXT.format(
        seeds=", ".join(map(str, seeds)), max_beats=MAX_BEATS, quick=", ".join(QUICK), members=N_MEMBERS, flips=N_FLIPS
    )
    pages = [(captions[name], _mean(pd.DataFrame(rows))) for name, rows in tables.items() if rows]
    return write_page("ksame", "k-same against attackers of three kinds", text, pages, _COMMAND)


_COMMAND = "tox run -e study -- ksame"


def _mean(frame):
    """One row a setting: means over seeds, with the widest interval where there is one."""
    by = "release" if "release" in frame else None
    out = []
    for _, rows in frame.groupby(by, sort=False) if by else [(None, frame)]:
        out.append({name: cell(name, rows[name].tolist()) for name in frame.columns})
    table = pd.DataFrame(out)
    return table if by else table.T.reset_index().set_axis(["", "mean over seeds"], axis=1)


def cell(name, values):
    """Return one cell of a table: what the seeds' values of a column come to."""
    values = [value for value in values if value is not None]
    if not values:
        return ""
    if isinstance(values[0], tuple):
        mean, low, high = (np.array(part) for part in zip(*values, strict=True))
        return f"{mean.mean():.3f} ({low.min():.3f} to {high.max():.3f})"
    if isinstance(values[0], dict):
        return "; ".join(f"{key} {np.mean([value[key] for value in values]):.3f}" for key in values[0])
    if name == "release":
        return values[0]
    if isinstance(values[0], str):
        return ", ".join(sorted(set(values)))
    if name in ("above", "attacks"):
        return int(np.sum(values))
    return f"{np.mean(values):.3f}"
