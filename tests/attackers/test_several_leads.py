"""Leads of a beat in the attackers that train networks, and in the denoiser."""

import numpy as np
import pytest
import torch

from skagile.attackers import BeatDenoiser, DeepECGIdentifier, TransECGIdentifier
from skagile.attackers._deep import ShiftBatch
from skagile.attackers._denoiser import MaskBatch
from skagile.attackers._transecg import WAVES, _wave_masks
from skagile.segmentation import band_pass, measure_beats

RATE, WINDOW = 250.0, (0.3, 0.5)
QUICK = {"max_epochs": 2, "random_state": 0, "device": "cpu"}
WAVE_SHAPES = [(-0.16, 0.12, 0.02), (-0.03, -0.1, 0.01), (0.0, 1.1, 0.012), (0.03, -0.2, 0.012), (0.28, 0.3, 0.04)]
LEADS = np.array([[1, 1, 1, 1, 1], [0.5, 2, 0.8, 0.5, 1.5], [1, -1, 1.4, 2, 0.7]])


def _records(n_rows=12, seed=0):
    """Records of two beats of three leads, five waves of other heights in each, and whose they are."""
    rng = np.random.default_rng(seed)
    time = np.arange(-75, 125) / RATE
    X = np.zeros((n_rows, 2, 3, 200))
    for wave, (at, height, width) in enumerate(WAVE_SHAPES):
        moved = at + 0.01 * (np.arange(n_rows) % 4 - 1.5)[:, None, None, None] * (wave == 4)
        X += height * LEADS[:, wave][:, None] * np.exp(-0.5 * ((time - moved) / width) ** 2)
    return X + 0.005 * rng.standard_normal(X.shape), np.arange(n_rows) % 4


def test_all_leads_of_a_beat_are_shifted_alike():
    torch.manual_seed(0)
    X = torch.arange(50.0).repeat(400, 3, 1) + 1000 * torch.arange(3.0)[:, None]
    shifted, y = ShiftBatch(4)((X, torch.arange(400)))
    moved = shifted - X
    assert torch.equal(moved[:, 0], moved[:, 1])
    assert torch.equal(moved[:, 0], moved[:, 2])
    assert {int(offset) for offset in moved[:, 0, 25]} == set(range(-4, 5))
    assert torch.equal(y, torch.arange(400))


def test_the_same_samples_are_hidden_in_all_leads():
    torch.manual_seed(0)
    X = torch.arange(100.0).repeat(40, 3, 1) + 1000 * torch.arange(3.0)[:, None]
    masked, target = MaskBatch(0.3, run=5, reach=6)((X, X))
    hidden = ~torch.isnan(target)
    assert hidden.any()
    assert torch.equal(hidden[:, :1].expand_as(hidden), hidden)
    assert torch.equal(masked[~hidden], X[~hidden])
    assert torch.equal(target[hidden], X[hidden])
    assert 0 < (masked - X).abs().max() <= 6  # stand-ins are of the lead itself


def test_each_lead_is_filtered_by_itself():
    X, _ = _records()
    X[3, 1, 2] = np.nan
    got = BeatDenoiser(sampling_rate=RATE).fit_transform(X)
    for lead in range(3):
        expected = band_pass(np.nan_to_num(X[:, :, lead]), (0.5, 40.0), RATE, pad=199)
        kept = ~np.isnan(X[:, :, lead])
        np.testing.assert_allclose(got[:, :, lead][kept], expected[kept], rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(X))


def test_pairs_of_several_leads_teach_the_denoiser():
    clean, _ = _records(60)
    rng = np.random.default_rng(1)
    noisy = clean + 0.2 * rng.standard_normal(clean.shape)
    noisy[5, 0, 1] = noisy[7, 1] = np.nan
    denoiser = BeatDenoiser("learned", **{**QUICK, "max_epochs": 15}, channels=12, n_blocks=2, batch_size=32)
    got = denoiser.fit(noisy, clean=clean).transform(noisy)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(noisy))
    error = [float(np.nanstd(values - clean)) for values in (got, noisy)]
    assert error[0] < 0.5 * error[1]
    assert denoiser.net_.module_.first.in_channels == denoiser.net_.module_.last.out_channels == 3


def test_pairs_that_lack_another_lead_are_refused():
    clean, _ = _records()
    with_gap = clean.copy()
    with_gap[2, 1, 0] = np.nan
    for method in ("low_rank", "learned"):
        denoiser = BeatDenoiser(method, **QUICK)
        denoiser.fit(with_gap, clean=clean)
        denoiser.fit(with_gap, clean=with_gap)
        with pytest.raises(ValueError, match=r"clean has NaN in 1 beat\(s\) that X has.*that lead of them"):
            denoiser.fit(clean, clean=with_gap)
        with pytest.raises(ValueError, match=r"clean has shape \(12, 2, 2, 200\)"):
            denoiser.fit(clean, clean=clean[:, :, :2])


def test_relative_sizes_of_leads_are_seen():
    """Two people who differ in nothing but how large one lead is against the others."""
    rng = np.random.default_rng(0)
    X, _ = _records(80)
    X = X[np.zeros(80, dtype=int)] + 0.02 * rng.standard_normal(X.shape)
    who = np.arange(80) % 2
    X[:, :, 1] *= np.where(who, 1.6, 0.6)[:, None, None]
    X *= rng.uniform(0.5, 2, (80, 2, 1, 1))  # an amplifier's gain is nobody's
    attacker = DeepECGIdentifier(channels=(8, 16), embedding_size=16, **{**QUICK, "max_epochs": 12}, batch_size=16)
    together = attacker.fit(X[:60], who[:60]).score(X[60:], who[60:])
    alone = attacker.fit(X[:60, :, 1:2], who[:60]).score(X[60:, :, 1:2], who[60:])
    assert together > 0.95
    assert alone < 0.8


@pytest.fixture(scope="module")
def transecg():
    X, subjects = _records()
    return TransECGIdentifier(d_model=16, n_heads=2, n_layers=1, **QUICK).fit(X, subjects)


def test_attention_is_along_time_over_all_leads(transecg):
    X, _ = _records()
    X[4] = X[6, 1] = np.nan
    got = transecg.attention(X)
    assert got.shape == (12, 200)
    assert np.isnan(got[4]).all()
    np.testing.assert_allclose(np.delete(got, 4, axis=0).sum(axis=1), 1, rtol=1e-4)


def test_waves_are_where_most_leads_show_them(transecg, monkeypatch):
    X, _ = _records()
    beats = X.reshape(24, 3, 200)
    marks = measure_beats(beats, RATE, window=WINDOW)  # a lead is a beat to it, here
    ms = (np.arange(200) - 75) * 1000 / RATE
    qrs = _wave_masks(beats, RATE, WINDOW)[1]
    for row in range(24):
        onset, offset = (np.nanmedian(marks[name][row]) for name in ("qrs_onset", "qrs_offset"))
        assert (ms[qrs[row]][0], ms[qrs[row]][-1]) == (onset, offset)
    # A lead that is missing has no say, and even attention is as dense everywhere.
    X[:, :, 2] = np.where(np.arange(12)[:, None, None] % 2, np.nan, X[:, :, 2])
    monkeypatch.setattr(transecg, "_attend", lambda beats: np.full((len(beats.values), 200), 1 / 200))
    shares = transecg.wave_attention(X, RATE, window=WINDOW)
    leads = X.reshape(24, 3, 200)
    for name, inside in zip(WAVES, _wave_masks(leads, RATE, WINDOW), strict=True):
        assert shares.n_beats[name] == inside.any(axis=1).sum() >= 20
        assert shares.share[name] == pytest.approx(inside[inside.any(axis=1)].mean())
