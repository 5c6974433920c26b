"""Figures of one attack, from the scores that it gave each probe."""

from typing import NamedTuple

import numpy as np

from skagile import metrics
from skagile._arrays import rank_within
from skagile.audit._settings import with_interval

_N_PERMUTATIONS = 999
_N_D_SYS = 99


class Recognised(NamedTuple):
    """What one attack with one knowledge recognised."""

    row: dict  # of the report
    correct: np.ndarray  # (n_probe,) whether each probe was named right
    probed: np.ndarray  # (n_probe,) its subject
    named: np.ndarray  # (n_people,) whether each person was, from all probes
    victims: np.ndarray  # (n_people,) their subjects
    gallery: dict | None = None
    attention: dict | None = None  # where the attacker looks


def measure_attack(answers, settings, *, names):
    """Measure every answer of a fit, of which `names` gives the attacker's name and knowledge."""
    return [
        recognise(name, knowledge, answer, settings)._asdict()
        for (name, knowledge), answer in zip(names, answers, strict=True)
    ]


def recognise(name, knowledge, answer, settings):
    """Measure everything the report says of one attack.

    `answer` holds ``scores`` of each probe for each of ``classes``, and ``probed``, the probes' subjects; of an
    attacker who embeds also ``cosines`` with ``templates``, which stand for the scores where there are none.
    """
    probed, verification = answer["probed"], None
    if answer["cosines"] is not None:
        templates = answer["templates"]
        verification = metrics.VerificationScores(answer["cosines"], probed[:, None] == templates, templates)
    # Cosines are no probabilities, and say nothing in bits.
    probable = answer["scores"] is not None
    scores, classes = (answer["scores"], answer["classes"]) if probable else (verification.scores, templates)
    resampling = settings.resampling
    correct = classes[scores.argmax(axis=1)] == probed
    victims, fused = metrics.fuse_scores(scores, probed)
    named = classes[fused.argmax(axis=1)] == victims
    null = metrics.rank1_null(
        scores, probed, classes=classes, n_permutations=_N_PERMUTATIONS, random_state=settings.seed
    )
    bits = float(metrics.information_bound(scores, probed, classes=classes, n_resamples=10).bits) if probable else None
    eer, verified = _verify(verification, probed, settings)
    row = {
        "attacker": name,
        "knowledge": knowledge,
        **with_interval("rank1", correct.mean(), metrics.bootstrap_interval(correct, probed, **resampling)),
        **eer,
        **with_interval("fused_rank1", named.mean(), metrics.bootstrap_interval(named, victims, **resampling)),
        "fusion": [_fused(scores, classes, probed, size, resampling) for size in settings.fusion],
        "rank5": float(metrics.cmc_curve(probed, scores, classes=classes)[: min(5, len(classes))][-1]),
        **verified,
        "information_bits": bits,
        "null_rank1": float(np.quantile(null, 0.95)),
        "p_value": metrics.permutation_p_value(correct.mean(), null),
        "n_subjects": len(victims),
        "n_probe": len(probed),
    }
    gallery = None
    if settings.galleries and len(classes) > 2:
        gallery = {"attacker": name, "knowledge": knowledge, **_gallery(scores, classes, probed, settings)}
    return Recognised(row, correct, probed, named, victims, gallery, answer.get("attention"))


def _verify(verification, probed, settings):
    """Equal error rate with its interval, and the other figures of verification; None where nothing embeds."""
    if verification is None:
        return with_interval("eer", None, (None, None)), dict.fromkeys(
            ("tar_far_1e2", "tar_far_1e3", "d_sys", "d_sys_null")
        )
    mated, cosines = verification.mated, verification.scores
    equal_error = metrics.equal_error_rate(mated, cosines)
    interval = metrics.equal_error_rate_interval(verification, probed, **settings.resampling)
    accepted = metrics.tar_at_far(mated, cosines, far=(1e-2, 1e-3))
    null = metrics.d_sys_null(mated, cosines, subjects=probed, n_permutations=_N_D_SYS, random_state=settings.seed)
    return with_interval("eer", equal_error, interval), {
        # NaN where there are too few impostors to set the threshold by.
        "tar_far_1e2": _or_none(accepted[0]),
        "tar_far_1e3": _or_none(accepted[1]),
        "d_sys": float(metrics.d_sys(mated, cosines)),
        "d_sys_null": float(np.quantile(null, 0.95)),
    }


def _fused(scores, classes, probed, size, resampling):
    """Rank-1 of groups of `size` consecutive probes of a person; of all they have, where they are fewer."""
    if size == "all":
        owner, fused = metrics.fuse_scores(scores, probed)
    else:
        rank, count = rank_within(probed), np.bincount(probed)[probed]
        # Groups are full, but for people who have no full one.
        kept = (rank < count // size * size) | (count < size)
        stride = len(probed) + 1
        group, fused = metrics.fuse_scores(scores[kept], (probed * stride + rank // size)[kept])
        owner = group // stride
    named = classes[fused.argmax(axis=1)] == owner
    interval = metrics.bootstrap_interval(named, owner, **resampling)
    return {"n_beats": size, **with_interval("rank1", named.mean(), interval)}


def _gallery(scores, classes, probed, settings):
    curve = metrics.gallery_curve(
        scores, probed, classes=classes, extrapolate=settings.galleries, **settings.resampling
    )
    points = [
        {"n": int(n), "rank1": float(value), "low": float(low), "high": float(high)}
        for n, value, low, high in zip(curve.n, curve.rank1, curve.low, curve.high, strict=True)
    ]
    return {
        part: [point for point, modelled in zip(points, curve.extrapolated, strict=True) if modelled == wanted]
        for part, wanted in (("measured", False), ("extrapolated", True))
    }


def _or_none(value):
    return None if np.isnan(value) else float(value)
