"""canary_disclosure: what is released as it is says everything, what hangs on nothing says nothing."""

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skagile import canary_disclosure
from skagile.datasets import beats_from_records, make_cohort
from skagile.model_selection._canary import _flip_coins


class AsItIs(TransformerMixin, BaseEstimator):
    """Releases the originals."""

    def fit(self, X, y=None, *, subjects=None):
        assert subjects is not None
        # A person has one flip.
        assert all(len(set(y[subjects == person])) == 1 for person in np.unique(subjects))
        self.y_ = np.array(y)
        return self

    def transform(self, X, *, subjects=None):
        assert subjects is not None
        return X


class Nobody(AsItIs):
    """Releases beats that hang on nothing but a seed."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def transform(self, X, *, subjects=None):
        return np.random.RandomState(self.random_state).normal(size=X.shape)


class Suppressed(AsItIs):
    """Releases every other row."""

    def transform(self, X, *, subjects=None):
        out = np.array(X)
        out[1::2] = np.nan
        return out


class Always(ClassifierMixin, BaseEstimator):
    """Says the same of everybody."""

    def fit(self, X, y):
        assert not np.isnan(X).any()
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.ones(len(X), dtype=int)

    def predict_proba(self, X):
        return np.tile([0.0, 1.0], (len(X), 1))


class Undecided(Always):
    """Says heads of every other row."""

    def predict(self, X):
        return np.arange(len(X)) % 2


@pytest.fixture(scope="module")
def beats():
    return beats_from_records(make_cohort(10, 2, duration=15.0, random_state=0), sessions="date", max_beats=10)


def canary(estimator, beats, **options):
    given = {"attackers": "nearest_neighbour", "subjects": beats.subjects, "sessions": beats.sessions, **options}
    return canary_disclosure(estimator, beats.X, **given)


def test_originals_say_everything(beats):
    said = canary(AsItIs(), beats, attackers=("nearest_neighbour", "svd"))
    assert said.value >= 0.9
    assert said.low > 0.5
    assert said.n_subjects == 10
    assert list(said.table.index) == ["nearest_neighbour", "svd"]
    assert said.value == said.table["value"].max()


def test_what_hangs_on_nothing_says_nothing(beats):
    said = canary(Nobody(), beats, n_flips=100)
    assert abs(said.value - 0.5) < 0.08


def test_half_is_right_by_saying_the_same(beats):
    said = canary(AsItIs(), beats, attackers=Always(), n_flips=300)
    assert abs(said.value - 0.5) < 0.04
    assert said.attacker == "Always"


def test_coins_are_independent_and_of_both_kinds():
    coins = np.array([_flip_coins(9, np.random.RandomState(seed)) for seed in range(4000)])
    assert np.abs(coins.mean(axis=0) - 0.5).max() < 0.04
    together = (coins[:, :1] == coins[:, 1:]).mean(axis=0)
    assert np.abs(together - 0.5).max() < 0.04  # dealt out in halves it were 4/9
    assert set(coins.sum(axis=1)) == set(range(2, 8))


def test_ties_count_half():
    X = np.random.default_rng(0).normal(size=(40, 20))
    subjects = np.repeat(np.arange(5), 8)  # four rows of each are held
    said = canary_disclosure(AsItIs(), X, subjects=subjects, attackers=[Undecided()], n_flips=1)
    assert said.value == 0.5


def test_suppressed_rows_are_released_to_nobody(beats):
    canary(Suppressed(), beats, attackers=[Always()], n_flips=1)  # Always refuses NaN


@pytest.mark.parametrize("routing", [False, True])
def test_pipelines_are_fitted_with_their_subjects(beats, routing):
    with sklearn.config_context(enable_metadata_routing=routing):
        ours = AsItIs()
        if routing:
            ours.set_fit_request(subjects=True).set_transform_request(subjects=True)
        doubled = make_pipeline(FunctionTransformer(lambda X: 2 * X), ours)
        assert canary(doubled, beats).value == canary(ours, beats).value


def test_seeds_and_workers(beats):
    estimator = Nobody()
    first = canary(estimator, beats, n_flips=4)
    assert canary(estimator, beats, n_flips=4).table.equals(first.table)
    other = [canary(estimator, beats, n_flips=4, random_state=seed).value for seed in (1, 2, 3)]
    assert len({first.value, *other}) > 1
    assert estimator.random_state is None
    assert not hasattr(estimator, "y_")
    clone(estimator)


def test_workers_do_not_change_the_figure(beats, by_value):
    assert canary(Nobody(), beats, n_flips=4, n_jobs=2).table.equals(canary(Nobody(), beats, n_flips=4).table)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subjects": ["a"] * 3}, "subjects has length 3"),
        ({"sessions": [1] * 3}, "sessions has length 3"),
        ({"attackers": ()}, "attackers is empty"),
        ({"attackers": "rr"}, "attacker='rr'"),
        ({"n_flips": 0}, "n_flips"),
        ({"anonymizer": "none"}, "named 'none'"),
    ],
)
def test_bad_input(beats, options, message):
    with pytest.raises(ValueError, match=message):
        canary(AsItIs(), beats, **options)


def test_too_few_people(beats):
    few = np.isin(beats.subjects, np.unique(beats.subjects)[:3])
    with pytest.raises(ValueError, match=r"3 of 3 subject\(s\) have rows on both sides"):
        canary_disclosure(AsItIs(), beats.X[few], subjects=beats.subjects[few], sessions=beats.sessions[few])
