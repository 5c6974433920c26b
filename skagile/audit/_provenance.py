"""With what a report was made: versions, settings, hashes."""

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version

import numpy as np


def describe(estimator):
    """Class and parameters on one line."""
    return " ".join(repr(estimator).split())


def versions():
    """Versions of Python and of the packages that figures depend on."""
    found = {"python": platform.python_version()}
    for name in ("skagile", "numpy", "scipy", "scikit-learn", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def digest(values):
    """SHA-256 of dtype, shape and bytes in C order, little-endian; of text as UTF-8 with a NUL after each entry."""
    values = np.asarray(values)
    if values.dtype.kind in "fiub":
        values = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
        head, body = values.dtype.str, values.data
    else:
        head, body = "text", "".join(f"{value}\0" for value in values.ravel().tolist()).encode()
    digest = hashlib.sha256(f"{head} {values.shape}\n".encode())
    digest.update(body)
    return digest.hexdigest()
