"""Models of recordings in files: statistics, networks and settings; no beat, and nobody's name."""

import os
from pathlib import Path

import numpy as np

from skagile._model_file import write_model
from skagile._state import blank
from skagile.persistence import contents_of, estimator_of, read_contents
from skagile.release._recordings import Background, RecordingModel

_MOST_LEADS = 256
_WRONG = "it is no model of recordings. Give the file that skagile fit, or fit_recordings, wrote"


def write_recording_model(path: str | os.PathLike, model: RecordingModel) -> Path:
    """Write a model to a file that its owner alone may read."""
    recordings = {
        "leads": model.leads,
        "sampling_rate": model.sampling_rate,
        "window": model.window,
        "band": model.band,
        "background": model.background._get_state(),
    }
    return write_model(path, {**contents_of(model.anonymizer), "recordings": recordings})


def read_recording_model(path: str | os.PathLike) -> RecordingModel:
    """Read what :func:`write_recording_model` wrote.

    Raises
    ------
    ValueError
        For a file that is damaged, hostile, or no model of recordings.
    OSError
        For a file that is missing or may not be read.
    """
    return read_contents(path, _made)


def _made(content):
    told = content.pop("recordings", None)
    names = ["leads", "sampling_rate", "window", "band", "background"]
    if type(told) is not dict or list(told) != names:
        raise ValueError(_WRONG)
    leads = told["leads"]
    right = type(leads) is list and 0 < len(leads) <= _MOST_LEADS and all(type(lead) is str for lead in leads)
    right = right and len(set(leads)) == len(leads)
    right = right and _are_numbers([told["sampling_rate"]], 10, 100_000)
    right = right and all(type(told[name]) is tuple and len(told[name]) == 2 for name in ("window", "band"))
    right = right and _are_numbers(told["window"], 0.01, 5) and _are_numbers(told["band"], 0, 50_000)
    right = right and told["band"][0] < told["band"][1]
    if not right:
        raise ValueError(_WRONG)
    background = blank(Background)._set_state(told["background"], "the background")
    if len(background.level) != len(leads):
        raise ValueError(f"its background has {len(background.level)} leads, and it names {len(leads)}")
    anonymizer = estimator_of(content)
    n_samples = sum(round(seconds * told["sampling_rate"]) for seconds in told["window"])
    n_leads, n_features = getattr(anonymizer, "n_leads_in_", 0), getattr(anonymizer, "n_features_in_", 0)
    if not hasattr(anonymizer, "transform") or (n_leads, n_features) != (len(leads), len(leads) * n_samples):
        raise ValueError(
            f"its {type(anonymizer).__name__} takes {n_leads} leads and {n_features} samples; expected an anonymizer "
            f"of {len(leads)} leads of {n_samples} samples"
        )
    how = {name: told[name] for name in ("sampling_rate", "window", "band")}
    return RecordingModel(anonymizer, leads, background, **how)


def _are_numbers(values, low, high):
    return all(type(value) in (int, float) and np.isfinite(value) and low <= value <= high for value in values)
