"""Releases in files: made of folders of recordings, and read beside their originals for the audit."""

from skagile._names import lazy_names
from skagile.release._keys import new_key
from skagile.release._pair import read_release_pair
from skagile.release._problems import ReleaseProblems
from skagile.release._scrub import HeaderRules

# isort: split
# For the rooms above.
from skagile.release._keys import read_key as read_key
from skagile.release._look import look_at_arrays as look_at_arrays
from skagile.release._look import look_at_folders as look_at_folders
from skagile.release._pair import read_release_views as read_release_views
from skagile.release._renamed import original_names as original_names

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

# What fits and anonymizes loads networks; who audits files needs none of it.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "FitNotes": "_recordings",
        "NotReleasedError": "_folders",
        "ReleaseLog": "_folders",
        "anonymize_recordings": "_folders",
        "fit_recordings": "_folders",
    },
)
