"""AgileAnonymizer: that the settings of fit reach the nets they are about, and that batches bound what is held."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from skagile.segmentation import BeatImager

# --- training -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", ["paper", "alternating", "plain"])
def test_what_the_cth_is_trained_with_and_the_others_are_not(quick, beats, training):
    agile = quick(
        n_surrogates=3, training=training, epsilon=0.35, lambda_=1.7, reversal=0.2, contrastive_weight=0.6, max_epochs=1
    ).fit(beats.X, beats.y, subjects=beats.subjects)
    cth, *others = agile.nets_
    assert (cth.training, cth.epsilon, cth.attack_lambda, cth.identity_weight) == (training, 0.35, 1.7, 1.7)
    assert (cth.reversal, cth.contrastive_weight) == (0.2, 0.6)
    # Algorithm 1's own perturbation has the gradients as they are.
    assert cth.normalize_gradients == (training != "paper")
    assert [(net.training, net.contrastive_weight) for net in others] == [("plain", 0.0)] * 2


@pytest.mark.parametrize("training", ["paper", "plain"])
def test_contrastive_weight_is_for_the_cth_alone(quick, beats, training):
    """Other surrogates stand for attackers, and are the same with and without."""
    without, with_it = (
        quick(training=training, contrastive_weight=weight).fit(beats.X, beats.y, subjects=beats.subjects)
        for weight in (0.0, 3.0)
    )
    (cth, cnn), (other_cth, other_cnn) = without.surrogates_, with_it.surrogates_
    torch.testing.assert_close(cnn.state_dict(), other_cnn.state_dict(), rtol=0, atol=0)
    assert (cth.clinical.weight - other_cth.clinical.weight).abs().max() > 1e-4


def test_epochs_and_batches(quick, beats):
    agile = quick(max_epochs=4, batch_size=40).fit(beats.X, beats.y, subjects=beats.subjects)
    for net in agile.nets_:
        assert len(net.history) == 4
        assert [batch["train_batch_size"] for batch in net.history[0, "batches"]] == [40, 40]  # of 90, none short


def test_learning_rate_is_one_cycle_up_to_lr(quick, beats, monkeypatch):
    """The rates that the optimizer had at its steps."""
    rates = []
    step = torch.optim.AdamW.step

    def watched(self, *args, **kwargs):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    quick(n_surrogates=1, max_epochs=20, batch_size=10, lr=0.02).fit(beats.X, beats.y, subjects=beats.subjects)
    assert len(rates) == 20 * 9
    peak = int(np.argmax(rates))
    assert rates[peak] == pytest.approx(0.02, rel=1e-3)
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) < 0).all()
    assert rates[0] < 0.1 * 0.02
    assert rates[-1] < 0.01 * 0.02


@pytest.mark.parametrize("activation", ["sigmoid", "gelu", "relu"])
def test_activation_of_the_image_cth(quick, beats, activation):
    agile = quick(n_surrogates=1, representation="image", activation=activation, max_epochs=1, n_steps=1).fit(
        beats.X[:20], beats.y[:20], subjects=beats.subjects[:20]
    )
    kind = {"sigmoid": nn.Sigmoid, "gelu": nn.GELU, "relu": nn.ReLU}[activation]
    convolution = agile.surrogates_[0].encoder.encoder.convolution
    assert [type(convolution[i]) for i in (0, 1, 2)] == [nn.Conv2d, nn.BatchNorm2d, kind]


# --- what is measured in fit ----------------------------------------------------------------------------------------


def test_summary_of_many_beats_is_of_some_spread_over_them(quick, beats, monkeypatch):
    monkeypatch.setattr("skagile.anonymizers._agile._anonymizer.SUMMARY_BEATS", 10)
    agile = quick(max_epochs=1).fit(beats.X, beats.y, subjects=beats.subjects)
    shown = [0, 9, 19, 29, 39, 49, 59, 69, 79, 89]
    assert agile.summary_ == pytest.approx(agile.summarize(beats.X[shown]), rel=1e-6)
    assert agile.summary_ != pytest.approx(agile.summarize(beats.X[:10]), rel=1e-6)


@pytest.mark.parametrize("epsilon", [0.1, 0.7])
def test_summary_follows_the_budget(quick, beats, epsilon):
    """One step moves every sample by epsilon SD, so that PRDN is 100 epsilon and SNR -20 log10 epsilon."""
    agile = quick(max_epochs=1, n_steps=1, epsilon=epsilon).fit(beats.X, beats.y, subjects=beats.subjects)
    spread = beats.X.std(axis=1)
    assert agile.summary_ == pytest.approx(
        {
            "prdn": 100 * epsilon,
            "snr": -20 * np.log10(epsilon),
            "mean_change": epsilon * spread.mean(),
            "max_change": epsilon * spread.max(),
        },
        rel=1e-3,
    )


# --- memory ---------------------------------------------------------------------------------------------------------


def _largest_batches(agile, call):
    """Most rows that went through any surrogate at once in a call, and in how many passes."""
    seen = []
    heads = [net.biometric for net in agile.surrogates_]
    hooks = [head.register_forward_pre_hook(lambda _, args: seen.append(len(args[0]))) for head in heads]
    try:
        call()
    finally:
        for hook in hooks:
            hook.remove()
    return max(seen), len(seen)


@pytest.mark.parametrize("normalize_gradients", [True, False])
def test_networks_never_see_more_than_a_batch(varied, beats, normalize_gradients):
    """Torch's memory is not Python's: that it does not grow with the rows is seen by what the networks are given."""
    agile = varied(transform_batch_size=32, n_steps=2, normalize_gradients=normalize_gradients)
    X = np.resize(beats.X, (320, beats.X.shape[1]))
    passes = {}
    for n_rows in (32, 64, 320):
        largest, passes[n_rows] = _largest_batches(agile, lambda n_rows=n_rows: agile.transform(X[:n_rows]))
        assert largest == 32
    # Each batch takes one pass a surrogate to predict its labels, and one a step.
    assert passes[32] == 6 * (1 + 2)
    assert passes == {n_rows: n_rows // 32 * passes[32] for n_rows in passes}


def test_images_come_in_smaller_batches(quick, beats, monkeypatch):
    """Whatever `transform_batch_size` says, 64 images are held; here 32, and as many drawn."""
    for module in ("_anonymizer", "_measured"):
        monkeypatch.setattr(f"skagile.anonymizers._agile.{module}.IMAGE_BATCH", 32)
    agile = quick(
        n_surrogates=1, representation="image", max_epochs=1, n_steps=1, transform_batch_size=512, batch_size=20
    ).fit(beats.X[:20], beats.y[:20], subjects=beats.subjects[:20])
    drawn = []

    def watched(**params):
        drawn.append(params)
        return BeatImager(**params)

    monkeypatch.setattr("skagile.anonymizers._agile._measured.BeatImager", watched)
    largest, _ = _largest_batches(agile, lambda: agile.transform_images(beats.X))
    assert largest == 32
    assert drawn == [{"batch_size": 32}]
    small = copy.copy(agile).set_params(transform_batch_size=7)
    np.testing.assert_allclose(small.transform(beats.X[:20]), agile.transform(beats.X[:20]), rtol=1e-5, atol=1e-5)
