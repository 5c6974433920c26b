"""What R-R intervals of a k-same release give away, kept and drawn anew from the group."""

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
TEXT = """
MIT-BIH, {n_people} persons, {n_beats} beats, found by the detector. The attacker is retrained on the release: they
learn windows of 30 R-R intervals from the first half of each recording and is tested on those of the second, a minute
between; fused, about all windows of a person at once. ``KSameAnonymizer(rhythm="keep")`` releases times as they are,
``rhythm="resample"`` with intervals of the group. The floor is what the best attacker gets who is told the group of
each window. Shares over {n_seeds} seeds; 95 % intervals over persons in brackets.

Beside them, one who counts: they name the member of the group whose number of beats in the first half is nearest to
that in the second. If resampled recordings are left as long as they get, the number stays, and is a heart rate to
whoever knows how long the original was. Cut to 5 minutes each, the number is the group's, too. Its floor is that of
fused.
"""


def run():
    """Run the study and write its page."""
    beats = load_mitdb_beats(guard=60.0, sampling_rate=50.0, r_peaks="detected")
    # Records 201 and 202 are one person's.
    recording = 2 * beats.records + beats.sessions
    rows = []
    for k in (5, 10, 20):
        results = {"keep": [], "resample": []}
        for seed in SEEDS:
            # Beats are of no interest here: one epoch does for the nets, and groups do not depend on them.
            ksame = KSameAnonymizer(
                k=k, grouping="class_mix", rhythm="resample", max_draws=1, max_epochs=1, random_state=seed
            )
            ksame.fit(beats.X, beats.y, subjects=beats.subjects, times=beats.times, records=recording)
            new = ksame.resample_times(beats.times, subjects=beats.subjects, records=recording)
            group = ksame.groups_[np.searchsorted(ksame.subjects_, beats.subjects)]
            for rhythm, times in (("keep", beats.times), ("resample", new)):
                results[rhythm].append(_attack(beats, recording, times, group, seed))
        rows += [_row(k, rhythm, of_seeds) for rhythm, of_seeds in results.items()]
        print(rows[-2:], flush=True)
    text = TEXT.format(n_people=len(np.unique(beats.subjects)), n_beats=len(beats.X), n_seeds=len(SEEDS))
    tables = [("Rank-1 of who knows the rhythm of a release", pd.DataFrame(rows))]
    return write_page("ksame_rhythm", "k-same: the rhythm", text, tables, "tox run -e study -- ksame_rhythm")


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
