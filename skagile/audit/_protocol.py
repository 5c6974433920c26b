"""Who attacks what: from original and released beats to an audit report."""

import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from numbers import Integral, Real
from pathlib import Path
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import rankdata
from sklearn.utils._param_validation import Interval as Range
from sklearn.utils._param_validation import validate_params
from tqdm import tqdm

from skagile import metrics
from skagile._files import sha256_of
from skagile.audit import _attack, _describe, _infer, _provenance, _registry
from skagile.audit._cache import Cache
from skagile.audit._release import (
    Part,
    Release,
    check_external,
    check_rows,
    check_sources,
    draw_beats,
    split_beats,
)
from skagile.audit._report import AuditReport
from skagile.segmentation import rr_windows

_FIDELITY_BEATS = 2000  # drawn at random: the distance after warping takes a while
_REAUDIT_AFTER = timedelta(days=365)
_N_RR = 10  # intervals to a window


@validate_params(
    {
        "original": ["array-like"],
        "released": ["array-like"],
        "y": ["array-like", None],
        "subjects": ["array-like"],
        "sessions": ["array-like", None],
        "attackers": [str, list, tuple, dict],
        "knowledge": [str, list, tuple],
        "auxiliary": ["array-like", None],
        "external": [tuple, list, None],
        "times": ["array-like", None],
        "released_times": ["array-like", None],
        "records": ["array-like", None],
        "release_order": ["array-like", None],
        "attributes": [dict, None],
        "attribute_estimator": "no_validation",
        "members": ["array-like", None],
        "diagnostic_estimator": "no_validation",
        "diagnostic_training": [str, list, tuple],
        "tasks": [dict, None],
        "fusion": [tuple, list],
        "galleries": [tuple, list],
        "max_enrolment_beats": [Range(Integral, 1, None, closed="left"), None],
        "max_probe_beats": [Range(Integral, 1, None, closed="left"), None],
        "sampling_rate": [Range(Real, 0, None, closed="neither"), None],
        "window": [tuple, list],
        "model": [str, os.PathLike, None],
        "confidence": [Range(Real, 0, 1, closed="neither")],
        "n_resamples": [Range(Integral, 10, None, closed="left")],
        "n_jobs": [Integral, None],
        "cache": [str, os.PathLike, None],
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
    knowledge="all",
    auxiliary=None,
    external=None,
    times=None,
    released_times=None,
    records=None,
    release_order=None,
    attributes: dict | None = None,
    attribute_estimator="default",
    members=None,
    diagnostic_estimator="default",
    diagnostic_training=("original", "released"),
    tasks: dict | None = None,
    fusion=(1, 5, 10, "all"),
    galleries=(1_000, 10_000, 100_000, 1_000_000),
    max_enrolment_beats: int | None = None,
    max_probe_beats: int | None = None,
    sampling_rate: float | None = None,
    window=(0.25, 0.45),
    model=None,
    confidence: float = 0.95,
    n_resamples: int = 2000,
    n_jobs: int | None = None,
    cache=None,
    progress: Callable | bool | None = None,
    random_state=0,
) -> AuditReport:
    """Attack a release, and measure what it is still good for.

    The audit takes data and no anonymizer, so it can judge the output of any tool. Each attacker enrols people from
    one part of their beats and is asked who the rest are from: on the originals (the ceiling), trained on originals
    and asked about the release, **retrained on the release**, and in the other ways that `knowledge` lists. Every risk
    comes with an interval over people, beside what guessing gives.

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
    attackers : "all", "quick", str, list or dict, default="all"
        Names, or classifiers with ``predict_proba``, whose ``transform``, if they have one, embeds beats; or a dict
        from a name to either. The names are ``"svd"``, ``"nearest_neighbour"`` (among SVD projections),
        ``"deep_ecg"``, ``"siamese"``, ``"transecg"``, ``"fiducial"`` (needs `sampling_rate`), ``"low_order"`` (last
        digits), ``"label_counting"``, ``"rr"`` (needs `times` and `released_times`), ``"row_order"`` and
        ``"row_order_within"`` (need `release_order`; the latter looks at the order within the enrolled part and within
        the probed part). "all" leaves out those whose needs are not met, and says so; so does
        "quick", which takes those that fit in seconds and ``"deep_ecg"``.
    knowledge : "all", str or list of str, default="all"
        What the attackers know.

        - ``"clean"``: train and probe on originals, the ceiling;
        - ``"static"``: train on originals, probe the release;
        - ``"adaptive"``: train and probe on the release;
        - ``"adaptive+denoise"``: the same behind a band-pass and behind a denoiser learned from the enrolled pairs of
          original and released beat; and trained on originals, probing the denoised release;
        - ``"open_set"``: the embedding is trained on half of the people of the release and compares the probes of the
          other half with everybody's templates, and the other way round;
        - ``"cross_database"``: the embedding is trained on `external` people;
        - ``"auxiliary"``: trained on `auxiliary`, probing the release.

        "all" leaves out those that lack their data, and says so.
    auxiliary : array-like of the shape of `original`, default=None
        The originals anonymized once more by the attacker, who owns the anonymizer and draws his own randomness. Only
        enrolled rows are used.
    external : tuple (X, subjects), default=None
        Original beats of people of another database, cut as `original` is, and who they are.
    times : array-like of shape (n_rows,) or (n_rows, n_beats), default=None
        Time of each beat in its recording, in seconds, for the RR attacker. All beats of a recording should be among
        the rows: a beat that is left out makes one long interval of two.
    released_times : array-like of the same shape, default=None
        Beat times as the release gives them; None: it gives none.
    records : array-like of shape (n_rows,), default=None
        The recording that a row's times are of. None: a person has one, or one for each session.
    release_order : array-like of shape (n_rows,), default=None
        Position of each row in the file that is released. None: the file's order says nothing (it was shuffled).
    attributes : dict from str to array-like of shape (n_rows,), default=None
        Traits of people that the release should not tell, such as sex and age: two words, or numbers, which are split
        at their median. Empty or NaN: unknown.
    attribute_estimator : "default", "svd", classifier or None, default="default"
        Who infers them; by default the network of :class:`~skagile.attackers.DeepECGIdentifier`, or the quick
        :class:`~skagile.attackers.SVDIdentifier`.
    members : array-like of bool of shape (n_rows,), default=None
        Whether the anonymizer was fitted on the person of this row, for membership inference.
    diagnostic_estimator : "default", "svd", estimator or None, default="default"
        Classifier whose diagnoses measure utility; by default the network of
        :class:`~skagile.attackers.DeepECGIdentifier`, trained on diagnoses. None leaves utility out.
    diagnostic_training : str or list of str, default=("original", "released")
        What the diagnostic classifier is trained on; each costs a fit. Tested on both.
    tasks : dict from str to array-like of shape (n_rows,), default=None
        Labels of tasks that the anonymizer has not seen, judged as `y` is. Empty or NaN: unknown.
    fusion : tuple of int or "all", default=(1, 5, 10, "all")
        Numbers of beats of a person that an attacker may pool.
    galleries : tuple of int, default=(1_000, 10_000, 100_000, 1_000_000)
        Numbers of people to extrapolate the worst attack to. Empty: no curve.
    max_enrolment_beats, max_probe_beats : int, default=None
        At most so many beats of each person, drawn at random, to bound the time. None: all.
    sampling_rate : float, default=None
        In Hz, for intervals, filters and the time axis of the pictures. None: what needs it is left out, and the
        report says so.
    window : tuple of two floats, default=(0.25, 0.45)
        Seconds before and after the R peak that the beats were cut with.
    model : path-like, default=None
        File of the fitted anonymizer, whose SHA-256 goes into the report.
    confidence : float, default=0.95
        Confidence level of the intervals.
    n_resamples : int, default=2000
        Number of bootstrap resamples of the people.
    n_jobs : int, default=None
        Attackers fitted in parallel, through joblib. The figures do not depend on it.
    cache : path-like, default=None
        Folder for the results of finished fits, by content: an audit that was interrupted goes on where it stopped.
        They hold scores of people; keep them where the originals are kept.
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
        flat beats, unknown names, an attacker or knowledge asked for by name without its data, or fewer than two
        people who can be probed.

    See Also
    --------
    skagile.metrics.bootstrap_interval : How the intervals are made.
    skagile.metrics.worst_interval : The interval of the headline, corrected for picking the worst.

    Notes
    -----
    **What this does not guarantee.** A risk is measured for the attackers named, on the people of this release. That
    an attacker fails does not mean that none can succeed. The report lists what was not tested.

    All intervals come from the same resamples of people, and an estimator is given the same seed whatever it is
    trained on: a release equal to the original gives equal columns.

    Examples
    --------
    >>> from skagile.audit import audit_release
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> beats = beats_from_records(make_cohort(6, 2, duration=20.0, random_state=0), split="session")
    >>> report = audit_release(
    ...     beats.X, beats.X, subjects=beats.subjects, sessions=beats.session, attackers=["svd"],
    ...     knowledge=["clean", "static", "adaptive"],
    ... )
    >>> report.summary()[["attacker", "knowledge", "n_subjects"]]
      attacker knowledge  n_subjects
    0      svd     clean           6
    1      svd    static           6
    2      svd  adaptive           6
    """
    sources = {"original": original, "released": released}
    if auxiliary is not None:
        sources["auxiliary"] = auxiliary
    beats, row, shape = check_sources(**sources)
    n_rows = shape[0]
    subject_names, subject = check_rows(subjects, n_rows, name="subjects", kind="subjects")
    subject = subject[row]
    labels = label = None
    if y is not None:
        enough = 1 if diagnostic_estimator is None else 2
        labels, label = check_rows(y, n_rows, name="y", minimum=enough, kind="classes")
        label = label[row]
    training = _registry.check_choice(diagnostic_training, _describe.SOURCES, name="diagnostic_training")
    seed = _registry.draw_seed(random_state)
    settings = _attack.Settings(
        seed,
        float(confidence),
        int(n_resamples),
        _check_fusion(fusion),
        tuple(int(size) for size in galleries),
        None if sampling_rate is None else float(sampling_rate),
        tuple(window),
    )
    given = {
        "sampling_rate": settings.sampling_rate,
        "window": settings.window,
        "times": None if times is None or released_times is None else times,
        "release_order": release_order,
    }
    attackers, not_run = _registry.check_attackers(attackers, given)
    attackers = {
        name: attacker._replace(estimator=_registry.seeded(attacker.estimator, seed))
        for name, attacker in attackers.items()
    }
    knowledge, lacking = _check_knowledge(knowledge, auxiliary, external, len(subject_names))
    not_run += lacking
    enrols, probes = split_beats(subject, row, sessions, n_rows)
    release = Release(
        beats,
        row,
        subject,
        label,
        labels,
        draw_beats(np.flatnonzero(enrols), subject, max_enrolment_beats, seed),
        draw_beats(np.flatnonzero(probes), subject, max_probe_beats, seed),
    )
    if external is not None:
        external = check_external(external, shape[-1])
    traits, unknown = _infer.check_attributes(
        attributes if attribute_estimator is not None else None, subject, row, n_rows
    )
    not_run += unknown
    member_of = None if members is None else _check_members(members, subject, row, n_rows)

    parts = {"beats": {source: release.part(source) for source in beats}}
    kinds = {attacker.known.kind for attacker in attackers.values()}
    if "intervals" in kinds:
        recording = _recordings(records, sessions, n_rows)[row]
        parts["intervals"] = _interval_parts(times, released_times, recording, release, enrols)
    for kind in kinds & {"order", "order_within"}:
        parts[kind] = _order_parts(release_order, release, n_rows, within=kind == "order_within")
    run = _Runner(cache, n_jobs, progress, settings)
    cleaned = _denoise_jobs(release, settings, knowledge, attackers)
    if "adaptive+denoise" in knowledge and settings.sampling_rate is None:
        not_run.append(["front end band_pass", "no sampling_rate was given"])

    jobs = _attack_jobs(attackers, parts, knowledge, list(cleaned), external, settings)
    n_attacks = len(jobs)
    diagnostician = None
    if diagnostic_estimator is not None and (y is not None or tasks):
        diagnostician = _registry.seeded(
            _registry.default_estimator(diagnostic_estimator, "diagnostic_estimator"), seed
        )
    questions = {} if y is None else {None: (label, labels, np.ones(len(row), dtype=bool))}
    questions.update(_check_tasks(tasks, row, n_rows))
    if diagnostician is not None:
        for task, (code, names, known) in questions.items():
            what = "diagnosis" if task is None else f"task {task}"
            _describe.check_labels_both_sides(code, known, release, "y" if task is None else f"tasks[{task!r}]")
            for source in training:
                jobs.append(
                    _Job(
                        _describe.diagnose,
                        f"{what} trained on {source}",
                        (diagnostician, _only(parts["beats"], _describe.SOURCES), source, code, names, known),
                        task,
                    )
                )
    if traits:
        estimator = _registry.seeded(_registry.default_estimator(attribute_estimator, "attribute_estimator"), seed)
        for name, trait in traits.items():
            for source, asked in (("original", _describe.SOURCES), ("released", ("released",))):
                arguments = (name, trait, estimator, _only(parts["beats"], _describe.SOURCES), source, asked)
                jobs.append(_Job(_infer.infer_attribute, f"{name} trained on {source}", arguments))
    if member_of is not None:
        jobs.append(_Job(_infer.infer_membership, "membership", (member_of, release)))

    run.total = len(cleaned) + len(jobs)
    for front_end, result in zip(cleaned, run(cleaned.values()), strict=True):
        parts["beats"][front_end] = Part(result, subject, release.enrolment, release.probe, label)
    results = run(job.bind(parts) for job in jobs)

    found = _gather(jobs[:n_attacks], results[:n_attacks], parts, settings)
    order = {(known, name): i for i, (known, name) in enumerate((k, a) for k in knowledge for a in attackers)}
    found = [entry for _, entry in sorted(found, key=lambda pair: order[pair[1].row["knowledge"], pair[0]])]
    attacks = [entry.row for entry in found]
    others = list(zip(jobs[n_attacks:], results[n_attacks:], strict=True))

    def of(function):
        return [(job, entry) for job, entries in others if job.function is function for entry in entries]

    diagnosed = of(_describe.diagnose)
    attribute_results = [entry for _, entry in of(_infer.infer_attribute)]
    membership = next((entry for job, entry in others if job.function is _infer.infer_membership), None)
    floors = _describe.floors(release)
    headline, gallery = _headline(found, floors, settings)
    return AuditReport(
        attacks=attacks,
        headline=headline,
        gallery=gallery,
        attribute_results=attribute_results,
        gdpr=_infer.gdpr_risks(release, attacks, attribute_results, settings),
        membership=membership,
        utility_results=[entry for job, entry in diagnosed if job.task is None],
        task_results=[{"task": job.task, **entry} for job, entry in diagnosed if job.task is not None],
        fidelity_results=_describe.fidelity(beats, settings, _FIDELITY_BEATS),
        attention=_describe.attention(found, release, settings),
        floors=floors,
        pictures=_describe.pictures(release),
        protocol={
            "layout": list(shape),
            "n_beats": len(row),
            "n_samples": shape[-1],
            "sampling_rate": settings.sampling_rate,
            "window": list(settings.window),
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
            "attackers": {name: _provenance.describe(attacker.estimator) for name, attacker in attackers.items()},
            "attackers_left_out": sorted(set(_registry.ATTACKERS) - set(attackers)),
            "not_run": not_run,
            "diagnostic_estimator": None if diagnostician is None else _provenance.describe(diagnostician),
            "fusion": list(settings.fusion),
            "confidence": settings.confidence,
            "n_resamples": settings.n_resamples,
            "seed": seed,
        },
        provenance={
            "date": run.start.isoformat(timespec="seconds"),
            "reaudit_date": (run.start + _REAUDIT_AFTER).date().isoformat(),
            "versions": _provenance.versions(),
            "sha256": {
                **{
                    name: None if values is None else _provenance.digest(values)
                    for name, values in (
                        ("original", original),
                        ("released", released),
                        ("y", y),
                        ("subjects", subjects),
                        ("sessions", sessions),
                    )
                },
                "model": None if model is None else sha256_of(Path(model)),
            },
        },
    )


# ---------------------------------------------------------------------------------------------------- what comes in


def _check_fusion(fusion):
    for size in fusion:
        if size != "all" and (not isinstance(size, Integral) or isinstance(size, bool) or size < 1):
            raise ValueError(f"fusion holds {size!r}; expected numbers of beats, at least 1, or 'all'.")
    return tuple(size if size == "all" else int(size) for size in fusion)


def _check_knowledge(knowledge, auxiliary, external, n_subjects):
    """Knowledge to test, and that which cannot be, with the reason."""
    lacks = {}
    if external is None:
        lacks["cross_database"] = "no people of another database were given (external)"
    if auxiliary is None:
        lacks["auxiliary"] = "the attacker's own anonymized recordings were not given (auxiliary)"
    if n_subjects < 4:
        lacks["open_set"] = f"it needs 4 people, two to train on and two to recognise; there are {n_subjects}"
    if isinstance(knowledge, str) and knowledge == "all":
        return tuple(known for known in _registry.KNOWLEDGE if known not in lacks), [
            [f"knowledge {known}", why] for known, why in lacks.items()
        ]
    knowledge = _registry.check_choice(knowledge, _registry.KNOWLEDGE, name="knowledge")
    for known in knowledge:
        if known in lacks:
            raise ValueError(f"knowledge holds {known!r}, which cannot be tested: {lacks[known]}.")
    return knowledge, []


def _check_members(members, subject, row, n_rows):
    """Whether each person is a member."""
    members = np.asarray(members)
    if len(members) != n_rows or members.dtype.kind not in "biu":
        raise ValueError(
            f"members has shape {members.shape} and dtype {members.dtype}; expected one bool for each of {n_rows} rows."
        )
    count = np.bincount(subject, members.astype(bool)[row]) / np.bincount(subject)
    if ((count > 0) & (count < 1)).any():
        raise ValueError("members differs between rows of one person; a person is a member or is not.")
    fewest = min((count == 1).sum(), (count == 0).sum())
    if fewest < 5:
        raise ValueError(
            f"members holds {fewest} people of the rarer kind; at least 5 members and 5 others are needed."
        )
    return count == 1


def _check_tasks(tasks, row, n_rows):
    """Label code of each beat, the labels, and which beats have one, by task."""
    found = {}
    for task, values in ({} if tasks is None else tasks).items():
        if len(values) != n_rows:
            raise ValueError(
                f"tasks[{task!r}] has length {len(values)}, original has {n_rows} rows; give one label per row."
            )
        series = np.asarray(["" if value is None or value != value else str(value) for value in np.asarray(values)])
        known = (series != "")[row]
        names, code = np.unique(series[row], return_inverse=True)
        found[str(task)] = code, names, known
    return found


def _recordings(records, sessions, n_rows):
    """Code of the recording of each row."""
    for name, values in (("records", records), ("sessions", sessions)):
        if values is not None:
            return check_rows(values, n_rows, name=name, kind=name, minimum=1)[1]
    return np.zeros(n_rows, dtype=int)


def _interval_parts(times, released_times, recording, release, enrols):
    """RR intervals of both sides in windows that lie in the enrolled part, or in the probed part, of a recording."""
    parts = {}
    owners, record = np.unique(np.stack([release.subject, enrols, recording]), axis=1, return_inverse=True)
    for source, values, name in (("original", times, "times"), ("released", released_times, "released_times")):
        values = np.asarray(values, dtype=np.float64).reshape(-1)
        if len(values) == len(release.row):
            at = values
        else:
            raise ValueError(
                f"{name} holds {len(values)} times for {len(release.row)} beats; give one, in seconds, for each beat."
            )
        windows = rr_windows(at, record, n_intervals=_N_RR)
        subject, enrolled = owners[0][windows.record], owners[1][windows.record].astype(bool)
        enrolment = np.flatnonzero(enrolled)
        probe = np.flatnonzero(~enrolled & np.isin(subject, subject[enrolment]))
        parts[source] = Part(windows.X, subject, enrolment, probe)
    return parts


def _order_parts(order, release, n_rows, *, within):
    """Positions of the beats in the released file, or in the part of it that enrols or is probed, scaled to 0..1."""
    order = np.asarray(order, dtype=np.float64)
    if order.shape != (n_rows,) or not np.isfinite(order).all():
        raise ValueError(
            f"release_order has shape {order.shape}; expected the position of each of {n_rows} rows in the file."
        )
    part = release.part("released")
    position = order[release.row]
    for index in (part.enrolment, part.probe) if within else (slice(None),):
        position[index] = (rankdata(position[index]) - 1) / max(len(position[index]) - 1, 1)
    return {"released": part._replace(X=position[:, None])}


# ---------------------------------------------------------------------------------------------------------------- jobs


class _Job(NamedTuple):
    """A fit with the questions it answers. Strings among the arguments name no array; parts are bound late."""

    function: Callable
    what: str
    arguments: tuple
    task: str | None = None
    name: str | None = None
    kind: str | None = None  # whose parts are put in the place of _PARTS

    def bind(self, parts):
        """Put the parts that this job needs in their place."""
        if self.kind is None:
            return self
        wanted = [self.arguments[_SOURCE]]
        if self.function is _attack.attack:
            wanted += [question.source for question in self.arguments[_SOURCE + 1]]
        arguments = list(self.arguments)
        arguments[_PARTS] = _only(parts[self.kind], dict.fromkeys(wanted))
        return self._replace(arguments=tuple(arguments))


_PARTS, _SOURCE = 2, 3  # places among the arguments of the functions that attack


def _only(parts, sources):
    return {source: parts[source] for source in sources}


def _denoise_jobs(release, settings, knowledge, attackers):
    """Jobs that clean the release, by front end."""
    if "adaptive+denoise" not in knowledge or not any(attacker.known.cleans for attacker in attackers.values()):
        return {}
    front_ends = [name for name in _registry.FRONT_ENDS if name == "learned" or settings.sampling_rate is not None]
    return {
        name: _Job(
            _attack.denoise,
            f"denoiser {name}",
            (name, release.beats["original"], release.beats["released"], release.enrolment),
        )
        for name in front_ends
    }


def _attack_jobs(attackers, parts, knowledge, front_ends, external, settings):
    """Every fit of an attacker, with what it is asked."""
    jobs = []
    for name, attacker in attackers.items():
        kind = attacker.known.kind
        there = parts[kind]
        questions = {"original": [], "released": [], "auxiliary": []}
        if "original" in there and "clean" in knowledge:
            questions["original"].append(_attack.Question("original", "clean"))
        if "original" in there and "static" in knowledge:
            questions["original"].append(_attack.Question("released", "static"))
        if "adaptive" in knowledge:
            questions["released"].append(_attack.Question("released", "adaptive"))
        if kind == "beats" and "auxiliary" in knowledge:
            questions["auxiliary"].append(_attack.Question("released", "auxiliary"))
        if attacker.known.cleans:
            for front_end in front_ends:
                cleaned = _attack.Question(front_end, "adaptive+denoise", f" + {front_end}")
                questions["original"].append(cleaned._replace(suffix=f" (originals) + {front_end}"))
                questions[front_end] = [cleaned]
        for source, asked in questions.items():
            if asked:
                what = f"{name} trained on {source}"
                jobs.append(_Job(_attack.attack, what, (name, attacker, None, source, asked), None, name, kind))
        if kind != "beats" or not attacker.known.embeds or not hasattr(attacker.estimator, "transform"):
            continue
        if "open_set" in knowledge:
            for number, fold in enumerate(_folds(there["released"], settings.seed)):
                what = f"{name} on strangers {number + 1}"
                arguments = (name, attacker, None, "released", fold)
                jobs.append(_Job(_attack.attack_strangers, what, arguments, None, name, kind))
        if "cross_database" in knowledge:
            arguments = (name, attacker, None, "released", external)
            jobs.append(_Job(_attack.attack_from_outside, f"{name} from another database", arguments, None, name, kind))
    return jobs


def _folds(part, seed):
    """Two masks over subjects that share them out."""
    people = np.random.RandomState(seed).permutation(part.subject.max() + 1)
    first = np.zeros(len(people), dtype=bool)
    first[people[: len(people) // 2]] = True
    return first, ~first


class _Runner:
    """Runs jobs in parallel, from the cache where they were run before, and reports each as it ends."""

    def __init__(self, cache, n_jobs, progress, settings):
        self.cache = None if cache is None else Cache(cache)
        self.n_jobs, self.progress, self.settings = n_jobs, progress, settings
        self.start, self.done, self.total = datetime.now(timezone.utc), 0, 0
        self._digests = {}

    def __call__(self, jobs):
        jobs, results = list(jobs), []
        shown = self.progress is True
        with tqdm(
            total=self.total, initial=self.done, desc="audit", unit="fit", disable=None if shown else True
        ) as bar:
            tasks = (delayed(_do)(job, self.settings, self.cache, self._key(job)) for job in jobs)
            parallel = Parallel(n_jobs=self.n_jobs, return_as="generator")
            for job, result in zip(jobs, parallel(tasks), strict=True):
                results.append(result)
                self.done += 1
                bar.set_postfix_str(job.what)
                bar.update()
                if callable(self.progress):
                    self.progress(self.done, self.total, job.what)
        return results

    def _key(self, job):
        """Text that says everything the result depends on."""
        if self.cache is None:
            return None
        content = [job.function.__name__, job.what, self._content(job.arguments), self._content(self.settings)]
        return json.dumps([*content, _provenance.versions()])

    def _content(self, value):
        if isinstance(value, np.ndarray):
            # The same few arrays stand in every job.
            if id(value) not in self._digests:
                self._digests[id(value)] = value, _provenance.digest(value)
            return self._digests[id(value)][1]
        if isinstance(value, dict):
            return [[str(key), self._content(entry)] for key, entry in value.items()]
        if isinstance(value, tuple | list):
            return [self._content(entry) for entry in value]
        if hasattr(value, "get_params"):
            params = sorted(value.get_params(deep=True).items(), key=lambda item: item[0])
            return [f"{type(value).__module__}.{type(value).__qualname__}", *[[k, repr(v)] for k, v in params]]
        return repr(value)


def _do(job, settings, cache, key):
    if cache is None:
        return job.function(job.what, *job.arguments, settings)
    return cache.fetch(key, job.function, job.what, *job.arguments, settings)


def _gather(jobs, results, parts, settings):
    """Pairs of attacker's name and what was found; the two halves of an open-set attack are put together."""
    found, strangers = [], {}
    for job, result in zip(jobs, results, strict=True):
        if job.function is _attack.attack_strangers:
            strangers.setdefault(job.name, []).append((job.arguments[_SOURCE + 1], result))
        else:
            found += [(job.name, entry) for entry in result]
    for name, halves in strangers.items():
        part = parts["beats"]["released"]
        scores = np.empty((len(part.probe), halves[0][1].scores.shape[1]))
        for fold, half in halves:
            scores[fold[part.probed]] = half.scores
        templates = halves[0][1].templates
        whole = metrics.VerificationScores(scores, part.probed[:, None] == templates, templates)
        found.append((name, _attack.measure(name, "open_set", scores, templates, part.probed, whole, settings)))
    return found


def _headline(found, floors, settings):
    """Worst of all attacks on the release, its interval corrected for having been picked, and its gallery curve."""
    found = [entry for entry in found if entry.row["knowledge"] != "clean"]
    if not found:
        return None, None
    floor = {
        "single": _describe.highest(floors, ("chance", "majority", "label_only")),
        "fused": _describe.highest(floors, ("chance", "label_only_fused")),
    }
    headline = {}
    for measure, answers, owners in (("single", "correct", "probed"), ("fused", "named", "victims")):
        correct, people = _stack([(getattr(entry, answers), getattr(entry, owners)) for entry in found])
        worst = metrics.worst_interval(correct, people, **settings.resampling)
        row = found[worst.worst].row
        headline[measure] = {
            "attacker": row["attacker"],
            "knowledge": row["knowledge"],
            "value": float(worst.value),
            "low": float(worst.low),
            "high": float(worst.high),
            "floor": floor[measure],
            "n_attacks": len(found),
            "corrected": True,
        }
        if measure == "single":
            gallery = found[worst.worst].gallery
    return headline, gallery


def _stack(answers):
    """Table of answers, one column per attack, NaN where it was not asked; attacks on the same probes share rows."""
    blocks = []
    for _, owner in answers:
        if not any(np.array_equal(owner, block) for block in blocks):
            blocks.append(owner)
    start = np.cumsum([0, *map(len, blocks)])
    table = np.full((start[-1], len(answers)), np.nan)
    for column, (correct, owner) in enumerate(answers):
        number = next(i for i, block in enumerate(blocks) if np.array_equal(owner, block))
        table[start[number] : start[number + 1], column] = correct
    return table, np.concatenate(blocks)
