"""Soft nearest neighbour, against distances from scipy and its limit, the 1-NN rule."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from sklearn.neighbors import KNeighborsClassifier

from skagile.networks import SoftNearestNeighbour


def _set_up(n_references=40, n_subjects=5, n_samples=16, n_rows=25, seed=0, spread=1.0):
    rng = np.random.default_rng(seed)
    references = spread * rng.standard_normal((n_references, n_samples))
    subjects = np.r_[np.arange(n_subjects), rng.integers(n_subjects, size=n_references - n_subjects)]
    return references, rng.permutation(subjects), spread * rng.standard_normal((n_rows, n_samples))


def _reference(references, subjects, n_subjects, x, temperature):
    logit = -cdist(x, references, "sqeuclidean") / (x.shape[1] * temperature)
    return np.stack([logsumexp(logit[:, subjects == s], axis=1) for s in range(n_subjects)], axis=1)


def _net(references, subjects, n_subjects, dtype=torch.float64, **kwargs):
    return SoftNearestNeighbour(
        torch.from_numpy(references).to(dtype), torch.from_numpy(subjects), n_subjects, **kwargs
    )


@pytest.mark.parametrize("temperature", [0.05, 0.2, 1.0])
def test_logits_are_the_formula(temperature):
    references, subjects, x = _set_up()
    net = _net(references, subjects, 5, temperature=temperature)
    expected = _reference(references, subjects, 5, x, temperature)
    np.testing.assert_allclose(net(torch.from_numpy(x)[:, None]).numpy(), expected, rtol=1e-8, atol=1e-8)


def test_gradient_is_the_formulas():
    """Central differences of the scipy formula; the shift inside must not leave a trace."""
    references, subjects, x = _set_up(n_rows=2)
    tensor = torch.from_numpy(x)[:, None].requires_grad_(True)
    net = _net(references, subjects, 5, temperature=0.3)
    torch.log_softmax(net(tensor), dim=1)[:, 2].sum().backward()

    def loss(values):
        logits = _reference(references, subjects, 5, values, 0.3)
        return (logits[:, 2] - logsumexp(logits, axis=1)).sum()

    numeric = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = 1e-5
        numeric[index] = (loss(x + step) - loss(x - step)) / 2e-5
    np.testing.assert_allclose(tensor.grad[:, 0].numpy(), numeric, rtol=1e-5, atol=1e-7)


def test_float32_is_close_to_float64():
    references, subjects, x = _set_up(n_samples=126)
    x[:10] = references[:10] + 0.1  # near ones, where the difference of squares cancels
    got = _net(references, subjects, 5, torch.float32, temperature=0.5)(torch.from_numpy(x).float()[:, None])
    np.testing.assert_allclose(got.numpy(), _reference(references, subjects, 5, x, 0.5), rtol=1e-3, atol=2e-3)


def test_limit_is_the_nearest_neighbour_rule():
    references, subjects, x = _set_up(n_rows=200)
    net = _net(references, subjects, 5, temperature=1e-4)
    nearest = KNeighborsClassifier(1).fit(references, subjects)
    np.testing.assert_array_equal(net(torch.from_numpy(x)[:, None]).argmax(dim=1).numpy(), nearest.predict(x))


def test_far_beat_has_finite_logits_and_gradients():
    references, subjects, _ = _set_up()
    x = torch.full((1, 1, 16), 1e3, dtype=torch.float32, requires_grad=True)
    logits = _net(references, subjects, 5, torch.float32)(x)
    torch.log_softmax(logits, dim=1)[0, 0].backward()
    assert torch.isfinite(logits).all()
    assert torch.isfinite(x.grad).all()


def test_subject_without_a_beat_comes_last():
    references, subjects, x = _set_up()
    logits = _net(references, subjects, 6, temperature=0.5)(torch.from_numpy(x)[:, None])
    assert (logits[:, 5] < logits[:, :5].min(dim=1).values).all()


def test_order_of_the_references_does_not_matter():
    references, subjects, x = _set_up()
    order = np.random.default_rng(1).permutation(len(references))
    a = _net(references, subjects, 5)(torch.from_numpy(x)[:, None])
    b = _net(references[order], subjects[order], 5)(torch.from_numpy(x)[:, None])
    torch.testing.assert_close(a, b)
