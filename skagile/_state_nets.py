"""Networks in a fitted state: weights as arrays, and modules that the estimator builds again from its parameters."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

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
            with seeded(0):  # first weights are drawn; the caller's random state stays as it was
                module = self.make(plain)
        except _CANNOT_BUILD as error:
            raise refusal(where, f"does not fit the parameters ({type(error).__name__}: {error})") from error
        expected = module.state_dict()
        check_keys(plain, list(expected), where)
        for name, tensor in expected.items():
            _check_weight(plain[name], tensor, f"{where}[{name!r}]")
        module.load_state_dict({name: torch.from_numpy(weight.copy()) for name, weight in plain.items()}, strict=True)
        return module.to(device).eval().requires_grad_(False)


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
