"""Settings of an anonymizer between privacy and use."""

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid
from sklearn.utils._param_validation import Interval as Range
from sklearn.utils._param_validation import StrOptions, validate_params

from skagile._seeds import draw_seed, with_seed
from skagile._session_order import session_order
from skagile._validation import check_names
from skagile._workers import in_parallel
from skagile.audit import Estimators, Size, audit_release, check_rows, check_sources, split_beats
from skagile.model_selection._released import subjects_keys, transform_rows

_RISKS = ("reidentification", "fused_reidentification")
_UTILITIES = ("accuracy", "macro_f1")
_NEEDED = ["params", *(f"{name}{end}" for name in (*_RISKS, *_UTILITIES) for end in ("", "_low", "_high"))]
_FLOOR_OF = {"reidentification": "floor", "fused_reidentification": "fused_floor"}
_WORDS = {
    "reidentification": "single beats named right (%)",
    "fused_reidentification": "people named right from all beats (%)",
    "accuracy": "diagnosis, accuracy (%)",
    "macro_f1": "diagnosis, macro-F1 (%)",
}


class PrivacyUtilityCurve:
    """Re-identification against diagnosis, for each setting of an anonymizer.

    Make it with :meth:`from_estimator`, or from results that were kept with :meth:`from_results`.

    Parameters
    ----------
    results : DataFrame of shape (n_settings, n_columns)
        One row per setting, as in ``results_``.
    risk : {"reidentification", "fused_reidentification"}, default="reidentification"
        The risk to keep low: from single beats, or from all beats of a person.
    utility : {"accuracy", "macro_f1"}, default="macro_f1"
        The use to keep high.

    Attributes
    ----------
    results_ : DataFrame
        ``params``, a dict per setting, and ``param_<name>`` for each parameter; ``reidentification`` and
        ``fused_reidentification`` by the worst attack, with ``attacker``, ``knowledge``, ``floor`` and
        ``fused_floor``; ``accuracy`` and ``macro_f1`` of the diagnosis; each of them with ``_low`` and ``_high`` ends
        of the interval. Columns ``selection_<name>`` are the same on the people that the frontier is chosen on.
    frontier_ : ndarray of shape (n_settings,), dtype bool
        Settings that no other setting beats: with a risk as low a utility as high, and one of both better. Found in
        the columns ``selection_...`` where there are any.
    ax_ : Axes
        What was drawn on.
    figure_ : Figure
        Its figure.
    line_ : Line2D
        The frontier.
    floor_line_ : Line2D or None
        The highest floor of the settings. None where the results hold none.
    errorbar_ : ErrorbarContainer
        Settings and their intervals.

    Raises
    ------
    ValueError
        For results that are empty or lack a column.

    See Also
    --------
    skagile.audit.audit_release : Measures each setting.

    Notes
    -----
    The best of many settings looks better than it is on the people that it was picked on. The frontier is therefore
    chosen on one part of the people, and the figures that are shown are of the others; a setting of the frontier may
    so lie above the line of another.

    **What this does not guarantee.** Each point is what the attackers named got from that release. An attacker who
    was not run may get more, and the settings that were not tried may be better.

    Examples
    --------
    >>> import pandas as pd
    >>> from skagile.model_selection import PrivacyUtilityCurve
    >>> rows = []
    >>> for epsilon, risk, utility in [(0.0, 0.9, 0.96), (0.3, 0.5, 0.95), (0.4, 0.6, 0.90), (0.9, 0.2, 0.8)]:
    ...     row = {"params": {"epsilon": epsilon}}
    ...     for name, value in [("reidentification", risk), ("fused_reidentification", risk),
    ...                         ("accuracy", utility), ("macro_f1", utility)]:
    ...         row |= {name: value, f"{name}_low": value - 0.05, f"{name}_high": value + 0.04}
    ...     rows.append(row)
    >>> PrivacyUtilityCurve(pd.DataFrame(rows)).frontier_.tolist()
    [True, True, False, True]
    """

    def __init__(self, results: pd.DataFrame, *, risk: str = "reidentification", utility: str = "macro_f1"):
        for name, value, choices in (("risk", risk, _RISKS), ("utility", utility, _UTILITIES)):
            if value not in choices:
                raise ValueError(f"{name} is {value!r}; choose from {', '.join(map(repr, choices))}.")
        if not isinstance(results, pd.DataFrame) or not len(results):
            raise ValueError(
                f"results is {type(results).__name__} of no rows or no DataFrame; give one row per setting."
            )
        if lacking := [name for name in _NEEDED if name not in results]:
            raise ValueError(f"results lacks the columns {', '.join(lacking)}; see PrivacyUtilityCurve.results_.")
        self.risk = risk
        self.utility = utility
        self.results_ = results.reset_index(drop=True)
        prefix = "selection_" if f"selection_{risk}" in results else ""
        self.frontier_ = _frontier(self.results_[f"{prefix}{risk}"], self.results_[f"{prefix}{utility}"])

    @classmethod
    def from_results(
        cls,
        results: pd.DataFrame,
        *,
        risk: str = "reidentification",
        utility: str = "macro_f1",
        ax: Any = None,
        **kwargs: Any,
    ) -> "PrivacyUtilityCurve":
        """Draw results that were kept.

        Parameters
        ----------
        results : DataFrame
            As ``results_``.
        risk, utility : str
            As for the class.
        ax : Axes, default=None
            As for :meth:`plot`.
        **kwargs : dict
            As for :meth:`plot`.

        Returns
        -------
        PrivacyUtilityCurve
        """
        return cls(results, risk=risk, utility=utility).plot(ax=ax, **kwargs)

    @classmethod
    @validate_params(
        {
            "X": ["array-like"],
            "y": ["array-like"],
            "subjects": ["array-like"],
            "sessions": ["array-like", None],
            "param_grid": [dict, list],
            "selection": [Range(Real, 0, 1, closed="neither"), None],
            "risk": [StrOptions(set(_RISKS))],
            "utility": [StrOptions(set(_UTILITIES))],
            "fit_params": [dict, None],
            "audit_params": [dict, None],
            "n_jobs": [Integral, None],
            "random_state": ["random_state"],
        },
        prefer_skip_nested_validation=True,
    )
    def from_estimator(
        cls,
        anonymizer: Any,
        X: ArrayLike,
        y: ArrayLike,
        *,
        subjects: ArrayLike,
        sessions: ArrayLike | None = None,
        param_grid: dict[str, Any] | list[dict[str, Any]],
        attackers: str | list | dict[str, Any] = "all",
        knowledge: str | Sequence[str] = "adaptive",
        diagnostic_estimator: Any = "default",
        selection: float | None = 0.5,
        risk: str = "reidentification",
        utility: str = "macro_f1",
        fit_params: dict[str, Any] | None = None,
        audit_params: dict[str, Any] | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = 0,
        ax: Any = None,
        **kwargs: Any,
    ) -> "PrivacyUtilityCurve":
        """Release with each setting, audit each release, and draw what was found.

        Each setting's copy of the anonymizer is fitted on the beats that enrol (the earliest session of each person,
        or the first half) and transforms all. The release is audited twice: on the people that the frontier is chosen
        on, and on the others, whose figures are shown.

        Parameters
        ----------
        anonymizer : estimator
            With ``fit`` and ``transform`` that keeps the shape: an anonymizer, or a pipeline of beats to beats.
        X : array-like of shape (n_rows, n_samples), (n_rows, n_beats, n_samples) or with leads before samples
            Beats in millivolts; in the 3-D layout a beat that is NaN throughout is missing.
        y : array-like of shape (n_rows,)
            Diagnosis of each row.
        subjects : array-like of shape (n_rows,)
            The person of each row. Given to every ``fit`` and every ``transform`` that takes ``subjects``, those of a
            pipeline's steps too, with metadata routing on or off.
        sessions : array-like of shape (n_rows,), default=None
            As for :func:`~skagile.audit.audit_release`.
        param_grid : dict or list of dicts
            Settings, as for :class:`~sklearn.model_selection.ParameterGrid`.
        attackers : "all", str, list or dict, default="all"
            As for :func:`~skagile.audit.audit_release`.
        knowledge : str or list of str, default="adaptive"
            What the attackers know; the worst counts.
        diagnostic_estimator : "default" or estimator, default="default"
            As for :class:`~skagile.audit.Estimators`. The utility is the worse of two: trained on originals and
            tested on the release, and the other way round.
        selection : float, default=0.5
            Share of the people that the frontier is chosen on. None: chosen on everybody and reported on everybody,
            for cohorts too small to part; the figures of the frontier then err to the good side.
        risk, utility : str
            As for the class.
        fit_params : dict, default=None
            Further arguments of ``fit``; arrays with one entry per row are cut to the rows that enrol.
        audit_params : dict, default=None
            Further arguments of :func:`~skagile.audit.audit_release`, such as ``size``, whose galleries are left out.
        n_jobs : int, default=None
            Settings measured in parallel, through joblib. The figures do not depend on it.
        random_state : int, RandomState instance or None, default=0
            Seed of everything random, and of each ``random_state`` of the anonymizer that is None.
        ax : Axes, default=None
            As for :meth:`plot`.
        **kwargs : dict
            As for :meth:`plot`.

        Returns
        -------
        PrivacyUtilityCurve
            Drawn.

        Raises
        ------
        ValueError
            For an anonymizer that changes the shape, ``selection`` that leaves fewer than two people who can be probed
            on either side, and all that :func:`~skagile.audit.audit_release` refuses.
        """
        check_names(subjects, "subjects")
        X, y, subjects = np.asarray(X), np.asarray(y), np.asarray(subjects)
        if sessions is not None and len(sessions) == len(subjects):
            # Once for all people: a part of the dates may not tell how they are written.
            sessions = session_order(sessions, subjects)
        seed = draw_seed(random_state)
        anonymizer = with_seed(anonymizer, seed)
        enrolled, person, probed = _enrolment(X, subjects, sessions)
        parts = _parts(person, probed, selection, seed)
        audit = {
            "attackers": attackers,
            "knowledge": knowledge,
            "estimators": Estimators(diagnostic_estimator=diagnostic_estimator),
            "random_state": seed,
            **(audit_params or {}),
        }
        # Not on the curve, and a bootstrap for each attack.
        audit["size"] = replace(audit.get("size") or Size(), galleries=())
        settings = list(ParameterGrid(param_grid))
        data = (X, y, subjects, sessions, enrolled)
        tasks = ((anonymizer, setting, data, parts, audit, fit_params or {}) for setting in settings)
        measured = list(in_parallel(_measure, tasks, n_jobs, len(settings)))
        return cls(pd.DataFrame(measured), risk=risk, utility=utility).plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> "PrivacyUtilityCurve":
        """Draw the settings, the frontier, and the floor that no release with its diagnosis goes below.

        Parameters
        ----------
        ax : Axes, default=None
            What to draw on. None: a new figure.
        name : str, default=None
            Name of the frontier in the legend. None: "frontier".
        **kwargs : dict
            For the line of the frontier, as for :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        PrivacyUtilityCurve
            Itself.
        """
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots()
        x, y = (100 * self.results_[key].to_numpy(float) for key in (self.utility, self.risk))
        self.ax_, self.figure_ = ax, ax.figure
        self.errorbar_ = ax.errorbar(
            x,
            y,
            xerr=self._ends(self.utility, x),
            yerr=self._ends(self.risk, y),
            fmt="o",
            color="0.45",
            elinewidth=0.8,
            capsize=2,
            markersize=4,
            label="settings, with intervals",
        )
        order = np.flatnonzero(self.frontier_)
        order = order[np.argsort(x[order], kind="stable")]
        style = {"color": "C1", "linewidth": 2, "marker": "D", "markersize": 6, "label": name or "frontier"}
        (self.line_,) = ax.plot(x[order], y[order], **{**style, **kwargs})
        self.floor_line_ = None
        floor = self.results_.get(_FLOOR_OF[self.risk])
        if floor is not None and floor.notna().any():
            self.floor_line_ = ax.axhline(
                100 * floor.astype(float).max(),
                color="C3",
                linestyle=":",
                linewidth=1.8,
                label="floor: guessing without the signal",
            )
        ax.set(xlabel=_WORDS[self.utility], ylabel=_WORDS[self.risk])
        ax.set_ylim(bottom=0)
        ax.legend()
        return self

    def _ends(self, key, values):
        """Lengths of the error bars."""
        low, high = (100 * self.results_[f"{key}{end}"].to_numpy(float) for end in ("_low", "_high"))
        # A bootstrap interval need not hold the value itself.
        return np.nan_to_num(np.maximum([values - low, high - values], 0))


def _frontier(risk, utility):
    """Mask of the settings that no other one beats; NaN is beaten by everything."""
    risk, utility = (np.asarray(values, dtype=float) for values in (risk, utility))
    no_worse = (risk[:, None] <= risk) & (utility[:, None] >= utility)
    better = (risk[:, None] < risk) | (utility[:, None] > utility)
    return ~(no_worse & better).any(axis=0) & np.isfinite(risk) & np.isfinite(utility)


def _enrolment(X, subjects, sessions):
    """Mask of the beats that enrol, in the layout of X; code of each row's person; whether each person is probed."""
    _, row, _ = check_sources(original=X)
    _, person = check_rows(subjects, len(X), name="subjects", kind="subjects")
    enrols, probes = split_beats(person[row], row, sessions, len(X))
    mask = np.zeros(X.shape[: min(X.ndim - 1, 2)], dtype=bool)
    if X.ndim == 2:
        mask[row] = enrols
    else:
        mask[~np.isnan(np.asarray(X, dtype=float)).all(axis=tuple(range(2, X.ndim)))] = enrols
    return mask, person, np.bincount(person[row][probes], minlength=person.max() + 1) > 0


def _parts(person, probed, share, seed):
    """Share out the people: prefix of the columns -> mask of the rows. Those who can be probed are shared out first."""
    if share is None:
        return {"": np.ones(len(person), dtype=bool)}
    shuffled = np.random.RandomState(seed).permutation(len(probed))
    chosen = np.zeros(len(probed), dtype=bool)
    for group in (shuffled[probed[shuffled]], shuffled[~probed[shuffled]]):
        chosen[group[: round(share * len(group))]] = True
    for name, side in (("choose on", chosen), ("report", ~chosen)):
        if (n_probed := int((side & probed).sum())) < 2:
            raise ValueError(
                f"selection={share} leaves {n_probed} of {int(probed.sum())} people who can be probed to {name}; at "
                "least 2 are needed. Give more people, another share, or selection=None to do both on everybody."
            )
    return {"selection_": chosen[person], "": ~chosen[person]}


def _measure(anonymizer, setting, data, parts, audit, fit_params):
    """Row of the results of one setting."""
    X, y, subjects, sessions, enrolled = data
    fitted = _fit(clone(anonymizer).set_params(**setting), X, y, subjects, enrolled, fit_params)
    released = np.asarray(transform_rows(fitted, X, subjects))
    if released.shape != X.shape:
        raise ValueError(
            f"anonymizer made {released.shape} of X of shape {X.shape}; it must keep the shape. Cut records into beats "
            "before, and leave classifiers out of the pipeline."
        )
    row = {"params": setting, **{f"param_{name}": value for name, value in setting.items()}}
    for prefix, rows in parts.items():
        report = audit_release(
            X[rows],
            released[rows],
            y[rows],
            subjects=subjects[rows],
            sessions=None if sessions is None else sessions[rows],
            **audit,
        )
        row.update({f"{prefix}{name}": value for name, value in _figures_of(report).items()})
    return row


def _fit(anonymizer, X, y, subjects, enrolled, fit_params):
    """Fit on the beats that enrol."""
    if X.ndim > 2:
        rows = enrolled.any(axis=1)
        X = np.where(enrolled.reshape(*enrolled.shape, *[1] * (X.ndim - 2)), X, np.nan)[rows]
    else:
        rows = enrolled
        X = X[rows]
    params = {**dict.fromkeys(subjects_keys(anonymizer), subjects), **fit_params}
    params = {
        name: np.asarray(value)[rows] if np.ndim(value) and len(value) == len(rows) else value
        for name, value in params.items()
    }
    return anonymizer.fit(X, y[rows], **params)


def _figures_of(report):
    """Take out of an audit what goes into the curve."""
    figures = {}
    for kind, name in (("single", "reidentification"), ("fused", "fused_reidentification")):
        entry = report.worst_case()[kind]
        if entry is None:
            raise ValueError("knowledge holds nothing but 'clean', which does not attack the release; add 'adaptive'.")
        figures.update({name: entry["value"], f"{name}_low": entry["low"], f"{name}_high": entry["high"]})
        figures[_FLOOR_OF[name]] = entry["floor"]
        if kind == "single":
            figures.update({key: entry[key] for key in ("attacker", "knowledge")})
    crossed = [result for result in report.utility_results if result["trained_on"] != result["tested_on"]]
    if not crossed:
        raise ValueError("diagnostic_estimator is None, so that there is no utility to draw; give a classifier.")
    for name in _UTILITIES:
        worst = min(crossed, key=lambda result: result[name])
        figures.update({f"{name}{end}": worst[f"{name}{end}"] for end in ("", "_low", "_high")})
    figures["n_subjects"] = report.protocol["n_subjects_probed"]
    return figures
