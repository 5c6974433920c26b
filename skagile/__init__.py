"""Remove *who* from an electrocardiogram and keep *what is wrong with the heart*.

Public names are imported on first use, so that ``skagile.BeatSegmenter`` does not load torch.
"""

from importlib import import_module

__version__ = "0.1.0.dev0"

_HOME_OF = {
    "AgileAnonymizer": "anonymizers",
    "AuditReport": "audit",
    "BeatDenoiser": "attackers",
    "BeatImager": "segmentation",
    "BeatSegmenter": "segmentation",
    "BeatwiseClassifier": "segmentation",
    "DeepECGIdentifier": "attackers",
    "FiducialIdentifier": "attackers",
    "KSameAnonymizer": "anonymizers",
    "LabelCountingIdentifier": "attackers",
    "LowOrderIdentifier": "attackers",
    "PrivacyUtilityCurve": "audit",
    "RRIdentifier": "attackers",
    "ReidentificationScorer": "metrics",
    "RowOrderIdentifier": "attackers",
    "SVDIdentifier": "attackers",
    "SiameseIdentifier": "attackers",
    "TransECGIdentifier": "attackers",
    "UtilityScorer": "metrics",
    "WarpAnonymizer": "anonymizers",
    "audit_release": "audit",
    "detect_r_peaks": "segmentation",
    "lowest_reidentification": "metrics",
    "measure_beats": "segmentation",
    "read_release_pair": "records",
    "rr_windows": "segmentation",
    "signal_quality": "segmentation",
}
_SUBPACKAGES = ("anonymizers", "attackers", "audit", "datasets", "metrics", "networks", "records", "segmentation")

__all__ = [
    *_HOME_OF,
    *_SUBPACKAGES,
    "__version__",
]


def __getattr__(name):
    if name in _HOME_OF:
        value = getattr(import_module(f"skagile.{_HOME_OF[name]}"), name)
    elif name in _SUBPACKAGES:
        value = import_module(f"skagile.{name}")
    else:
        raise AttributeError(f"module 'skagile' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted(set(globals()) | set(__all__))
