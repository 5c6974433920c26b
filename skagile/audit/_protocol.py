"""Who attacks what: from original and released beats to an audit report."""

import hashlib
import platform
from collections.abc import Callable
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval as Range
from sklearn.utils._param_validation import validate_params
from tqdm import tqdm

from skagile import metrics
from skagile._validation import check_labels
from skagile.audit._report import AuditReport

_ATTACKERS = {
    "svd": ("SVDIdentifier", {}),
    # The last to be misled by noise that was made against networks.
    "nearest_neighbour": ("SVDIdentifier", {"classifier": "neighbour"}),
    "deep_ecg": ("DeepECGIdentifier", {}),
}
# What the attacker learns from, and what he is asked about.
_KNOWLEDGE = {
    "clean": ("original", "original"),
    "static": ("original", "released"),
    "adaptive": ("released", "released"),
}
_SOURCES = ("original", "released")
# A median over fewer people is close to a recording of one of them, and the report may be passed on.
_MIN_SUBJECTS_DRAWN = 5
_MAX_CLASSES_DRAWN = 6


class _Release(NamedTuple):
    """The release with one beat per row: what every later step works on."""

    beats: dict  # "original" and "released" -> (n_beats, n_samples)
    subject: np.ndarray  # code of each beat's subject
    label: np.ndarray | None  # code of each beat's diagnosis
    labels: np.ndarray | None  # the diagnoses
    enrolment: np.ndarray  # indices of the beats that enrol
    probe: np.ndarray  # indices of the beats that are probed


@validate_params(
    {
        "original": ["array-like"],
        "released": ["array-like"],
        "y": ["array-like", None],
        "subjects": ["array-like"],
        "sessions": ["array-like", None],
        "attackers": [str, list, tuple, dict],
        "knowledge": [str, list, tuple],
        "diagnostic_estimator": "no_validation",
        "diagnostic_training": [str, list, tuple],
        "max_enrolment_beats": [Range(Integral, 1, None, closed="left"), None],
        "max_probe_beats": [Range(Integral, 1, None, closed="left"), None],
        "sampling_rate": [Range(Real, 0, None, closed="neither"), None],
        "confidence": [Range(Real, 0, 1, closed="neither")],
        "n_resamples": [Range(Integral, 10, None, closed="left")],
        "n_jobs": [Integral, None],
        "progress": [callable, "boolean", None],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def audit_release(
    original,
    released,
    y=None,
    *,
    subjects,
    sessions=None,
    attackers="all",
    knowledge=("clean", "static", "adaptive"),
    diagnostic_estimator="default",
    diagnostic_training=("original", "released"),
    max_enrolment_beats: int | None = None,
    max_probe_beats: int | None = None,
    sampling_rate: float | None = None,
    confidence: float = 0.95,
    n_resamples: int = 2000,
    n_jobs: int | None = None,
    progress: Callable | bool | None = None,
    random_state=0,
) -> AuditReport:
    """Attack a release, and measure what it is still good for.

    The audit takes data and no anonymizer, so it can judge the output of any tool. Each attacker enrols people from
    one part of their beats and is asked who the rest are from, three times: on the originals (the ceiling), trained on
    originals and asked about the release, and **retrained on the release**. Every risk comes with an interval over
    people, beside what guessing gives.

    Parameters
    ----------
    original : array-like of shape (n_rows, n_samples) or (n_rows, n_beats, n_samples)
        Beats before the release, in millivolts. In the 3-D layout a beat that is NaN throughout is missing.
    released : array-like of the same shape
        The same beats after it, row by row.
    y : array-like of shape (n_rows,), default=None
        Diagnosis of each row. None: no utility and no label-only floor.
    subjects : array-like of shape (n_rows,)
        The person of each row.
    sessions : array-like of shape (n_rows,), default=None
        Number or date of the recording of each row. The earliest session of a person enrols, the others are probed; a
        person with one session is enrolled and not probed. None: the first half of each person's rows, in the order
        given, enrols and the second half is probed (beats, for a person with a single 3-D row).
    attackers : "all", str, list or dict, default="all"
        Names out of ``"svd"``, ``"nearest_neighbour"`` (among SVD projections) and ``"deep_ecg"``, or classifiers with
        ``predict_proba``, whose ``transform``, if they have one, embeds beats; or a dict from a name to such a
        classifier.
    knowledge : str or list of str, default=("clean", "static", "adaptive")
        What the attackers know. ``"clean"``: train and probe on originals; ``"static"``: train on originals, probe the
        release; ``"adaptive"``: train and probe on the release.
    diagnostic_estimator : "default", estimator or None, default="default"
        Classifier whose diagnoses measure utility; by default the network of
        :class:`~skagile.attackers.DeepECGIdentifier`, trained on diagnoses. None leaves utility out.
    diagnostic_training : str or list of str, default=("original", "released")
        What the diagnostic classifier is trained on; each costs a fit. Tested on both.
    max_enrolment_beats, max_probe_beats : int, default=None
        At most so many beats of each person, drawn at random, to bound the time. None: all.
    sampling_rate : float, default=None
        In Hz, for the time axis of the pictures. None: the axis counts samples.
    confidence : float, default=0.95
        Confidence level of the intervals.
    n_resamples : int, default=2000
        Number of bootstrap resamples of the people.
    n_jobs : int, default=None
        Attackers fitted in parallel, through joblib. The figures do not depend on it.
    progress : callable or bool, default=None
        True: a progress bar on a terminal. A callable gets (done, total, what).
    random_state : int, RandomState instance or None, default=0
        Seed of everything random: draws, resamples, and estimators whose ``random_state`` is None.

    Returns
    -------
    AuditReport
        With ``summary()``, ``utility()``, ``fidelity()``, ``to_json(path)`` and ``to_html(path)``.

    Raises
    ------
    ValueError
        For arrays of different shapes, labels of another length, one subject, one diagnosis, NaN, infinite values or
        flat beats, unknown names, or fewer than two people who can be probed.

    See Also
    --------
    skagile.metrics.bootstrap_interval : How the intervals are made.

    Notes
    -----
    **What this does not guarantee.** A risk is measured for the attackers named, on the people of this release. That
    an attacker fails does not mean that none can succeed. The report lists what was not tested.

    All intervals come from the same resamples of people, and an estimator is given the same seed whatever it is
    trained on: a release equal to the original gives three equal columns.

    Examples
    --------
    >>> from skagile.audit import audit_release
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> beats = beats_from_records(make_cohort(6, 2, duration=20.0, random_state=0), split="session")
    >>> report = audit_release(beats.X, beats.X, subjects=beats.subjects, sessions=beats.session, attackers=["svd"])
    >>> report.summary()[["attacker", "knowledge", "n_subjects"]]
      attacker knowledge  n_subjects
    0      svd     clean           6
    1      svd    static           6
    2      svd  adaptive           6
    """
    beats, row, shape = _check_beats(original, released)
    subject_names, subject = _check_rows(subjects, shape[0], name="subjects", kind="subjects")
    subject = subject[row]
    labels = label = None
    if y is not None:
        enough = 1 if diagnostic_estimator is None else 2
        labels, label = _check_rows(y, shape[0], name="y", minimum=enough, kind="classes")
        label = label[row]
    knowledge = _check_choice(knowledge, _KNOWLEDGE, name="knowledge")
    training = _check_choice(diagnostic_training, _SOURCES, name="diagnostic_training")
    seed = int(random_state) if isinstance(random_state, Integral) else _draw_seed(random_state)
    attackers = {name: _seeded(attacker, seed) for name, attacker in _check_attackers(attackers).items()}

    enrols, probes = _split(subject, row, sessions, shape[0])
    release = _Release(
        beats,
        subject,
        label,
        labels,
        _draw(np.flatnonzero(enrols), subject, max_enrolment_beats, seed),
        _draw(np.flatnonzero(probes), subject, max_probe_beats, seed),
    )
    resampling = {"confidence": confidence, "n_resamples": n_resamples, "random_state": seed}

    jobs = []
    for name, attacker in attackers.items():
        for source in _SOURCES:
            asked = {known: _KNOWLEDGE[known][1] for known in knowledge if _KNOWLEDGE[known][0] == source}
            if asked:
                jobs.append(
                    (_attack, f"{name} trained on {source}", name, attacker, release, source, asked, resampling)
                )
    if y is not None and diagnostic_estimator is not None:
        diagnostician = _seeded(_diagnostic_estimator(diagnostic_estimator), seed)
        for source in training:
            what = f"diagnosis trained on {source}"
            jobs.append((_diagnose, what, "diagnostic_estimator", diagnostician, release, source, None, resampling))
    else:
        diagnostician = None
    found = _run(jobs, n_jobs, progress)

    order = {(known, name): i for i, (known, name) in enumerate((k, a) for k in knowledge for a in attackers)}
    attacks = [result for job, results in zip(jobs, found, strict=True) if job[0] is _attack for result in results]
    utility = [result for job, results in zip(jobs, found, strict=True) if job[0] is _diagnose for result in results]
    return AuditReport(
        attacks=sorted(attacks, key=lambda result: order[result["knowledge"], result["attacker"]]),
        utility_results=utility,
        fidelity_results=_fidelity(beats),
        floors=_floors(release),
        pictures=_pictures(release),
        protocol={
            "layout": list(shape),
            "n_beats": len(row),
            "n_samples": shape[-1],
            "sampling_rate": None if sampling_rate is None else float(sampling_rate),
            "split": "halves" if sessions is None else "sessions",
            "n_subjects": len(subject_names),
            "n_subjects_probed": len(np.unique(subject[release.probe])),
            "n_enrolment_beats": len(release.enrolment),
            "n_probe_beats": len(release.probe),
            "max_enrolment_beats": max_enrolment_beats,
            "max_probe_beats": max_probe_beats,
            "n_unchanged_beats": int((beats["original"] == beats["released"]).all(axis=1).sum()),
            "classes": {} if y is None else dict(zip(map(str, labels), np.bincount(label).tolist(), strict=True)),
            "knowledge": list(knowledge),
            "attackers": {name: _describe(attacker) for name, attacker in attackers.items()},
            "attackers_left_out": sorted(set(_ATTACKERS) - set(attackers)),
            "diagnostic_estimator": None if diagnostician is None else _describe(diagnostician),
            "confidence": float(confidence),
            "n_resamples": int(n_resamples),
            "seed": seed,
        },
        provenance={
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "versions": _versions(),
            "sha256": {
                name: None if values is None else _digest(values)
                for name, values in (
                    ("original", original),
                    ("released", released),
                    ("y", y),
                    ("subjects", subjects),
                    ("sessions", sessions),
                )
            },
        },
    )


# ---------------------------------------------------------------------------------------------------- what comes in


def _check_beats(original, released):
    """Both arrays with one present beat per row, the row each beat came from, and the layout."""
    arrays = {}
    for name, values in (("original", original), ("released", released)):
        values = np.asarray(values)
        if values.dtype.kind not in "fiu":
            try:
                values = values.astype(np.float64)
            except (TypeError, ValueError):
                raise ValueError(f"{name} has dtype {values.dtype}; expected numbers, millivolts.") from None
        arrays[name] = values if values.dtype.kind == "f" else values.astype(np.float64)
    before, after = arrays.values()
    if before.ndim not in (2, 3) or before.shape[-1] < 2:
        raise ValueError(
            f"original has shape {before.shape}; expected (n_rows, n_samples), one beat a row, or (n_rows, n_beats, "
            "n_samples), one record a row, with at least 2 samples. Cut records into beats with BeatSegmenter."
        )
    if before.shape != after.shape:
        raise ValueError(
            f"released has shape {after.shape}, original {before.shape}; a release has the shape of its original, row "
            "by row. Where the tool dropped rows or samples, drop them from original, y, subjects and sessions too."
        )
    shape = before.shape
    row = np.arange(len(before))
    if before.ndim == 3:
        missing = {name: np.isnan(values).all(axis=2) for name, values in arrays.items()}
        differ = missing["original"] != missing["released"]
        if differ.any():
            raise ValueError(
                f"released and original miss different beats ({int(differ.sum())} differ, the first in row "
                f"{np.argwhere(differ)[0][0]}); a beat that is missing (NaN throughout) in one must be in the other."
            )
        present = ~missing["original"]
        row = np.nonzero(present)[0]
        arrays = {name: values[present] for name, values in arrays.items()}
    if not len(row):
        raise ValueError(f"original of shape {shape} holds no beat. Look at the records it was cut from.")
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            for problem, test in (("NaN", np.isnan), ("infinite values", np.isinf)):
                bad = test(values).any(axis=1)
                if bad.any():
                    raise ValueError(
                        f"{name} holds {problem} in {int(bad.sum())} beat(s), the first in row {row[bad][0]}. Drop "
                        "these rows from all arguments, or in the 3-D layout mark whole beats missing (NaN throughout)."
                    )
        flat = values.max(axis=1) == values.min(axis=1)
        if flat.any():
            raise ValueError(
                f"{name} holds {int(flat.sum())} flat beat(s), the first in row {row[flat][0]}: every sample has the "
                "same value, so there is no signal to attack. Drop these rows from all arguments."
            )
    dtype = np.result_type(*arrays.values())
    return {name: values.astype(dtype, copy=False) for name, values in arrays.items()}, row, shape


def _check_rows(values, n_rows, *, name, kind, minimum=2):
    """Distinct values, sorted, and the code of each row; see ``check_labels``."""
    if len(values) != n_rows:
        raise ValueError(
            f"{name} has length {len(values)}, original has {n_rows} rows; give one entry of {name} per row."
        )
    if (gaps := np.asarray(pd.isna(values))).any():
        raise ValueError(
            f"{name} misses {int(gaps.sum())} value(s) (NaN or None). Give every row one, or drop the row."
        )
    return check_labels(values, n_rows, name=name, kind=kind, minimum=minimum)


def _check_choice(chosen, known, *, name):
    """`chosen` as a tuple in the order of `known`."""
    chosen = (chosen,) if isinstance(chosen, str) else tuple(chosen)
    unknown = [choice for choice in chosen if choice not in known]
    if unknown or not chosen:
        found = f"holds {unknown[0]!r}" if unknown else "is empty"
        raise ValueError(f"{name} {found}; choose from {', '.join(map(repr, known))}.")
    return tuple(choice for choice in known if choice in chosen)


def _check_attackers(attackers):
    """Give a dict from name to unfitted attacker."""
    if isinstance(attackers, str):
        attackers = list(_ATTACKERS) if attackers == "all" else [attackers]
    if not attackers:
        raise ValueError(f"attackers is empty; choose from {', '.join(map(repr, _ATTACKERS))}, or give classifiers.")
    named = attackers.items() if isinstance(attackers, dict) else ((None, attacker) for attacker in attackers)
    found = {}
    for name, attacker in named:
        if isinstance(attacker, str):
            if attacker not in _ATTACKERS:
                raise ValueError(
                    f"attackers holds {attacker!r}, which is unknown; choose from {', '.join(map(repr, _ATTACKERS))}, "
                    "or give a classifier."
                )
            name = attacker if name is None else str(name)
            attacker = _known_attacker(attacker)
        elif not hasattr(attacker, "fit") or not hasattr(attacker, "predict_proba"):
            raise ValueError(
                f"attackers holds {attacker!r}, which lacks fit or predict_proba; an attacker is a classifier of "
                "subjects that gives probabilities. Wrap it in CalibratedClassifierCV, for one."
            )
        name = type(attacker).__name__ if name is None else str(name)
        taken, number = name, 2
        while name in found:
            name, number = f"{taken}-{number}", number + 1
        found[name] = attacker
    return found


def _known_attacker(name):
    # Here and not on top: attackers load torch, which an audit by other attackers does without.
    from skagile import attackers

    class_name, settings = _ATTACKERS[name]
    return getattr(attackers, class_name)(**settings)


def _diagnostic_estimator(estimator):
    if isinstance(estimator, str) and estimator == "default":
        from skagile.attackers import DeepECGIdentifier

        return DeepECGIdentifier()
    if not hasattr(estimator, "fit") or not hasattr(estimator, "predict"):
        raise ValueError(f"diagnostic_estimator is {estimator!r}; expected a classifier, 'default' or None.")
    return estimator


def _draw_seed(random_state):
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def _seeded(estimator, seed):
    """Copy `estimator` with `seed` in every ``random_state`` that is None, nested ones too."""
    estimator = clone(estimator)
    params = estimator.get_params(deep=True)
    free = [key for key, value in params.items() if key.split("__")[-1] == "random_state" and value is None]
    return estimator.set_params(**dict.fromkeys(free, seed))


# ------------------------------------------------------------------------------------------- who enrols, who is probed


def _split(subject, row, sessions, n_rows):
    """Masks of the beats that enrol and of those that are probed."""
    if sessions is None:
        enrols = _first_half(subject, row)
        fault = "rows"
    else:
        enrols = _earliest(subject, _check_sessions(sessions, n_rows)[row])
        fault = "sessions"
    probes = ~enrols
    n_probed = len(np.unique(subject[probes]))
    if n_probed < 2:
        raise ValueError(
            f"{n_probed} of {subject.max() + 1} subjects can be probed; at least 2 must be. A subject is probed with "
            f"the beats that do not enrol, so he needs two {fault} or more: "
            + (
                "give sessions=None to split within a session (an upper bound)."
                if sessions is not None
                else "give several beats of each subject."
            )
        )
    return enrols, probes


def _check_sessions(sessions, n_rows):
    """Order of each row's session, as an integer."""
    if len(sessions) == n_rows:
        text = np.asarray(sessions)
        if text.dtype.kind in "UO" and all(isinstance(value, str) for value in text.tolist()):
            stripped = np.char.strip(text.astype(str))
            empty = stripped == ""
            if empty.any():
                raise ValueError(
                    f"sessions is empty for {int(empty.sum())} row(s), the first is row {np.flatnonzero(empty)[0]}: an "
                    "unknown date cannot be put in order. Drop these rows, number the sessions, or give sessions=None."
                )
            # As text, "10" would come before "9".
            sessions = stripped.astype(np.int64) if np.char.isdecimal(stripped).all() else stripped
    return _check_rows(sessions, n_rows, name="sessions", kind="sessions", minimum=1)[1]


def _earliest(subject, session):
    """Whether each beat is of its subject's earliest session."""
    first = np.full(subject.max() + 1, session.max())
    np.minimum.at(first, subject, session)
    return session == first[subject]


def _first_half(subject, row):
    """Whether each beat is in the first half of its subject's rows, or of his beats where he has one row."""
    pairs = np.unique(np.stack([subject, row], axis=1), axis=0)
    n_rows = np.bincount(pairs[:, 0])
    unit = np.where(n_rows[subject] > 1, row, len(row) + np.arange(len(row)))
    _, units = np.unique(unit, return_inverse=True)
    owner = np.zeros(units.max() + 1, dtype=int)
    owner[units] = subject
    rank = _rank_within(owner)
    return (rank < (np.bincount(owner)[owner] + 1) // 2)[units]


def _rank_within(groups):
    """Position of each entry among those of its group, in the order given."""
    order = np.argsort(groups, kind="stable")
    count = np.bincount(groups)
    rank = np.empty(len(groups), dtype=int)
    rank[order] = np.arange(len(groups)) - np.repeat(np.cumsum(count) - count, count)
    return rank


def _draw(index, subject, maximum, seed):
    """At most `maximum` entries of `index` per subject, drawn at random, in their order."""
    if maximum is None:
        return index
    shuffled = np.random.RandomState(seed).permutation(index)
    return np.sort(shuffled[_rank_within(subject[shuffled]) < maximum])


# -------------------------------------------------------------------------------------------------------- measurements


def _run(jobs, n_jobs, progress):
    """Results of the jobs in their order, reporting each as it ends."""
    results = []
    with tqdm(total=len(jobs), desc="audit", unit="fit", disable=None if progress is True else True) as bar:
        tasks = (delayed(job)(what, *arguments) for job, what, *arguments in jobs)
        for (_, what, *_), result in zip(jobs, Parallel(n_jobs=n_jobs, return_as="generator")(tasks), strict=True):
            results.append(result)
            bar.set_postfix_str(what)
            bar.update()
            if callable(progress):
                progress(len(results), len(jobs), what)
    return results


def _fit(what, estimator, X, targets):
    try:
        return clone(estimator).fit(X, targets)
    except ValueError as error:
        raise ValueError(f"{what}: the fit failed: {error}") from error


def _attack(what, name, attacker, release, source, asked, resampling):
    """Train one attacker on one source and put every question to him that this training answers."""
    enrolled, probed = release.subject[release.enrolment], release.subject[release.probe]
    X = release.beats[source][release.enrolment]
    fitted = _fit(what, attacker, X, enrolled)
    enrolment_embeddings = fitted.transform(X) if hasattr(fitted, "transform") else None
    results = []
    for known, on in asked.items():
        probe = release.beats[on][release.probe]
        log_proba = _log_proba(fitted, probe)
        correct = fitted.classes_[log_proba.argmax(axis=1)] == probed
        victims, fused = metrics.fuse_scores(log_proba, probed)
        named = fitted.classes_[fused.argmax(axis=1)] == victims
        equal_error, equal_error_interval = None, (None, None)
        if enrolment_embeddings is not None:
            verification = metrics.verification_scores(enrolment_embeddings, enrolled, fitted.transform(probe), probed)
            equal_error = metrics.equal_error_rate(verification.mated, verification.scores)
            equal_error_interval = metrics.equal_error_rate_interval(verification, probed, **resampling)
        results.append(
            {
                "attacker": name,
                "knowledge": known,
                **_with_interval("rank1", correct.mean(), metrics.bootstrap_interval(correct, probed, **resampling)),
                **_with_interval("eer", equal_error, equal_error_interval),
                **_with_interval("fused_rank1", named.mean(), metrics.bootstrap_interval(named, victims, **resampling)),
                "n_subjects": len(victims),
                "n_probe": len(probed),
            }
        )
    return results


def _log_proba(fitted, X):
    """Finite log-probabilities."""
    if hasattr(fitted, "predict_log_proba"):
        with np.errstate(divide="ignore"):
            log_proba = fitted.predict_log_proba(X)
        return np.maximum(log_proba, np.log(1e-12))
    return np.log(np.maximum(fitted.predict_proba(X), 1e-12))


def _diagnose(what, name, estimator, release, source, asked, resampling):
    """Train the diagnostic classifier on one source and test it on both."""
    del name, asked
    label = release.label[release.enrolment]
    if len(np.unique(label)) < 2:
        raise ValueError(
            "y holds one class among the beats that enrol; a diagnosis needs at least 2. Give sessions=None, or "
            "diagnostic_estimator=None to leave utility out."
        )
    fitted = _fit(what, estimator, release.beats[source][release.enrolment], label)
    truth, person = release.label[release.probe], release.subject[release.probe]
    results = []
    for on in _SOURCES:
        predicted = fitted.predict(release.beats[on][release.probe])
        found = metrics.diagnostic_utility(truth, predicted, subjects=person, **resampling)
        names = [str(release.labels[code]) for code in found.labels]
        results.append(
            {
                "trained_on": source,
                "tested_on": on,
                **_with_interval("accuracy", found.accuracy, found.accuracy_interval),
                **_with_interval("macro_f1", found.macro_f1, found.macro_f1_interval),
                "sensitivity": dict(zip(names, found.sensitivity.tolist(), strict=True)),
                "support": dict(zip(names, found.support.tolist(), strict=True)),
                "n_subjects": len(np.unique(person)),
                "n_probe": len(truth),
            }
        )
    return results


def _with_interval(name, value, interval):
    low, high = interval
    return {name: None if value is None else float(value), f"{name}_low": low, f"{name}_high": high}


def _floors(release):
    """Score guessing without a look at the signal."""
    enrolled, probed = release.subject[release.enrolment], release.subject[release.probe]
    floors = {
        "chance": 1 / len(np.unique(enrolled)),
        "majority": metrics.majority_floor(enrolled, probed),
        "label_only": None,
        "label_only_fused": None,
        "diagnosis_majority": None,
    }
    if release.label is not None:
        label, asked = release.label[release.enrolment], release.label[release.probe]
        floors["label_only"] = metrics.label_only_floor(label, enrolled, asked, probed)
        floors["label_only_fused"] = metrics.label_only_floor(label, enrolled, asked, probed, fused=True)
        floors["diagnosis_majority"] = metrics.majority_floor(label, asked)
    return floors


def _fidelity(beats):
    """Median and 5th and 95th percentile over all beats; percentiles are beats' own values, so inf does no harm."""
    found = {}
    for name in ("prdn", "snr", "max_abs_error"):
        values = getattr(metrics, name)(beats["original"], beats["released"])
        low, median, high = np.quantile(values, [0.05, 0.5, 0.95], method="inverted_cdf")
        found[name] = {"median": float(median), "p05": float(low), "p95": float(high)}
    return found


def _pictures(release):
    """Median beats of the commonest classes: of each person first, then over people, so that each counts once."""
    label = np.zeros(len(release.subject), dtype=int) if release.label is None else release.label
    names = ["all beats"] if release.label is None else [str(name) for name in release.labels]
    pictures = []
    for code in np.argsort(-np.bincount(label), kind="stable")[:_MAX_CLASSES_DRAWN]:
        chosen = label == code
        people = np.unique(release.subject[chosen])
        picture = {"class": names[code], "n_beats": int(chosen.sum()), "n_subjects": len(people)}
        if len(people) >= _MIN_SUBJECTS_DRAWN:
            for source, values in release.beats.items():
                of_person = [np.median(values[chosen & (release.subject == person)], axis=0) for person in people]
                # A tenth of a microvolt is less than any recorder resolves.
                picture[source] = np.round(np.median(of_person, axis=0).astype(np.float64), 4).tolist()
        pictures.append(picture)
    return pictures


# ---------------------------------------------------------------------------------------------------------- provenance


def _describe(estimator):
    """Class and parameters on one line."""
    return " ".join(repr(estimator).split())


def _versions():
    found = {"python": platform.python_version()}
    for name in ("skagile", "numpy", "scipy", "scikit-learn", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _digest(values):
    """SHA-256 of dtype, shape and bytes in C order, little-endian; of text as UTF-8 with a NUL after each entry."""
    values = np.asarray(values)
    if values.dtype.kind in "fiub":
        values = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
        head, body = values.dtype.str, values.data
    else:
        head, body = "text", "".join(f"{value}\0" for value in values.ravel().tolist()).encode()
    digest = hashlib.sha256(f"{head} {values.shape}\n".encode())
    digest.update(body)
    return digest.hexdigest()
