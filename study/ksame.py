"""k-same on MIT-BIH and ECG-ID: attackers retrained on the release, the floor of the key, and diagnosis."""

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from skagile import DeepECGIdentifier, KSameAnonymizer, audit_release, measure_beats
from skagile.audit import Estimators, Size
from skagile.datasets import load_ecgid_beats, load_mitdb_beats
from skagile.metrics import label_only_floor, pearson_correlation, prdn
from study._judges import judges, score
from study._settings import SAMPLING_RATE
from study._table import CACHE, write_page
from study.agile import memory
from study.ksame_defaults import refit

SEEDS = range(5)
MAX_BEATS = 100
ONE_GROUP = "one group"
KS = (5, 10, 20, ONE_GROUP)
QUICK = ("svd", "nearest_neighbour", "fiducial", "low_order", "label_counting", "deep_ecg")
ALL = (*QUICK, "siamese", "transecg")
N_MEMBERS = 24
TEXT = """
KSameAnonymizer with its default parameters but for what a row says, seeds {seeds}. Beats at 180 Hz, R peaks detected,
at most {max_beats} of a person and session. MIT-BIH: 47 people, N, S, V and F; fitted on the first half of each record,
which enrols, the second is asked about, one minute between. ECG-ID: 60 people fitted on and enrolled on their first
date, those recorded later asked about; what is kept is the sex. Every attacker is **retrained on the release**: {all}
with k = 10 and on ECG-ID, without the last two otherwise; all fusions of 1, 5, 10 and all beats of a person. Networks
that predict diagnoses for k-same are fitted once a seed.

"worst" is the highest rank-1 of all attackers (and for "fused" of all fusions), mean over seeds; in brackets the lowest
and highest bound of the seeds' 95 % intervals over people, corrected for picking the worst. "floor" is what the best
attacker gets who sees the keys and nothing else, on the same beats, "expected" what ``expected_leakage_`` said before
the release. "above" counts attacks, of all seeds, whose own uncorrected interval lies above the floor.

On ECG-ID everybody has as many beats of a key, so that the floor is that of whoever comes first, who may not have come
again: one in ten is what guessing within a group gives.

"membership" is the audit's, from beats. "membership by nets" tells members by nothing but how often a network trained
on the originals, or on the release, is right about a person's later originals: what a release of the use of the
originals gives away in any case.

Diagnosis is judged by a perceptron and a convolutional network that k-same does not know ("back": trained on the
release, asked about originals), difference to the same judges on originals, in points.
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


def release_of_members(ksame, beats, seed):
    """Fit on some of the people, of their first half; release everybody."""
    people = np.random.default_rng(seed).permutation(np.unique(beats.subjects))
    members = np.isin(beats.subjects, people[:N_MEMBERS])
    part = members & (beats.sessions == 0)
    ksame.fit(beats.X[part], beats.y[part], subjects=beats.subjects[part])
    return ksame, members, ksame.transform(beats.X, subjects=beats.subjects)


def membership(beats, released, members, seed):
    """AUROC of membership with its interval."""
    kept = ~np.isnan(released).any(axis=1)
    report = audit_release(
        beats.X[kept],
        released[kept],
        subjects=beats.subjects[kept],
        sessions=beats.sessions[kept],
        attackers=("svd",),
        knowledge=("static",),
        members=members[kept],
        size=Size(galleries=()),
        random_state=seed,
    )
    return tuple(report.membership[key] for key in ("auroc", "auroc_low", "auroc_high"))


def members_and_others(beats, seed):
    """Membership of the cohort, and what a release of people costs who were not in it."""
    ksame, members, released = release_of_members(KSameAnonymizer(random_state=seed), beats, seed)
    keys = ksame.assign(beats.X, subjects=beats.subjects)
    enrolled = beats.sessions == 0
    part = members & enrolled
    kept = ~np.isnan(released).any(axis=1)
    out = {"suppressed": 1 - kept.mean(), "membership": membership(beats, released, members, seed)}
    for name, chosen in (("members", members & kept), ("others", ~members & kept)):
        some = beats.__class__(**{key: beats[key][chosen] for key in ("X", "y", "subjects", "sessions", "fine")})
        some.window = beats.window
        worst = attack(some, released[chosen], keys[chosen], QUICK, seed)
        out |= {f"{name}, {key}": worst[key] for key in ("single", "single floor", "fused", "fused floor")}
        predict = judges(seed)["perceptron"](beats.X[part], beats.y[part])
        probes = chosen & ~enrolled
        out[f"{name}, diagnosis of originals"] = np.mean(predict(beats.X[probes]) == beats.y[probes])
        out[f"{name}, diagnosis of the release"] = np.mean(predict(released[probes]) == beats.y[probes])
    for what, X in (("originals", beats.X), ("the release", released)):
        predictors = [fit(X[part & kept], beats.y[part & kept]) for fit in judges(seed).values()]
        out[f"membership by nets trained on {what}"] = told_by_use(predictors, beats, ~enrolled, members)
    return out


def told_by_use(predictors, beats, asked, members):
    """AUROC of membership by how often the originals of a person are diagnosed right, mean over networks."""
    areas = []
    for predict in predictors:
        right = pd.Series(predict(beats.X[asked]) == beats.y[asked]).groupby(beats.subjects[asked]).mean()
        is_member = pd.Series(members[asked]).groupby(beats.subjects[asked]).first()
        areas.append(roc_auc_score(is_member, right))
    return float(np.mean(areas))


def across_dates(seed):
    """ECG-ID: k-same on the first dates, people asked about on later ones."""
    beats = load_ecgid_beats(sampling_rate=SAMPLING_RATE, r_peaks="detected", max_beats=MAX_BEATS, random_state=seed)
    beats.X = beats.X.astype(np.float32)
    enrolled = beats.sessions == 0
    ksame = KSameAnonymizer(random_state=seed)
    ksame.fit(beats.X[enrolled], beats.y[enrolled], subjects=beats.subjects[enrolled])
    released, keys = release(ksame, beats)
    figures = attack(beats, released, keys, ALL if seed == 0 else QUICK, seed)
    asked = np.unique(beats.subjects[~enrolled], return_counts=True)[1]
    figures["majority"] = asked.max() / asked.sum()
    figures["correlation"] = np.median(pearson_correlation(beats.X, released))
    figures["PRDN, %"] = np.median(prdn(beats.X, released))
    return figures


@memory.cache
def one_seed(seed):
    """Rows of every table, of one seed; kept, so that a run cut short goes on where it was."""
    tables = {name: [] for name in ("attacks", "diagnosis", "fine", "membership", "ecgid")}
    beats = load_beats(seed)
    enrolled = beats.sessions == 0
    training = beats.X[enrolled], beats.subjects[enrolled]
    base = KSameAnonymizer(random_state=seed).fit(training[0], beats.y[enrolled], subjects=training[1])
    judged = {}
    for k in KS:
        least = len(base.subjects_) if k == ONE_GROUP else k
        ksame = refit(base, training[0], beats.y[enrolled], training[1], k=least)
        released, keys = release(ksame, beats)
        row = {"k": k, "expected": ksame.expected_leakage_ if k == 10 else None}
        tables["attacks"].append({**row, **attack(beats, released, keys, ALL if k == 10 else QUICK, seed)})
        tables["diagnosis"].append({"k": k, **diagnose(beats, released, beats.y, seed, judged)})
        print(seed, tables["attacks"][-1], tables["diagnosis"][-1], flush=True)
    for name, params in (("six labels", {}), ("six labels, QRS kept", {"keep": ("qrs_duration",)})):
        ksame = KSameAnonymizer(sampling_rate=SAMPLING_RATE, random_state=seed, **params)
        ksame.fit(training[0], beats.fine[enrolled], subjects=training[1])
        released, keys = release(ksame, beats)
        row = {
            "release": name,
            **attack(beats, released, keys, QUICK, seed),
            "QRS error, ms": qrs_error(beats, released),
        }
        tables["fine"].append({**row, **block_recognised(beats, released, seed)})
        print(seed, tables["fine"][-1], flush=True)
    tables["membership"].append(members_and_others(beats, seed))
    tables["ecgid"].append(across_dates(seed))
    print(seed, tables["membership"][-1], tables["ecgid"][-1], flush=True)
    return tables


@memory.cache
def against_membership(seed):
    """Return the row of k-same with the generator for who fears membership."""
    params = {"generator": "ppca", "n_components": 40, "random_state": seed}
    beats = load_beats(seed)
    enrolled = beats.sessions == 0
    ksame = KSameAnonymizer(**params)
    ksame.fit(beats.X[enrolled], beats.y[enrolled], subjects=beats.subjects[enrolled])
    released, keys = release(ksame, beats)
    row = attack(beats, released, keys, QUICK, seed)
    row |= diagnose(beats, released, beats.y, seed, {})
    _, members, released = release_of_members(KSameAnonymizer(**params), beats, seed)
    row["membership"] = membership(beats, released, members, seed)
    print(seed, row, flush=True)
    return row


@memory.cache
def standard_diagnosis(seed):
    """Diagnosis at k = 10 by the network that the audit takes where none is given: originals, released and back."""
    beats = load_beats(seed)
    enrolled = beats.sessions == 0
    ksame = KSameAnonymizer(random_state=seed)
    ksame.fit(beats.X[enrolled], beats.y[enrolled], subjects=beats.subjects[enrolled])
    released, _ = release(ksame, beats)
    asked, out = beats.y[~enrolled], {}
    for name, training in (("originals", beats.X), ("the release", released)):
        net = DeepECGIdentifier(random_state=400 + seed).fit(training[enrolled], beats.y[enrolled])
        for on, tested in (("originals", beats.X), ("the release", released)):
            score(out, f"{name} -> {on}", asked, net.predict(tested[~enrolled]))
    print(seed, out, flush=True)
    return {key: value[0] for key, value in out.items()}


def run(seeds=SEEDS):
    """Run the study; its page is written anew after each seed."""
    page, done, tables = None, [], {}
    for seed in seeds:
        for name, rows in one_seed(seed).items():
            tables.setdefault(name, []).extend(rows)
        tables.setdefault("standard", []).append(standard_diagnosis(seed))
        tables.setdefault("against", []).append(against_membership(seed))
        done.append(seed)
        page = _write(done, tables)
    return page


def _write(seeds, tables):
    captions = {
        "attacks": "MIT-BIH: worst of the attackers retrained on the release",
        "diagnosis": "MIT-BIH: diagnosis, differences to originals in points",
        "standard": "MIT-BIH, k = 10: diagnosis by the audit's own network (deep_ecg): trained on -> asked about",
        "fine": "MIT-BIH, k = 10, labels N, L, R, S, V and F: bundle-branch block (balanced accuracy of networks "
        "trained on originals) and QRS duration",
        "membership": f"MIT-BIH, fitted on {N_MEMBERS} of the 47: membership (AUROC over people), and people who were "
        "in no group",
        "ecgid": "ECG-ID across dates, k = 10",
        "against": 'MIT-BIH, k = 10, generator="ppca" with 40 components: for who fears membership more; diagnosis in '
        "points of difference to originals",
    }
    text = TEXT.format(seeds=", ".join(map(str, seeds)), max_beats=MAX_BEATS, all=", ".join(ALL))
    pages = [(captions[name], _mean(pd.DataFrame(rows))) for name, rows in tables.items()]
    return write_page("ksame", "k-same against attackers retrained on its release", text, pages, _COMMAND)


_COMMAND = "tox run -e study -- ksame"


def _mean(frame):
    """One row a setting: means over seeds, with the widest interval where there is one."""
    by = next((name for name in ("k", "release") if name in frame), None)
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
    if name in ("k", "release"):
        return values[0]
    if isinstance(values[0], str):
        return ", ".join(sorted(set(values)))
    if name in ("above", "attacks"):
        return int(np.sum(values))
    return f"{np.mean(values):.3f}"
