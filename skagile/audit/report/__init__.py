"""The report of an audit: text, words, page, pictures, limits and schema."""

from skagile.audit.report._files import sentences_if_red
from skagile.audit.report._judged import LEAST_PEOPLE
from skagile.audit.report._lead_words import TOGETHER
from skagile.audit.report._leads import summary_of_view, worst_view
from skagile.audit.report._limits import LIMITS
from skagile.audit.report._report import AuditReport
from skagile.audit.report._words import percent

__all__ = [
    "LEAST_PEOPLE",
    "LIMITS",
    "TOGETHER",
    "AuditReport",
    "percent",
    "sentences_if_red",
    "summary_of_view",
    "worst_view",
]
