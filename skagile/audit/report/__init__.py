"""The report of an audit: text, words, page, pictures, limits and schema."""

from skagile.audit.report._limits import LIMITS
from skagile.audit.report._report import AuditReport
from skagile.audit.report._words import percent

__all__ = ["LIMITS", "AuditReport", "percent"]
