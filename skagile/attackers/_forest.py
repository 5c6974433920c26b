"""The forest behind the attackers of features: bounded in memory, with votes made into log-probabilities."""

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier

from skagile.attackers._base import few_rows_each

_N_TREES = 200
_FEWEST_TREES = 20
_BUDGET = 2**28  # bytes of the trees' class frequencies, which are most of a forest of many subjects


def new_forest(
    n_classes: int,
    *,
    n_estimators: int | None = None,
    n_jobs: int | None = None,
    random_state: np.random.RandomState | None = None,
) -> ExtraTreesClassifier:
    """Make extremely randomised trees for so many subjects.

    On beats that tell nobody apart a tree grows a leaf for every beat, with a frequency for every subject: its leaves
    are limited, to two a subject at the least, and with very many subjects the default number of trees is, too.
    """
    by_leaf = 2 * 8 * n_classes  # a tree has twice as many nodes as leaves, and 8 bytes for each subject
    if n_estimators is None:
        n_estimators = int(np.clip(_BUDGET // (by_leaf * 2 * n_classes), _FEWEST_TREES, _N_TREES))
    return ExtraTreesClassifier(
        n_estimators,
        max_features=0.3,
        max_leaf_nodes=int(max(2 * n_classes, _BUDGET // (by_leaf * n_estimators))),
        n_jobs=n_jobs,
        random_state=random_state,
    )


def fit_forest(
    features: np.ndarray,
    codes: np.ndarray,
    *,
    n_estimators: int | None = None,
    n_jobs: int | None = None,
    random_state: np.random.RandomState | None = None,
) -> ExtraTreesClassifier:
    """Fit extremely randomised trees on features that may be NaN."""
    forest = new_forest(int(codes.max()) + 1, n_estimators=n_estimators, n_jobs=n_jobs, random_state=random_state)
    most = forest.max_leaf_nodes
    # Memory for as many leaves as are allowed is taken, and filled, for each tree; it cannot have more than rows.
    forest.set_params(max_leaf_nodes=max(2, min(most, len(features))))
    with few_rows_each():
        forest.fit(features, codes)
    # In parallel, votes would be added up in the order in which trees are done, and round by it.
    return forest.set_params(n_jobs=None, max_leaf_nodes=most)


def forest_log_proba(forest: ExtraTreesClassifier, features: np.ndarray) -> np.ndarray:
    """Log-probabilities of a fitted forest, as if one more tree had spread its vote evenly over the subjects.

    Nobody is excluded for want of a vote, or a single beat would outweigh all others of a record.
    """
    share, n_trees = forest.predict_proba(features), len(forest.estimators_)
    return np.log((n_trees * share + 1 / share.shape[1]) / (n_trees + 1))


def centre(log_proba: np.ndarray) -> np.ndarray:
    """Embedding of log-probabilities: what everybody shares taken off, so that cosines may be negative."""
    return log_proba - log_proba.mean(axis=1, keepdims=True)
