"""What each way of training does to the gradients, against autograd by hand on one batch."""

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from skagile._training import RowsDataset, keep_batch
from skagile.anonymizers._agile._dual_net import DualNet
from skagile.networks import CNNEncoder, DualHead

EPSILON, LAMBDA, IDENTITY, REVERSAL, CONTRASTIVE = 0.3, 0.7, 0.4, 0.25, 0.6


def _net(training, **params):
    torch.manual_seed(0)
    net = DualNet(
        DualHead(CNNEncoder(channels=(4, 6), embedding_size=8), 3, 5).double(),
        training=training,
        epsilon=EPSILON,
        attack_lambda=LAMBDA,
        identity_weight=IDENTITY,
        reversal=REVERSAL,
        **params,
        train_split=None,
        iterator_train__collate_fn=keep_batch,
        verbose=0,
    )
    return net.initialize()


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.standard_normal((12, 1, 30)))
    x = (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True, correction=0)
    return x, {"y": torch.from_numpy(rng.integers(3, size=12)), "subject": torch.from_numpy(rng.integers(5, size=12))}


def _gradients(loss, module):
    names, parameters = zip(*module.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return {n: torch.zeros_like(p) if g is None else g for n, p, g in zip(names, parameters, found, strict=True)}


def _perturbed(module, x, target):
    """The paper's eq. 2 in one line of autograd, by the net as it stands in evaluation; z-scored again."""
    module = copy.deepcopy(module).eval()
    x = x.clone().requires_grad_(True)
    z = (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True, correction=0)
    clinical, biometric = module(z)
    loss = F.cross_entropy(biometric, target["subject"], reduction="sum") - LAMBDA * F.cross_entropy(
        clinical, target["y"], reduction="sum"
    )
    moved = (x + EPSILON * torch.autograd.grad(loss, x)[0].sign()).detach()
    return (moved - moved.mean(-1, keepdim=True)) / moved.std(-1, keepdim=True, correction=0)


def _losses(module, x, target):
    """Diagnosis and identity loss of the net in training."""
    module = copy.deepcopy(module).train()
    clinical, biometric = module(x)
    return module, F.cross_entropy(clinical, target["y"]), F.cross_entropy(biometric, target["subject"])


def _step(training, batch, **params):
    net = _net(training, **params)
    before = copy.deepcopy(net.module_)
    net.optimizer_.zero_grad()
    loss = net.train_step_single(batch)["loss"]
    return before, net, {name: parameter.grad for name, parameter in net.module_.named_parameters()}, loss


def test_plain_minimises_both_on_clean_beats(batch):
    before, _, got, loss = _step("plain", batch)
    module, diagnosis, identity = _losses(before, *batch)
    torch.testing.assert_close(loss, diagnosis + identity)
    torch.testing.assert_close(got, _gradients(diagnosis + identity, module))


def test_paper_is_algorithm_1(batch):
    """One update of everything on L_med - lambda L_bio, at perturbed beats only; the two lambdas are two parameters."""
    x, target = batch
    before, _, got, loss = _step("paper", batch)
    module, diagnosis, identity = _losses(before, _perturbed(before, x, target), target)
    torch.testing.assert_close(loss, diagnosis - IDENTITY * identity)
    torch.testing.assert_close(got, _gradients(diagnosis - IDENTITY * identity, module))


def test_alternating_reverses_identity_of_perturbed_beats_for_the_trunk_only(batch):
    x, target = batch
    before, _, got, loss = _step("alternating", batch)
    both = {key: torch.cat([value, value]) for key, value in target.items()}
    module = copy.deepcopy(before).train()
    clinical, biometric = module(torch.cat([x, _perturbed(before, x, target)]))
    diagnosis = F.cross_entropy(clinical, both["y"])
    clean, perturbed = (
        F.cross_entropy(biometric[rows], target["subject"], reduction="sum") / 24
        for rows in (slice(12), slice(12, None))
    )
    torch.testing.assert_close(loss, diagnosis + clean + perturbed)
    d, c, p = (_gradients(part, module) for part in (diagnosis, clean, perturbed))
    for name in got:
        expected = d[name] + c[name] + (-REVERSAL if name.startswith("encoder") else 1) * p[name]
        torch.testing.assert_close(got[name], expected, msg=name)
    trunk = [name for name in got if name.startswith("encoder")]
    assert any(REVERSAL * p[name].abs().max() > 1e-4 for name in trunk)  # else the test would see no difference


def test_perturbation_may_be_normalised(batch):
    """The single net's normalised direction is the one that transform takes."""
    got, raw = (_step("paper", batch, normalize_gradients=normalize)[2] for normalize in (True, False))
    assert any((got[name] - raw[name]).abs().max() > 1e-4 for name in got)


@pytest.mark.parametrize("training", ["plain", "paper", "alternating"])
def test_contrastive_loss_is_added(batch, training):
    """Against Khosla's equation in float64 loops, at the features that the step saw."""
    x, target = batch
    before, _, _, plain = _step(training, batch)
    loss = _step(training, batch, contrastive_weight=CONTRASTIVE)[3]
    seen = {"plain": [x], "paper": [_perturbed(before, x, target)]}.get(training) or [x, _perturbed(before, x, target)]
    with torch.no_grad():
        feature = copy.deepcopy(before).train().encoder(torch.cat(seen)).numpy()
    y = np.tile(target["y"].numpy(), len(seen))
    z = feature / np.linalg.norm(feature, axis=1, keepdims=True)
    terms = []
    for i in range(len(z)):
        others = [a for a in range(len(z)) if a != i]
        total = sum(np.exp(z[i] @ z[a] / 0.1) for a in others)
        positives = [a for a in others if y[a] == y[i]]
        if positives:
            terms.append(-np.mean([np.log(np.exp(z[i] @ z[p] / 0.1) / total) for p in positives]))
    assert (loss - plain).item() == pytest.approx(CONTRASTIVE * np.mean(terms), rel=1e-9)


@pytest.mark.parametrize("training", ["plain", "paper", "alternating"])
def test_batch_statistics_see_one_pass(batch, training):
    """The pass that seeks the perturbation must not count, nor be made in training mode."""
    before, net, _, _ = _step(training, batch)
    assert net.module_.encoder.layers[1].num_batches_tracked.item() == 1
    assert net.module_.training
    assert before.encoder.layers[1].num_batches_tracked.item() == 0


@pytest.mark.parametrize("training", ["plain", "paper", "alternating"])
def test_fit_follows_its_loss(training, batch):
    x, target = batch
    net = _net(training)
    net.module_.float()
    net.set_params(lr=0.05, max_epochs=15, module=net.module_)
    with torch.random.fork_rng():
        net.fit(RowsDataset(x[:, 0].numpy(), target), None)
    losses = net.history[:, "train_loss"]
    assert losses[-1] < losses[0]
