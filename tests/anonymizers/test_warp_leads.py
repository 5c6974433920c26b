"""Several leads of a beat are bent by one flow, and scaled by one gain."""

import numpy as np
import pytest
import torch
from torch import nn

from skagile import WarpAnonymizer
from skagile.anonymizers._warp._field import warp
from skagile.leads import derive_leads, lead_residual

QUICK = {"max_epochs": 2, "random_state": 0, "device": "cpu", "batch_size": 32}
OFFSETS = np.array([0.3, -1.0, 2.0])


@pytest.fixture(scope="module")
def records(beat_maker):
    """One beat a record, of three leads of other sizes and offsets; some are missing."""
    leads = [beat_maker(people=lead, seed=lead) for lead in range(3)]
    X = np.stack([lead.X for lead in leads], axis=1)[:, None].astype(np.float64)
    X = X * np.array([1.0, 3.0, 0.2])[:, None] + OFFSETS[:, None]
    X[4, 0, 1] = X[7, 0, 2] = X[8, 0, :2] = np.nan
    return X, leads[0].y, leads[0].subjects


def _fit(records, **params):
    X, y, subjects = records
    return WarpAnonymizer(**{**QUICK, **params}).fit(X, y, subjects=subjects)


@pytest.fixture(scope="module")
def fitted(records):
    return _fit(records)


def test_leads_are_what_numpy_interpolates_along_one_flow():
    rng = np.random.default_rng(0)
    beats, flow, gain = rng.normal(size=(4, 3, 50)), rng.uniform(-9, 9, (4, 1, 50)), rng.uniform(-0.5, 0.5, (4, 1, 50))
    got = warp(*(torch.from_numpy(part) for part in (beats, flow, gain))).numpy()
    for row, lead in np.ndindex(4, 3):
        moved = np.interp(np.arange(50) - flow[row, 0], np.arange(50), beats[row, lead])
        centre = beats[row, lead].mean()
        np.testing.assert_allclose(got[row, lead], centre + (1 + gain[row, 0]) * (moved - centre), atol=1e-12)


def test_one_flow_and_one_gain(records, fitted):
    """Leads that are one waveform at several sizes stay that."""
    old = fitted.get_params()
    one = records[0][:4, :, :1] - OFFSETS[0]
    X = one * np.array([1.0, -0.4, 3.0])[:, None]
    released = fitted.set_params(level="own").transform(X)
    fitted.set_params(**old)
    assert np.abs(released - X).max() > 0.05
    for lead, size in enumerate([1.0, -0.4, 3.0]):
        np.testing.assert_allclose(released[:, :, lead], size * released[:, :, 0], atol=1e-9)


def test_laws_of_leads_hold_without_names(beat_maker):
    """What is linear in the leads stays: nobody need tell which leads they are."""
    names = ["I", "II", "III", "aVR", "aVL", "aVF"]
    made = [beat_maker(people=lead, seed=lead) for lead in range(2)]
    X = np.zeros((90, 1, 6, 48))
    X[:, 0, 0], X[:, 0, 1] = made[0].X, made[1].X
    X = derive_leads(X, names)
    released = _fit((X, made[0].y, made[0].subjects), level="own", max_epochs=1).transform(X)
    assert np.abs(released - X).max() > 0.05
    assert lead_residual(released, names).max < 1e-9


def test_common_level_is_of_each_lead_and_of_all_together(records):
    X = records[0].copy()
    X[: len(X) * 2 // 3, 0, 1] = np.nan  # the largest; most beats lack it
    fitted = _fit((X, *records[1:]), max_epochs=1)
    there = ~np.isnan(X[:, 0, :, 0])
    n_there = there.sum(axis=1)
    size = np.sqrt(np.nansum(X[:, 0].var(axis=2), axis=1) / n_there)
    expected = [*np.nanmedian(X[:, 0].mean(axis=2), axis=0), np.median(size)]
    np.testing.assert_allclose(fitted.level_, expected)
    released = fitted.transform(X)
    np.testing.assert_array_equal(np.isnan(released), np.isnan(X))
    means = np.broadcast_to(expected[:3], there.shape)[there]
    np.testing.assert_allclose(released[:, 0].mean(axis=2)[there], means, atol=1e-9)
    np.testing.assert_allclose(np.nansum(released[:, 0].var(axis=2), axis=1) / n_there, expected[3] ** 2)


def test_leads_are_channels(fitted):
    firsts = [
        next(layer for layer in net.modules() if isinstance(layer, nn.Conv1d))
        for net in (fitted.net_.module_, *(net.module_ for net in fitted.clinical_nets_), fitted.net_.adversary_[0])
    ]
    assert [first.in_channels for first in firsts] == [3 + 2, 3, 3, 3]  # two channels of noise
