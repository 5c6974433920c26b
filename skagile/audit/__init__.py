"""Audit of a release: who can still be recognised in it, and what can still be diagnosed."""

from skagile.audit._curve import PrivacyUtilityCurve
from skagile.audit._protocol import audit_release
from skagile.audit._report import AuditReport

__all__ = ["AuditReport", "PrivacyUtilityCurve", "audit_release"]
