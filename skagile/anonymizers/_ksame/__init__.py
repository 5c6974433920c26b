"""k-same: keys, pools and draws."""

from skagile.anonymizers._ksame._anonymizer import KSameAnonymizer

__all__ = ["KSameAnonymizer"]
