"""Recordings to anonymized recordings: what is fitted, and what is done with one recording."""

from skagile.release._recordings._background import Background as Background
from skagile.release._recordings._fit import Collected as Collected
from skagile.release._recordings._fit import Collector as Collector
from skagile.release._recordings._fit import FitNotes as FitNotes
from skagile.release._recordings._fit import Part as Part
from skagile.release._recordings._fit import fit_model as fit_model
from skagile.release._recordings._model import RecordingModel as RecordingModel
from skagile.release._recordings._prepare import NoBeatsError as NoBeatsError
