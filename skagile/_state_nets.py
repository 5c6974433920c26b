"""Networks in a fitted state: weights as arrays, and modules that the estimator builds again from its parameters."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.modules import module as registration

from skagile._files import FREE_BYTES
from skagile._state import Field, check, check_keys, refusal
from skagile._training import resolve_device, restored_net, seeded

# What building a module of absurd sizes, or of weights that are not there, may raise.
_CANNOT_BUILD = (RuntimeError, MemoryError, OverflowError, LookupError, TypeError, ZeroDivisionError)


@dataclass(frozen=True)
class Module(Field):
    """A torch module, in evaluation mode and without gradients.

    Parameters
    ----------
    make : callable
        Builds the module with any weights. Gets the state's arrays by name, for a module that holds data of a length
        of its own.
    device : str
        As estimators name it.
    """

    make: Callable | None = None
    device: str = "auto"

    def plain(self, value: object, where: str) -> object:
        return {name: weight.detach().cpu().numpy().copy() for name, weight in value.state_dict().items()}

    def value(self, plain: object, where: str) -> object:
        device = resolve_device(self.device)
        check(type(plain) is dict, where, f"is a {type(plain).__name__}; expected a dict of weights")
        for name, weight in plain.items():
            right = type(weight) is np.ndarray and weight.dtype.kind in "fib" and weight.dtype.isnative
            check(right, f"{where}[{name!r}]", "is no array of numbers")
        try:
            # First without any memory: a few numbers among the parameters can ask for any amount.
            with torch.device("meta"), _bounded(plain, where):
                expected = self.make(plain).state_dict()
            check_keys(plain, list(expected), where)
            for name, tensor in expected.items():
                _check_weight(plain[name], tensor, f"{where}[{name!r}]")
            with seeded(0):  # first weights are drawn; the caller's random state stays as it was
                module = self.make(plain)
        except _CANNOT_BUILD as error:
            raise refusal(where, f"does not fit the parameters ({type(error).__name__}: {error})") from error
        module.load_state_dict({name: torch.from_numpy(weight.copy()) for name, weight in plain.items()}, strict=True)
        return module.to(device).eval().requires_grad_(False)


@contextmanager
def _bounded(weights: dict, where: str) -> Iterator[None]:
    """Stop a module that is built in this thread once it has far more pieces or bytes than there are weights for."""
    most_pieces = 1000 + 50 * len(weights)
    most_bytes = FREE_BYTES + 2 * sum(weight.nbytes for weight in weights.values())
    thread, taken = threading.get_ident(), [0, 0]

    def count(_, name, piece):
        if threading.get_ident() != thread:
            return
        taken[0] += 1
        if isinstance(piece, torch.Tensor):
            taken[1] += piece.nelement() * piece.element_size()
        right = taken[0] <= most_pieces and taken[1] <= most_bytes
        asked = f"{taken[0]} pieces and {taken[1]} bytes, or more"
        check(right, where, f"has {len(weights)} weights; the parameters ask for {asked}")

    with ExitStack() as stack:
        for kind in ("parameter", "buffer", "module"):
            hook = getattr(registration, f"register_module_{kind}_registration_hook")(count)
            stack.callback(hook.remove)
        yield


def _check_weight(weight, tensor, where):
    wanted = torch.empty(0, dtype=tensor.dtype).numpy().dtype
    check(weight.dtype == wanted, where, f"has dtype {weight.dtype}; expected {wanted}")
    shape = tuple(tensor.shape)
    check(weight.shape == shape, where, f"has shape {weight.shape}; the parameters ask for {shape}")
    check(weight.dtype.kind != "f" or np.isfinite(weight).all(), where, "holds NaN or infinite values")


@dataclass(frozen=True)
class Net(Module):
    """A skorch net: its module is kept, and what only training needs is not."""

    def plain(self, value: object, where: str) -> object:
        return super().plain(value.module_, where)

    def value(self, plain: object, where: str) -> object:
        return restored_net(super().value(plain, where), resolve_device(self.device))
