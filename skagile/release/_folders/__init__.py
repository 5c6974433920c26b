"""Folders of recordings to a model, and to folders of anonymized recordings."""

from skagile.release._folders._anonymize import NotReleasedError as NotReleasedError
from skagile.release._folders._anonymize import ReleaseLog as ReleaseLog
from skagile.release._folders._anonymize import anonymize_recordings as anonymize_recordings
from skagile.release._folders._fit import fit_recordings as fit_recordings
