"""The divergence of eq. 6, against sums written out, torch's, and closed forms."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logsumexp, softmax
from sklearn.metrics import log_loss

from skagile.metrics import bootstrap_interval, identity_divergence

CLIP = 1e-12


def _pair(n_rows=40, n_subjects=7, scale=2.0, seed=0):
    logits = scale * np.random.default_rng(seed).standard_normal((2, n_rows, n_subjects))
    return softmax(logits, axis=2), logits


def _by_hand(p, q, clip=CLIP):
    """One row after another, in exact sums."""
    rows = []
    for before, after in zip(p, q, strict=True):
        before, after = ([max(float(value), clip) for value in row] for row in (before, after))
        total, other = math.fsum(before), math.fsum(after)
        rows.append(
            math.fsum(a / total * math.log(a / total / (b / other)) for a, b in zip(before, after, strict=True))
        )
    return np.array(rows)


@pytest.mark.parametrize("scale", [0.1, 2.0, 30.0])
@pytest.mark.parametrize("clip", [CLIP, 1e-3])
def test_is_equation_6(scale, clip):
    """At the largest scale most probabilities are below `clip`."""
    (p, q), _ = _pair(scale=scale)
    expected = _by_hand(p, q, clip)
    np.testing.assert_allclose(identity_divergence(p, q, clip=clip, average=False), expected, rtol=1e-10, atol=1e-14)
    assert identity_divergence(p, q, clip=clip) == pytest.approx(expected.mean(), rel=1e-12)
    if scale == 30:
        assert (q < clip).mean() > 0.4


def test_is_torchs_where_nothing_is_clipped():
    (p, q), _ = _pair()
    expected = torch.nn.functional.kl_div(torch.from_numpy(q).log(), torch.from_numpy(p), reduction="batchmean")
    assert identity_divergence(p, q) == pytest.approx(expected.item(), rel=1e-9)


def test_closed_form_of_a_softmax():
    """sum p (a - b) - lse(a) + lse(b): from the logits, without a logarithm of a probability."""
    (p, q), (a, b) = _pair()
    expected = (p * (a - b)).sum(axis=1) - logsumexp(a, axis=1) + logsumexp(b, axis=1)
    np.testing.assert_allclose(identity_divergence(p, q, average=False), expected, rtol=1e-8, atol=1e-9)


def test_closed_form_of_two_subjects_whose_names_are_turned():
    """Logit t before and -t after: t (2 expit(t) - 1)."""
    t = np.linspace(0.1, 8, 20)
    p = np.stack([expit(t), expit(-t)], axis=1)
    np.testing.assert_allclose(identity_divergence(p, p[:, ::-1], average=False), t * np.tanh(t / 2), rtol=1e-9)


@pytest.mark.parametrize("n_subjects", [2, 47, 1000])
def test_from_sure_to_no_idea_and_back(n_subjects):
    """ln C one way; the other way it is the clip that keeps it finite: the paper's 27.6 nats, less ln C."""
    sure, none = np.eye(n_subjects)[:2], np.full((2, n_subjects), 1 / n_subjects)
    assert identity_divergence(sure, none) == pytest.approx(np.log(n_subjects), abs=1e-7)
    back = -np.log(CLIP) * (n_subjects - 1) / n_subjects - np.log(n_subjects)
    assert identity_divergence(none, sure) == pytest.approx(back, rel=1e-8)
    assert identity_divergence(sure, np.roll(sure, 1, axis=1)) == pytest.approx(-np.log(CLIP), rel=1e-7)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10_000), n_subjects=st.integers(2, 60), scale=st.sampled_from([1e-9, 1e-4, 1.0, 50.0]))
def test_never_negative_and_zero_only_for_equal_rows(seed, n_subjects, scale):
    (p, q), _ = _pair(5, n_subjects, scale, seed)
    p[0] = q[0]
    found = identity_divergence(p, q, average=False)
    assert (found >= 0).all()
    assert found[0] == 0
    total = np.abs(np.maximum(p, CLIP) - np.maximum(q, CLIP)).sum(axis=1)
    # Pinsker: half the square of the distance is a lower bound.
    assert (found >= 0.5 * total**2 - 1e-11).all()
    assert identity_divergence(p, p) == 0


def test_order_of_subjects_plays_no_part_and_that_of_the_two_does():
    (p, q), _ = _pair()
    order = np.random.default_rng(1).permutation(7)
    assert identity_divergence(p[:, order], q[:, order]) == pytest.approx(identity_divergence(p, q), rel=1e-12)
    assert abs(identity_divergence(p, q) - identity_divergence(q, p)) > 0.01


def test_clipped_rows_are_brought_to_sum_to_one():
    """As clipped, the second row would sum to more than the first, and the divergence be negative."""
    p, q = [[0.5, 0.3, 0.2]], [[0.5, 0.5, 0.0]]
    clipped, other = np.maximum(p, 0.2), np.maximum(q, 0.2)
    assert (clipped * np.log(clipped / other)).sum() < -0.1
    assert identity_divergence(p, q, clip=0.2) == pytest.approx(_by_hand(p, q, 0.2)[0])
    assert identity_divergence(p, q, clip=0.2) > 0.01


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float32_is_clipped_in_double_precision(dtype):
    """A network's softmax underflows to 0 in float32; the sum is off by its rounding, which is let pass."""
    (p, q), _ = _pair(scale=40.0)
    p, q = p.astype(dtype), q.astype(dtype)
    found = identity_divergence(p, q)
    assert isinstance(found, float)
    assert found == pytest.approx(_by_hand(p, q).mean(), rel=1e-12)


def test_rows_serve_the_bootstrap_over_people():
    (p, q), _ = _pair()
    rows = identity_divergence(p, q, average=False)
    low, high = bootstrap_interval(rows, np.arange(40) // 4, proportion=False, random_state=0)
    assert low < identity_divergence(p, q) < high


def test_clinical_fidelity_is_sklearns_log_loss():
    """What the docstring sends its reader to: the mean of -ln of the probability of the true diagnosis."""
    (p, _), _ = _pair(n_subjects=3)
    y = np.array(["N", "S", "V"])[np.random.default_rng(2).integers(3, size=40)]
    expected = -math.fsum(math.log(row["NSV".index(label)]) for row, label in zip(p, y, strict=True)) / 40
    assert log_loss(y, p, labels=["N", "S", "V"]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("p", "q", "message"),
    [
        ([[0.5, 0.5]], [[0.2, 0.3, 0.5]], r"proba_released has shape \(1, 3\), proba_original \(1, 2\); give the same"),
        ([[0.5, 0.5]], [[0.5, 0.5]] * 2, r"proba_released has shape \(2, 2\), proba_original \(1, 2\)"),
        ([[1.0]], [[1.0]], r"proba_original has shape \(1, 1\); expected .* two subjects"),
        ([[0.5, 0.5]], [[-0.7, -0.7]], r"proba_released holds values from -0\.7 to -0\.7.*Give predict_proba"),
        ([[3.0, -2.0]], [[0.5, 0.5]], r"proba_original holds values from -2 to 3.*softmax"),
        ([[0.5, 0.5], [0.5, 0.4]], [[0.5, 0.5]] * 2, r"proba_original: row 1 sums to 0\.9; expected 1"),
        ([[0.5, np.nan]], [[0.5, 0.5]], "Input proba_original contains NaN"),
        ([[0.5, 0.5]], [[0.5, np.inf]], "Input proba_released contains infinity"),
        ([0.5, 0.5], [0.5, 0.5], "Expected 2D array, got 1D array"),
        (np.empty((0, 2)), np.empty((0, 2)), r"0 sample\(s\)"),
    ],
)
def test_errors(p, q, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        identity_divergence(p, q)


@pytest.mark.parametrize("clip", [0, -1e-12, 0.5, "small"])
def test_clip_is_a_small_positive_number(clip):
    with pytest.raises(ValueError, match="'clip' parameter of identity_divergence"):
        identity_divergence([[0.5, 0.5]], [[0.5, 0.5]], clip=clip)
