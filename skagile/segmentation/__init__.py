"""Records to beats, and back: R-peak detection, segmentation, measurement and imaging of electrocardiograms."""

from skagile.segmentation._beatwise import BeatwiseClassifier
from skagile.segmentation._imaging import BeatImager, read_beats, render_beats
from skagile.segmentation._measure import measure_beats
from skagile.segmentation._pan_tompkins import detect_r_peaks
from skagile.segmentation._quality import signal_quality
from skagile.segmentation._rr import rr_windows
from skagile.segmentation._segmenter import BeatSegmenter

# isort: split
# For the rooms above.
from skagile.segmentation._cut import band_pass as band_pass
from skagile.segmentation._cut import check_band as check_band
from skagile.segmentation._cut import cut_beats as cut_beats
from skagile.segmentation._cut import fits_record as fits_record
from skagile.segmentation._cut import move_peaks as move_peaks
from skagile.segmentation._cut import rate_ratio as rate_ratio
from skagile.segmentation._cut import resample as resample
from skagile.segmentation._cut import resampled_length as resampled_length
from skagile.segmentation._cut import window_samples as window_samples
from skagile.segmentation._inputs import transposed as transposed
from skagile.segmentation._measure_leads import tells_axis as tells_axis
from skagile.segmentation._several_leads import Signals as Signals
from skagile.segmentation._several_leads import cut_over_leads as cut_over_leads
from skagile.segmentation._several_leads import find_over_leads as find_over_leads
from skagile.segmentation._several_leads import place_of_lead as place_of_lead
from skagile.segmentation._several_leads import r_waves_of_beats as r_waves_of_beats

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
