"""Enrolment and probe beats of a small synthetic cohort, shared by the tests that only read them."""

import pytest
from sklearn.utils import Bunch

from skagile.datasets import beats_from_records, make_cohort


@pytest.fixture(scope="session")
def cohort():
    """Eight people, two sessions: ``X``, ``subjects`` to enrol and ``probe``, ``probe_subjects`` of another day."""
    records = make_cohort(8, 2, duration=20.0, sampling_rate=120.0, drift=0.1, random_state=0)
    beats = beats_from_records(records, sessions="date", max_beats=15, random_state=0)
    enrol = beats.sessions == 0
    return Bunch(
        X=beats.X[enrol],
        subjects=beats.subjects[enrol],
        probe=beats.X[~enrol],
        probe_subjects=beats.subjects[~enrol],
    )
