"""Records to beats, and back: R-peak detection and segmentation of electrocardiograms."""

from ._pan_tompkins import detect_r_peaks
from ._segmenter import BeatSegmenter

__all__ = ["BeatSegmenter", "detect_r_peaks"]
