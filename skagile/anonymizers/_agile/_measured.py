"""What can be said and shown of a release."""

import numpy as np
from numpy.typing import ArrayLike

from skagile.anonymizers._agile._budget import budget
from skagile.segmentation import BeatImager

# Images of 200 x 200 take a thousand times a beat's memory.
IMAGE_BATCH = 64


class MeasuredMixin:
    """Images and figures of what ``transform`` returns."""

    def transform_images(self, X: ArrayLike) -> np.ndarray:
        """Anonymize beats and draw them.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_samples), (n_rows, n_beats, n_samples) or with leads before samples
            As in ``transform``.

        Returns
        -------
        images : ndarray of float32 of shape (n_rows, 200, 200) or (n_rows, n_beats, 200, 200)
            Grayscale images of the released beats, as `~skagile.segmentation.BeatImager` draws them, which also says
            what it makes of several leads, with either
            `representation`; NaN for missing beats. They hold 160 kB a beat: give many beats in parts.

        Raises
        ------
        sklearn.exceptions.NotFittedError, ValueError
            As ``transform``.
        """
        released = np.asarray(self.transform(X))
        return BeatImager(batch_size=IMAGE_BATCH).fit(released).transform(released)

    def summarize(self, X: ArrayLike, released: ArrayLike | None = None) -> dict[str, float]:
        """Say in clinicians' units how far released beats are from the original ones.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_samples), (n_rows, n_beats, n_samples) or with leads before samples
            Original beats, in millivolts.
        released : array-like of the shape of `X`, default=None
            What ``transform`` made of them. None calls it.

        Returns
        -------
        summary : dict of str to float
            ``"prdn"`` (percent) and ``"snr"`` (dB), both the median over the leads of all beats; ``"mean_change"`` and
            ``"max_change"``, the mean and the largest absolute change of a sample, in the unit of `X`.

        Raises
        ------
        sklearn.exceptions.NotFittedError, ValueError
            As ``transform``; ValueError also where `released` is of another shape than `X`.
        """
        return budget(X, self.transform(X) if released is None else released)
