"""Releases in files: made of folders of recordings, and read beside their originals for the audit."""

from skagile.release._folders import NotReleasedError, ReleaseLog, anonymize_recordings, fit_recordings
from skagile.release._keys import new_key
from skagile.release._pair import read_release_pair
from skagile.release._problems import ReleaseProblems
from skagile.release._recordings import FitNotes
from skagile.release._scrub import HeaderRules

# isort: split
# For the rooms above.
from skagile.release._look import look_at_arrays as look_at_arrays
from skagile.release._look import look_at_folders as look_at_folders
from skagile.release._pair import read_release_views as read_release_views

__all__ = [
    "FitNotes",
    "HeaderRules",
    "NotReleasedError",
    "ReleaseLog",
    "ReleaseProblems",
    "anonymize_recordings",
    "fit_recordings",
    "new_key",
    "read_release_pair",
]
