"""One attack: train on one source, ask about others, and measure what was recognised."""

from typing import NamedTuple

import numpy as np

from skagile import metrics
from skagile._arrays import rank_within
from skagile.audit._settings import fit, log_proba, with_interval


class Question(NamedTuple):
    """What an attacker is asked about, and as what it counts."""

    source: str
    knowledge: str
    suffix: str = ""  # to the attacker's name


class Found(NamedTuple):
    """What one attack with one knowledge found."""

    row: dict  # of the report
    correct: np.ndarray  # (n_probe,) whether each probe was named right
    probed: np.ndarray  # (n_probe,) its subject
    named: np.ndarray  # (n_people,) whether each person was, from all probes
    victims: np.ndarray  # (n_people,) their subjects
    gallery: dict | None = None
    attention: dict | None = None  # where the attacker looks


def attack(what, name, attacker, parts, source, questions, settings):
    """Train one attacker on one source and put every question to him that this training answers."""
    part = parts[source]
    X = part.X[part.enrolment]
    params = {}
    if attacker.known.counts and part.label is not None:
        params["diagnoses"] = part.label[part.enrolment]
    fitted = fit(what, attacker.estimator, X, part.enrolled, **params)
    templates = fitted.transform(X) if hasattr(fitted, "transform") else None
    results = []
    for question in questions:
        asked = parts[question.source]
        probe = asked.X[asked.probe]
        verification = None
        if templates is not None:
            verification = metrics.verification_scores(templates, part.enrolled, fitted.transform(probe), asked.probed)
        found = measure(
            name + question.suffix,
            question.knowledge,
            log_proba(fitted, probe),
            fitted.classes_,
            asked.probed,
            verification,
            settings,
        )
        if hasattr(fitted, "attention") and question.knowledge in ("clean", "adaptive"):
            found = found._replace(attention=_attention(fitted, probe, settings))
        results.append(found)
    return results


def denoise(what, front_end, original, released, enrolment, settings):
    """Clean the release: by a band-pass, or by what the enrolled pairs of original and released beat teach."""
    del what
    # Here and not on top: it loads torch.
    from skagile.attackers import BeatDenoiser

    denoiser = BeatDenoiser(method=front_end, sampling_rate=settings.sampling_rate, random_state=settings.seed)
    denoiser.fit(released[enrolment], clean=original[enrolment] if front_end == "learned" else None)
    cleaned = denoiser.transform(released)
    # What is flat once it is clean holds nothing to attack; estimators refuse it.
    flat = np.ptp(cleaned, axis=1) == 0
    cleaned[flat] = released[flat]
    return cleaned


def attack_strangers(what, name, attacker, parts, source, fold, settings):
    """Train the embedding on some people of the release, and compare the others' probes with everybody's templates.

    `fold` is a mask over subjects: those to be recognised, of whom the embedding has seen nothing.
    """
    part = parts[source]
    strangers = fold[part.enrolled]
    fitted = fit(what, attacker.estimator, part.X[part.enrolment][~strangers], part.enrolled[~strangers])
    templates = fitted.transform(part.X[part.enrolment])
    probed = fold[part.probed]
    index = part.probe[probed]
    return metrics.verification_scores(templates, part.enrolled, fitted.transform(part.X[index]), part.subject[index])


def attack_from_outside(what, name, attacker, parts, source, external, settings):
    """Train the embedding on another database, enrol and probe in the release."""
    part = parts[source]
    fitted = fit(what, attacker.estimator, *external)
    verification = metrics.verification_scores(
        fitted.transform(part.X[part.enrolment]), part.enrolled, fitted.transform(part.X[part.probe]), part.probed
    )
    return [
        measure(
            name, "cross_database", verification.scores, verification.templates, part.probed, verification, settings
        )
    ]


def _attention(fitted, probe, settings):
    """Mean attention on each sample, and its share on each wave."""
    found = {"samples": fitted.attention(probe).mean(axis=0).tolist(), "waves": {}}
    if settings.sampling_rate is not None:
        shares = fitted.wave_attention(probe, settings.sampling_rate, window=settings.window)
        found["waves"] = {wave: float(share) for wave, share in shares["share"].items()}
    return found


def measure(name, knowledge, scores, classes, probed, verification, settings):
    """Everything the report says of one attack, from the scores of each probe for each enrolled person."""
    resampling = settings.resampling
    correct = classes[scores.argmax(axis=1)] == probed
    victims, fused = metrics.fuse_scores(scores, probed)
    named = classes[fused.argmax(axis=1)] == victims
    equal_error, equal_error_interval = None, (None, None)
    verified = dict.fromkeys(("tar_far_1e2", "tar_far_1e3", "d_sys", "d_sys_null"))
    if verification is not None:
        mated, cosines = verification.mated, verification.scores
        equal_error = metrics.equal_error_rate(mated, cosines)
        equal_error_interval = metrics.equal_error_rate_interval(verification, probed, **resampling)
        accepted = metrics.tar_at_far(mated, cosines, far=(1e-2, 1e-3))
        null = metrics.d_sys_null(mated, cosines, subjects=probed, n_permutations=_N_D_SYS, random_state=settings.seed)
        verified = {
            # NaN where there are too few impostors to set the threshold by.
            "tar_far_1e2": _or_none(accepted[0]),
            "tar_far_1e3": _or_none(accepted[1]),
            "d_sys": float(metrics.d_sys(mated, cosines)),
            "d_sys_null": float(np.quantile(null, 0.95)),
        }
    # Cosines are no probabilities, and say nothing in bits.
    bits = None
    if verification is None or scores is not verification.scores:
        bits = float(metrics.information_bound(scores, probed, classes=classes, n_resamples=10).bits)
    null = metrics.rank1_null(
        scores, probed, classes=classes, n_permutations=_N_PERMUTATIONS, random_state=settings.seed
    )
    row = {
        "attacker": name,
        "knowledge": knowledge,
        **with_interval("rank1", correct.mean(), metrics.bootstrap_interval(correct, probed, **resampling)),
        **with_interval("eer", equal_error, equal_error_interval),
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
    return Found(row, correct, probed, named, victims, gallery)


_N_PERMUTATIONS = 999
_N_D_SYS = 99


def _fused(scores, classes, probed, size, resampling):
    """Rank-1 of groups of `size` consecutive probes of a person; of all he has, where they are fewer."""
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
    found = metrics.gallery_curve(
        scores, probed, classes=classes, extrapolate=settings.galleries, **settings.resampling
    )
    points = [
        {"n": int(n), "rank1": float(value), "low": float(low), "high": float(high)}
        for n, value, low, high in zip(found.n, found.rank1, found.low, found.high, strict=True)
    ]
    return {
        part: [point for point, modelled in zip(points, found.extrapolated, strict=True) if modelled == wanted]
        for part, wanted in (("measured", False), ("extrapolated", True))
    }


def _or_none(value):
    return None if np.isnan(value) else float(value)
