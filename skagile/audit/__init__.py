"""Audit of a release: who can still be recognised in it, and what can still be diagnosed."""

from skagile.audit._groups import Estimators, Evidence, Size
from skagile.audit._protocol import audit_release
from skagile.audit.report import AuditReport

# isort: split
# For the rooms above.
from skagile.audit._release import check_rows as check_rows
from skagile.audit._release import check_sources as check_sources
from skagile.audit._release import of_earliest_session as of_earliest_session
from skagile.audit._release import split_beats as split_beats
from skagile.audit._views import View as View
from skagile.audit._views import as_only_view as as_only_view
from skagile.audit._views import audit_views as audit_views
from skagile.audit.report import LEAST_PEOPLE as LEAST_PEOPLE
from skagile.audit.report import LIMITS as LIMITS
from skagile.audit.report import TOGETHER as TOGETHER
from skagile.audit.report import percent as percent
from skagile.audit.report import sentences_if_red as sentences_if_red

__all__ = ["AuditReport", "Estimators", "Evidence", "Size", "audit_release"]
