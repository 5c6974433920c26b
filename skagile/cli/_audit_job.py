"""The job behind ``skagile audit``: two sides from files, the attacks, the thresholds, and what is saved."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from skagile._files import check_size, remove_leftovers, replacing
from skagile._text_files import encoding_of
from skagile.audit import (
    LEAST_PEOPLE,
    LIMITS,
    AuditReport,
    Estimators,
    Evidence,
    Size,
    View,
    as_only_view,
    audit_release,
    audit_views,
    percent,
    sentences_if_red,
)
from skagile.cli._auxiliary import read_auxiliary
from skagile.cli._new_patients import read_new
from skagile.cli._options import option_of
from skagile.cli._outputs import file_fault, overwriting_fault
from skagile.datasets import get_data_home
from skagile.release import look_at_arrays, look_at_folders, read_release_views

_MOST_PLACES = 60  # on the terminal
_MOST_MEMBERS = 16 << 20  # bytes


@dataclass(frozen=True)
class AuditSize:
    """How much work an audit does: keywords of ``read_release_views`` and of ``audit_release``."""

    read: dict = field(default_factory=dict)
    audit: dict = field(default_factory=dict)


SIZES = {
    # Attackers that fit in seconds and the strongest network, few beats of each person, one diagnostic training.
    "quick": AuditSize(
        read={"max_beats": 120},
        audit={
            "attackers": "quick",
            "knowledge": ("clean", "static", "adaptive"),
            "estimators": Estimators(diagnostic_training=("original",), attribute_estimator="svd"),
            "size": Size(max_enrolment_beats=100, max_probe_beats=100),
        },
    ),
    # Everything that audit_release does by itself, on beats enough for it.
    "full": AuditSize(audit={"size": Size(max_enrolment_beats=250, max_probe_beats=250)}),
}

# Of what a pair knows, audit_release gets these.
PASSED_ON = (
    "subjects",
    "sessions",
    "sampling_rate",
    "window",
    "lead_names",
    "attributes",
    "tasks",
)


def audit_files(
    original: str | PathLike,
    released: str | PathLike,
    *,
    size: str = "full",
    seed: int = 0,
    n_jobs: int | None = None,
    cache: str | PathLike | None = None,
    read: dict[str, Any] | None = None,
    members: str | PathLike | None = None,
    new_patients: str | PathLike | None = None,
    auxiliary: tuple[str | PathLike, str | PathLike | None] | None = None,
    thresholds: dict[str, float | None] | None = None,
    outputs: dict[str, str | PathLike] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[AuditReport, dict[str, list[str]], list[str]]:
    """Audit a release from files, and save the report.

    Parameters
    ----------
    original, released : path-like
        As :func:`~skagile.release.read_release_pair` takes them. Every lead that both have is attacked, and all of
        them together.
    size : {"full", "quick"}, default="full"
        Amount of work.
    seed : int, default=0
        Seed of everything random.
    n_jobs : int, default=None
        Attackers fitted in parallel.
    cache : path-like, default=None
        Folder for the results of finished fits, so that an interrupted audit goes on. None keeps none.
    read : dict, default=None
        Further keywords of ``read_release_views``.
    members : path-like, default=None
        Text with the people who are in the release, one a line. None: nobody is known to be outside.
    new_patients : path-like, default=None
        Originals of people who are on neither side, as `original` is given.
    auxiliary : tuple (path-like, path-like or None), default=None
        Another release of the same originals, and the key that it was made with, where there is one: attackers learn
        from it whom to look for.
    thresholds : dict, default=None
        Limits by the names of :meth:`~skagile.audit.AuditReport.check`, which the report holds its figures against.
    outputs : dict, default=None
        From "html", "json" and "csv" to the file to write. All are written at the end, or none.
    progress : callable, default=None
        Gets (done, total, what).

    Returns
    -------
    report : skagile.audit.AuditReport
        What the audit found.
    said : dict of str to list of str
        What was left out, what should be known of the input, and where files name people.
    broken : list of str
        One sentence per limit that is not kept, and one where the files name people.
    """
    amount = SIZES[size]
    read = {**amount.read, **(read or {})}
    release = read_release_views(original, released, random_state=seed, progress=progress, **read)
    pair = release.views[0]
    named = None if members is None else _members_of(members, pair.subjects)
    new, left_out = (None, []) if new_patients is None else read_new(new_patients, pair, read, seed)
    other = None if auxiliary is None else read_auxiliary(original, auxiliary, release, read, seed, progress)
    views = [
        _view_of(view, named, new, amount, is_other=pair is not view, auxiliary=beats)
        for view, beats in zip(release.views, other or [None] * len(release.views), strict=True)
    ]
    work = {"cache": cache, "n_jobs": n_jobs, "progress": progress, "random_state": seed}
    if len(views) == 1:
        report = as_only_view(audit_release(**views[0].arguments, **work), views[0], release.not_attacked)
    else:
        report = audit_views(views, not_attacked=release.not_attacked, **work)
    if release.people is None:
        in_files, places = look_at_arrays(original, released)
    else:
        in_files, places = look_at_folders(original, released, release.people)
    report = replace(report, files_results=in_files)
    report.protocol["input"] = {**pair.protocol, "size": size}
    if pair.notes:
        report.protocol["input"]["n_notes"] = len(pair.notes)
    checks = report.check(**(thresholds or {}))
    report.protocol["thresholds"] = checks
    save(report, outputs or {}, thresholds or {})
    skipped = [problem for _, problem in (*pair.skipped, *left_out)]
    return (
        report,
        {"left out": skipped, "to know": pair.notes, "in files of the release": places[:_MOST_PLACES]},
        [*sentences_if_red(report), *(_sentence(check) for check in checks if not check["passed"])],
    )


def _view_of(pair, named, new, amount, *, is_other, auxiliary):
    """Arguments of ``audit_release`` for one view."""
    whole = bool(pair.protocol.get("whole_records"))
    inside = None if named is None else np.isin(np.asarray(pair.subjects).astype(str), named)
    if is_other and inside is not None and not _are_enough(inside, pair.subjects):
        inside = None  # of a lead that few people have: presence is not tested on it, which the report says
    arguments = {
        "original": pair.original,
        "released": pair.released,
        "y": pair.y,
        **{key: pair[key] for key in PASSED_ON if pair[key] is not None},
        "members": inside,
        "new_patients": new,
        "evidence": Evidence(
            times=pair.times,
            released_times=pair.released_times,
            records=pair.records,
            auxiliary=auxiliary,
            whole_records=whole,
        ),
        **amount.audit,
    }
    if "knowledge" in arguments:
        arguments["knowledge"] = _knowledge(arguments["knowledge"], whole, auxiliary is not None)
    return View(
        lead=pair.lead,
        cut=pair.cut,
        arguments=arguments,
        corresponds=pair.corresponds,
        is_recut=pair.is_recut,
        remarks=pair.remarks,
    )


def _knowledge(named, whole, has_auxiliary):
    """Knowledge of a small audit: where nobody may enrol with the release itself, with another one if there is one."""
    kept = [known for known in named if not whole or known in ("clean", "static")]
    return (*kept, "auxiliary") if has_auxiliary else tuple(kept)


def _are_enough(inside, subjects):
    subjects = np.asarray(subjects)
    return min(len(np.unique(subjects[side])) for side in (inside, ~inside)) >= LEAST_PEOPLE


def _members_of(path, subjects):
    """People who are named in a text file, one a line."""
    path = Path(path).expanduser()
    check_size(f"--members {str(path)!r}, a text with one person a line", path.stat().st_size, most=_MOST_MEMBERS)
    try:
        lines = path.read_text(encoding=encoding_of(path)).splitlines()
    except ValueError as error:
        raise ValueError(f"--members {str(path)!r} is no text ({error}); expected a person a line.") from None
    named = {line.strip() for line in lines} - {""}
    if not named:
        raise ValueError(f"--members {str(path)!r} names nobody; expected one person a line.")
    subjects = np.asarray(subjects).astype(str)
    if strangers := sorted(named - set(subjects)):
        raise ValueError(
            f"--members names {strangers[0]!r}, whom the original does not have ({len(strangers)} of {len(named)}). "
            f"Its people are called like {subjects[0]!r}. Give one person a line, by these names."
        )
    return sorted(named)


def _sentence(check):
    """Say what was measured, and what end of it breaks which limit."""
    row = LIMITS[check["name"]]
    limit = f"the {percent(check['limit'])} of {option_of(row.name)}"
    if reason := check.get("reason"):
        return f"Not kept: {limit} cannot be judged ({reason})."
    if check["value"] is None:
        return f"Not kept: nothing was measured to hold against {limit}."
    return (
        f"Not kept: {row.sentence} {percent(check['value'])} ({check['what']}), with an interval from "
        f"{percent(check['low'])} to {percent(check['high'])}; its {'upper' if row.is_maximum else 'lower'} end is "
        f"{'above' if row.is_maximum else 'below'} {limit}."
    )


def save(report: AuditReport, outputs: dict[str, str | PathLike], thresholds: dict[str, float | None]) -> None:
    """Write every output beside its place, then rename all: no reader meets half a report, or one without the other."""
    writers = {
        "html": lambda path: report.to_html(path, thresholds=thresholds),
        "json": report.to_json,
        "csv": lambda path: report.summary().to_csv(path, index=False),
    }
    with ExitStack() as stack:
        for kind, path in outputs.items():
            remove_leftovers(Path(path).parent)
            writers[kind](stack.enter_context(replacing(path)))


def default_cache() -> Path:
    """Folder that results of finished fits are kept in."""
    return get_data_home() / "audits"


def output_fault(
    outputs: dict[str, str | PathLike],
    original: str | PathLike,
    released: str | PathLike,
    *others: str | PathLike | None,
) -> str:
    """Say why an output cannot be written, before hours of work; "" where all can. `others` are further inputs."""
    options = {"--report" if kind == "html" else f"--{kind}": Path(path) for kind, path in outputs.items()}
    inputs = [path for path in (original, released, *others) if path is not None]
    return overwriting_fault(options, inputs) or next(filter(None, map(file_fault, options.values())), "")
