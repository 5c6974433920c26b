"""What R-R intervals of a k-same release give away, kept and drawn anew from the group."""

from functools import partial

import numpy as np
import pandas as pd

from skagile import KSameAnonymizer
from skagile.attackers import RRIdentifier
from skagile.datasets import load_mitdb_beats
from skagile.metrics import fuse_scores, label_only_floor
from skagile.segmentation import rr_windows
from study._table import write_page
from study.table1 import cell

SEEDS = range(3)
EARLY = 0.85  # of the local median
FEWEST = 10  # beats of a person
WIDTH = 16  # intervals about each
TEXT = """
MIT-BIH, {n_people} persons, {n_beats} beats, found by the detector. The attacker is retrained on the release: they
learn windows of 30 R-R intervals from the first half of each recording and is tested on those of the second, a minute
between; fused, about all windows of a person at once. ``KSameAnonymizer(rhythm="keep")`` releases times as they are,
``rhythm="resample"`` with intervals of the group, ``resample, X`` with such as fit the diagnoses of beats (beats given
as `X`), and ``resample, X, drawn`` with such as fit diagnoses drawn from the group's mix (``class_mix="resample"``).
The floor is what the best attacker gets who is told the group of each window; the floor of keys, who is told the
diagnoses of all beats of a person, too (``expected_leakage_["fused"]``): with `X` alone times may tell that, as beats
do. Shares over {n_seeds} seeds; 95 % intervals over persons in brackets.

Beside them, one who counts: they name the member of the group whose number of beats in the first half is nearest to
that in the second. If resampled recordings are left as long as they get, the number stays, and is a heart rate to
whoever knows how long the original was. Cut to 5 minutes each, the number is the group's, too. Its floor is that of
fused.

What `X` is for is in the second table: R-R intervals before and behind beats of a diagnosis, divided by the median of
the {width} intervals about each; medians of each person who has at least {n_fewest} such beats, and over them the
median, of the first seed. Early is a beat with less than {early} before it: the mean of the persons' shares.
"""


def run():
    """Run the study and write its page."""
    beats = load_mitdb_beats(guard=60.0, sampling_rate=50.0, r_peaks="detected")
    # Records 201 and 202 are one person's.
    recording = 2 * beats.records + beats.sessions
    rows, ratios = [], [_ratios_of(beats, recording, beats.times, {"k": "", "rhythm": "original"})]
    for k in (5, 10, 20):
        results = {}
        for seed in SEEDS:
            of_seed, floors = _release(beats, recording, k, seed)
            for rhythm, times in of_seed.items():
                answers = _attack(beats, recording, times, floors["group"], seed)
                answers["floor of keys"] = floors[rhythm]
                results.setdefault(rhythm, []).append(answers)
                if seed == SEEDS[0] and rhythm in ("resample", "resample, X"):
                    ratios.append(_ratios_of(beats, recording, times, {"k": k, "rhythm": rhythm}))
        rows += [_row(k, rhythm, of_seeds) for rhythm, of_seeds in results.items()]
        print(rows[-len(results) :], ratios[-2:], flush=True)
    text = TEXT.format(
        n_people=len(np.unique(beats.subjects)),
        n_beats=len(beats.X),
        n_seeds=len(SEEDS),
        width=WIDTH,
        n_fewest=FEWEST,
        early=EARLY,
    )
    tables = [
        ("Rank-1 of who knows the rhythm of a release", pd.DataFrame(rows)),
        ("Rhythm about beats of a diagnosis", pd.concat(ratios)),
    ]
    return write_page("ksame_rhythm", "k-same: the rhythm", text, tables, "tox run -e study -- ksame_rhythm")


def _release(beats, recording, k, seed):
    """Times of each way to release them, and what their keys give away of a person; with the group of each beat."""
    # Beats are of no interest here: one epoch does for the nets, and groups do not depend on them.
    make = partial(
        KSameAnonymizer,
        k=k,
        grouping="class_mix",
        rhythm="resample",
        max_draws=1,
        max_epochs=1,
        random_state=seed,
    )
    ksame = make().fit(beats.X, beats.y, subjects=beats.subjects, times=beats.times, records=recording)
    of_beats = {"subjects": beats.subjects, "records": recording}
    fused = ksame.expected_leakage_["fused"]
    times = {
        "keep": beats.times,
        "resample": ksame.resample_times(beats.times, **of_beats),
        "resample, X": ksame.resample_times(beats.times, **of_beats, X=beats.X),
    }
    # Records of beats, one a recording.
    first, row = np.unique(recording, return_index=True, return_inverse=True)[1:]
    column = np.arange(len(row)) - first[row]
    shape = len(first), column.max() + 1
    X, at = np.full((*shape, beats.X.shape[1]), np.nan, dtype=beats.X.dtype), np.full(shape, np.nan)
    y = np.full(shape, beats.y[0])
    X[row, column], at[row, column], y[row, column] = beats.X, beats.times, beats.y
    drawn = make(class_mix="resample").fit(X, y, subjects=beats.subjects[first], times=at)
    times["resample, X, drawn"] = drawn.resample_times(at, subjects=beats.subjects[first], X=X)[row, column]
    floors = dict.fromkeys(times, fused) | {"resample, X, drawn": drawn.expected_leakage_["fused"]}
    return times, floors | {"group": ksame.groups_[np.searchsorted(ksame.subjects_, beats.subjects)]}


def _ratios_of(beats, recording, times, named):
    """Table of the intervals about beats of each diagnosis, as shares of their local median."""
    lengths = pd.Series(times).groupby(recording).diff()
    local = lengths.groupby(recording).transform(lambda x: x.rolling(WIDTH, center=True, min_periods=2).median())
    table = pd.DataFrame({"diagnosis": beats.y, "person": beats.subjects, "before": lengths / local})
    table["behind"] = table["before"].groupby(recording).shift(-1)
    table["early"] = (table["before"] < EARLY).astype(float)
    by = table.groupby(["diagnosis", "person"])
    each = by.agg({"before": "median", "behind": "median", "early": "mean"})[by.size() >= FEWEST]
    by = each.groupby("diagnosis")
    out = by.agg({"before": "median", "behind": "median", "early": "mean"}).map("{:.2f}".format)
    out.insert(0, "persons", by.size())
    out = out.reset_index()
    for place, (name, value) in enumerate(named.items()):
        out.insert(place, name, value)
    return out


def _attack(beats, recording, times, group, seed):
    """Correct answers by window and by person of each attack, and floors."""
    windows = rr_windows(times, recording)
    _, first = np.unique(recording, return_index=True)
    at = first[np.searchsorted(recording[first], windows.records)]
    subjects, enrol = beats.subjects[at], beats.sessions[at] == 0
    asked, out = subjects[~enrol], {}
    for kind in ("forest", "lda"):
        attacker = RRIdentifier(classifier=kind, random_state=seed).fit(windows.X[enrol], subjects[enrol])
        people, fused = fuse_scores(attacker.predict_log_proba(windows.X[~enrol]), asked)
        out[f"{kind}, windows"] = attacker.predict(windows.X[~enrol]) == asked, asked
        out[f"{kind}, fused"] = attacker.classes_[fused.argmax(axis=1)] == people, people
    for name, fused in (("floor of windows", False), ("floor of fused", True)):
        out[name] = label_only_floor(group[at[enrol]], subjects[enrol], group[at[~enrol]], asked, fused=fused)
    since = times - times[first][np.searchsorted(recording[first], recording)]
    # One recording of each person and half: how many there are is no matter of rhythm.
    _, one = np.unique(np.char.add(beats.subjects, beats.sessions.astype(str)), return_index=True)
    counted = np.isin(recording, recording[one])
    for name, length in (("count", np.inf), ("count, cut", 300.0)):
        out[name] = _count(beats.subjects, beats.sessions, group, counted & (since < length))
    return out


def _count(subjects, session, group, seen):
    """Whether the nearest number of beats within the group is the person's own."""
    people, first, person = np.unique(subjects, return_index=True, return_inverse=True)
    enrolled, probed = (np.bincount(person[seen & (session == half)], minlength=len(people)) for half in (0, 1))
    apart = np.abs(probed[:, None] - enrolled).astype(float)
    apart[group[first][:, None] != group[first]] = np.inf
    return apart.argmin(axis=1) == np.arange(len(people)), people


def _row(k, rhythm, results):
    row = {"k": k, "rhythm": rhythm}
    for name in results[0]:
        answers = [result[name] for result in results]
        is_floor = name.startswith("floor")
        row[name] = (
            f"{np.mean(answers):.3f}" if is_floor else cell(np.mean([x for x, _ in answers], axis=0), answers[0][1])
        )
    return row
