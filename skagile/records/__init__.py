"""Recordings from files: an original and its release, read side by side for the audit."""

from ._pair import read_release_pair
from ._problems import ReleaseProblems

__all__ = ["ReleaseProblems", "read_release_pair"]
