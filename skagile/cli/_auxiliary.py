"""Another release of the same originals, by which attackers who own the tool learn whom to look for."""

from collections.abc import Callable
from os import PathLike
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skagile.release import read_release_views


def read_auxiliary(
    original: str | PathLike,
    auxiliary: tuple[str | PathLike, str | PathLike | None],
    release: Bunch,
    read: dict[str, Any],
    seed: int,
    progress: Callable[[int, int, str], object] | None,
) -> list[np.ndarray | None]:
    """Give the beats of the other release that stand beside each view's, None where there are none.

    Parameters
    ----------
    original : path-like
        As the release was read with.
    auxiliary : tuple (path-like, path-like or None)
        The other release, and its key.
    release : Bunch
        As of ``read_release_views``.
    read : dict
        Keywords that it was read with.
    seed : int
        Of what is drawn.
    progress : callable or None
        Gets (done, total, what).

    Raises
    ------
    ValueError
        Where the other release does not have the beats of the first view.
    """
    path, key = auxiliary
    read = {name: value for name, value in read.items() if name != "key"}
    other = read_release_views(original, path, random_state=seed, progress=progress, key=key, **read)
    views = {(view.lead, view.cut): view for view in other.views}
    beats = [_beside(view, views.get((view.lead, view.cut))) for view in release.views]
    if beats[0] is None:
        raise ValueError(
            f"--auxiliary {str(path)!r} does not have the beats of the release: leads, records or people differ. Make "
            "it of the same originals, with the same model and another key, and leave nothing out of it."
        )
    return beats


def _beside(view, other):
    """Beats of the same heartbeats in another release; those cut at a release's own R peaks have none."""
    if other is None or view.is_recut or other.original.shape != view.original.shape:
        return None
    return other.released if np.array_equal(other.original, view.original, equal_nan=True) else None
