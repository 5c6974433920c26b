"""Small made-up beats and one fitted anonymizer, shared by the tests that only read them."""

import copy

import numpy as np
import pytest
from sklearn.utils import Bunch

from skagile import AgileAnonymizer

N_SAMPLES = 48
QUICK = {
    "epsilon": 0.6,
    "lambda_": 1.0,
    "diversity": 0.0,
    "max_epochs": 3,
    "n_steps": 4,
    "batch_size": 32,
    "random_state": 0,
    "device": "cpu",
}


def _wave(time, place, width, height):
    return height[:, None] * np.exp(-0.5 * ((time - place[:, None]) / width[:, None]) ** 2)


def make_beats(n_subjects=5, n_rows=90, *, n_samples=N_SAMPLES, noise=0.02, people=0, seed=0):
    """P, R and T waves with each subject's own places, widths and heights; "V" beats are wide, T against them.

    ``people`` draws the subjects, ``seed`` their beats.
    """
    rng = np.random.default_rng(people)
    place = np.array([0.15, 0.38, 0.72]) + 0.03 * rng.standard_normal((n_subjects, 3))
    width = np.array([0.05, 0.025, 0.09]) * np.exp(0.2 * rng.standard_normal((n_subjects, 3)))
    height = np.array([0.15, 1.1, 0.35]) * np.exp(0.3 * rng.standard_normal((n_subjects, 3)))
    rng = np.random.default_rng([people, seed])
    subject = np.arange(n_rows) % n_subjects
    wide = rng.random(n_rows) < 0.4
    p, r, t = (
        (place[subject, i], width[subject, i], height[subject, i] * (1 + 0.05 * rng.standard_normal(n_rows)))
        for i in range(3)
    )
    time = np.arange(n_samples) / n_samples
    X = (
        _wave(time, p[0], p[1], np.where(wide, 0, p[2]))
        + _wave(time, r[0], np.where(wide, 3, 1) * r[1], r[2])
        + _wave(time, t[0], t[1], np.where(wide, -1, 1) * t[2])
        + noise * rng.standard_normal((n_rows, n_samples))
    )
    return Bunch(
        X=X.astype(np.float32),
        y=np.where(wide, "V", "N"),
        subjects=np.array([f"person-{s}" for s in subject]),
    )


@pytest.fixture(scope="session")
def beats():
    return make_beats()


@pytest.fixture(scope="session")
def fitted(beats):
    """An AgileAnonymizer with a surrogate of every kind. Do not change it: copy it with `varied`."""
    return AgileAnonymizer(n_surrogates=6, **QUICK).fit(beats.X, beats.y, subjects=beats.subjects)


@pytest.fixture(scope="session")
def released(fitted, beats):
    return fitted.transform(beats.X)


@pytest.fixture
def varied(fitted):
    """Return a function that gives the fitted anonymizer with other parameters of ``transform``."""
    return lambda **params: copy.copy(fitted).set_params(**params)


@pytest.fixture
def quick():
    """Return a function that makes a small unfitted anonymizer."""
    return lambda **params: AgileAnonymizer(**{"n_surrogates": 2, **QUICK, **params})


@pytest.fixture(scope="session")
def beat_maker():
    return make_beats
