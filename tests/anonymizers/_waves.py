"""Made-up beats whose diagnosis, sex and person each show in waves of their own."""

import numpy as np


def z_scored(X):
    return (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)


def make_people(n_subjects=8, n_beats=40, n_samples=64, seed=0):
    """Beats, diagnoses, subjects and sexes; two halves of a person's beats are alike.

    The diagnosis is the T wave's sign, the sex the width of QRS, and the person the places and sizes of all waves.
    """
    rng = np.random.default_rng(seed)
    own = rng.uniform(-1, 1, size=(n_subjects, 6))
    subjects = np.repeat(np.arange(n_subjects), n_beats)
    y = np.tile(np.arange(n_beats) % 2, n_subjects)
    sex = subjects % 2
    time, o = np.arange(n_samples)[None], own[subjects][:, :, None]
    beats = 0.25 * (1 + 0.5 * o[:, 0]) * np.exp(-0.5 * ((time - 12 - 2.5 * o[:, 1]) / 2.5) ** 2)
    beats = beats + np.exp(-0.5 * ((time - 25) / (1.5 + 0.1 * o[:, 2] + 0.8 * sex[:, None])) ** 2)
    size = 0.4 * (1 + 0.4 * o[:, 3]) * np.where(y == 1, -1.0, 1.0)[:, None]
    beats = beats + size * np.exp(-0.5 * ((time - 48 - 2.5 * o[:, 4]) / (4 + o[:, 5])) ** 2)
    return beats + rng.normal(scale=0.02, size=beats.shape), y, subjects, np.where(sex == 1, "F", "M")
