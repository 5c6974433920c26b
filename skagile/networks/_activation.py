"""Activation functions by name."""

from torch import nn

ACTIVATIONS = {"gelu": nn.GELU, "sigmoid": nn.Sigmoid, "relu": nn.ReLU}


def make_activation(name: str) -> nn.Module:
    """Return a new activation module of that name."""
    return ACTIVATIONS[name]()
