"""Records to beats, and back: R-peak detection, segmentation, measurement and imaging of electrocardiograms."""

from skagile.segmentation._beatwise import BeatwiseClassifier
from skagile.segmentation._imaging import BeatImager, read_beats, render_beats
from skagile.segmentation._measure import measure_beats
from skagile.segmentation._pan_tompkins import detect_r_peaks
from skagile.segmentation._quality import signal_quality
from skagile.segmentation._rr import rr_windows
from skagile.segmentation._segmenter import BeatSegmenter

__all__ = [
    "BeatImager",
    "BeatSegmenter",
    "BeatwiseClassifier",
    "detect_r_peaks",
    "measure_beats",
    "read_beats",
    "render_beats",
    "rr_windows",
    "signal_quality",
]
