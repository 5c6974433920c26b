"""The attackers of features on MIT-BIH: first half of each record against the second, a minute between."""

import numpy as np
import pytest
from scipy.stats import binom

from skagile.attackers import FiducialIdentifier, LabelCountingIdentifier, RRIdentifier
from skagile.datasets import load_mitdb_beats
from skagile.metrics import fuse_scores, label_only_floor
from skagile.segmentation import rr_windows

PEOPLE = ["100", "103", "105", "106", "108", "114", "119", "200", "203", "208", "213", "221"]

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def beats(realdata):
    return load_mitdb_beats(
        data_home=realdata,
        records=PEOPLE,
        guard=60.0,
        sampling_rate=180.0,
        classes=("N", "S", "V", "F"),
        r_peaks="detected",
    )


def _fused(attacker, X, subjects):
    people, scores = fuse_scores(attacker.predict_log_proba(X), subjects)
    return np.mean(attacker.classes_[scores.argmax(axis=1)] == people)


def test_fiducial(beats):
    some = np.arange(len(beats.X)) % 12 == 0
    enrol = some & (beats.sessions == 0)
    probe = some & (beats.sessions == 1)
    attacker = FiducialIdentifier(180.0, random_state=0).fit(beats.X[enrol], beats.subjects[enrol])
    assert attacker.score(beats.X[probe], beats.subjects[probe]) > 0.9
    assert _fused(attacker, beats.X[probe], beats.subjects[probe]) == 1.0


def test_label_counting(realdata):
    """All 47: more than by chance, and no less than who is told the diagnoses, whose doubts are not counted."""
    beats = load_mitdb_beats(
        data_home=realdata,
        guard=60.0,
        sampling_rate=180.0,
        classes=("N", "S", "V", "F"),
        r_peaks="detected",
        max_beats=100,
        random_state=0,
    )
    enrol = beats.sessions == 0
    attacker = LabelCountingIdentifier(random_state=0)
    attacker.fit(beats.X[enrol], beats.subjects[enrol], diagnoses=beats.y[enrol])
    known = beats.y[enrol], beats.subjects[enrol], beats.y[~enrol], beats.subjects[~enrol]
    found = _fused(attacker, beats.X[~enrol], beats.subjects[~enrol])
    assert binom.sf(round(47 * found) - 1, 47, 1 / 47) < 1e-4
    assert found >= label_only_floor(*known, fused=True)
    # It reads diagnoses: the classes it names are the cardiologists'.
    read = attacker.diagnoses_[attacker.transform(beats.X[~enrol]).argmax(axis=1)]
    assert np.mean(read == beats.y[~enrol]) > 0.85


def test_rr(beats):
    part = np.char.add(np.char.add(beats.subjects, "|"), beats.sessions.astype(str))
    windows = rr_windows(beats.times, part, n_intervals=30)
    subjects, session = np.array([name.split("|") for name in windows.records]).T
    enrol = session == "0"
    attacker = RRIdentifier(random_state=0).fit(windows.X[enrol], subjects[enrol])
    assert attacker.score(windows.X[~enrol], subjects[~enrol]) > 0.5
    assert _fused(attacker, windows.X[~enrol], subjects[~enrol]) > 0.7
