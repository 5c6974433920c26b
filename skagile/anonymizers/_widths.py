"""Widths of networks that users give."""

from numbers import Integral


def check_widths(widths, name):
    """Refuse what is no sequence of whole numbers above 0; return them as a tuple."""
    widths = tuple(widths)
    if not widths or any(not isinstance(width, Integral) or width < 1 for width in widths):
        raise ValueError(f"{name}={widths!r} must hold one whole number above 0 for each layer, and at least one.")
    return widths
