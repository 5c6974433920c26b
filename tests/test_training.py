"""How networks are fed, seeded, placed and trained."""

import ast
import pickle
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed
from joblib.externals.loky import process_executor
from skorch import NeuralNet
from torch import nn

import skagile
from skagile._training import (
    RowsDataset,
    draw_seed,
    in_batches,
    pad_rows,
    resolve_device,
    seeded,
    tell,
    torch_threads,
    train_net,
    watching,
)
from skagile.anonymizers import AgileAnonymizer
from skagile.anonymizers._agile import _anonymizer

SOURCES = Path(skagile.__file__).parent


def test_auto_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("cuda")
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
    assert resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_cuda_where_there_is_none(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=rf"device='{device}'.*no CUDA.*\"cpu\""):
        resolve_device(device)


def test_unknown_device():
    with pytest.raises(ValueError, match=r"device='toaster'.*\"auto\", \"cpu\" or \"cuda\""):
        resolve_device("toaster")


def test_seeded_is_repeatable_and_leaves_no_trace():
    state = torch.get_rng_state()
    with seeded(3):
        first = torch.rand(4)
    with seeded(3):
        second = torch.rand(4)
    with seeded(4):
        other = torch.rand(4)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_seeded_restores_after_an_error():
    state = torch.get_rng_state()

    def fail():
        with seeded(0):
            torch.rand(1)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert torch.equal(torch.get_rng_state(), state)


def test_seeds_come_from_the_random_state():
    a, b = np.random.RandomState(0), np.random.RandomState(0)
    assert [draw_seed(a) for _ in range(3)] == [draw_seed(b) for _ in range(3)]
    assert draw_seed(a) != draw_seed(a)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_come_a_batch_at_a_time(dtype):
    X = np.arange(20, dtype=dtype).reshape(5, 4)
    y = np.array([3, 1, 4, 1, 5])
    data = RowsDataset(X, {"y": y, "subject": y + 1})
    assert len(data) == 5
    got, target = data.__getitems__([4, 0])
    assert got.dtype == torch.float32
    np.testing.assert_array_equal(got.numpy(), X[[4, 0]][:, None])
    np.testing.assert_array_equal(target["subject"].numpy(), [6, 4])
    one, one_target = data[2]
    np.testing.assert_array_equal(one.numpy(), X[2:3])
    assert one_target["y"] == 4
    plain, plain_y = RowsDataset(X, y)[3]
    np.testing.assert_array_equal(plain.numpy(), X[3:4])
    assert plain_y == 1


@pytest.mark.parametrize("n_rows", [1, 31, 32, 33, 70])
def test_padding_repeats_rows(n_rows):
    X = np.random.default_rng(0).standard_normal((n_rows, 5))
    padded = pad_rows(X)
    assert padded.dtype == torch.float32
    assert padded.shape[1:] == (1, 5)
    assert padded.shape[0] % 32 == 0
    assert padded.shape[0] - n_rows < 32
    np.testing.assert_array_equal(padded[:, 0].numpy(), X.astype(np.float32)[np.arange(len(padded)) % n_rows])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_in_batches_is_the_function(dtype, batch_size):
    X = np.random.default_rng(0).standard_normal((23, 5)).astype(dtype)
    seen = []

    def function(batch):
        seen.append((len(batch), torch.is_grad_enabled()))
        return batch.flatten(1).sum(dim=1, keepdim=True)

    out = in_batches(function, X, batch_size=batch_size, device=torch.device("cpu"))
    assert out.dtype == dtype
    np.testing.assert_allclose(out, X.sum(axis=1, keepdims=True), rtol=1e-5, atol=1e-6)
    assert len(seen) == -(-23 // batch_size)
    assert not any(enabled for _, enabled in seen)


def _name(node):
    """Last part of a dotted name."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _nets_made(trees):
    """Files that make a skorch net, and how often: by its class, by a subclass of it, or by a name it was given."""
    nodes = [(file, node) for file, tree in trees.items() for node in ast.walk(tree)]
    nets = {"NeuralNet", "NeuralNetClassifier", "NeuralNetBinaryClassifier", "NeuralNetRegressor", "net_class"}
    for _, node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("skorch"):
            nets |= {alias.asname for alias in node.names if alias.name in nets and alias.asname}
    size = 0
    while size < len(nets):
        size = len(nets)
        nets |= {
            n.name for _, n in nodes if isinstance(n, ast.ClassDef) and any(_name(base) in nets for base in n.bases)
        }
    return [file for file, node in nodes if isinstance(node, ast.Call) and _name(node.func) in nets]


def _trees(**planted):
    trees = {str(file.relative_to(SOURCES)): ast.parse(file.read_text("utf-8")) for file in SOURCES.rglob("*.py")}
    return trees | {name: ast.parse(source) for name, source in planted.items()}


def test_one_place_makes_nets():
    """To train one, and to hold a module that was restored."""
    assert _nets_made(_trees()) == ["_training.py"] * 2


@pytest.mark.parametrize(
    "source",
    [
        "from skorch import NeuralNet\nnet = NeuralNet(module)",
        "import skorch\nnet = skorch.NeuralNetClassifier(module)",
        "from skorch import NeuralNet as Net\nnet = Net(module)",
        "from skagile.anonymizers._agile._dual_net import DualNet\nnet = DualNet(module)",
        "class Mine(NeuralNet):\n    pass\nclass Own(Mine):\n    pass\ndef fit():\n    return Own(module)",
    ],
)
def test_a_second_place_is_seen(source):
    assert "planted" in _nets_made(_trees(planted=source))


class _Halved(NeuralNet):
    """A net class of one's own, with a loss and a parameter of its own."""

    def __init__(self, *args, factor=1.0, criterion=nn.MSELoss, **kwargs):
        super().__init__(*args, criterion=criterion, **kwargs)
        self.factor = factor

    def get_loss(self, *args, **kwargs):
        return self.factor * super().get_loss(*args, **kwargs)


def _line(n_rows=40, scale=1.0):
    X = np.random.default_rng(0).standard_normal((n_rows, 3)).astype(np.float32)
    return RowsDataset(X, scale * X.sum(axis=1, keepdims=True)[:, None])


def _trained(dataset, **options):
    options = {"criterion": nn.MSELoss, "n_epochs": 3, "lr": 0.1, "batch_size": 16, **options}
    with seeded(0):
        return train_net(nn.Linear(3, 1), dataset, device=torch.device("cpu"), **options)


def test_training_learns_and_is_repeatable():
    nets = [_trained(_line(), n_epochs=40) for _ in range(2)]
    assert nets[0].history[-1, "train_loss"] < 0.1 * nets[0].history[0, "train_loss"]
    assert torch.equal(*(net.module_.weight for net in nets))
    assert not nets[0].module_.training


def test_net_class_brings_its_loss_and_parameters():
    plain, own = _trained(_line()), _trained(_line(), criterion=None, net_class=_Halved, factor=0.5)
    assert isinstance(own, _Halved)
    assert own.history[0, "batches", 0, "train_loss"] == pytest.approx(
        plain.history[0, "batches", 0, "train_loss"] / 2, rel=1e-6
    )


def test_gradients_are_clipped():
    norms = []

    class Watched(_Halved):
        def on_batch_end(self, *args, **kwargs):
            super().on_batch_end(*args, **kwargs)
            norms.append(float(torch.cat([p.grad.flatten() for p in self.module_.parameters()]).norm()))

    _trained(_line(scale=100.0), criterion=None, net_class=Watched)
    assert max(norms) > 10.0
    norms.clear()
    _trained(_line(scale=100.0), criterion=None, net_class=Watched, max_gradient_norm=5.0)
    assert max(norms) < 5.001


def test_sampler_sets_the_order():
    seen = []

    def collate(batch):
        seen.append(batch[0][:, 0, 0])
        return batch

    data = _line(32)
    # Backwards: in order is also what comes of no sampler and no shuffling.
    _trained(data, sampler=range(31, -1, -1), n_epochs=1, collate=collate)
    assert torch.equal(torch.cat(seen), data.X[:, 0, 0].flip(0))
    seen.clear()
    _trained(data, n_epochs=1, collate=collate)
    assert not torch.equal(torch.cat(seen), data.X[:, 0, 0])


def test_weights_decay():
    norms = [_trained(_line(), weight_decay=decay, n_epochs=20).module_.weight.norm().item() for decay in (0.0, 3.0)]
    assert norms[1] < 0.9 * norms[0]


@pytest.mark.parametrize(("least", "n_steps"), [(4, 10), (16, 2), (32, 1)])
def test_few_rows_make_short_steps(least, n_steps):
    net = _trained(_line(), batch_size=32, least_batch=least, n_epochs=1)
    assert len(net.history[0, "batches"]) == n_steps


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_threads_are_the_callers_again():
    with torch_threads(1):
        assert torch.get_num_threads() == 1
        with torch_threads(None):
            assert torch.get_num_threads() == 1
        with torch_threads(2):
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3

    def fail():
        with torch_threads(1):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_threads_of_another_thread_are_its_own():
    seen = []

    def other():
        torch.set_num_threads(2)
        with torch_threads(1):
            seen.append(torch.get_num_threads())
        seen.append(torch.get_num_threads())

    with torch_threads(1):
        thread = Thread(target=other)
        thread.start()
        thread.join()
        assert torch.get_num_threads() == 1
    assert seen == [1, 2]
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize(("threads", "number"), [({}, 1), ({"threads": None}, 3), ({"threads": 2}, 2)])
def test_nets_are_trained_on_one_thread_if_not_told_otherwise(threads, number):
    seen = set()

    def collate(batch):
        seen.add(torch.get_num_threads())
        return batch

    _trained(_line(), collate=collate, **threads)
    assert seen == {number}
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_batches_go_through_on_one_thread():
    seen = set()

    def function(batch):
        seen.add(torch.get_num_threads())
        return batch

    in_batches(function, np.zeros((5, 3)), batch_size=2, device=torch.device("cpu"))
    assert seen == {1}
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize(("representation", "number"), [("signal", 1), ("image", 3)])
def test_agile_perturbs_beats_on_one_thread_and_tells_of_each_batch(monkeypatch, representation, number):
    rng = np.random.default_rng(0)
    X, codes = rng.standard_normal((40, 32)), np.arange(40) % 4
    agile = AgileAnonymizer(n_surrogates=1, n_steps=1, max_epochs=1, transform_batch_size=16, random_state=0)
    agile.fit(X, codes % 2, subjects=codes).set_params(representation=representation)
    seen, told = set(), []

    def watched(surrogates, x, *args, **kwargs):
        seen.add(torch.get_num_threads())
        return x

    monkeypatch.setattr(_anonymizer, "afgsm", watched)
    with watching(lambda *at: told.append(at)):
        agile.transform(X)
    assert seen == {number}
    assert told == [(16, 40), (32, 40), (40, 40)]
    assert torch.get_num_threads() == 3


def test_who_watches_is_told_of_each_epoch():
    outer, inner = [], []
    with watching(lambda *at: outer.append(at)):
        net = _trained(_line(), n_epochs=2)
        with watching(lambda *at: inner.append(at)):
            tell(1, 1)
    tell(2, 2)
    _trained(_line())
    assert outer == [(1, 2), (2, 2)]
    assert inner == [(1, 1)]
    # Nets that were trained while somebody watched hold on to nobody.
    assert pickle.loads(pickle.dumps(net)).max_epochs == 2


def _trained_in_a_worker(number):
    """What joblib allows this worker to grow by, once a network was trained in it."""
    _trained(_line())
    return process_executor._MAX_MEMORY_LEAK_SIZE


def test_joblib_keeps_a_worker_that_trains(by_value):
    """With psutil it would end one, as leaking memory, and may wait for it for ever; here nothing changes."""
    before = process_executor._MAX_MEMORY_LEAK_SIZE
    allowed = Parallel(n_jobs=2)(delayed(_trained_in_a_worker)(number) for number in range(4))
    assert allowed == [float("inf")] * 4
    _trained(_line())
    assert before == process_executor._MAX_MEMORY_LEAK_SIZE
