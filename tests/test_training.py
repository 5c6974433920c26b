"""How networks are fed, seeded and placed."""

import numpy as np
import pytest
import torch

from skagile._training import RowsDataset, draw_seed, in_batches, pad_rows, resolve_device, seeded


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
