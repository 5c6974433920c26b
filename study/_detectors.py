"""Other people's R-peak detectors, called as their documentation shows; each needs its package only when used."""

import importlib
import importlib.util
import sys
import types
import warnings

import numpy as np


def _import(module, package):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(module)
        except ImportError as error:
            raise ImportError(
                f"this study compares with {package}: pip install {package}, then run it again"
            ) from error


def xqrs(signal, sampling_rate):
    return _import("wfdb.processing", "wfdb").xqrs_detect(signal, sampling_rate, verbose=False)


def gqrs(signal, sampling_rate):
    return _import("wfdb.processing", "wfdb").gqrs_detect(signal, sampling_rate)


def _neurokit(signal, sampling_rate, method):
    nk = _import("neurokit2", "neurokit2")
    cleaned = nk.ecg_clean(signal, sampling_rate, method=method)
    return nk.ecg_findpeaks(cleaned, sampling_rate, method=method)["ECG_R_Peaks"]


def neurokit(signal, sampling_rate):
    return _neurokit(signal, sampling_rate, "neurokit")


def pantompkins1985(signal, sampling_rate):
    return _neurokit(signal, sampling_rate, "pantompkins1985")


def hamilton(signal, sampling_rate):
    """As ``biosppy.signals.ecg.ecg`` does it: filter, detect, move to the R wave."""
    # BioSPPy imports peakutils without requiring it; hamilton does not use it, so that an empty module does.
    if "peakutils" not in sys.modules and importlib.util.find_spec("peakutils") is None:
        sys.modules["peakutils"] = types.ModuleType("peakutils")
    tools, ecg = _import("biosppy.signals.tools", "biosppy"), _import("biosppy.signals.ecg", "biosppy")
    filtered, _, _ = tools.filter_signal(
        signal=signal,
        ftype="FIR",
        band="bandpass",
        order=int(1.5 * sampling_rate),
        frequency=[0.67, 45],
        sampling_rate=sampling_rate,
    )
    filtered = filtered - filtered.mean()
    (peaks,) = ecg.hamilton_segmenter(signal=filtered, sampling_rate=sampling_rate)
    (peaks,) = ecg.correct_rpeaks(signal=filtered, rpeaks=peaks, sampling_rate=sampling_rate, tol=0.05)
    return peaks


PEERS = {
    "wfdb xqrs": xqrs,
    "wfdb gqrs": gqrs,
    "NeuroKit2 neurokit": neurokit,
    "NeuroKit2 pantompkins1985": pantompkins1985,
    "BioSPPy hamilton": hamilton,
}


def detect(name, signal, sampling_rate):
    """Peaks of peer `name` as an ascending integer array."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        peaks = PEERS[name](np.asarray(signal, dtype=np.float64), sampling_rate)
    return np.unique(np.asarray(peaks, dtype=np.int64))
