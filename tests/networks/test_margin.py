"""Angular-margin head and loss, against the formula in float64 numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from torch.nn import functional as F

from skagile.networks import AngularMarginHead, AngularMarginLoss, CNNEncoder, LinearEncoder


def _reference(cosines, target, margin, scale):
    """ArcFace in float64: margin on the true class's angle, straight on beyond pi."""
    logits = scale * np.asarray(cosines, dtype=np.float64)
    rows = np.arange(len(target))
    angle = np.arccos(np.asarray(cosines, dtype=np.float64)[rows, target]) + margin
    logits[rows, target] = scale * np.where(angle <= np.pi, np.cos(angle), -1 - (angle - np.pi))
    return np.mean(logsumexp(logits, axis=1) - logits[rows, target])


@settings(max_examples=50, deadline=None)
@given(
    margin=st.floats(0, 1.5),
    scale=st.floats(0.5, 64),
    seed=st.integers(0, 2**31 - 1),
    n_rows=st.integers(1, 8),
    n_classes=st.integers(2, 9),
)
def test_loss_is_the_formula(margin, scale, seed, n_rows, n_classes):
    rng = np.random.default_rng(seed)
    cosines, target = rng.uniform(-0.999, 0.999, (n_rows, n_classes)), rng.integers(n_classes, size=n_rows)
    loss = AngularMarginLoss(margin=margin, scale=scale)(torch.from_numpy(cosines), torch.from_numpy(target))
    np.testing.assert_allclose(loss.item(), _reference(cosines, target, margin, scale), rtol=1e-9, atol=1e-12)


def test_no_margin_is_cross_entropy():
    rng = np.random.default_rng(0)
    cosines, target = torch.from_numpy(rng.uniform(-0.9, 0.9, (20, 5))), torch.from_numpy(rng.integers(5, size=20))
    torch.testing.assert_close(
        AngularMarginLoss(margin=0.0, scale=7.0)(cosines, target), F.cross_entropy(7.0 * cosines, target)
    )


def test_loss_falls_with_the_true_cosine_even_past_pi():
    """cos(angle + margin) alone would turn around where the angle passes pi and reward the wrong direction."""
    margin = 0.8
    angle = np.linspace(0.01, np.pi - 0.01, 200)
    assert (angle + margin > np.pi).sum() > 10
    loss = AngularMarginLoss(margin=margin, scale=16.0)
    losses = [loss(torch.tensor([[0.0, np.cos(a), 0.0]]), torch.tensor([1])).item() for a in angle]
    rises = np.diff(losses)
    assert (rises > 0).all()
    assert rises.max() < 1.01 * 16 * (angle[1] - angle[0])  # no jump either: the slope is at most the scale's


@pytest.mark.parametrize("value", [-1.0, 1.0])
def test_gradient_is_finite_at_the_ends(value):
    cosines = torch.tensor([[value, 0.3]], requires_grad=True)
    AngularMarginLoss(margin=0.3)(cosines, torch.tensor([0])).backward()
    assert torch.isfinite(cosines.grad).all()
    assert cosines.grad[0, 1] > 0


def test_head_gives_cosines_of_unit_embeddings():
    torch.manual_seed(0)
    head = AngularMarginHead(LinearEncoder(n_samples=12, embedding_size=5), 4).eval()
    x = torch.randn(6, 1, 12)
    embedding = head.embed(x).detach().numpy()
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, rtol=1e-5)
    weight = head.weight.detach().numpy()
    expected = embedding @ (weight / np.linalg.norm(weight, axis=1, keepdims=True)).T
    np.testing.assert_allclose(head(x).detach().numpy(), expected, rtol=1e-4, atol=1e-6)


def test_head_does_not_see_the_gain_of_its_weights():
    torch.manual_seed(0)
    head = AngularMarginHead(CNNEncoder(embedding_size=8), 3).eval()
    x = torch.randn(2, 1, 30)
    before = head(x)
    with torch.no_grad():
        head.weight *= 5
    torch.testing.assert_close(head(x), before)
