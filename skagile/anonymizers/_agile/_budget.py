"""How far released beats are from the original ones, in clinicians' units."""

import numpy as np

from skagile.metrics import max_abs_error, prdn, snr

# What is measured.
BUDGET = ("prdn", "snr", "mean_change", "max_change")


def budget(original, released):
    """Measure a release.

    Parameters
    ----------
    original, released : array-like of shape (..., n_samples)
        Beats; NaN where one, or a lead of it, is missing.

    Returns
    -------
    summary : dict of str to float
        By the names of `BUDGET`; the first two are medians over the beats, and of several leads over those of all.
    """
    original, released = np.asarray(original, dtype=np.float64), np.asarray(released, dtype=np.float64)
    return {
        "prdn": float(np.nanmedian(prdn(original, released))),
        "snr": float(np.nanmedian(snr(original, released))),
        "mean_change": float(np.nanmean(np.abs(released - original))),
        "max_change": float(np.nanmax(max_abs_error(original, released))),
    }


def split_leads(original, released, n_leads):
    """Give both, laid out lead after lead, with a row for every lead that is there: a missing one is flat."""
    original, released = (beats.reshape(len(beats) * n_leads, -1) for beats in (original, released))
    there = original.max(axis=1) > original.min(axis=1)
    return original[there], released[there]
