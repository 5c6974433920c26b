"""Arguments of an audit, checked and laid out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

from skagile._files import sha256_of
from skagile._seeds import draw_seed, with_seed
from skagile.attackers import KNOWLEDGE, Attacker, check_attackers, check_choice, default_estimator
from skagile.audit._groups import Estimators, Evidence, Size
from skagile.audit._provenance import digest_of_rows
from skagile.audit._release import (
    Part,
    Release,
    check_external,
    check_rows,
    check_sources,
    draw_beats,
    split_beats,
)
from skagile.audit._settings import Settings
from skagile.audit._with_leads import of_leads
from skagile.audit.threats._copies import MIN_PEOPLE
from skagile.audit.threats._disclosure import check_disclosed
from skagile.audit.threats._traits import check_attributes
from skagile.audit.use._new_patients import NewPatients, check_new_patients
from skagile.segmentation import rr_windows

_N_RR = 10  # intervals to a window
_ENROL_ON_THE_RELEASE = ("adaptive", "adaptive+denoise", "open_set", "cross_database")
_WHOLE = (
    "each released recording is one pseudo-person's from end to end (whole_records): its first half tells of its "
    "second, whoever it is. Give another release of the same originals (auxiliary)"
)


@dataclass(frozen=True, eq=False)
class Inputs:
    """All that an audit works on, checked.

    Attributes
    ----------
    release : Release
        Beats, one a row, with who they are of.
    shape : tuple
        Of the arrays as they were given.
    split : {"sessions", "halves"}
        How the enrolled beats were parted from those that are probed.
    n_subjects : int
        People of the release.
    attackers : dict of str to Attacker
        Each with a seed of its own or the audit's.
    knowledge : tuple of str
        What is tested of it.
    not_run : list of [what, why]
        What "all" left out.
    parts : dict of str to dict of str to Part
        What attackers look at, by its kind and by its source. Denoised beats are added once they are made.
    external : tuple or None
        Beats and subject codes of another database.
    traits : dict of str to dict
        Binary value of each person, by name of the trait.
    members : ndarray of bool of shape (n_subjects,) or None
        Who is in the release.
    tasks : dict of str or None to tuple
        Label code of each beat, the labels, and which beats have one, by task; None is the diagnosis.
    disclosed : tuple of str or None
        Tasks of which it can be tested whether they are disclosed.
    diagnostician : estimator or None
        Who reads them.
    new_patients : NewPatients or None
        People who are in neither the release nor the originals.
    estimators, size : Estimators, Size
        As given.
    settings : Settings
        What all measurements share.
    lead_names : list of str or None
        Names of the leads of 4-D beats.
    known_seed : bool
        As of ``Evidence``.
    sha256 : dict of str to str or None
        Digests of the release and of the model.
    """

    release: Release
    shape: tuple
    split: str
    n_subjects: int
    attackers: dict[str, Attacker]
    knowledge: tuple[str, ...]
    not_run: list[list[str]]
    parts: dict[str, dict[str, Part]]
    external: tuple | None
    traits: dict[str, dict[str, Any]]
    members: np.ndarray | None
    tasks: dict[str | None, tuple]
    disclosed: tuple
    diagnostician: Any
    new_patients: NewPatients | None
    estimators: Estimators
    size: Size
    settings: Settings
    lead_names: list[str] | None
    known_seed: bool
    sha256: dict[str, str | None]


def check_inputs(
    original,
    released,
    y=None,
    *,
    subjects,
    sessions=None,
    attackers="all",
    knowledge="all",
    attributes=None,
    members=None,
    tasks=None,
    new_patients=None,
    sampling_rate=None,
    window=(0.25, 0.45),
    lead_names=None,
    model=None,
    evidence=None,
    estimators=None,
    size=None,
    random_state=0,
):
    """Check the arguments of an audit, with its defaults, and lay them out."""
    evidence, estimators, size = evidence or Evidence(), estimators or Estimators(), size or Size()
    settings = _settings_of(size, sampling_rate, window, draw_seed(random_state))
    if lead_names is not None:
        lead_names = check_lead_names(lead_names, np.shape(original))
    sources = {"original": original, "released": released, "auxiliary": evidence.auxiliary}
    n_classes = 1 if estimators.diagnostic_estimator is None else 2
    release, shape, n_subjects, enrols = _check_release(
        sources, y, subjects, sessions, size, settings.seed, n_classes=n_classes
    )
    n_rows = shape[0]
    attackers, not_run = _check_attackers(attackers, evidence, settings, release.n_leads)
    knowledge, lacking = check_knowledge(knowledge, evidence, n_subjects, whole=evidence.whole_records)
    traits, unknown = check_attributes(
        attributes if estimators.attribute_estimator is not None else None, release.subject, release.row, n_rows
    )
    not_run += lacking + unknown
    if "adaptive+denoise" in knowledge and settings.sampling_rate is None:
        not_run.append(["front end band_pass", "no sampling_rate was given"])
    tasks, diagnostician = _check_diagnosis(release, tasks, n_rows, estimators, settings)
    if members is None:
        not_run.append(["presence", "nobody outside the release was named (members)"])
    else:
        members = check_members(members, release.subject, release.row, n_rows)
    if n_subjects < MIN_PEOPLE:
        not_run.append(["copies", f"it needs {MIN_PEOPLE} people, of whom each in turn is a stranger"])
    disclosed, unreadable = check_disclosed(release, members, tasks)
    not_run += unreadable
    if new_patients is not None:
        new_patients = check_new_patients(new_patients, shape, release, diagnostician)
    return Inputs(
        release=release,
        shape=shape,
        split="halves" if sessions is None else "sessions",
        n_subjects=n_subjects,
        attackers=attackers,
        knowledge=knowledge,
        not_run=not_run,
        parts=_lay_out(release, attackers, evidence, sessions, enrols, n_rows),
        external=None if evidence.external is None else check_external(evidence.external, shape),
        traits=traits,
        members=members,
        tasks=tasks,
        disclosed=disclosed,
        diagnostician=diagnostician,
        new_patients=new_patients,
        estimators=estimators,
        size=size,
        settings=settings,
        lead_names=lead_names,
        known_seed=bool(evidence.known_seed),
        sha256=_digests(released, model),
    )


def _digests(released, model):
    """Digests by which a report is told to be of this release and of this model.

    Of originals, names, dates and diagnoses there are none: who guesses a name, of a million patient numbers say, would
    see whether they are right.
    """
    return {"released": digest_of_rows(released), "model": None if model is None else sha256_of(Path(model))}


def _settings_of(size, sampling_rate, window, seed):
    return Settings(
        seed=seed,
        confidence=float(size.confidence),
        n_resamples=int(size.n_resamples),
        fusion=tuple(entry if entry == "all" else int(entry) for entry in size.fusion),
        galleries=tuple(int(entry) for entry in size.galleries),
        sampling_rate=None if sampling_rate is None else float(sampling_rate),
        window=tuple(window),
    )


def _check_release(sources, y, subjects, sessions, size, seed, *, n_classes):
    """Release with at most so many beats of each person, shape, number of people, and which beats could enrol."""
    beats, row, shape = check_sources(**{name: values for name, values in sources.items() if values is not None})
    people, subject = check_rows(subjects, shape[0], name="subjects", kind="subjects")
    subject = subject[row]
    labels = label = None
    if y is not None:
        labels, label = check_rows(y, shape[0], name="y", minimum=n_classes, kind="classes")
        label = label[row]
    enrols, probes = split_beats(subject, row, sessions, shape[0])
    return (
        Release(
            beats,
            row,
            subject,
            label,
            labels,
            draw_beats(np.flatnonzero(enrols), subject, size.max_enrolment_beats, seed),
            draw_beats(np.flatnonzero(probes), subject, size.max_probe_beats, seed),
            shape[2] if len(shape) == 4 else 1,
        ),
        shape,
        len(people),
        enrols,
    )


def _check_attackers(attackers, evidence, settings, n_leads):
    """Attackers with their seeds, and those that cannot be run, with the reason."""
    timed = evidence.times is not None and evidence.released_times is not None
    given = {
        "sampling_rate": settings.sampling_rate,
        "window": settings.window,
        "times": evidence.times if timed else None,
        "release_order": evidence.release_order,
    }
    attackers, not_run = check_attackers(attackers, given)
    return {
        name: attacker._replace(estimator=_seeded(attacker, settings.seed, n_leads))
        for name, attacker in attackers.items()
    }, not_run


def _seeded(attacker, seed, n_leads):
    estimator = with_seed(attacker.estimator, seed)
    return of_leads(estimator, n_leads) if attacker.known.kind == "beats" else estimator


def _check_diagnosis(release, tasks, n_rows, estimators, settings):
    """Tasks, the diagnosis (None) first, and who reads them; nobody where there is nothing to read."""
    known_of = {}
    if release.label is not None:
        known_of[None] = release.label, release.labels, np.ones(len(release.row), dtype=bool)
    known_of |= check_tasks(tasks, release.row, n_rows)
    diagnostician = estimators.diagnostic_estimator if known_of else None
    if diagnostician is not None:
        diagnostician = with_seed(default_estimator(diagnostician, "diagnostic_estimator"), settings.seed)
        diagnostician = of_leads(diagnostician, release.n_leads)
    return known_of, diagnostician


def _lay_out(release, attackers, evidence, sessions, enrols, n_rows):
    """Parts that the attackers look at, by their kind and by their source."""
    parts = {"beats": {source: release.part(source) for source in release.beats}}
    kinds = {attacker.known.kind for attacker in attackers.values()}
    if "intervals" in kinds:
        recording = recordings_of(evidence.records, sessions, n_rows)[release.row]
        parts["intervals"] = interval_parts(evidence.times, evidence.released_times, recording, release, enrols)
    for kind in kinds & {"order", "order_within"}:
        parts[kind] = order_parts(evidence.release_order, release, n_rows, within=kind == "order_within")
    return parts


def check_lead_names(names, shape):
    """Return names of the leads of a release, as texts."""
    n_leads = shape[2] if len(shape) == 4 else 1
    if isinstance(names, str) or len(names) != n_leads or len(set(map(str, names))) < n_leads:
        raise ValueError(
            f"lead_names is {names!r}, for beats of shape {tuple(shape)}; expected {n_leads} different name(s), one a "
            "lead, in the order of original."
        )
    return [str(name) for name in names]


def check_knowledge(knowledge, evidence, n_subjects, *, whole=False):
    """Knowledge to test, and that which cannot be, with the reason."""
    lacks = dict.fromkeys(_ENROL_ON_THE_RELEASE, _WHOLE) if whole else {}
    if evidence.external is None:
        lacks["cross_database"] = "no people of another database were given (external)"
    if evidence.auxiliary is None:
        lacks["auxiliary"] = "the attacker's own anonymized recordings were not given (auxiliary)"
    if n_subjects < 4:
        lacks["open_set"] = f"it needs 4 people, two to train on and two to recognise; there are {n_subjects}"
    if isinstance(knowledge, str) and knowledge == "all":
        return tuple(known for known in KNOWLEDGE if known not in lacks), [
            [f"knowledge {known}", why] for known, why in lacks.items()
        ]
    knowledge = check_choice(knowledge, KNOWLEDGE, name="knowledge")
    for known in knowledge:
        if known in lacks:
            raise ValueError(f"knowledge holds {known!r}, which cannot be tested: {lacks[known]}.")
    return knowledge, []


def check_members(members, subject, row, n_rows):
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


def check_tasks(tasks, row, n_rows):
    """Label code of each beat, the labels, and which beats have one, by task."""
    known_of = {}
    for task, values in ({} if tasks is None else tasks).items():
        if len(values) != n_rows:
            raise ValueError(
                f"tasks[{task!r}] has length {len(values)}, original has {n_rows} rows; give one label per row."
            )
        series = np.asarray(["" if value is None or value != value else str(value) for value in np.asarray(values)])
        known = (series != "")[row]
        names, code = np.unique(series[row], return_inverse=True)
        known_of[str(task)] = code, names, known
    return known_of


def recordings_of(records, sessions, n_rows):
    """Code of the recording of each row."""
    for name, values in (("records", records), ("sessions", sessions)):
        if values is not None:
            return check_rows(values, n_rows, name=name, kind=name, minimum=1)[1]
    return np.zeros(n_rows, dtype=int)


def interval_parts(times, released_times, recording, release, enrols):
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
        subject, enrolled = owners[0][windows.records], owners[1][windows.records].astype(bool)
        enrolment = np.flatnonzero(enrolled)
        probe = np.flatnonzero(~enrolled & np.isin(subject, subject[enrolment]))
        parts[source] = Part(windows.X, subject, enrolment, probe)
    return parts


def order_parts(order, release, n_rows, *, within):
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
