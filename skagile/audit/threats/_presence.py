"""Who is in a release: its density near a person's beats, against that of a reference population."""

from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skagile import metrics
from skagile._arrays import rank_within, standardize_leads
from skagile.audit._measurement import Job, Measurement, in_words
from skagile.audit._release import draw_beats
from skagile.audit.threats._people import MAX_HELD, PeopleRow, interval_of, published_rows
from skagile.audit.threats._traits import MAX_BEATS, N_FOLDS

CHANCE = 0.5
_N_COMPONENTS = 12
_N_PERMUTATIONS = 999
_MAX_PEOPLE = 500  # of each side, drawn at random: what bounds memory
_MAX_PUBLISHED = 50_000
_MIN_COMPARED = 5  # members, for an attack to count
# What an attacker holds of each person.
HELD = {"own beats": "the very beats that were released", "other recordings": "other recordings of the same people"}
_POOLS = {"mean": lambda scores: scores.mean(axis=0), "best": lambda scores: np.quantile(scores, 0.9, axis=0)}


class Presence(Measurement):
    """Whether it can be told who is in the release.

    The attack is calibrated (DOMIAS [1]_). A beat's score is the log density of the released beats near it, less the
    log density of a reference population near it, by nearest neighbours or by a kernel, in principal components of
    standardized beats. A person's score is the mean of the beats' scores, or their 90th percentile, "best". People
    outside the release are both the reference and those that members are told from. The reference of a comparison of
    a member with somebody outside leaves out the latter, for both: a release that knows nobody scores both alike.

    Beside it stands a logistic regression on how far a person's beats were moved, which needs pairs of original and
    released beat of members and of others.

    Notes
    -----
    **What this does not guarantee.** These attacks hold few people as their reference. Somebody who holds more, or
    the anonymizer itself, may tell members where they cannot.

    References
    ----------
    .. [1] B. van Breugel, H. Sun, Z. Qian, M. van der Schaar, "Membership inference attacks against synthetic data
       through overfitting detection", AISTATS 2023.
    """

    name = "presence"

    def __init__(self, inputs):
        self.inputs = inputs

    def jobs(self):
        release, seed = self.inputs.release, self.inputs.settings.seed
        given = {
            "members": self.inputs.members,
            "original": release.beats["original"],
            "released": release.beats["released"],
            "subject": release.subject,
            "seed": seed,
        }
        outside = ~self.inputs.members[release.subject[release.enrolment]]
        attack = {
            **given,
            "published": published_rows(release, self.inputs.members),
            "reference": release.enrolment[outside],
            "n_leads": release.n_leads,
        }
        held = dict(zip(HELD, (release.enrolment, release.probe), strict=True))
        jobs = [Job(f"presence, {name}", find_presence, {**attack, "held": rows}) for name, rows in held.items()]
        return [*jobs, Job("presence, features", infer_membership, given)]

    def rows(self, results):
        """Give a row for each attack and what the attacker holds."""
        *calibrated, features = results
        attacks = [
            (attacker, held, scores)
            for held, result in zip(HELD, calibrated, strict=True)
            for attacker, scores in result.items()
            if _compared(scores) >= _MIN_COMPARED
        ]
        attacks.append(("features", "released pairs", features))
        settings, inside = self.inputs.settings, self.inputs.members
        times_drawn = metrics.draw_sides(inside, settings.n_resamples, settings.seed)
        nulls, worst_null = shuffled([scores["alone"] for *_, scores in attacks], inside, settings.seed)
        return [
            _row(attacker, held, scores, inside, times_drawn, float(null), worst_null, settings)
            for (attacker, held, scores), null in zip(attacks, nulls, strict=True)
        ]


def _compared(scores):
    """Count the members with a score."""
    return int(np.isfinite(scores["against"]).any(axis=1).sum())


def _row(attacker, held, scores, inside, times_drawn, control, worst_control, settings):
    """Row of one attack. `scores` holds those of members ``against`` each person outside, and of all ``alone``."""
    others = scores["alone"][~inside]
    against = scores["against"]
    above = against - others
    wins = np.where(above > 0, 1.0, np.where(above == 0, 0.5, 0.0))
    known = np.isfinite(above)
    wins[~known] = 0.0
    with np.errstate(invalid="ignore"):
        of_members, of_others = times_drawn[:, inside], times_drawn[:, ~inside]
        draws = ((of_members @ wins) * of_others).sum(axis=1) / ((of_members @ known) * of_others).sum(axis=1)
    tried = known.any(axis=1)
    value, beaten = wins.sum() / known.sum(), wins[tried].sum(axis=1) / known[tried].sum(axis=1)
    n_others = int(known.any(axis=0).sum())
    n_people = 2 * min(int(tried.sum()), n_others)
    low, high = interval_of(value, draws, n_people, n_people, settings)
    detail = {
        "attacker": attacker,
        "knowledge": held,
        "auroc": float(value),
        "auroc_low": low,
        "auroc_high": high,
        "control": control,
        "worst_control": worst_control,
        "tpr_fpr_1e2": float(np.mean(beaten >= 1 - 0.01 - 1e-9)),
        "tpr_fpr_1e1": float(np.mean(beaten >= 1 - 0.1 - 1e-9)),
        "n_members": int(tried.sum()),
        "n_others": n_others,
    }
    sentence = (
        f"Who is in the release was told by {attacker} from {held} with an area under the ROC curve of "
        f"{in_words(float(value), low, high, percent=False)}; guessing has 0.50, and with people shuffled it is "
        f"{control:.2f} at most, 19 times of 20."
    )
    return PeopleRow(
        f"{attacker}, {held}",
        float(value),
        low,
        high,
        CHANCE,
        sentence,
        detail,
        float(value),
        draws,
        n_people,
        n_people,
    )


def shuffled(scores, inside, seed):
    """95th percentiles of the areas with people shuffled: of each attack, and of the largest of all."""
    scores = np.stack(scores, axis=1)
    rng = np.random.RandomState(seed)
    ranks = np.full(scores.shape, np.nan)
    for column, of_attack in zip(ranks.T, scores.T, strict=True):
        known = np.isfinite(of_attack)
        column[known] = rankdata(of_attack[known])
    known = np.isfinite(ranks)
    areas = np.empty((_N_PERMUTATIONS, scores.shape[1]))
    for area in areas:
        drawn = rng.permutation(inside)[:, None] & known
        n_in = drawn.sum(axis=0)
        pairs = n_in * (known.sum(axis=0) - n_in)
        area[:] = (np.where(drawn, ranks, 0.0).sum(axis=0) - n_in * (n_in + 1) / 2) / np.maximum(pairs, 1)
    return np.quantile(areas, 0.95, axis=0), float(np.quantile(areas.max(axis=1), 0.95))


# What goes to other processes.


def find_presence(what, *, members, original, released, subject, published, reference, held, seed, n_leads=1):
    """Score every person whose beats are `held`, by each way of estimating densities and of pooling beats."""
    del what
    rng = np.random.RandomState(seed)
    sides = [_some(np.flatnonzero(members), rng), _some(np.flatnonzero(~members), rng)]
    outside = sides[1]
    published = np.sort(_some(published, rng, _MAX_PUBLISHED))
    reference = draw_beats(reference[np.isin(subject[reference], outside)], subject, MAX_HELD, seed)
    reference = reference[np.argsort(subject[reference], kind="stable")]
    held = draw_beats(held[np.isin(subject[held], np.concatenate(sides))], subject, MAX_HELD, seed)
    near, far, beats = (
        standardize_leads(rows, n_leads) for rows in (released[published], original[reference], original[held])
    )
    # Components of what is held of everybody alike: those of the reference would fit people outside better.
    components = _in_equal_parts(near, beats, rng)
    pca = PCA(min(_N_COMPONENTS, *components.shape), svd_solver="full").fit(components)
    near, far, beats = (pca.transform(rows) for rows in (near, far, beats))
    starts = np.flatnonzero(np.diff(subject[reference], prepend=-1))
    owners = subject[reference][starts]
    width = _width(far, starts)
    alone = {name: np.full(len(members), np.nan) for name in _names()}
    against = {name: np.full((int(members.sum()), int((~members).sum())), np.nan) for name in _names()}
    column = np.cumsum(~members) - 1
    row = np.cumsum(members) - 1
    for person in np.unique(subject[held]):
        own = None if members[person] else int(np.flatnonzero(owners == person)[0])
        for name, scores in _score(beats[subject[held] == person], near, far, starts, own, width).items():
            if own is None:
                against[name][row[person], column[owners]] = scores
                alone[name][person] = scores.mean()
            else:
                alone[name][person] = scores[own]
    return {name: {"alone": alone[name], "against": against[name]} for name in _names()}


def _names():
    return [f"{density}, {pool}" for density in ("nearest", "kernel") for pool in _POOLS]


def _some(entries, rng, most=_MAX_PEOPLE):
    return entries if len(entries) <= most else rng.permutation(entries)[:most]


def _in_equal_parts(one, other, rng):
    """As many rows of both, so that the components are of the one no more than of the other."""
    n = min(len(one), len(other))
    return np.concatenate([_some(one, rng, n), _some(other, rng, n)])


def _squares(one, other):
    squares = (one**2).sum(axis=1)[:, None] - 2 * one @ other.T + (other**2).sum(axis=1)
    return np.maximum(squares, 0.0)


def _width(far, starts):
    """Width of the kernel: half the usual distance of a reference beat to the nearest of another person."""
    edges = [*starts, len(far)]
    picked = np.concatenate([np.arange(a, b)[:: max(1, (b - a) // 10)] for a, b in pairwise(edges)])
    nearest = np.minimum.reduceat(_squares(far[picked], far), starts, axis=1)
    nearest[np.arange(len(picked)), np.searchsorted(starts, picked, side="right") - 1] = np.inf
    return 0.5 * float(np.sqrt(np.median(nearest.min(axis=1))))


def _score(beats, near, far, starts, own, width):
    """Scores of a person with each person of the reference left out, by name of the attack.

    `own` is the person's place in the reference, whose beats count nowhere; None where they are not in it.
    """
    to_far, to_near = _squares(beats, far), _squares(beats, near)
    least = np.minimum(to_far.min(axis=1), to_near.min(axis=1))[:, None]
    tiny = 1e-12 * width**2
    nearest = np.log(np.maximum(np.minimum.reduceat(to_far, starts, axis=1), tiny)) / 2
    sizes = np.diff([*starts, len(far)])
    kernel = np.add.reduceat(np.exp((least - to_far) / (2 * width**2)), starts, axis=1) / sizes
    if own is not None:
        nearest[:, own], kernel[:, own] = np.inf, 0.0
    first, second = np.partition(nearest, 1, axis=1)[:, :2].T[..., None]
    without = np.where(nearest == first, second, first)
    released = {
        "nearest": np.log(np.maximum(to_near.min(axis=1), tiny))[:, None] / 2,
        "kernel": _log(np.exp((least - to_near) / (2 * width**2)).mean(axis=1))[:, None],
    }
    n_left = len(starts) - 1 - (np.arange(len(starts)) != own if own is not None else 0)
    scores = {
        "nearest": without - released["nearest"],
        "kernel": released["kernel"] - _log((kernel.sum(axis=1)[:, None] - kernel) / n_left),
    }
    return {f"{name}, {how}": pool(of_beats) for name, of_beats in scores.items() for how, pool in _POOLS.items()}


def _log(density):
    return np.log(np.maximum(density, np.finfo(density.dtype).tiny))


def infer_membership(what, *, members, original, released, subject, seed):
    """Tell members by how their beats lie to the release.

    Features of a person: how far their beats were moved, and how near their originals lie to any released beat. People
    are judged by a logistic regression trained on the others.
    """
    del what
    chosen = np.flatnonzero(rank_within(subject) < MAX_BEATS)
    original, released, owner = original[chosen], released[chosen], subject[chosen]
    nearest = 1 - metrics.nearest_rows(original, released)[1]
    features = pd.DataFrame(
        {
            "prdn": metrics.prdn(original, released),
            "error": metrics.max_abs_error(original, released),
            "nearest": nearest,
        }
    ).replace([np.inf, -np.inf], np.nan)
    of_person = features.groupby(owner).agg(["mean", "std"]).fillna(0.0)
    truth = members.astype(int)
    folds = StratifiedKFold(int(min(N_FOLDS, np.bincount(truth).min())), shuffle=True, random_state=seed)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    scores = cross_val_predict(model, of_person.to_numpy(), truth, cv=folds, method="decision_function")
    return {"alone": scores, "against": np.repeat(scores[members][:, None], (~members).sum(), axis=1)}
