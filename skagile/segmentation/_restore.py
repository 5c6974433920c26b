"""Beats written back into records, cross-faded at their seams."""

import numpy as np


def write_back(
    records: np.ndarray | list[np.ndarray], beats: np.ndarray, start: np.ndarray, record: np.ndarray, n_fade: int
) -> np.ndarray | list[np.ndarray]:
    """Write beats into copies of the records.

    Parameters
    ----------
    records : ndarray of shape (n_records, n_times) or list of ndarray of shape (n_times_i,)
        Checked; the result comes in the same form and dtype.
    beats : ndarray of float64 of shape (n_beats, n_samples)
        What is written.
    start, record : ndarray of int of shape (n_beats,)
        First sample of each beat in its record, and which record that is.
    n_fade : int
        Samples over which a beat fades in from the record and out to it again.
    """
    # The records lie end to end, and so do the beats: two bincounts add up weights and weighted changes.
    lengths = np.array([len(x) for x in records])
    ends = np.cumsum(lengths)
    flat = np.concatenate(list(records)).astype(np.float64)
    n_samples = beats.shape[1]
    index = ((ends - lengths)[record][:, None] + start[:, None] + np.arange(n_samples)).ravel()
    weight = _fading_weights(n_samples, n_fade)
    change = weight * (beats - flat[index].reshape(beats.shape))
    total_change = np.bincount(index, change.ravel(), minlength=len(flat))
    total_weight = np.bincount(index, np.tile(weight, len(beats)), minlength=len(flat))
    covered = total_weight > 0
    flat[covered] += total_change[covered] / np.maximum(total_weight[covered], 1.0)
    restored = np.split(flat, ends[:-1])
    if isinstance(records, np.ndarray):
        return np.stack(restored).astype(records.dtype)
    return [new.astype(old.dtype) for new, old in zip(restored, records, strict=True)]


def _fading_weights(n_samples, n_fade):
    """Ones that rise from and fall to zero over `n_fade` samples, as squared sines."""
    weight = np.ones(n_samples)
    ramp = np.sin(np.pi / 2 * (np.arange(n_fade) + 0.5) / max(n_fade, 1)) ** 2
    weight[:n_fade] = ramp
    weight[n_samples - n_fade :] = ramp[::-1]
    return weight
