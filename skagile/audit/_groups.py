"""Arguments of an audit that belong together and that a first audit does without."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from numbers import Integral, Real

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval as Range
from sklearn.utils._param_validation import validate_parameter_constraints

from skagile.attackers import check_choice
from skagile.audit.use import SOURCES


class _Group:
    """Checks its fields as an estimator's parameters are checked; an error names the field and the group."""

    _constraints = {}

    def __post_init__(self):
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        validate_parameter_constraints(self._constraints, values, caller_name=type(self).__name__)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Evidence(_Group):
    """What attackers hold besides beats, for the ``evidence`` of :func:`~skagile.audit.audit_release`.

    Parameters
    ----------
    times : array-like of shape (n_rows,) or (n_rows, n_beats), default=None
        Time of each beat in its recording, in seconds, for the RR attacker. All beats of a recording should be among
        the rows: a beat that is left out makes one long interval of two.
    released_times : array-like of the same shape, default=None
        Beat times as the release gives them; None: it gives none.
    records : array-like of shape (n_rows,), default=None
        The recording that a row's times are of. None: a person has one, or one for each session.
    release_order : array-like of shape (n_rows,), default=None
        Position of each row in the file that is released. None: the file's order says nothing (it was shuffled).
    auxiliary : array-like of the shape of the original, default=None
        The originals anonymized once more by the attacker, who owns the anonymizer and draws their own randomness.
        Only enrolled rows are used.
    whole_records : bool, default=False
        Whether the release gives every recording one pseudo-person from end to end, and rows that enrol and rows that
        are probed are of the same recordings, as halves are. Then an attacker who is told whose the first half of
        a released recording is knows the second half, of the same file, which names nobody. So nobody is enrolled with
        the release itself, but with `auxiliary`; without it, sources are not tested by retrained attackers, and the
        verdict is not green.
    external : tuple (X, subjects), default=None
        Original beats of people of another database, cut as the original is, and who they are.
    known_seed : bool, default=False
        Whether the release was drawn with a seed that somebody may know, such as an int as ``random_state``. The report
        then says so in red.

    Raises
    ------
    ValueError
        For a value of the wrong kind. Shapes are checked against the original by the audit.

    Examples
    --------
    >>> from skagile.audit import Evidence
    >>> Evidence(release_order=[2, 0, 1]).release_order
    [2, 0, 1]
    """

    times: ArrayLike | None = None
    released_times: ArrayLike | None = None
    records: ArrayLike | None = None
    release_order: ArrayLike | None = None
    auxiliary: ArrayLike | None = None
    whole_records: bool = False
    external: tuple | None = None
    known_seed: bool = False

    _constraints = {
        "times": ["array-like", None],
        "released_times": ["array-like", None],
        "records": ["array-like", None],
        "release_order": ["array-like", None],
        "auxiliary": ["array-like", None],
        "whole_records": ["boolean"],
        "external": [tuple, list, None],
        "known_seed": ["boolean"],
    }


@dataclass(frozen=True, eq=False, kw_only=True)
class Estimators(_Group):
    """Classifiers that judge a release, for the ``estimators`` of :func:`~skagile.audit.audit_release`.

    Parameters
    ----------
    diagnostic_estimator : "default", "svd", estimator or None, default="default"
        Classifier whose diagnoses measure utility; by default the network of
        :class:`~skagile.attackers.DeepECGIdentifier`, trained on diagnoses. None leaves utility out.
    diagnostic_training : str or list of str, default=("original", "released")
        What the diagnostic classifier is trained on; each costs a fit. Tested on both.
    attribute_estimator : "default", "svd", classifier or None, default="default"
        Who infers the traits; by default the network of :class:`~skagile.attackers.DeepECGIdentifier`, or the quick
        :class:`~skagile.attackers.SVDIdentifier`. None leaves them out.

    Raises
    ------
    ValueError
        For training on something else than "original" and "released".

    Examples
    --------
    >>> from skagile.audit import Estimators
    >>> Estimators(diagnostic_estimator="svd", diagnostic_training="original").diagnostic_estimator
    'svd'
    """

    diagnostic_estimator: str | BaseEstimator | None = "default"
    diagnostic_training: str | Sequence[str] = SOURCES
    attribute_estimator: str | BaseEstimator | None = "default"

    _constraints = {
        "diagnostic_estimator": "no_validation",
        "diagnostic_training": [str, list, tuple],
        "attribute_estimator": "no_validation",
    }

    def __post_init__(self):
        super().__post_init__()
        check_choice(self.diagnostic_training, SOURCES, name="diagnostic_training")


@dataclass(frozen=True, kw_only=True)
class Size(_Group):
    """How much is measured, and how finely, for the ``size`` of :func:`~skagile.audit.audit_release`.

    Parameters
    ----------
    max_enrolment_beats, max_probe_beats : int, default=None
        At most so many beats of each person, drawn at random, to bound the time. None: all.
    fusion : tuple of int or "all", default=(1, 5, 10, "all")
        Numbers of beats of a person that an attacker may pool.
    galleries : tuple of int, default=(1_000, 10_000, 100_000, 1_000_000)
        Numbers of people to extrapolate the worst attack to. Empty: no curve.
    confidence : float, default=0.95
        Confidence level of the intervals.
    n_resamples : int, default=2000
        Number of bootstrap resamples of the people.

    Raises
    ------
    ValueError
        For a value out of range.

    Examples
    --------
    >>> from skagile.audit import Size
    >>> Size(max_probe_beats=50, confidence=0.9).confidence
    0.9
    """

    max_enrolment_beats: int | None = None
    max_probe_beats: int | None = None
    fusion: Sequence[int | str] = (1, 5, 10, "all")
    galleries: Sequence[int] = (1_000, 10_000, 100_000, 1_000_000)
    confidence: float = 0.95
    n_resamples: int = 2000

    _constraints = {
        "max_enrolment_beats": [Range(Integral, 1, None, closed="left"), None],
        "max_probe_beats": [Range(Integral, 1, None, closed="left"), None],
        "fusion": [tuple, list],
        "galleries": [tuple, list],
        "confidence": [Range(Real, 0, 1, closed="neither")],
        "n_resamples": [Range(Integral, 10, None, closed="left")],
    }

    def __post_init__(self):
        super().__post_init__()
        for name, words in (
            ("fusion", "numbers of beats, at least 1, or 'all'"),
            ("galleries", "numbers of people, at least 1"),
        ):
            for entry in getattr(self, name):
                if not _is_count(entry) and (name, entry) != ("fusion", "all"):
                    raise ValueError(f"{name} holds {entry!r}; expected {words}.")


def _is_count(value):
    return isinstance(value, Real) and not isinstance(value, bool) and value >= 1 and float(value).is_integer()
