"""DeepECGIdentifier: it learns, repeats itself, and its scores are cosines."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from skagile.attackers import DeepECGIdentifier

QUICK = {"channels": (8, 16), "embedding_size": 16, "batch_size": 32, "random_state": 0, "device": "cpu"}


def _separable(n_rows, seed, n_subjects=6, n_samples=40):
    """A sine of each subject's own frequency and phase, in noise."""
    rng = np.random.default_rng(seed)
    subject = np.arange(n_rows) % n_subjects
    time = np.arange(n_samples) / n_samples
    X = np.sin(2 * np.pi * (1 + subject[:, None] // 2) * time + (subject[:, None] % 2) * 1.6)
    return (X + 0.3 * rng.standard_normal(X.shape)).astype(np.float32), subject


@pytest.fixture(scope="module")
def fitted():
    return DeepECGIdentifier(max_epochs=10, **QUICK).fit(*_separable(150, 0))


def test_learns_separable_subjects(fitted):
    assert fitted.score(*_separable(200, 1)) > 0.9


def test_equal_seed_equal_net_whatever_the_global_seed():
    X, subjects = _separable(60, 0)
    torch_state = torch.get_rng_state()
    probabilities = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        np.random.seed(global_seed)  # noqa: NPY002  (the point is that it plays no part)
        state = torch.get_rng_state()
        attacker = DeepECGIdentifier(max_epochs=2, **QUICK).fit(X, subjects)
        probabilities.append(attacker.predict_proba(X))
        assert torch.equal(torch.get_rng_state(), state)
    torch.set_rng_state(torch_state)
    np.testing.assert_array_equal(*probabilities)
    other = DeepECGIdentifier(max_epochs=2, **QUICK | {"random_state": 1}).fit(X, subjects).predict_proba(X)
    assert np.abs(other - probabilities[0]).max() > 1e-3


def test_embeddings_have_unit_length(fitted):
    X, _ = _separable(50, 2)
    embedding = fitted.transform(X)
    assert embedding.shape == (50, 16)
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, rtol=1e-5)


def test_probabilities_are_scaled_cosines(fitted):
    X, _ = _separable(50, 2)
    weight = fitted.net_.module_.weight.detach().numpy().astype(np.float64)
    cosine = fitted.transform(X) @ (weight / np.linalg.norm(weight, axis=1, keepdims=True)).T
    np.testing.assert_allclose(fitted.predict_log_proba(X), log_softmax(16 * cosine, axis=1), atol=1e-4)


def test_cosine_verifies_strangers(fitted):
    """Templates of subjects it never saw: two beats of one are closer than beats of two."""
    time = np.arange(40) / 40
    rng = np.random.default_rng(0)
    a, b = (
        (wave + 0.3 * rng.standard_normal((30, 40))).astype(np.float32)
        for wave in (np.sign(np.sin(4 * np.pi * time)), np.abs(time - 0.5) * 5)
    )
    a, b = fitted.transform(a), fitted.transform(b)
    assert np.median(a @ a.T) > np.median(a @ b.T) + 0.2


def test_parameters_reach_the_net():
    attacker = DeepECGIdentifier(max_epochs=1, margin=0.4, scale=9.0, shift=2, **QUICK).fit(*_separable(40, 0))
    assert (attacker.net_.criterion_.margin, attacker.net_.criterion_.scale) == (0.4, 9.0)
    assert attacker.net_.module_.encoder.layers[0].out_channels == 8
    assert attacker.net_.iterator_train__collate_fn.shift == 2


def test_margin_pulls_templates_together():
    X, subjects = _separable(150, 0)
    spread = []
    for margin in (0.0, 0.6):
        attacker = DeepECGIdentifier(max_epochs=10, margin=margin, **QUICK).fit(X, subjects)
        similarity = (embedding := attacker.transform(X)) @ embedding.T
        same = subjects[:, None] == subjects
        spread.append(similarity[same].mean() - similarity[~same].mean())
    assert spread[1] > spread[0]


@pytest.mark.parametrize("batch_size", [2, 7, 64, 512])
def test_batch_size_does_not_change_the_answer(fitted, batch_size):
    X, _ = _separable(70, 3)
    expected = fitted.predict_log_proba(X), fitted.transform(X)
    try:
        fitted.set_params(batch_size=batch_size)
        got = fitted.predict_log_proba(X), fitted.transform(X)
    finally:
        fitted.set_params(batch_size=QUICK["batch_size"])
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n_samples", [2, 3, 252])
def test_any_length(n_samples):
    X = np.random.default_rng(0).standard_normal((20, n_samples))
    attacker = DeepECGIdentifier(max_epochs=1, **QUICK).fit(X, np.arange(20) % 2)
    assert attacker.predict_proba(X).shape == (20, 2)


@pytest.mark.parametrize("n_rows", [2, 3, 33, 65])
def test_short_last_batch(n_rows):
    """A last batch of one beat could not be normalised."""
    attacker = DeepECGIdentifier(max_epochs=1, **QUICK).fit(*_separable(n_rows, 0))
    assert np.isfinite(attacker.predict_log_proba(_separable(3, 1)[0])).all()


def test_channels_may_be_a_list():
    X, subjects = _separable(30, 0)
    one, two = (
        DeepECGIdentifier(max_epochs=1, **QUICK | {"channels": channels}).fit(X, subjects).predict_proba(X)
        for channels in ((4, 4), [4, 4])
    )
    np.testing.assert_array_equal(one, two)
