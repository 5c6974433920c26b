"""How well people are told apart: identification, verification, and what guessing would give."""

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from scipy.special import expit
from sklearn.metrics import roc_curve
from sklearn.preprocessing import normalize
from sklearn.utils import check_array
from sklearn.utils._param_validation import validate_params
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skagile.metrics._bootstrap import _RESAMPLING, Interval, encode_subjects, interval_of_sums
from skagile.metrics._verification import check_comparisons

__all__ = [
    "VerificationScores",
    "cmc_curve",
    "equal_error_rate",
    "equal_error_rate_interval",
    "fuse_scores",
    "rank1_accuracy",
    "verification_scores",
]
_BLOCK = 2**22  # scores worked on at a time
_MOST = 2**26  # scores that thresholds are chosen from


class VerificationScores(NamedTuple):
    """Every probe compared with every enrolled person; see :func:`verification_scores`.

    Attributes
    ----------
    scores : ndarray of shape (n_probe, n_templates)
        Cosine similarity of each probe with each template.
    mated : ndarray of bool of shape (n_probe, n_templates)
        Whether probe and template are of the same person.
    templates : ndarray of shape (n_templates,)
        The person of each template, sorted.
    """

    scores: np.ndarray
    mated: np.ndarray
    templates: np.ndarray


def rank1_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Share of probes whose person is named right at the first guess.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_probe,)
        Subjects, true and named by the attacker.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        For other lengths or no probe.

    See Also
    --------
    cmc_curve : The same for the first k guesses.
    bootstrap_interval : Its interval over subjects, from ``y_true == y_pred``.

    Examples
    --------
    >>> from skagile.metrics import rank1_accuracy
    >>> rank1_accuracy(["anna", "anna", "bert", "carl"], ["anna", "bert", "bert", "carl"])
    0.75
    """
    y_true, y_pred = column_or_1d(y_true), column_or_1d(y_pred)
    check_consistent_length(y_true, y_pred)
    if not len(y_true):
        raise ValueError("y_true is empty: there is no probe to identify.")
    return float(np.mean(y_true == y_pred))


def cmc_curve(y_true: ArrayLike, scores: ArrayLike, *, classes: ArrayLike | None = None) -> np.ndarray:
    """Cumulative match characteristic: share of probes whose person is among the first k guesses.

    Parameters
    ----------
    y_true : array-like of shape (n_probe,)
        Subject of each probe.
    scores : array-like of shape (n_probe, n_classes)
        Score of each enrolled subject, higher is likelier.
    classes : array-like of shape (n_classes,), default=None
        The subject of each column. None: the sorted distinct values of `y_true`.

    Returns
    -------
    ndarray of shape (n_classes,)
        Entry k - 1 is the share within the first k guesses; the first entry is rank-1 and the last is 1.

    Raises
    ------
    ValueError
        For other lengths, NaN scores, or a subject of `y_true` that is not in `classes`.

    Notes
    -----
    Equal scores count as broken at random, in expectation: an attacker who gives everybody the same score gets
    1 / n_classes at rank 1.

    Examples
    --------
    >>> from skagile.metrics import cmc_curve
    >>> cmc_curve(["a", "b"], [[0.9, 0.1, 0.0], [0.6, 0.3, 0.1]], classes=["a", "b", "c"])
    array([0.5, 1. , 1. ])
    """
    y_true = column_or_1d(y_true)
    scores = check_array(scores, dtype=np.float64, input_name="scores")
    check_consistent_length(y_true, scores)
    classes = np.unique(y_true) if classes is None else column_or_1d(classes)
    if len(classes) != scores.shape[1]:
        raise ValueError(f"scores has {scores.shape[1]} columns for {len(classes)} classes: give one column per class.")
    order = np.argsort(classes, kind="stable")
    place = np.clip(np.searchsorted(classes, y_true, sorter=order), 0, len(classes) - 1)
    column = order[place]
    strangers = classes[column] != y_true
    if strangers.any():
        raise ValueError(
            f"y_true holds {int(strangers.sum())} probe(s) of subjects who are not in classes, the first "
            f"{y_true[strangers][0]!r}: rank is defined for enrolled subjects only. Leave the others out."
        )
    own = np.take_along_axis(scores, column[:, None], axis=1)
    ahead = (scores > own).sum(axis=1)
    tied = (scores == own).sum(axis=1)
    # A probe tied with t - 1 others behind a better ones is within the first k in (k - a) / t of the tie-breaks. Few
    # distinct (a, t) occur, and the curve is needed for those alone.
    pairs, count = np.unique(np.stack([ahead, tied], axis=1), axis=0, return_counts=True)
    k = np.arange(1, len(classes) + 1)
    return count @ np.clip((k - pairs[:, :1]) / pairs[:, 1:], 0, 1) / len(y_true)


def fuse_scores(scores: ArrayLike, subjects: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Mean score of each subject's rows: what an attacker believes who knows that they belong to one person.

    Parameters
    ----------
    scores : array-like of shape (n_rows, n_classes)
        Scores to average, log-probabilities as a rule.
    subjects : array-like of shape (n_rows,)
        The person of each row.

    Returns
    -------
    subjects : ndarray of shape (n_subjects,)
        Distinct subjects, sorted.
    scores : ndarray of shape (n_subjects, n_classes)
        Their mean scores.

    Raises
    ------
    ValueError
        For other lengths or NaN scores.

    Examples
    --------
    >>> from skagile.metrics import fuse_scores
    >>> people, fused = fuse_scores([[0.0, 1.0], [1.0, 1.0], [4.0, 2.0]], ["b", "b", "a"])
    >>> people.tolist(), fused.tolist()
    (['a', 'b'], [[4.0, 2.0], [0.5, 1.0]])
    """
    scores = check_array(scores, dtype=np.float64, input_name="scores")
    subjects = column_or_1d(subjects)
    check_consistent_length(scores, subjects)
    people, codes, count = np.unique(subjects, return_inverse=True, return_counts=True)
    return people, _sum_rows(scores, codes, len(people)) / count[:, None]


def verification_scores(
    enrolment_embeddings: ArrayLike,
    enrolment_subjects: ArrayLike,
    probe_embeddings: ArrayLike,
    probe_subjects: ArrayLike,
    *,
    dtype: DTypeLike = np.float64,
) -> VerificationScores:
    """Cosine similarity of every probe with the mean template of every enrolled person.

    Parameters
    ----------
    enrolment_embeddings : array-like of shape (n_enrolment, n_features)
        Embeddings the templates are made of.
    enrolment_subjects : array-like of shape (n_enrolment,)
        Their persons.
    probe_embeddings : array-like of shape (n_probe, n_features)
        Embeddings that claim an identity.
    probe_subjects : array-like of shape (n_probe,)
        Their persons. Somebody who is not enrolled is compared as an impostor only.
    dtype : {numpy.float64, numpy.float32}, default=numpy.float64
        Of the table of scores, which has one entry per probe and person: a million probes of a thousand people take 8
        GB, or 4. The scores are computed in float64 either way.

    Returns
    -------
    VerificationScores
        Named tuple (scores, mated, templates).

    Raises
    ------
    ValueError
        For other lengths, other numbers of features, NaN or infinite embeddings, or another dtype.

    Notes
    -----
    Besides the table and the embeddings, memory does not grow with the number of probes.

    Embeddings are brought to unit length before they are averaged, so that a few long ones (ectopic beats) do not
    make the template. An embedding of zeros scores 0 with everybody.

    Examples
    --------
    >>> from skagile.metrics import verification_scores
    >>> result = verification_scores([[1.0, 0.0], [0.0, 2.0]], ["a", "b"], [[3.0, 0.0]], ["a"])
    >>> result.scores
    array([[1., 0.]])
    >>> result.mated
    array([[ True, False]])
    """
    if dtype not in (np.float64, np.float32):
        raise ValueError(f"dtype is {dtype!r}; expected numpy.float64 or numpy.float32.")
    enrolment = check_array(enrolment_embeddings, dtype=np.float64, input_name="enrolment_embeddings")
    probe = check_array(probe_embeddings, dtype=np.float64, input_name="probe_embeddings")
    enrolled, probed = column_or_1d(enrolment_subjects), column_or_1d(probe_subjects)
    check_consistent_length(enrolment, enrolled)
    check_consistent_length(probe, probed)
    if enrolment.shape[1] != probe.shape[1]:
        raise ValueError(
            f"probe_embeddings has {probe.shape[1]} features, enrolment_embeddings {enrolment.shape[1]}: "
            "embed both with the same fitted attacker."
        )
    templates, codes = np.unique(enrolled, return_inverse=True)
    mean = normalize(_sum_rows(normalize(enrolment), codes, len(templates)))
    scores = np.empty((len(probe), len(templates)), dtype=dtype)
    for rows in _blocks(len(probe), len(templates) + probe.shape[1]):
        scores[rows] = normalize(probe[rows]) @ mean.T
    return VerificationScores(scores, probed[:, None] == templates, templates)


def equal_error_rate(y_true: ArrayLike, scores: ArrayLike) -> float:
    """Error rate at the threshold where false acceptances and false rejections are equally frequent.

    Parameters
    ----------
    y_true : array-like of bool
        Whether each comparison is of one person with himself (mated). Any shape.
    scores : array-like of the same shape
        Similarities, higher for the same person.

    Returns
    -------
    float
        0: people are told apart without error; 0.5: the scores say nothing. Above 0.5 they point the wrong way.

    Raises
    ------
    ValueError
        For other shapes, NaN scores, or comparisons of one kind only.

    Notes
    -----
    The point where the ROC curve (:func:`sklearn.metrics.roc_curve`), joined by straight lines, meets the diagonal of
    equal errors. For normal scores of unit variance whose means are d apart it is Phi(-d / 2).

    Examples
    --------
    >>> from skagile.metrics import equal_error_rate
    >>> equal_error_rate([True, True, True, False, False, False], [0.9, 0.8, 0.3, 0.4, 0.2, 0.1])
    0.333...
    """
    y_true, scores = check_comparisons(y_true, scores)
    false_accept, true_accept, _ = roc_curve(y_true, scores, drop_intermediate=False)
    return float(_crossing(false_accept[None], 1 - true_accept[None])[0])


@validate_params(
    {"verification": [VerificationScores], "probe_subjects": ["array-like"], **_RESAMPLING},
    prefer_skip_nested_validation=True,
)
def equal_error_rate_interval(
    verification: VerificationScores,
    probe_subjects: ArrayLike,
    *,
    confidence: Real = 0.95,
    n_resamples: Integral = 2000,
    random_state: int | np.random.RandomState | None = None,
) -> Interval:
    r"""Confidence interval of the equal error rate, by a bootstrap over subjects.

    Parameters
    ----------
    verification : VerificationScores
        What :func:`verification_scores` returned.
    probe_subjects : array-like of shape (n_probe,)
        The person of each probe.
    confidence : float, default=0.95
        Confidence level.
    n_resamples : int, default=2000
        Number of bootstrap resamples of the subjects.
    random_state : int, RandomState instance or None, default=None
        Seed of the resampling.

    Returns
    -------
    Interval
        Named tuple (low, high).

    Raises
    ------
    ValueError
        For fewer than two probed subjects, another length, or comparisons of one kind only.

    See Also
    --------
    bootstrap_interval : The interval itself.

    Notes
    -----
    A person drawn :math:`w_a` times counts so often as the prober; a comparison of :math:`a` with the template of
    :math:`b` depends on both, and counts :math:`w_a + w_b - 1` times (the first-order part of :math:`w_a w_b`), or
    :math:`w_a` times where :math:`b` is enrolled but not probed. Counts are kept per person on a grid of thresholds,
    which is dense in the tails, so a resample costs a product of small matrices and not a sort of all the scores.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.metrics import equal_error_rate_interval, verification_scores
    >>> rng = np.random.default_rng(0)
    >>> subjects = np.repeat(np.arange(10), 20)
    >>> X = rng.normal(size=(10, 3))[subjects] + rng.normal(size=(200, 3))
    >>> verification = verification_scores(X[::2], subjects[::2], X[1::2], subjects[1::2])
    >>> low, high = equal_error_rate_interval(verification, subjects[1::2], random_state=0)
    >>> 0 < low < high < 0.5
    True
    """
    scores, mated, templates = verification
    codes, n_subjects = encode_subjects(probe_subjects, len(scores))
    if mated.all() or not mated.any():
        raise ValueError("verification holds comparisons of one kind only; the equal error rate needs both kinds.")
    levels = expit(np.linspace(-9, 9, 400))
    grid = np.unique(np.concatenate([np.quantile(_some(scores, kind), levels) for kind in (mated, ~mated)]))
    n_bins = len(grid) + 1
    people = np.unique(column_or_1d(probe_subjects))
    place = np.clip(np.searchsorted(people, templates), 0, n_subjects - 1)
    is_probed = people[place] == templates
    genuine, impostor, by_template = np.zeros((3, n_subjects, n_bins))
    for rows in _blocks(*scores.shape):
        bins, own = np.searchsorted(grid, scores[rows], side="right"), mated[rows]

        def count(person, chosen, bins=bins):
            cell = np.broadcast_to(person, chosen.shape)[chosen] * n_bins + bins[chosen]
            return np.bincount(cell, minlength=n_subjects * n_bins).reshape(n_subjects, n_bins)

        genuine += count(codes[rows, None], own)
        impostor += count(codes[rows, None], ~own)
        by_template += count(place[None, :], ~own & is_probed)
    impostor += by_template
    counted_twice = by_template.sum(axis=0)

    def statistic(sums):
        genuine_counts, impostor_counts = sums[:, :n_bins], sums[:, n_bins:] - counted_twice
        accepted = np.cumsum(impostor_counts[:, ::-1], axis=1)
        # First-order multiplicities can be -1, and so make a count of the far tail negative.
        accepted = np.maximum.accumulate(np.maximum(accepted, 0), axis=1)
        recognised = np.cumsum(genuine_counts[:, ::-1], axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            false_accept, true_accept = accepted / accepted[:, -1:], recognised / recognised[:, -1:]
        start = np.zeros((len(sums), 1))
        return _crossing(np.hstack([start, false_accept]), 1 - np.hstack([start, true_accept]))

    return interval_of_sums(
        np.hstack([genuine, impostor]),
        statistic,
        n_rows=scores.size,
        proportion=True,
        confidence=confidence,
        n_resamples=n_resamples,
        random_state=random_state,
    )


def _blocks(n_rows, n_columns):
    """Slices of rows of a table, of bounded size."""
    step = max(1, _BLOCK // max(1, n_columns))
    return (slice(start, start + step) for start in range(0, n_rows, step))


def _some(scores, chosen):
    """Return the chosen scores, or where they are very many an even part of the rows'."""
    # The thresholds are a grid for counting: a part of so many scores places them as well.
    every = -(-scores.size // _MOST) if np.count_nonzero(chosen) > _MOST else 1
    return scores[::every][chosen[::every]]


def _sum_rows(values, codes, n_groups):
    """Sum the rows of each group."""
    # Not np.add.at, which takes ten times as long. No group is empty: codes come from np.unique.
    order = np.argsort(codes, kind="stable")
    return np.add.reduceat(values[order], np.searchsorted(codes[order], np.arange(n_groups)), axis=0)


def _crossing(false_accept, false_reject):
    """Error where two curves, one per row and joined by straight lines, cross; NaN rows stay NaN."""
    gap = false_reject - false_accept
    # The gap falls from 1 (nothing accepted) to -1 (everything): the first point at or below 0 ends the crossing.
    after = np.maximum((gap <= 0).argmax(axis=1), 1)
    row = np.arange(len(gap))
    before = after - 1
    part = gap[row, before] / (gap[row, before] - gap[row, after])
    return false_accept[row, before] + part * (false_accept[row, after] - false_accept[row, before])
