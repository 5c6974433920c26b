"""One report of several views of a release: its leads, and beats cut at the R peaks of either side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any

import numpy as np

from skagile.audit._headline import find_headlines, find_worsts
from skagile.audit._inputs import check_inputs
from skagile.audit._plan import make_plan, run_plan
from skagile.audit._runner import Runner
from skagile.audit._write_up import put_together
from skagile.audit.report import AuditReport, summary_of_view, worst_view
from skagile.audit.threats._floors import measure_floors


@dataclass(frozen=True, eq=False, kw_only=True)
class View:
    """Beats of one lead of a release, or of all its leads, cut one way.

    Attributes
    ----------
    lead : str
        Its name, for the report.
    cut : str
        Whose R peaks it is cut at, for the report.
    arguments : dict
        Arguments of :func:`~skagile.audit.audit_release`; ``original``, ``released`` and ``subjects`` at least.
    corresponds : bool
        Whether row by row both sides are the same heartbeats. If not, disclosure is not tested.
    is_recut : bool
        Whether another view has the same originals: attackers of originals are not tested on them once more.
    remarks : list of str
        Sentences for the report.
    """

    lead: str
    cut: str
    arguments: dict[str, Any]
    corresponds: bool = True
    is_recut: bool = False
    remarks: list[str] = field(default_factory=list)


def audit_views(
    views: Sequence[View],
    *,
    not_attacked: Sequence[dict[str, Any]] = (),
    n_jobs: int | None = None,
    cache: str | PathLike | None = None,
    progress: Callable[[int, int, str], object] | None = None,
    random_state: int | np.random.RandomState | None = 0,
) -> AuditReport:
    """Attack every view of a release, and report the worst.

    Each view is attacked by itself, as :func:`~skagile.audit.audit_release` does. The interval of each view's worst
    attack is corrected for picking the worst of the attacks on all views. The tables are those of the view where most
    people are named; what the release is good for is measured on the first view alone.

    Parameters
    ----------
    views : sequence of View
        The first must be one that can be audited. Of the others, one that cannot is named in the report.
    not_attacked : sequence of dict
        Leads of which there is no view: ``lead``, ``reason``, ``n_records``, ``of`` and ``in_release``.
    n_jobs, cache, progress, random_state
        As of :func:`~skagile.audit.audit_release`.

    Returns
    -------
    AuditReport
        With an entry in ``lead_results`` for each view.
    """
    seed = random_state if isinstance(random_state, int | np.integer) else 0
    refused = list(not_attacked)
    measured = []
    for number, view in enumerate(views):
        try:
            inputs = check_inputs(**_arguments(view, use=not number), random_state=seed)
            runner = Runner(cache, n_jobs, _of_view(progress, view, number, len(views)), inputs.settings)
            plan = make_plan(inputs, use=not number, corresponds=view.corresponds)
            rows = run_plan(plan, inputs, runner)
        except ValueError as error:
            if not number:
                raise
            refused.append(_refused(view, error))
            continue
        if not view.corresponds:
            inputs.not_run.append(["disclosure", "beats of the release are not those of the original, one by one"])
        measured.append((view, inputs, rows, runner.start))
    return _join(measured, refused)


def as_only_view(report: AuditReport, view: View, not_attacked: Sequence[dict[str, Any]] = ()) -> AuditReport:
    """Give the report of :func:`~skagile.audit.audit_release` as that of the only view of a release."""
    return replace(report, lead_results=[_summary(report, view)], not_attacked=list(not_attacked))


def _arguments(view, *, use):
    given = dict(view.arguments)
    given["subjects"] = np.asarray(given["subjects"]).astype(str)
    if not use:
        given |= {"new_patients": None}
    if view.is_recut and given.get("knowledge", "all") != "all":
        given["knowledge"] = [known for known in given["knowledge"] if known != "clean"] or given["knowledge"]
    return given


def _of_view(progress, view, number, n_views):
    if not callable(progress) or n_views == 1:
        return progress
    return lambda done, total, what: progress(done, total, f"lead {view.lead} ({number + 1} of {n_views}): {what}")


def _refused(view, error):
    return {
        "lead": view.lead,
        "reason": f"cut at the {view.cut}: {' '.join(str(error).split())}",
        "n_records": 1,
        "of": 1,
        "in_release": True,
    }


def _join(measured, refused):
    """Report of the worst view, with a summary of each."""
    floors = [measure_floors(inputs.release) for _, inputs, _, _ in measured]
    settings = measured[0][1].settings
    names = [np.unique(np.asarray(view.arguments["subjects"]).astype(str)) for view, *_ in measured]
    everybody = np.unique(np.concatenate(names))
    heads = find_headlines(
        [
            ([row.recognised for row in rows["identity"]], of_view)
            for (_, _, rows, _), of_view in zip(measured, floors, strict=True)
        ],
        settings,
        [np.searchsorted(everybody, of_view) for of_view in names],
    )
    others = find_worsts([rows for _, _, rows, _ in measured], settings)
    reports, summaries = [], []
    for (view, inputs, rows, start), (headline, gallery), worst, of_view in zip(
        measured, heads, others, floors, strict=True
    ):
        report = put_together(inputs, rows, start, {**(headline or {}), **worst}, gallery, of_view)
        reports.append(report)
        summaries.append(_summary(report, view))
    first = reports[0]
    worst, headline = worst_view(reports, summaries)
    return replace(
        reports[worst],
        headline=headline,
        utility_results=first.utility_results,
        task_results=first.task_results,
        fidelity_results=first.fidelity_results,
        lead_results=[{**summary, "shown": number == worst} for number, summary in enumerate(summaries)],
        not_attacked=refused,
    )


def _summary(report, view):
    return {**summary_of_view(report), "lead": view.lead, "cut": view.cut, "shown": True, "remarks": list(view.remarks)}
