"""WarpAnonymizer: where samples come from, how far they move, who still recognises them, and what it hangs on."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from skagile import WarpAnonymizer
from skagile._training import RowsDataset
from skagile.anonymizers._warp import _net as warp_net
from skagile.anonymizers._warp._field import WarpField, warp
from skagile.anonymizers._warp._net import PairedSampler
from skagile.anonymizers._warp._noise import beat_noise

SMALL = {"max_epochs": 2, "random_state": 0, "device": "cpu"}


def _z(X):
    return (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)


def _cohort(n_subjects=8, n_beats=40, n_samples=64, seed=0):
    """Beats of Gaussian waves: the diagnosis is the T wave's sign, the subject its own times and sizes."""
    rng = np.random.default_rng(seed)
    own = rng.uniform(-1, 1, size=(n_subjects, 6))
    subjects = np.repeat(np.arange(n_subjects), n_beats)
    y = np.tile(np.arange(n_beats) % 2, n_subjects)
    time, o = np.arange(n_samples)[None], own[subjects][:, :, None]
    beats = 0.25 * (1 + 0.5 * o[:, 0]) * np.exp(-0.5 * ((time - 12 - 2.5 * o[:, 1]) / 2.5) ** 2)
    beats = beats + np.exp(-0.5 * ((time - 25) / (1.6 + 0.3 * o[:, 2])) ** 2)
    size = 0.4 * (1 + 0.4 * o[:, 3]) * np.where(y == 1, -1.0, 1.0)[:, None]
    beats = beats + size * np.exp(-0.5 * ((time - 48 - 2.5 * o[:, 4]) / (4 + o[:, 5])) ** 2)
    return beats + rng.normal(scale=0.02, size=beats.shape), y, subjects


def _fitted(**params):
    X, y, subjects = _cohort(4, 10)
    return WarpAnonymizer(**{**SMALL, **params}).fit(X, y, subjects=subjects), X


# --- the warp -------------------------------------------------------------------------------------------------------


def test_samples_are_what_numpy_interpolates():
    rng = np.random.default_rng(0)
    beats, flow, gain = rng.normal(size=(3, 50)), rng.uniform(-9, 9, size=(3, 50)), rng.uniform(-0.5, 0.5, size=(3, 50))
    got = warp(*(torch.from_numpy(part) for part in (beats, flow, gain))).numpy()
    for row in range(3):
        moved = np.interp(np.arange(50) - flow[row], np.arange(50), beats[row])
        expected = beats[row].mean() + (1 + gain[row]) * (moved - beats[row].mean())
        np.testing.assert_allclose(got[row], expected, atol=1e-12)


def test_gradients_are_those_of_finite_differences():
    torch.manual_seed(0)
    # Away from the samples themselves, where a line has its corners.
    flow = torch.rand(2, 9, dtype=torch.float64) * 0.8 + 0.1
    parts = torch.randn(2, 9, dtype=torch.float64), flow, torch.randn(2, 9, dtype=torch.float64)
    assert torch.autograd.gradcheck(warp, [part.requires_grad_() for part in parts])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bounds", [{"mu": 0.0, "gain": 0.0}])
def test_no_flow_and_no_gain_give_the_beats_back(dtype, bounds):
    warper, X = _fitted(level="own", **bounds)
    X = X.astype(dtype)
    released = warper.transform(X)
    assert released.dtype == dtype
    np.testing.assert_allclose(released, X, rtol=0, atol=2 * np.finfo(dtype).eps)


@settings(max_examples=15, deadline=None)
@given(
    mu=st.floats(0, 0.5),
    gain=st.floats(0, 0.9),
    smoothing=st.floats(0, 0.5),
    n_samples=st.integers(2, 60),
    scale=st.floats(0.1, 100),
)
def test_fields_stay_within_their_bounds(mu, gain, smoothing, n_samples, scale):
    field = WarpField(n_samples, mu=mu, gain=gain, smoothing=smoothing, n_noise=1)
    with torch.no_grad():
        # A network that shouts.
        field.unet.last.weight *= scale
        flow, change = field.fields(torch.randn(4, 1, n_samples), torch.randn(4, 1, n_samples))
    assert flow.abs().max() <= mu * n_samples * (1 + 1e-5)
    assert change.abs().max() <= gain * (1 + 1e-5)


def test_bounds_hold_in_the_release():
    # A ramp tells where a sample was taken from, and its distance from the mean how it was scaled.
    warper, X = _fitted(mu=0.1, gain=0.0, level="own")
    ramp = np.arange(64.0) + np.random.default_rng(0).normal(scale=1e-6, size=(5, 64))
    moved = warper.transform(ramp) - ramp
    assert 0 < np.abs(moved).max() <= 6.4 + 1e-4
    warper, X = _fitted(mu=0.0, gain=0.3, level="own")
    centre = X.mean(axis=1, keepdims=True)
    ratio = (warper.transform(X) - centre) / (X - centre)
    assert 0.7 - 1e-6 <= ratio.min() < ratio.max() <= 1.3 + 1e-6


def test_smoothing_is_a_gaussian_low_pass():
    n_samples, sigma = 256, 256 * 0.02
    kernel = WarpField(n_samples, mu=0.1, gain=0.1, smoothing=0.02, n_noise=1).kernel.double().numpy()
    frequency = np.array([2, 8, 16])[:, None] / n_samples
    wave = np.cos(2 * np.pi * frequency * np.arange(n_samples))
    inner = slice(32, -32)
    expected = np.exp(-2 * (np.pi * sigma * frequency) ** 2) * wave
    np.testing.assert_allclose((wave @ kernel)[:, inner], expected[:, inner], atol=1e-5)


def test_released_flow_has_no_energy_where_the_smoothing_passes_none():
    warper, X = _fitted(smoothing=0.08, mu=0.1)
    with torch.no_grad():
        warper.net_.module_.unet.last.weight *= 50
    flow = warper._fields(X)[0].numpy()
    spectrum = np.abs(np.fft.rfft((flow - flow.mean(axis=1, keepdims=True)) * np.hanning(64))) ** 2
    # Five waves a beat pass at exp(-2 (pi 0.08 5)^2) = 4 % of their amplitude, 0.2 % of their energy.
    assert spectrum[:, 8:].sum() < 0.01 * spectrum.sum()


@settings(max_examples=15, deadline=None)
@given(smoothing=st.floats(0.02, 0.3), share=st.floats(0, 1), seed=st.integers(0, 100))
def test_waves_keep_their_order_where_the_flow_is_smooth_enough(smoothing, share, seed):
    torch.manual_seed(seed)
    field = WarpField(100, mu=0.6 * smoothing * share, gain=0.1, smoothing=smoothing, n_noise=1)
    with torch.no_grad():
        field.unet.last.weight *= 100
        flow, _ = field.fields(torch.randn(4, 1, 100), torch.randn(4, 1, 100))
    assert (torch.arange(100) - flow).diff(dim=1).min() > -1e-3


# --- levels ---------------------------------------------------------------------------------------------------------


def test_common_level_takes_every_beats_own_offset_and_size():
    warper, X = _fitted()
    mine = X[:5] * np.array([[0.5], [1], [2], [3], [9]]) + np.arange(5)[:, None]
    released = warper.transform(mine)
    np.testing.assert_allclose(released.mean(axis=1), np.median(X.mean(axis=1)), atol=1e-12)
    np.testing.assert_allclose(released.std(axis=1), np.median(X.std(axis=1)), atol=1e-12)


def test_own_level_follows_the_beat():
    warper, X = _fitted(level="own", noise=False)
    np.testing.assert_allclose(warper.transform(3 * X + 7), 3 * warper.transform(X) + 7, atol=1e-4)


# --- noise ----------------------------------------------------------------------------------------------------------


def test_noise_hangs_on_the_beat_and_the_seed_alone():
    X = np.random.default_rng(0).normal(size=(50, 64)).astype(np.float32)
    noise = beat_noise(X, 1)
    order = np.random.default_rng(1).permutation(50)[:20]
    np.testing.assert_array_equal(beat_noise(X[order].astype(np.float64), 1), noise[order])
    assert np.abs(beat_noise(X, 2) - noise).min(axis=(1, 2)).max() < np.abs(noise).max()
    assert abs(np.corrcoef(beat_noise(X, 2).ravel(), noise.ravel())[0, 1]) < 0.15


def test_noise_is_standard_normal_and_nothing_of_it_survives_a_changed_bit():
    X = np.random.default_rng(0).normal(size=(2000, 30)).astype(np.float32)
    noise = beat_noise(X, 3)
    assert kstest(noise.ravel(), "norm").pvalue > 0.001
    X[:, 17] = np.nextafter(X[:, 17], np.float32(np.inf))
    # The standard error of a correlation of 32,000 pairs is 0.0056.
    assert abs(np.corrcoef(beat_noise(X, 3).ravel(), noise.ravel())[0, 1]) < 0.03


def test_positive_and_negative_zero_are_one_beat():
    X = np.array([[0.0, 1.0, 2.0]])
    np.testing.assert_array_equal(beat_noise(X, 0), beat_noise(np.array([[-0.0, 1.0, 2.0]]), 0))


def test_noise_moves_almost_equal_beats_apart_and_only_noise_does():
    for noise in (True, False):
        warper, X = _fitted(noise=noise, mu=0.1)
        twins = np.stack([X[0], X[0] + 1e-6])
        apart = np.abs(np.diff(warper.transform(twins), axis=0)).max()
        assert (apart > 1e-3) == noise


# --- training -------------------------------------------------------------------------------------------------------


def test_pairs_of_a_subject_stand_together():
    subjects = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 6))
    order = list(PairedSampler(RowsDataset(np.zeros((60, 3)), {"subject": subjects})))
    assert sorted(order) == list(range(60))
    first, second = subjects[order].reshape(-1, 2).T
    assert (first == second).all()
    assert (np.diff(first) != 0).sum() > 15  # in another order than by subject


@pytest.mark.parametrize(("every", "expected"), [(1, 5), (2, 3), (5, 1), (9, 1)])
def test_verifier_starts_again_as_often_as_asked(monkeypatch, every, expected):
    turns, make = [], warp_net.make_verifier
    monkeypatch.setattr(warp_net, "make_verifier", lambda turn, n_leads: turns.append(turn) or make(turn, n_leads))
    warper, _ = _fitted(max_epochs=5, reinitialize_every=every)
    assert turns == list(range(expected))
    taught = warper.net_.adversary_[0]
    assert any(torch.equal(taught.encoder.layers[0].weight, p) for p in warper.net_.adversary_optimizer_.state)


def test_verifier_learns_to_tell_people_apart():
    """Nearest neighbours by its embedding: it names people far better than a new one."""
    X, y, subjects = _cohort(8, 30)
    params = {"max_epochs": 12, "reinitialize_every": 12, "privacy_weight": 1e-9, "mu": 0.0, "gain": 0.0}
    net = WarpAnonymizer(**{**SMALL, **params}).fit(X, y, subjects=subjects).net_
    beats = torch.as_tensor(_z(X), dtype=torch.float32)[:, None]

    def named(verifier):
        with torch.no_grad():
            embedding = torch.nn.functional.normalize(verifier.train().embed(beats))  # both by the batch's statistics
        likeness = (embedding @ embedding.T).fill_diagonal_(-2)
        other_diagnosis = torch.as_tensor(y[:, None] != y)
        nearest = likeness.masked_fill(~other_diagnosis, -2).argmax(dim=1).numpy()
        return np.mean(subjects[nearest] == subjects)

    assert named(net.adversary_[0]) > named(warp_net.make_verifier(0)) + 0.2


def test_retrained_attacker_knows_fewer_persons_and_diagnosis_is_kept():
    X, y, subjects = _cohort()
    half = np.arange(len(X)) % 40 < 20

    def scores(released):
        """Of an attacker trained anew on half of the release, and of a diagnosis trained on half of the originals."""
        retrained = LinearDiscriminantAnalysis().fit(released[half], subjects[half])
        clean = LinearDiscriminantAnalysis().fit(_z(X[half]), y[half])
        return retrained.score(released[~half], subjects[~half]), clean.score(released[~half], y[~half])

    known, kept = {}, {}
    for weight in (0.0, 0.2):
        warper = WarpAnonymizer(mu=0.1, gain=0.4, privacy_weight=weight, max_epochs=8, random_state=0, device="cpu")
        released = warper.fit(X, y, subjects=subjects).transform(X)
        known[weight], kept[weight] = scores(_z(released))
    assert scores(_z(X)) == (1.0, 1.0)
    # Without a price on identity the diagnosis is all that is trained for.
    assert kept[0.0] == 1.0
    assert known[0.2] < 0.6
    assert known[0.2] < known[0.0] - 0.2
    # Chance is 0.5; a price on identity is paid in diagnosis.
    assert kept[0.2] > 0.8


# --- what the answer must not hang on -------------------------------------------------------------------------------


def test_result_does_not_hang_on_batches_order_or_global_seeds():
    warper, X = _fitted()
    whole = warper.transform(X)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    again = clone(_fitted()[0]).fit(X, _cohort(4, 10)[1], subjects=_cohort(4, 10)[2])
    np.testing.assert_array_equal(again.transform(X), whole)
    assert torch.equal(torch.random.get_rng_state(), before)
    np.testing.assert_allclose(warper.transform(X[::-1])[::-1], whole, rtol=0, atol=1e-5)
    np.testing.assert_allclose(warper.transform(X[7:20]), whole[7:20], rtol=0, atol=1e-5)
    for size in (1, 7):
        np.testing.assert_allclose(warper.set_params(transform_batch_size=size).transform(X), whole, rtol=0, atol=1e-5)
    assert np.abs(_fitted(random_state=1)[0].transform(X) - whole).max() > 1e-3


# Prints a digest of a fit and its release; 97 samples: kernels split odd lengths by threads.
_DIGEST = """
import hashlib, sys
import numpy as np, torch
from skagile import WarpAnonymizer
if len(sys.argv) > 1:
    torch.set_num_threads(int(sys.argv[1]))
X = np.random.default_rng(0).normal(size=(60, 97)).cumsum(axis=1)
warp = WarpAnonymizer(max_epochs=1, random_state=0).fit(X, np.arange(60) % 2, subjects=np.arange(60) % 6)
print(hashlib.sha256(warp.transform(X).tobytes()).hexdigest())
"""


def test_result_does_not_hang_on_the_number_of_threads():
    X, y, subjects = _cohort(4, 10)
    X = np.concatenate([X, X[:, :33]], axis=1)
    threads, released = torch.get_num_threads(), []
    try:
        for number in (1, 2, 4, 7):
            torch.set_num_threads(number)
            fitted = WarpAnonymizer(max_epochs=1, random_state=0).fit(X, y, subjects=subjects)
            released.append(fitted.transform(X))
            assert torch.get_num_threads() == number
    finally:
        torch.set_num_threads(threads)
    for other in released[1:]:
        np.testing.assert_array_equal(other, released[0])


def test_processes_with_other_numbers_of_threads_agree():
    """The number is read from the environment, and set before the first beat."""

    def digest(number, *arguments):
        env = {**os.environ, "OMP_NUM_THREADS": number, "OPENBLAS_NUM_THREADS": number}
        command = [sys.executable, "-c", _DIGEST, *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout

    assert digest("1") == digest("2") == digest("1", "7")


def test_no_more_beats_at_once_than_asked(monkeypatch):
    warper, X = _fitted(transform_batch_size=16)
    seen, fields = [], WarpField.fields
    monkeypatch.setattr(WarpField, "fields", lambda self, x, noise: seen.append(len(x)) or fields(self, x, noise))
    warper.transform(X)
    # Rows are padded to a multiple of 32.
    assert seen == [32, 32, 32]


def test_records_are_warped_beat_by_beat_and_gaps_stay():
    warper, X = _fitted()
    records = X[:6].reshape(2, 3, 64).copy()
    records[1, 2] = np.nan
    released = warper.transform(records)
    np.testing.assert_allclose(released[0], warper.transform(X[:3]), rtol=0, atol=1e-5)
    assert np.isnan(released[1, 2]).all()
    assert np.isfinite(released[1, :2]).all()


def test_pickled_warps_alike():
    warper, X = _fitted()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(warper)).transform(X), warper.transform(X))


@pytest.mark.parametrize(
    "wrong", [{"mu": 0.6}, {"gain": 1.0}, {"smoothing": -0.1}, {"level": "mine"}, {"reinitialize_every": 0}]
)
def test_settings_out_of_range_are_named(wrong):
    X, y, subjects = _cohort(4, 4)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        WarpAnonymizer(**wrong).fit(X, y, subjects=subjects)
