"""Offset and size of beats: the same for all, or nearly each beat's own."""

import numpy as np

from skagile._arrays import lead_scale, standardize_leads


def leads_there(leads):
    """Which leads of beats (n_beats, n_leads, n_samples) are not missing: such a one is flat."""
    return leads.max(axis=2) > leads.min(axis=2)


def median_level(leads):
    """Median offset of each lead and median standard deviation of a beat, over the leads that are there.

    Parameters
    ----------
    leads : ndarray of shape (n_beats, n_leads, n_samples)
        Beats; a missing lead is zero.

    Returns
    -------
    level : ndarray of shape (n_leads + 1,)
    """
    there = leads_there(leads)
    offset = [np.median(lead[own]) for lead, own in zip(leads.mean(axis=2).T, there.T, strict=True)]
    spread = np.sqrt(leads.var(axis=2).sum(axis=1) / there.sum(axis=1).astype(leads.dtype))
    return np.array([*offset, np.median(spread)], dtype=np.float64)


def at_common_level(made, leads, level):
    """Give made beats the offset and standard deviation of `level`.

    Parameters
    ----------
    made : ndarray of shape (n_beats, n_leads, n_samples)
        Made of `leads`, at any level.
    leads : ndarray of the same shape
        The beats they are made of; a lead that these lack becomes zero.
    level : ndarray of shape (n_leads + 1,)
        As of `median_level`.

    Returns
    -------
    beats : ndarray of the same shape
    """
    *offset, spread = level.astype(leads.dtype)
    there = leads_there(leads)
    scaled = standardize_leads(made.reshape(len(made), -1), made.shape[1]).reshape(made.shape)
    # A missing lead, which is zero, has no share in a beat's size.
    spread = spread * np.sqrt(there.mean(axis=1))[:, None, None].astype(leads.dtype)
    return np.where(there[..., None], np.array(offset)[:, None] + spread * scaled, 0)


def at_own_level(made, leads):
    """Give made beats the offset of each lead, and the standard deviation of all, of the beats they are made of."""
    offset, spread = lead_scale(leads.reshape(len(leads), -1), leads.shape[1])
    scaled = standardize_leads(made.reshape(len(made), -1), made.shape[1]).reshape(made.shape)
    return np.where(leads_there(leads)[..., None], offset + spread * scaled, 0).astype(leads.dtype, copy=False)
