"""Mixtures of beats whose waves are laid upon one another first."""

from collections.abc import Iterator

import numpy as np

from skagile._state import Array, Field, check
from skagile.anonymizers._generators._mixture import MixtureGenerator, mix


class AlignedMixtureGenerator(MixtureGenerator):
    """Mixtures in which P, QRS and T of the donors meet before they are mixed, so that averages do not smear.

    Every donor's beat is warped, linearly between its landmarks, to common ones; beats and landmarks are mixed by the
    same weights, and the mixed beat is warped back to the mixed landmarks.

    Parameters
    ----------
    donors : Donors
        The stored beats.
    landmarks : ndarray of float of shape (n_donors, n_landmarks)
        Rising samples of each beat, from 0 to ``n_samples - 1``.
    **params
        As of `MixtureGenerator`.
    """

    def __init__(self, donors, landmarks, **params):
        super().__init__(donors, **params)
        self.landmarks = landmarks.astype(np.float32)
        self._align()

    def _align(self):
        self.common = np.median(self.landmarks, axis=0, keepdims=True)
        self.aligned = warp(self.donors.beats, self.landmarks, self.common)

    def _state_fields(self) -> Iterator[Field]:
        yield from super()._state_fields()
        n_beats, n_samples = self.donors.beats.shape
        # In beats of a few samples there is no room for all landmarks, and `rising` puts the first before the beat.
        yield Array("landmarks", shape=(n_beats, None), low=-n_samples - 100, high=n_samples - 1)
        right = self.landmarks.shape[1] > 1 and (np.diff(self.landmarks, axis=1) > 0).all()
        check(right, type(self).__name__, "holds landmarks that do not rise")
        if not hasattr(self, "aligned"):  # a state is taken
            self._align()

    def generate(self, pool, uniforms):
        """As of `MixtureGenerator`."""
        donors, weights = self.choose(pool, uniforms)
        return warp(mix(self.aligned, donors, weights), self.common, mix(self.landmarks, donors, weights))


def warp(beats, landmarks, target):
    """Move what is at the landmarks of beats to target samples, linearly in between.

    Parameters
    ----------
    beats : ndarray of shape (n_rows, n_samples)
        Beats.
    landmarks, target : ndarray of shape (n_rows, n_landmarks) or (1, n_landmarks)
        Rising, the first 0 and the last ``n_samples - 1``.

    Returns
    -------
    warped : ndarray of the shape and dtype of `beats`
    """
    n_samples = beats.shape[1]
    time = np.arange(n_samples, dtype=np.float32)
    source = np.zeros((len(beats), n_samples), dtype=np.float32)
    for i in range(target.shape[1] - 1):
        begin, length = target[:, i : i + 1], np.diff(target[:, i : i + 2], axis=1)
        slope = np.diff(landmarks[:, i : i + 2], axis=1) / np.maximum(length, 1e-6)
        source += np.clip(time - begin, 0, length) * slope
    below = np.clip(source.astype(np.intp), 0, n_samples - 2)
    part = np.clip(source - below, 0, 1).astype(beats.dtype)
    low, high = (np.take_along_axis(beats, below + i, axis=1) for i in (0, 1))
    return low + part * (high - low)


def rising(landmarks, n_samples, fallback):
    """Fill absent landmarks, add both ends of the beat, and push apart what is less than a sample apart.

    Parameters
    ----------
    landmarks : ndarray of float of shape (n_rows, n_landmarks)
        Samples; NaN where absent.
    n_samples : int
        Samples of a beat, more than ``n_landmarks + 2``.
    fallback : ndarray of float of shape (n_rows, n_landmarks)
        What takes the place of absent ones.

    Returns
    -------
    landmarks : ndarray of float of shape (n_rows, n_landmarks + 2)
    """
    filled = np.where(np.isnan(landmarks), fallback, landmarks)
    n_rows, n_landmarks = filled.shape
    filled = np.hstack([np.zeros((n_rows, 1)), filled, np.full((n_rows, 1), n_samples - 1.0)])
    steps = np.arange(n_landmarks + 2)
    # Rising by at least one sample, and nowhere so late that no room is left for those behind.
    filled = np.maximum.accumulate(filled - steps, axis=1) + steps
    return np.minimum(filled, n_samples - 1.0 - steps[::-1])
