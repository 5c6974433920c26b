"""Twelve leads, one heart: names of leads, and the laws that limb leads obey."""

from skagile.leads._derive import derive_leads
from skagile.leads._independent import independent_leads
from skagile.leads._residual import lead_residual

# isort: split
# For the rooms above.
from skagile.leads._limb import LimbLeads as LimbLeads
from skagile.leads._limb import limb_leads as limb_leads
from skagile.leads._names import STANDARD as STANDARD
from skagile.leads._names import plain_name as plain_name
from skagile.leads._names import standard_lead as standard_lead

__all__ = ["derive_leads", "independent_leads", "lead_residual"]
