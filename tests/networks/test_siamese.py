"""The siamese network and its loss on pairs, against plain loops."""

import numpy as np
import pytest
import torch

from skagile.networks import CNNEncoder, LinearEncoder, PairLoss, SiameseNetwork


def _batch(seed=0, n=12, n_persons=4):
    rng = np.random.default_rng(seed)
    person = rng.integers(n_persons, size=n)
    person[:2] = 0, 1
    embedding = rng.standard_normal((2 * n, 5))
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    return embedding, np.r_[person, person]


def _all_pairs(embedding, person, margin):
    """Hadsell's loss, pair by pair, over every impostor."""
    n = len(person) // 2
    genuine = [np.sum((embedding[i] - embedding[i + n]) ** 2) for i in range(n)]
    impostor = [
        max(0, margin - np.linalg.norm(a - b)) ** 2
        for a, p in zip(embedding, person, strict=True)
        for b, q in zip(embedding, person, strict=True)
        if p != q
    ]
    return np.mean(genuine) + np.mean(impostor)


@pytest.mark.parametrize("margin", [0.5, 1.4, 2.0])
def test_contrastive_loss_is_the_formula(margin):
    embedding, person = _batch()
    scores = torch.from_numpy(embedding @ embedding.T)
    loss = PairLoss(margin=margin).eval()(scores, torch.from_numpy(person))
    assert loss.item() == pytest.approx(_all_pairs(embedding, person, margin), rel=1e-9)


def test_difference_loss_is_the_cross_entropy():
    embedding, person = _batch()
    scores = 3 - 4 * np.abs(embedding[:, None] - embedding).sum(axis=2)
    other = person[:, None] != person
    expected = np.log1p(np.exp(-np.diagonal(scores, len(person) // 2))).mean() + np.log1p(np.exp(scores[other])).mean()
    loss = PairLoss("difference").eval()(torch.from_numpy(scores), torch.from_numpy(person))
    assert loss.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n_impostors", "drawn"), [(1, 1), (5, 5), (100, 18)])
def test_training_takes_so_many_impostors(n_impostors, drawn):
    """Cosines that carry a gradient tell which pairs the loss looked at."""
    person = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3] * 3)  # 18 of 24 are others
    scores = torch.zeros(24, 24, requires_grad=True)
    torch.manual_seed(0)
    PairLoss(n_impostors=n_impostors, margin=2.0)(scores, person).backward()
    touched = scores.grad != 0
    other = person[:, None] != person
    assert ((touched & other).sum(dim=1) == drawn).all()
    assert torch.equal((touched & ~other).nonzero(), torch.stack([torch.arange(12), torch.arange(12, 24)], dim=1))


@pytest.mark.parametrize(("hardness", "low", "high"), [(0.0, 0.4, 0.6), (4.0, 0.95, 1.0)])
def test_hard_impostors_are_the_likelier(hardness, low, high):
    """Of two strangers, one alike and one not: drawn evenly, or mostly the one alike."""
    scores = torch.tensor([0.9, 0.5, -0.5, 0.9]).expand(400, 4).contiguous()
    scores = torch.cat([scores, scores.new_zeros(400, 396)], dim=1).requires_grad_(True)
    person = torch.zeros(400, dtype=torch.long)
    person[1], person[2] = 1, 2
    torch.manual_seed(0)
    PairLoss(n_impostors=1, hardness=hardness, margin=2.0)(scores, person).backward()
    mine = scores.grad[person == 0]
    alike = (mine[:, 1] != 0).float().mean().item()
    assert low <= alike <= high
    assert ((mine[:, 1] != 0) ^ (mine[:, 2] != 0)).all()


def test_draws_differ_from_step_to_step():
    scores, person = torch.zeros(40, 40, requires_grad=True), torch.arange(20).repeat(2)
    gradients = []
    for _ in range(2):
        scores.grad = None
        PairLoss(margin=2.0)(scores, person).backward()
        gradients.append(scores.grad.clone())
    assert not torch.equal(*gradients)


@pytest.mark.parametrize("head", ["contrastive", "difference"])
def test_one_person_alone_has_no_impostors(head):
    scores = torch.zeros(4, 4, requires_grad=True)
    for loss in (PairLoss(head), PairLoss(head).eval()):
        value = loss(scores, torch.zeros(4, dtype=torch.long))
        value.backward()
        assert torch.isfinite(value)
        assert torch.isfinite(scores.grad).all()


@pytest.mark.parametrize("head", ["contrastive", "difference"])
def test_gradient_is_finite_where_embeddings_meet(head):
    network = SiameseNetwork(LinearEncoder(n_samples=6, embedding_size=4), head=head)
    x = torch.randn(4, 1, 6)[[0, 1, 0, 1, 0, 1, 0, 1]].requires_grad_(True)
    PairLoss(head)(network(x), torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])).backward()
    assert torch.isfinite(x.grad).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters() if parameter.grad is not None)


def test_comparison_is_the_formula():
    torch.manual_seed(0)
    for head in ("contrastive", "difference"):
        network = SiameseNetwork(CNNEncoder(embedding_size=8), head=head).eval()
        embedding = network.embed(torch.randn(5, 1, 30))
        e = embedding.detach().numpy().astype(np.float64)
        if head == "contrastive":
            expected = e @ e.T
        else:
            with torch.no_grad():
                network.weight.copy_(torch.randn(8))
            weight = np.log1p(np.exp(network.weight.detach().numpy()))
            expected = network.bias.item() - (weight * np.abs(e[:, None] - e)).sum(axis=2)
        got = network.compare(embedding, embedding).detach().numpy()
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
