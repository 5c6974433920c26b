"""Remove *who* from an electrocardiogram and keep *what is wrong with the heart*.

Public names are imported on first use, so that ``skagile.BeatSegmenter`` does not load torch.
"""

from skagile._names import lazy_names

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
    "NoiseAnonymizer": "anonymizers",
    "ODEGANAnonymizer": "anonymizers",
    "PPVAEAnonymizer": "anonymizers",
    "PrivECGAnonymizer": "anonymizers",
    "PrivacyUtilityCurve": "model_selection",
    "REACTAnonymizer": "anonymizers",
    "RRIdentifier": "attackers",
    "ReidentificationScorer": "model_selection",
    "RowOrderIdentifier": "attackers",
    "SVDIdentifier": "attackers",
    "SiameseIdentifier": "attackers",
    "TransECGIdentifier": "attackers",
    "UtilityScorer": "model_selection",
    "WarpAnonymizer": "anonymizers",
    "audit_release": "audit",
    "canary_disclosure": "model_selection",
    "detect_r_peaks": "segmentation",
    "load": "persistence",
    "lowest_reidentification": "model_selection",
    "measure_beats": "segmentation",
    "read_release_pair": "release",
    "rr_windows": "segmentation",
    "save": "persistence",
    "signal_quality": "segmentation",
}
_SUBPACKAGES = (
    "anonymizers",
    "attackers",
    "audit",
    "datasets",
    "leads",
    "metrics",
    "model_selection",
    "networks",
    "plotting",
    "records",
    "release",
    "segmentation",
)

__all__ = [
    *_HOME_OF,
    *_SUBPACKAGES,
    "__version__",
]

__getattr__, __dir__ = lazy_names(__name__, _HOME_OF, _SUBPACKAGES)
