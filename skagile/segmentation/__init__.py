"""Records to beats, and back: R-peak detection, segmentation, measurement and imaging of electrocardiograms."""

from ._beatwise import BeatwiseClassifier
from ._imaging import BeatImager, read_beats, render_beats
from ._measure import measure_beats
from ._pan_tompkins import detect_r_peaks
from ._quality import signal_quality
from ._rr import rr_windows
from ._segmenter import BeatSegmenter

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
