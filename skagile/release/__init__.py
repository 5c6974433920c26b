"""Releases in files: an original and its release, read side by side for the audit."""

from skagile.release._pair import read_release_pair
from skagile.release._problems import ReleaseProblems

# isort: split
# For the rooms above.
from skagile.release._keys import new_key as new_key
from skagile.release._keys import read_key as read_key
from skagile.release._look import look_at_arrays as look_at_arrays
from skagile.release._look import look_at_folders as look_at_folders
from skagile.release._pair import read_release_views as read_release_views
from skagile.release._scrub import HeaderRules as HeaderRules

__all__ = ["ReleaseProblems", "read_release_pair"]
