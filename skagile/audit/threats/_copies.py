"""Whether released beats are somebody's own: nearer to one person's original than a stranger's beat comes."""

from functools import partial

import numpy as np

from skagile import metrics
from skagile._arrays import centre_leads, standardize_leads
from skagile.audit._measurement import Job, Measurement, in_words
from skagile.audit.threats._people import PeopleRow, interval_of, published_rows

NULL = 0.05  # of strangers' beats are as near, by definition
MIN_PEOPLE = 5  # for strangers to be compared with
_SCALES = {"shape": "offset and size of the beat taken away", "millivolts": "in millivolts, offset taken away"}
_BLOCK = 2**22  # distances held at a time
_MIN_BEATS = 40  # of a diagnosis, for a 5 % quantile of its own


class Copies(Measurement):
    """Share of the released beats that are as near to an original of anybody as the nearest 5 % of strangers' beats.

    Each person in turn is a stranger to the others. How near a beat is has two sides: its distance to the nearest
    original of anybody, and its lead: how much nearer that is than the nearest original of anybody else (in squares, to
    which noise adds alike; twice as near leads most). Each is ranked among strangers' beats of the same diagnosis, and
    the less telling rank counts. So an average of many people, which is near to everybody, is no copy; what is near to
    one person and to no other is. A diagnosis of few beats or few people is ranked among all.

    Whose original is nearest to those beats is told beside the share: in a release whose rows stand as in the original
    it is as a rule the person of the row. Where it is not, the rows were put in another order, or people's beats were
    exchanged, and naming whose row a beat is in says nothing.

    Notes
    -----
    **What this does not guarantee.** A high share proves that recordings were copied. A low one proves nothing: what
    is far from every record, by this distance, may still tell who was in the cohort ("distance to the closest record"
    is no measure of privacy [1]_).

    References
    ----------
    .. [1] Z. Yao, N. Krčo, G. Ganev, Y.-A. de Montjoye, "The DCR delusion: measuring the privacy risk of synthetic
       data", arXiv 2505.01524, 2025.
    """

    name = "copies"

    def __init__(self, inputs):
        self.inputs = inputs
        self._published = published_rows(inputs.release, inputs.members)

    def jobs(self):
        release = self.inputs.release
        given = {
            "original": release.beats["original"],
            "released": release.beats["released"],
            "subject": release.subject,
            "published": self._published,
            "n_leads": release.n_leads,
        }
        return [Job(f"copies, {scale}", find_nearest, {**given, "scale": scale}) for scale in _SCALES]

    def rows(self, results):
        """Give a row for each kind of distance."""
        release, settings = self.inputs.release, self.inputs.settings
        owner = release.subject[self._published]
        code = np.zeros(len(owner), dtype=int) if release.label is None else release.label[self._published]
        groups = _comparable(code, owner)
        times_drawn = metrics.draw_people(self.inputs.n_subjects, settings.n_resamples, settings.seed)
        rows = []
        for scale, result in zip(_SCALES, results, strict=True):
            share, near = _share_near(result, groups, owner, np.ones((1, self.inputs.n_subjects)))
            draws, _ = _share_near(result, groups, owner, times_drawn)
            rows.append(self._row(scale, float(share[0]), draws, near, owner, result["whose"]))
        return rows

    def _row(self, scale, value, draws, near, owner, whose):
        n_people = len(np.unique(owner))
        low, high = interval_of(value, draws, n_people, len(owner), self.inputs.settings)
        detail = {
            "distance": scale,
            "share": value,
            "share_low": low,
            "share_high": high,
            "null": NULL,
            "n_people_near": len(np.unique(owner[near])),
            **_own(whose[near], owner[near]),
            "n_subjects": n_people,
            "n_beats": len(owner),
        }
        sentence = (
            f"{in_words(value, low, high)} of released beats are as near to an original as the nearest 5 % of "
            f"strangers' beats ({scale}: {_SCALES[scale]}). More than 5 % proves that recordings were copied; less "
            "proves nothing."
        )
        return PeopleRow(scale, value, low, high, NULL, sentence, detail, value, draws, n_people, len(owner))


def _own(whose, owner):
    """Share of beats that are nearest to the person of their row, and the same with the rows in any order."""
    if not len(owner):
        return {"own": None, "own_by_luck": None}
    count = [np.bincount(people, minlength=max(whose.max(), owner.max()) + 1) / len(owner) for people in (whose, owner)]
    return {"own": float(np.mean(whose == owner)), "own_by_luck": float(np.dot(*count))}


def _comparable(code, owner):
    """Pairs of rows and of the rows that they are compared with: of their diagnosis, or all where it is rare."""
    groups, rare = [], np.zeros(len(code), dtype=bool)
    for each in np.unique(code):
        chosen = code == each
        if chosen.sum() < _MIN_BEATS or len(np.unique(owner[chosen])) < MIN_PEOPLE:
            rare |= chosen
        else:
            groups.append((np.flatnonzero(chosen), np.flatnonzero(chosen)))
    if rare.any():
        groups.append((np.flatnonzero(rare), np.arange(len(code))))
    return groups


def _share_near(measured, groups, owner, weight):
    """Share of released beats nearer than the quantile of strangers, for each row of weights of people.

    Also whether each released beat is, with the weights of the first row.
    """
    hits, near = np.zeros(len(weight)), np.zeros(len(owner), dtype=bool)
    for rows, others in groups:
        strangers = measured["strangers"][others]
        score = _score(measured["released"][rows], strangers)
        limit = _quantile(_score(strangers, strangers), owner[others], weight)
        near[rows] = score < limit[0]
        for start in range(0, len(weight), step := max(1, _BLOCK // len(rows))):
            part = slice(start, start + step)
            hits[part] += ((score < limit[part, None]) * weight[part][:, owner[rows]]).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return hits / (weight @ np.bincount(owner, minlength=weight.shape[1])), near


def _score(beats, strangers):
    """Larger of the ranks of a beat's distance and of its lead among strangers, from 0 to 1."""
    ranks = [np.searchsorted(np.sort(side), mine, side="left") for mine, side in zip(beats.T, strangers.T, strict=True)]
    return np.max(ranks, axis=0) / len(strangers)


def _quantile(scores, owner, weight):
    """5 % quantile of the scores for each row of weights of people; 0, which nothing is below, where nobody has one."""
    order = np.argsort(scores, kind="stable")
    sorted_owner, limits = owner[order], np.zeros(len(weight))
    for start in range(0, len(weight), step := max(1, _BLOCK // len(order))):
        below = np.cumsum(weight[start : start + step][:, sorted_owner], axis=1)
        # The first whose rank is above 5 %: no more than that lie below it.
        at = (below > NULL * below[:, -1:]).argmax(axis=1)
        limits[start : start + step] = np.where(below[:, -1] > 0, scores[order[at]], 0.0)
    return limits


# What goes to other processes.


def find_nearest(what, *, original, released, subject, published, scale, n_leads=1):
    """Measure how near each published beat is to originals, and its own original to those of others."""
    del what
    prepare = partial(standardize_leads if scale == "shape" else centre_leads, n_leads=n_leads)
    order = np.argsort(subject, kind="stable")
    originals = prepare(original.astype(np.float64))
    starts = np.flatnonzero(np.diff(subject[order], prepend=-1))
    near, whose = _nearest(prepare(released[published].astype(np.float64)), originals[order], starts)
    strangers, _ = _nearest(originals[published], originals[order], starts, subject[published])
    return {"released": near, "whose": whose, "strangers": strangers}


def _nearest(rows, others, starts, owner=None):
    """Distance of each row to the nearest of `others` with its lead before those of other people, and whose it is.

    `others` are sorted by person, each beginning at one of `starts`; with `owner`, each row's own person is left out.
    """
    least, whose = np.empty((len(rows), 2)), np.empty(len(rows), dtype=np.int64)
    norms = (others**2).sum(axis=1)
    for start in range(0, len(rows), step := max(1, _BLOCK // len(others))):
        block = rows[start : start + step]
        squares = norms - 2 * block @ others.T + (block**2).sum(axis=1)[:, None]
        of_person = np.minimum.reduceat(squares, starts, axis=1)
        if owner is not None:
            of_person[np.arange(len(block)), owner[start : start + step]] = np.inf
        least[start : start + step] = np.partition(of_person, 1, axis=1)[:, :2]
        whose[start : start + step] = of_person.argmin(axis=1)
    first, second = np.maximum(least, 0.0).T / rows.shape[1]
    return np.stack([np.sqrt(first), np.where(first < second / 4, -np.inf, first - second)], axis=1), whose
