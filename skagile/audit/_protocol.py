"""Who attacks what: from original and released beats to an audit report."""

import os
from collections.abc import Callable
from datetime import timedelta
from numbers import Integral, Real
from pathlib import Path

import numpy as np
from sklearn.utils._param_validation import Interval as Range
from sklearn.utils._param_validation import validate_params

from skagile._files import sha256_of
from skagile._seeds import draw_seed, with_seed
from skagile.attackers import ATTACKERS, check_attackers, check_choice, default_estimator
from skagile.audit import _provenance
from skagile.audit._headline import find_headline, gather
from skagile.audit._inputs import (
    check_fusion,
    check_knowledge,
    check_members,
    check_tasks,
    interval_parts,
    order_parts,
    recordings_of,
)
from skagile.audit._plan import Job, attack_jobs, denoise_jobs, only
from skagile.audit._release import (
    Part,
    Release,
    check_external,
    check_rows,
    check_sources,
    draw_beats,
    split_beats,
)
from skagile.audit._runner import Runner
from skagile.audit._settings import Settings
from skagile.audit.report._pictures import attention, pictures
from skagile.audit.report._report import AuditReport
from skagile.audit.threats._floors import measure_floors
from skagile.audit.threats._gdpr import gdpr_risks
from skagile.audit.threats._membership import infer_membership
from skagile.audit.threats._traits import check_attributes, infer_attribute
from skagile.audit.use import SOURCES
from skagile.audit.use._diagnosis import check_labels_both_sides, diagnose
from skagile.audit.use._fidelity import fidelity

_FIDELITY_BEATS = 2000  # drawn at random: the distance after warping takes a while
_REAUDIT_AFTER = timedelta(days=365)


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
    >>> beats = beats_from_records(make_cohort(6, 2, duration=20.0, random_state=0), sessions="date")
    >>> report = audit_release(
    ...     beats.X, beats.X, subjects=beats.subjects, sessions=beats.sessions, attackers=["svd"],
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
    training = check_choice(diagnostic_training, SOURCES, name="diagnostic_training")
    seed = draw_seed(random_state)
    settings = Settings(
        seed,
        float(confidence),
        int(n_resamples),
        check_fusion(fusion),
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
    attackers, not_run = check_attackers(attackers, given)
    attackers = {
        name: attacker._replace(estimator=with_seed(attacker.estimator, seed)) for name, attacker in attackers.items()
    }
    knowledge, lacking = check_knowledge(knowledge, auxiliary, external, len(subject_names))
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
    traits, unknown = check_attributes(attributes if attribute_estimator is not None else None, subject, row, n_rows)
    not_run += unknown
    member_of = None if members is None else check_members(members, subject, row, n_rows)

    parts = {"beats": {source: release.part(source) for source in beats}}
    kinds = {attacker.known.kind for attacker in attackers.values()}
    if "intervals" in kinds:
        recording = recordings_of(records, sessions, n_rows)[row]
        parts["intervals"] = interval_parts(times, released_times, recording, release, enrols)
    for kind in kinds & {"order", "order_within"}:
        parts[kind] = order_parts(release_order, release, n_rows, within=kind == "order_within")
    run = Runner(cache, n_jobs, progress, settings)
    cleaned = denoise_jobs(release, settings, knowledge, attackers)
    if "adaptive+denoise" in knowledge and settings.sampling_rate is None:
        not_run.append(["front end band_pass", "no sampling_rate was given"])

    jobs = attack_jobs(attackers, parts, knowledge, list(cleaned), external, settings)
    n_attacks = len(jobs)
    diagnostician = None
    if diagnostic_estimator is not None and (y is not None or tasks):
        diagnostician = with_seed(default_estimator(diagnostic_estimator, "diagnostic_estimator"), seed)
    questions = {} if y is None else {None: (label, labels, np.ones(len(row), dtype=bool))}
    questions.update(check_tasks(tasks, row, n_rows))
    if diagnostician is not None:
        for task, (code, names, known) in questions.items():
            what = "diagnosis" if task is None else f"task {task}"
            check_labels_both_sides(code, known, release, "y" if task is None else f"tasks[{task!r}]")
            for source in training:
                jobs.append(
                    Job(
                        diagnose,
                        f"{what} trained on {source}",
                        (diagnostician, only(parts["beats"], SOURCES), source, code, names, known),
                        task,
                    )
                )
    if traits:
        estimator = with_seed(default_estimator(attribute_estimator, "attribute_estimator"), seed)
        for name, trait in traits.items():
            for source, asked in (("original", SOURCES), ("released", ("released",))):
                arguments = (name, trait, estimator, only(parts["beats"], SOURCES), source, asked)
                jobs.append(Job(infer_attribute, f"{name} trained on {source}", arguments))
    if member_of is not None:
        jobs.append(Job(infer_membership, "membership", (member_of, release)))

    run.total = len(cleaned) + len(jobs)
    for front_end, result in zip(cleaned, run(cleaned.values()), strict=True):
        parts["beats"][front_end] = Part(result, subject, release.enrolment, release.probe, label)
    results = run(job.bind(parts) for job in jobs)

    found = gather(jobs[:n_attacks], results[:n_attacks], parts, settings)
    order = {(known, name): i for i, (known, name) in enumerate((k, a) for k in knowledge for a in attackers)}
    found = [entry for _, entry in sorted(found, key=lambda pair: order[pair[1].row["knowledge"], pair[0]])]
    attacks = [entry.row for entry in found]
    others = list(zip(jobs[n_attacks:], results[n_attacks:], strict=True))

    def of(function):
        return [(job, entry) for job, entries in others if job.function is function for entry in entries]

    diagnosed = of(diagnose)
    attribute_results = [entry for _, entry in of(infer_attribute)]
    membership = next((entry for job, entry in others if job.function is infer_membership), None)
    floors = measure_floors(release)
    headline, gallery = find_headline(found, floors, settings)
    return AuditReport(
        attacks=attacks,
        headline=headline,
        gallery=gallery,
        attribute_results=attribute_results,
        gdpr=gdpr_risks(release, attacks, attribute_results, settings),
        membership=membership,
        utility_results=[entry for job, entry in diagnosed if job.task is None],
        task_results=[{"task": job.task, **entry} for job, entry in diagnosed if job.task is not None],
        fidelity_results=fidelity(beats, settings, _FIDELITY_BEATS),
        attention=attention(found, release, settings),
        floors=floors,
        pictures=pictures(release),
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
            "attackers_left_out": sorted(set(ATTACKERS) - set(attackers)),
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
