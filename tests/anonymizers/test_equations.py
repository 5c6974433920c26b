"""AGILE's equations 1 to 5 and Algorithm 1, written again in float64 numpy; every gradient by central differences.

Equation 2 on its own is in test_afgsm.py, equation 6 in tests/metrics/test_divergence.py.
"""

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from scipy.interpolate import CubicSpline
from scipy.special import logsumexp, ndtr
from torch import nn

from skagile import AgileAnonymizer
from skagile.anonymizers._agile._afgsm import afgsm, ascent_direction
from skagile.anonymizers._agile._dual_net import DualNet
from skagile.anonymizers._agile._rendered import RenderedEncoder
from skagile.networks import CTHEncoder, DualHead

ACTIVATIONS = {
    "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
    "gelu": lambda v: v * ndtr(v),
    "relu": lambda v: np.maximum(v, 0),
}
N_CLASSES, N_SUBJECTS, N_SAMPLES = 3, 4, 20
SMALL = {"channels": (2, 3), "kernel_size": 3, "n_tokens": 3, "d_model": 4, "n_heads": 2}


# --- the reference --------------------------------------------------------------------------------------------------


def _standardize(v):
    return (v - v.mean(axis=-1, keepdims=True)) / v.std(axis=-1, keepdims=True)


def _layer_norm(w, name, v):
    v = (v - v.mean(axis=-1, keepdims=True)) / np.sqrt(v.var(axis=-1, keepdims=True) + 1e-5)
    return v * w[f"{name}.weight"] + w[f"{name}.bias"]


def _linear(w, name, v):
    return v @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def _convolve(v, kernel, stride):
    """Correlate with every kernel, by sums over windows of the padded beats or images."""
    size, spatial = kernel.shape[2:], tuple(range(2, v.ndim))
    v = np.pad(v, [(0, 0), (0, 0), *[(k // 2, k // 2) for k in size]])
    windows = sliding_window_view(v, size, axis=spatial)
    windows = windows[(slice(None), slice(None), *[slice(None, None, stride)] * len(size))]
    axes = tuple(range(-len(size), 0))
    return np.moveaxis(np.tensordot(windows, kernel, axes=((1, *axes), (1, *range(2, kernel.ndim)))), -1, 1)


def _pool(v, n):
    """Mean over n parts of each axis; parts share a sample where they do not divide evenly."""
    for axis in range(2, v.ndim):
        size = v.shape[axis]
        parts = [np.arange(i * size // n, -(-(i + 1) * size // n)) for i in range(n)]
        v = np.stack([v.take(part, axis).mean(axis) for part in parts], axis)
    return v


def _attention(w, name, h, n_heads):
    """Softmax of scaled scalar products, head by head."""
    q, k, v = np.split(h @ w[f"{name}.in_proj_weight"].T + w[f"{name}.in_proj_bias"], 3, axis=-1)
    width = h.shape[-1] // n_heads
    heads = []
    for i in range(n_heads):
        part = slice(i * width, (i + 1) * width)
        score = q[..., part] @ k[..., part].swapaxes(1, 2) / np.sqrt(width)
        heads.append(np.exp(score - logsumexp(score, axis=2, keepdims=True)) @ v[..., part])
    return _linear(w, f"{name}.out_proj", np.concatenate(heads, axis=2))


def _cth(w, x, *, activation, training=False, n_tokens=8, n_heads=4, first_stride=2, prefix="", **_):
    """Equation 1: c_i = act(BN(Conv(c_{i-1}))); H0 from the pooled c; attention, FFN and layer norm; F the mean token.

    `w` are the weights by name. In training batch normalisation takes the batch's own mean and variance.
    """
    w = {name.removeprefix(prefix): value for name, value in w.items()}
    c, i = x, 0
    while f"convolution.{i}.weight" in w:
        c = _convolve(c, w[f"convolution.{i}.weight"], 2 if i else first_stride)
        over, shape = (0, *range(2, c.ndim)), (-1, *[1] * (c.ndim - 2))
        if training:
            mean, variance = c.mean(axis=over), c.var(axis=over)
        else:
            mean, variance = (w[f"convolution.{i + 1}.running_{name}"] for name in ("mean", "var"))
        c = (c - mean.reshape(shape)) / np.sqrt(variance.reshape(shape) + 1e-5)
        c = c * w[f"convolution.{i + 1}.weight"].reshape(shape) + w[f"convolution.{i + 1}.bias"].reshape(shape)
        c, i = ACTIVATIONS[activation](c), i + 3
    c = _pool(c, n_tokens)
    h = _linear(w, "to_tokens", c.reshape(*c.shape[:2], -1).swapaxes(1, 2)) + w["position"]
    layer = 0
    while (name := f"transformer.{layer}") + ".norm1.weight" in w:
        h = _layer_norm(w, f"{name}.norm1", h + _attention(w, f"{name}.self_attn", h, n_heads))
        hidden = ACTIVATIONS["gelu"](_linear(w, f"{name}.linear1", h))
        h = _layer_norm(w, f"{name}.norm2", h + _linear(w, f"{name}.linear2", hidden))
        layer += 1
    return h.mean(axis=1)


def _cross_entropies(w, feature, y, s):
    """Equations 3 and 4: linear heads on F; minus the logarithm of the softmax at the label, a beat each."""
    losses = []
    for head, target in (("clinical", y), ("biometric", s)):
        logits = _linear(w, head, feature)
        losses.append(logsumexp(logits, axis=1) - logits[np.arange(len(logits)), target])
    return losses


def _central(function, x, step=1e-5):
    """Central differences of a function that takes rows of inputs and gives a value each."""
    steps = step * np.eye(x.size).reshape(x.size, *x.shape)
    values = function(np.concatenate([x + steps, x - steps]))
    return ((values[: x.size] - values[x.size :]) / (2 * step)).reshape(x.shape)


def _assert_gradient(got, expected, name=""):
    """Close to central differences of values of order 1, whose own rounding is some 1e-11."""
    assert np.abs(expected).max() > 1e-6, name
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max() + 2e-10, err_msg=name)


def _weights(module):
    return {name: value.detach().numpy().astype(np.float64) for name, value in module.state_dict().items()}


def _drawn_anew(module, seed=0):
    """In float64, norms and their statistics unlike those of a fresh network, so that each one counts."""
    generator = torch.Generator().manual_seed(seed)
    module.double()
    for name, value in module.state_dict().items():
        if value.dtype != torch.float64:
            continue
        noise = torch.randn(value.shape, generator=generator, dtype=torch.float64)
        if value.ndim > 1:
            value.copy_(2 * noise / value[0].numel() ** 0.5)
        elif name.endswith("running_var"):
            value.copy_(noise.exp())
        else:
            value.copy_(name.endswith("weight") + 0.3 * noise)
    return module


def _beats(n_rows, *shape, seed=0):
    return np.random.default_rng(seed).standard_normal((n_rows, 1, *shape))


def _labels(n_rows, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(N_CLASSES, size=n_rows), rng.integers(N_SUBJECTS, size=n_rows)


# --- equation 1 -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((126,), {}),
        ((31,), {**SMALL, "n_layers": 2}),
        ((9,), {"channels": (3,), "kernel_size": 5, "first_stride": 1, "n_tokens": 16}),  # fewer samples than tokens
        ((40, 33), {"n_dims": 2, "channels": (3, 4), "kernel_size": 5, "first_stride": 4, "n_tokens": 3}),
        ((21, 18), {"n_dims": 2, **SMALL, "n_layers": 2}),
    ],
)
def test_equation_1_is_the_cth(shape, settings, activation, training):
    encoder = _drawn_anew(CTHEncoder(activation=activation, **settings)).train(training)
    x = _beats(3, *shape)
    expected = _cth(_weights(encoder), x, activation=activation, training=training, **settings)
    assert expected.std(axis=0).max() > 1e-3  # the beats differ
    np.testing.assert_allclose(encoder(torch.from_numpy(x)).detach().numpy(), expected, rtol=1e-9, atol=1e-10)
    if not training:
        # Torch takes another way, "fast path", where no gradient is wanted: labels are predicted on it.
        with torch.no_grad():
            np.testing.assert_allclose(encoder(torch.from_numpy(x)).numpy(), expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("activation", ["sigmoid", "gelu"])
@pytest.mark.parametrize(("shape", "settings"), [((31,), SMALL), ((13, 12), {"n_dims": 2, **SMALL, "n_tokens": 2})])
def test_gradient_of_equation_1(shape, settings, activation):
    encoder = _drawn_anew(CTHEncoder(activation=activation, **settings)).eval()
    x, w = _beats(1, *shape), _weights(encoder)
    along = np.random.default_rng(1).standard_normal(encoder.n_features_out)
    tensor = torch.from_numpy(x).requires_grad_(True)
    (encoder(tensor) @ torch.from_numpy(along)).sum().backward()
    expected = _central(lambda v: _cth(w, v, activation=activation, **settings) @ along, x[0])
    _assert_gradient(tensor.grad[0].numpy(), expected)


# --- equation 2 through equation 1 ----------------------------------------------------------------------------------


def _direction(losses, x, lambda_):
    """grad L_bio - lambda grad L_char of each row; `losses` gives (L_char, L_bio) of rows."""

    def difference(row):
        def value(rows):
            diagnosis, identity = losses(rows, row)
            return identity - lambda_ * diagnosis

        return value

    return np.stack([_central(difference(i), x[i]) for i in range(len(x))])


@pytest.mark.parametrize("activation", ["sigmoid", "gelu"])
@pytest.mark.parametrize("lambda_", [0.0, 1.7])
def test_equation_2_through_the_cth(activation, lambda_):
    """eta = epsilon sign(grad L_bio - lambda grad L_char), through the z-score with which every judge begins."""
    net = _drawn_anew(DualHead(CTHEncoder(activation=activation, **SMALL), N_CLASSES, N_SUBJECTS)).eval()
    w, x, (y, s) = _weights(net), 2 * _beats(4, N_SAMPLES) + 0.3, _labels(4)

    def losses(rows, i):
        feature = _cth(w, _standardize(rows), activation=activation, prefix="encoder.", **SMALL)
        return _cross_entropies(w, feature, y[i], s[i])

    expected = _direction(losses, x, lambda_)
    tensors = torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(s)
    got = ascent_direction([net], *tensors, lambda_=lambda_, normalize_gradients=False)
    _assert_gradient(got.numpy(), expected)
    sure = np.abs(expected) > 1e-7
    assert sure.mean() > 0.95
    moved = afgsm([net], *tensors, epsilon=0.3, lambda_=lambda_, normalize_gradients=False).numpy() - x
    np.testing.assert_allclose(moved[sure], 0.3 * np.sign(expected[sure]), rtol=1e-12)


def test_equation_2_through_the_image():
    """The image is drawn behind the waveform, and the gradient comes back through the drawing."""
    settings = {"n_dims": 2, "channels": (2, 3), "kernel_size": 5, "first_stride": 4, "n_tokens": 3}
    net = DualHead(RenderedEncoder(CTHEncoder(activation="sigmoid", **settings)), N_CLASSES, N_SUBJECTS)
    net = _drawn_anew(net).eval()
    w, x, (y, s) = _weights(net), _beats(2, N_SAMPLES), _labels(2)

    def drawn(rows):
        columns = CubicSpline(np.linspace(0, 1, N_SAMPLES), _standardize(rows), axis=-1)(np.linspace(0, 1, 200))
        trace = 99.5 * (1 - np.clip(columns, -8, 8) / 8)
        return np.exp(-((np.arange(200)[:, None] - trace[..., None, :]) ** 2) / (2 * 1.5**2))

    def losses(rows, i):
        feature = _cth(w, drawn(rows), activation="sigmoid", prefix="encoder.encoder.", **settings)
        return _cross_entropies(w, feature, y[i], s[i])

    expected = _direction(losses, x, 0.7)
    tensors = torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(s)
    got = ascent_direction([net], *tensors, lambda_=0.7, normalize_gradients=False)
    _assert_gradient(got.numpy(), expected)


# --- equations 3 to 5 and Algorithm 1 -------------------------------------------------------------------------------

EPSILON, ATTACK_LAMBDA, LAMBDA, REVERSAL = 0.3, 0.7, 0.4, 0.25


@pytest.mark.parametrize("activation", ["sigmoid", "gelu"])
def test_equations_3_and_4_are_linear_heads_and_their_cross_entropies(activation):
    net = _drawn_anew(DualHead(CTHEncoder(activation=activation, **SMALL), N_CLASSES, N_SUBJECTS)).eval()
    w, x, (y, s) = _weights(net), _beats(5, N_SAMPLES), _labels(5)
    feature = _cth(w, x, activation=activation, prefix="encoder.", **SMALL)
    for logits, head, width in zip(net(torch.from_numpy(x)), ("clinical", "biometric"), (3, 4), strict=True):
        assert logits.shape == (5, width)
        np.testing.assert_allclose(logits.detach().numpy(), _linear(w, head, feature), rtol=1e-9, atol=1e-10)
    # With each loss alone: the weight of the identity is all that "paper" adds to the diagnosis.
    trained = _dual_net("paper", activation).set_params(identity_weight=0.0)
    answers = tuple(torch.from_numpy(_linear(w, head, feature)) for head in ("clinical", "biometric"))
    target = {"y": torch.from_numpy(y), "subject": torch.from_numpy(s)}
    diagnosis, identity = (loss.mean() for loss in _cross_entropies(w, feature, y, s))
    assert trained.get_loss((*answers, None), target).item() == pytest.approx(diagnosis, rel=1e-12)
    trained.set_params(identity_weight=-1.0)
    assert trained.get_loss((*answers, None), target).item() == pytest.approx(diagnosis + identity, rel=1e-12)


def _dual_net(training, activation, contrastive_weight=0.0):
    net = DualNet(
        _drawn_anew(DualHead(CTHEncoder(activation=activation, **SMALL), N_CLASSES, N_SUBJECTS)),
        training=training,
        epsilon=EPSILON,
        attack_lambda=ATTACK_LAMBDA,
        identity_weight=LAMBDA,
        reversal=REVERSAL,
        contrastive_weight=contrastive_weight,
        optimizer=torch.optim.SGD,
        lr=1.0,  # what an update takes off a parameter is its gradient
        train_split=None,
        verbose=0,
    )
    return net.initialize()


def _perturbed(w, x, y, s, activation):
    """A-FGSM of the net as it stands in evaluation, by differences; z-scored again, as every network sees beats."""

    def losses(rows, i):
        feature = _cth(w, _standardize(rows), activation=activation, prefix="encoder.", **SMALL)
        return _cross_entropies(w, feature, y[i], s[i])

    direction = _direction(losses, x, ATTACK_LAMBDA)
    assert np.abs(direction).min() > 1e-7  # else rounding would choose a sign
    return _standardize(x + EPSILON * np.sign(direction))


def _contrastive(feature, y):
    z = feature / np.linalg.norm(feature, axis=1, keepdims=True)
    score = z @ z.T / 0.1
    np.fill_diagonal(score, -np.inf)
    pairs = (y[:, None] == y) & ~np.eye(len(y), dtype=bool)
    log_share = np.where(pairs, score - logsumexp(score, axis=1, keepdims=True), 0)
    anchors = pairs.any(axis=1)
    return -(log_share.sum(axis=1)[anchors] / pairs.sum(axis=1)[anchors]).mean()


def _losses_of_training(training, x, perturbed, y, s, activation, contrastive_weight):
    """What the trunk descends, what the heads descend, and what is reported, as functions of all weights."""
    n = len(x)
    seen = np.concatenate({"plain": [x], "paper": [perturbed], "alternating": [x, perturbed]}[training])
    y, s = np.resize(y, len(seen)), np.resize(s, len(seen))

    def parts(w):
        feature = _cth(w, seen, activation=activation, training=True, prefix="encoder.", **SMALL)
        contrastive = contrastive_weight * _contrastive(feature, y) if contrastive_weight else 0.0
        return *_cross_entropies(w, feature, y, s), contrastive

    def trunk(w):
        diagnosis, identity, contrastive = parts(w)
        sign = {"plain": np.ones(n), "paper": np.full(n, -LAMBDA)}.get(training)
        sign = np.repeat([1.0, -REVERSAL], n) if sign is None else sign
        return diagnosis.mean() + (sign * identity).mean() + contrastive

    def heads(w):
        diagnosis, identity, contrastive = parts(w)
        return diagnosis.mean() + (-LAMBDA if training == "paper" else 1.0) * identity.mean() + contrastive

    return trunk, heads


@pytest.mark.parametrize(
    ("training", "activation", "contrastive_weight"),
    [
        ("plain", "gelu", 0.0),
        ("paper", "sigmoid", 0.0),
        ("paper", "gelu", 0.6),
        ("alternating", "sigmoid", 0.0),
        ("alternating", "gelu", 0.6),
    ],
)
def test_one_update_of_every_parameter(training, activation, contrastive_weight):
    """One step on one batch takes off each weight the central difference of the printed loss.

    "paper", Algorithm 1: L = L_med - lambda L_bio (eq. 3 to 5) at X' = A-FGSM(X), one update of trunk and both heads.
    "alternating": heads descend both losses; the trunk gets the perturbed beats' identity loss reversed.
    """
    net = _dual_net(training, activation, contrastive_weight)
    before, x, (y, s) = _weights(net.module_), _standardize(_beats(6, N_SAMPLES)), _labels(6)
    batch = torch.from_numpy(x), {"y": torch.from_numpy(y), "subject": torch.from_numpy(s)}
    loss = net.train_step(batch)["loss"].item()
    after = _weights(net.module_)

    perturbed = None if training == "plain" else _perturbed(before, x, y, s, activation)
    trunk, heads = _losses_of_training(training, x, perturbed, y, s, activation, contrastive_weight)
    assert loss == pytest.approx(heads(before), rel=1e-9)
    names = [name for name, _ in net.module_.named_parameters()]
    assert {name.split(".")[0] for name in names} == {"encoder", "clinical", "biometric"}
    for name in names:
        function = trunk if name.startswith("encoder") else heads

        def along(values, name=name, function=function):
            return np.array([function({**before, name: value}) for value in values])

        expected = _central(along, before[name])
        _assert_gradient(before[name] - after[name], expected, name)


def test_readings_of_algorithm_1_differ():
    """What the tests above tell apart: as printed, the biometric head is driven the other way."""
    taken = {}
    for training in ("plain", "paper", "alternating"):
        net = _dual_net(training, "sigmoid")
        before = net.module_.biometric.weight.detach().clone()
        x, (y, s) = _standardize(_beats(6, N_SAMPLES)), _labels(6)
        net.train_step((torch.from_numpy(x), {"y": torch.from_numpy(y), "subject": torch.from_numpy(s)}))
        taken[training] = (before - net.module_.biometric.weight.detach()).flatten()
    cosine = nn.functional.cosine_similarity
    assert cosine(taken["paper"], taken["plain"], dim=0) < -0.5
    assert cosine(taken["alternating"], taken["plain"], dim=0) > 0.5


# --- all of it: the paper's release ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "lambda_", "alpha", "training"),
    [("sigmoid", 0.8, 0.0, "paper"), ("sigmoid", 0.8, 0.3, "paper"), ("gelu", 2.0, 0.75, "alternating")],
)
def test_release_as_printed(beats, activation, lambda_, alpha, training):
    """x~ = alpha x + (1 - alpha) (x + sd epsilon sign(eq. 2)), by the CTH alone, at the labels that it predicts."""
    agile = AgileAnonymizer(
        epsilon=0.4,
        lambda_=lambda_,
        alpha=alpha,
        n_steps=1,
        normalize_gradients=False,
        n_surrogates=1,
        training=training,
        diversity=0.0,
        activation=activation,
        max_epochs=6,
        batch_size=32,
        device="cpu",
        random_state=0,
    ).fit(beats.X, beats.y, subjects=beats.subjects)
    w, X = _weights(agile.net_.module_), beats.X[:12].astype(np.float64)

    def feature(rows):
        return _cth(w, _standardize(rows), activation=activation, prefix="encoder.")

    z = _standardize(X)[:, None]
    y, s = (_linear(w, head, feature(z)).argmax(axis=1) for head in ("clinical", "biometric"))

    def losses(rows, i):
        return _cross_entropies(w, feature(rows), y[i], s[i])

    direction = _direction(losses, z, lambda_)[:, 0]
    adversarial = X + 0.4 * X.std(axis=1, keepdims=True) * np.sign(direction)
    # The code's gradient is float32: of one near zero the sign is left open.
    sure = np.abs(direction) > 1e-3 * np.abs(direction).max(axis=1, keepdims=True)
    assert sure.mean() > 0.95
    got = agile.transform(X)
    np.testing.assert_allclose(got[sure], (alpha * X + (1 - alpha) * adversarial)[sure], rtol=0, atol=1e-5)
