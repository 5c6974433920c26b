"""Supervised contrastive loss: its corner cases and its gradient; its value is tested with the nets that use it."""

import numpy as np
import torch
from torch.nn import functional as F

from skagile.networks import ImageCNNEncoder, SupervisedContrastiveLoss


def _features(n_rows=8, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n_rows, 5)))


def test_two_views_are_cross_entropy_of_the_pair():
    """With classes of two rows the loss is the softmax classification of each row's partner."""
    z, target = _features(), torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    unit = F.normalize(z)
    score = (unit @ unit.T / 0.1).fill_diagonal_(-1e9)
    expected = F.cross_entropy(score, torch.tensor([1, 0, 3, 2, 5, 4, 7, 6]))
    torch.testing.assert_close(SupervisedContrastiveLoss()(z, target), expected)


def test_rows_without_a_partner_do_not_count():
    z = _features(3)
    target = torch.tensor([0, 0, 1])
    unit = F.normalize(z)
    score = (unit @ unit.T / 0.1).fill_diagonal_(-1e9)
    expected = F.cross_entropy(score[:2], torch.tensor([1, 0]))
    torch.testing.assert_close(SupervisedContrastiveLoss()(z, target), expected)


def test_no_pairs_is_zero_with_finite_gradients():
    z = _features(3).requires_grad_()
    loss = SupervisedContrastiveLoss()(z, torch.arange(3))
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(z.grad).all()


def test_gradient_by_differences():
    target = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2])
    assert torch.autograd.gradcheck(lambda z: SupervisedContrastiveLoss()(z, target), _features().requires_grad_())


def test_image_cnn_keeps_where_a_line_is():
    images = torch.zeros(2, 1, 200, 200)
    images[0, 0, 60], images[1, 0, 140] = 1, 1

    def difference(n_positions):
        torch.manual_seed(0)
        with torch.no_grad():
            features = ImageCNNEncoder(embedding_size=7, n_positions=n_positions).eval()(images)
        assert features.shape == (2, 7)
        return (features[0] - features[1]).norm() / features.std()

    assert difference(6) > 5 * difference(1)
