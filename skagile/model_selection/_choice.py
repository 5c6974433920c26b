"""The choice of a setting from a search's results."""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from numbers import Real

import numpy as np
from sklearn.utils._param_validation import Interval, validate_params


@validate_params(
    {
        "utility_margin": [Interval(Real, 0, None, closed="left")],
        "utility": [str],
        "reidentification": [str, list, tuple],
        "reference": [None, Real],
    },
    prefer_skip_nested_validation=True,
)
def lowest_reidentification(
    utility_margin: float = 0.01,
    utility: str = "utility",
    reidentification: str | Sequence[str] = "reidentification",
    *,
    reference: float | None = None,
) -> Callable[[dict], int]:
    """Rule for ``refit`` of a search: the lowest re-identification among the settings that are useful enough.

    Parameters
    ----------
    utility_margin : float, default=0.01
        How far the mean utility may lie below the best.
    utility : str, default="utility"
        Name of the utility among the search's `scoring`: a share, greater is better, such as :class:`UtilityScorer` or
        "accuracy".
    reidentification : str or sequence of str, default="reidentification"
        Name of the re-identification among them: minus a share, as :class:`ReidentificationScorer` gives it. Of
        several, the worst counts.
    reference : float, default=None
        Utility to compare with, such as that on originals. None: the best among the settings searched.

    Returns
    -------
    callable
        Takes ``cv_results_`` and returns the index of the setting; among equal ones, that of the highest utility.
        Picklable.

    Raises
    ------
    ValueError
        From the search's ``fit``: for a scorer that is missing, failed (NaN), or has the wrong sign; where
        re-identification is 0 throughout, as a failed scorer with ``error_score=0`` has it; and where no setting comes
        within the margin of `reference`. None of these may end in the choice of an anonymizer that hides nobody.

    Warns
    -----
    UserWarning
        Where re-identification is the same for all settings, so that utility alone decides.

    Notes
    -----
    A search raises before it keeps ``cv_results_``. Try the scoring out on one setting before a long search.

    Examples
    --------
    >>> from skagile.model_selection import lowest_reidentification
    >>> choose = lowest_reidentification(utility_margin=0.05)
    >>> results = {
    ...     "mean_test_utility": [0.97, 0.95, 0.70],
    ...     "mean_test_reidentification": [-0.90, -0.30, -0.10],
    ... }
    >>> choose(results)
    1
    """
    names = [reidentification] if isinstance(reidentification, str) else list(reidentification)
    if not names:
        raise ValueError("reidentification is empty; expected the name of at least one scorer.")
    return partial(_choose, margin=float(utility_margin), utility=utility, names=names, reference=reference)


def _choose(results, *, margin, utility, names, reference):
    """Index of the setting that `lowest_reidentification` is about."""
    useful = _column(results, utility)
    risks = np.stack([-_column(results, name) for name in names])
    _check_sign(useful, risks, utility, names)
    risk = risks.max(axis=0)
    failed = np.isnan(useful) | np.isnan(risk)
    # A setting whose fit failed has no score at all; a score missing beside others is a scorer that failed.
    partly = failed & ~(np.isnan(useful) & np.isnan(risks).all(axis=0))
    if failed.all() or partly.any():
        raise ValueError(
            f"{int(failed.sum())} of {len(failed)} setting(s) have no score for {[utility, *names]} (NaN): a scorer "
            "failed, for want of subjects perhaps. error_score='raise' in the search shows why."
        )
    if len(risk) > 1 and np.nanmax(risk) == 0:
        raise ValueError(
            f"{names} is 0 for every setting: not one probe was ever named right. Either the scorer failed and the "
            "search's error_score stands in for it (let that be NaN or 'raise'), or there are too few probes, or even "
            "the weakest setting hides everybody: search smaller ones."
        )
    if len(risk) > 1 and np.nanmin(risk) == np.nanmax(risk):
        warnings.warn(
            f"{names} is {risk[~failed][0]:.3g} for every setting, so the utility alone decides, which favours the "
            "anonymizer that changes least. Search stronger settings, or score by more rows.",
            UserWarning,
            stacklevel=2,
        )
    least = (np.nanmax(useful) if reference is None else reference) - margin
    # Means over folds are rounded: a difference of the last bits is none.
    good = np.flatnonzero(~failed & (np.nan_to_num(useful, nan=-np.inf) >= least - 1e-12))
    if not len(good):
        raise ValueError(
            f"no setting has a {utility} of {least:.3g} or more (reference={reference}, margin {margin:g}); the best "
            f"has {np.nanmax(useful):.3g}. Search weaker settings, or allow a wider margin."
        )
    return int(good[np.lexsort((-useful[good], risk[good]))[0]])


def _column(results, name):
    key = f"mean_test_{name}"
    if key not in results:
        there = sorted(key.removeprefix("mean_test_") for key in results if key.startswith("mean_test_"))
        raise ValueError(
            f"the search has no scorer {name!r}, only {there}. Name it in scoring={{{name!r}: ...}}, or tell "
            "lowest_reidentification the name it has."
        )
    return np.asarray(results[key], dtype=np.float64)


def _check_sign(useful, risks, utility, names):
    """Refuse scores that cannot be what they are declared to be."""
    for name, risk in zip(names, risks, strict=True):
        known = risk[~np.isnan(risk)]
        if len(known) and not (known.min() >= 0 and known.max() <= 1):
            raise ValueError(
                f"the scorer {name!r} gives values from {-known.max():.3g} to {-known.min():.3g}; re-identification is "
                "minus a share, from -1 (everybody is named) to 0, so that greater is better. Use "
                "ReidentificationScorer, or make_scorer(..., greater_is_better=False)."
            )
    known = useful[~np.isnan(useful)]
    if len(known) and not (known.max() <= 1 and (known.max() > 0 or (known == 0).all())):
        raise ValueError(
            f"the scorer {utility!r} gives values from {known.min():.3g} to {known.max():.3g}; utility is a share, "
            "greater is better and 1 is best, such as UtilityScorer or 'accuracy'. A loss is none."
        )
