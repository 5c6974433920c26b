"""Beats of several leads, attacked all together and one lead at a time."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from os import PathLike
from typing import Any

import numpy as np

from skagile.attackers import ATTACKERS
from skagile.audit._inputs import check_lead_names
from skagile.audit._views import View, audit_views
from skagile.audit.report import TOGETHER, AuditReport

_CUT = "R peaks given"  # by who cut the beats
_OF_ROWS = ("y", "subjects", "sessions", "members")


def audit_leads(
    arguments: Mapping[str, Any],
    *,
    n_jobs: int | None,
    cache: str | PathLike | None,
    progress: Callable | bool | None,
    random_state: int | np.random.RandomState | None,
) -> AuditReport:
    """Audit a release of 4-D beats: all leads together, and each alone; the verdict is the worst.

    Parameters
    ----------
    arguments : mapping
        Of :func:`~skagile.audit.audit_release`, but for those below.
    n_jobs, cache, progress, random_state
        As there.
    """
    original, released = np.asarray(arguments["original"]), np.asarray(arguments["released"])
    given = {**arguments, "original": original, "released": released}
    views = [View(lead=TOGETHER, cut=_CUT, arguments=given)]
    if original.shape == released.shape:  # else the first view says what is wrong
        names = arguments["lead_names"]
        if names is None:
            names = [str(lead) for lead in range(original.shape[2])]
        else:
            names = check_lead_names(names, original.shape)
        alone = [_of_lead(given, lead) for lead in range(len(names))]
        views += [
            View(lead=name, cut=_CUT, arguments=own)
            for name, own in zip(names, alone, strict=True)
            if len(own["attackers"])
        ]
    return audit_views(views, n_jobs=n_jobs, cache=cache, progress=progress, random_state=random_state)


def _of_lead(arguments, lead):
    """Arguments of an audit of one lead, of the rows that have it."""
    beats = arguments["original"][:, :, lead]
    kept = ~np.isnan(beats).all(axis=(1, 2)) if beats.dtype.kind == "f" else np.ones(len(beats), dtype=bool)
    own = {**arguments, "lead_names": None, "new_patients": None}
    own |= {name: arguments[name][:, :, lead][kept] for name in ("original", "released")}
    own |= {name: np.asarray(arguments[name])[kept] for name in _OF_ROWS if arguments[name] is not None}
    for name in ("attributes", "tasks"):
        if arguments[name] is not None:
            own[name] = {of: np.asarray(values)[kept] for of, values in arguments[name].items()}
    evidence = arguments["evidence"]
    if evidence is not None:
        # Rhythm and order of rows are those of the view of all leads.
        nothing = {"times": None, "released_times": None, "release_order": None, "records": None}
        auxiliary, external = evidence.auxiliary, evidence.external
        if auxiliary is not None:
            auxiliary = np.asarray(auxiliary)[:, :, lead][kept]
        if external is not None:
            external = (np.asarray(external[0])[:, :, lead], external[1])
        own["evidence"] = replace(evidence, **nothing, auxiliary=auxiliary, external=external)
    own["attackers"] = _of_beats(arguments["attackers"])
    return own


def _of_beats(attackers):
    """Attackers who look at beats: the others were there when all leads were attacked."""

    def looks(attacker):
        return not isinstance(attacker, str) or attacker not in ATTACKERS or ATTACKERS[attacker].kind == "beats"

    if isinstance(attackers, str):
        return attackers
    if isinstance(attackers, Mapping):
        return {name: attacker for name, attacker in attackers.items() if looks(attacker)}
    return [attacker for attacker in attackers if looks(attacker)]
