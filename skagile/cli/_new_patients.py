"""New patients, read as the original of a release is: their beats in the leads of its first view."""

from os import PathLike
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skagile.leads import plain_name
from skagile.release import read_release_pair, read_release_views


def read_new(
    path: str | PathLike, pair: Bunch, read: dict[str, Any], seed: int
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], list[tuple[str, str]]]:
    """Give beats of new patients with their diagnoses and people, and what was left out of them.

    Parameters
    ----------
    path : path-like
        Originals of people who are on neither side.
    pair : Bunch
        The first view of the release.
    read : dict
        Keywords of ``read_release_views`` that the release was read with.
    seed : int
        Of what is drawn.
    """
    if pair.y is None:
        raise ValueError("--new-patients was given, but the original has no diagnosis. Choose one by --labels.")
    read = {key: value for key, value in read.items() if key != "leads"} | {"sampling_rate": pair.sampling_rate}
    # A path with itself: new patients have no release.
    if pair.original.ndim == 2:
        # The lead is one of those of the view, else their first.
        new = read_release_pair(path, path, random_state=seed, **read, lead=[*pair.called[0], 0])
    else:
        new = read_release_views(path, path, random_state=seed, **read).views[0]
        new = _in_leads_of(pair, new, path)
    if new.y is None:
        raise ValueError(f"--new-patients {str(path)!r} has no diagnosis. Choose one by --labels.")
    both = np.intersect1d(np.asarray(new.subjects).astype(str), np.asarray(pair.subjects).astype(str))
    if len(both):
        raise ValueError(
            f"--new-patients has {str(both[0])!r}, whom the original has too ({len(both)} people); expected people who "
            "are on neither side. Leave them out, or name people apart by --subjects."
        )
    known = np.isin(new.y, np.unique(pair.y))
    left_out = list(new.skipped)
    if not known.all():
        strange = ", ".join(map(str, np.unique(new.y[~known])))
        what = f"{int((~known).sum())} rows of new patients have a diagnosis that the original lacks: {strange}."
        left_out.append(("new patients", what))
    return (new.original[known], new.y[known], new.subjects[known]), left_out


def _in_leads_of(pair, new, path):
    """Lay beats of new patients out in the leads of a view of several; by place where no name is known."""
    X = new.original if new.original.ndim == 4 else new.original[:, None, None]
    wanted, own = ([set(map(plain_name, names)) for names in called] for called in (pair.called, new.called))
    partner = {}
    for place, names in enumerate(wanted):
        for number, of_new in enumerate(own):
            if number not in partner and names & of_new:
                partner[number] = place
                break
    if not partner and len(own) == len(wanted) and not (any(wanted) and any(own)):
        partner = {number: number for number in range(len(own))}
    if not partner:
        shown = [", ".join("/".join(names) or "one without a name" for names in of.called) for of in (new, pair)]
        raise ValueError(
            f"--new-patients {str(path)!r} has no lead of the original: its leads are {shown[0]}, the original's "
            f"{shown[1]}. Name the leads alike, or choose one lead with --lead."
        )
    numbers = list(partner)
    beats = np.full((len(X), 1, len(wanted), X.shape[3]), np.nan, dtype=np.result_type(X, np.float32))
    beats[:, 0, [partner[number] for number in numbers]] = X[:, 0, numbers]
    kept = ~np.isnan(beats).all(axis=(1, 2, 3))
    if not kept.any():
        raise ValueError(f"--new-patients {str(path)!r} has no beat in the leads of the original. Look at its leads.")
    of_rows = {key: None if new[key] is None else new[key][kept] for key in ("y", "subjects")}
    return Bunch(original=beats[kept], skipped=new.skipped, **of_rows)
