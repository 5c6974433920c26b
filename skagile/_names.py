"""Public names that are imported on first use, so that a package costs nothing before one is asked for."""

import sys
from importlib import import_module


def lazy_names(package, home_of, subpackages=()):
    """Make the ``__getattr__`` and ``__dir__`` of a package.

    Parameters
    ----------
    package : str
        Name of the package, its ``__name__``.
    home_of : dict of str to str
        Module below the package that each name is defined in.
    subpackages : sequence of str, default=()
        Names that are modules themselves.

    Returns
    -------
    getattr_, dir_ : callable
    """

    def getattr_(name):
        if name in home_of:
            value = getattr(import_module(f"{package}.{home_of[name]}"), name)
        elif name in subpackages:
            value = import_module(f"{package}.{name}")
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(sys.modules[package], name, value)
        return value

    def dir_():
        return sorted({*vars(sys.modules[package]), *home_of, *subpackages})

    return getattr_, dir_
