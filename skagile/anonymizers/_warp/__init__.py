"""A learned warp of beats."""

from skagile.anonymizers._warp._anonymizer import WarpAnonymizer

__all__ = ["WarpAnonymizer"]
