"""Parts of KSameAnonymizer against plain references: groups, donors, weights, and what is made of them."""

import inspect
from collections import Counter
from math import lcm

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest
from sklearn.decomposition import PCA

from skagile.anonymizers._generators._aligned_mixture import AlignedMixtureGenerator, rising, warp
from skagile.anonymizers._generators._mixture import MixtureGenerator, cap_weights
from skagile.anonymizers._generators._ppca import PPCAGenerator
from skagile.anonymizers._generators._vae import VAEGenerator
from skagile.anonymizers._ksame._borrow import borrow
from skagile.anonymizers._ksame._donors import Donors, spread_evenly
from skagile.anonymizers._ksame._microaggregation import mdav
from skagile.anonymizers._ksame._remembered import RememberedDiagnoses

# --- groups ---------------------------------------------------------------------------------------------------------


def _plain_mdav(rows, k):
    """MDAV as the paper writes it, with lists: the partition as a set of sets of rows."""

    def far(left, point):
        return max(left, key=lambda i: sum((a - b) ** 2 for a, b in zip(rows[i], point, strict=True)))

    def near(left, point):
        return sorted(left, key=lambda i: sum((a - b) ** 2 for a, b in zip(rows[i], point, strict=True)))[:k]

    def mean(left):
        return [sum(column) / len(left) for column in zip(*(rows[i] for i in left), strict=True)]

    left, groups = list(range(len(rows))), []
    while len(left) >= 3 * k:
        extreme = far(left, mean(left))
        opposite = rows[far(left, rows[extreme])]
        for point in (rows[extreme], opposite):
            groups.append(near(left, point))
            left = [i for i in left if i not in groups[-1]]
    if len(left) >= 2 * k:
        groups.append(near(left, rows[far(left, mean(left))]))
        left = [i for i in left if i not in groups[-1]]
    return {frozenset(group) for group in [*groups, left] if group}


def _sets(groups):
    return {frozenset(np.flatnonzero(groups == g).tolist()) for g in np.unique(groups)}


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 6), st.integers(0, 35), st.integers(1, 4), st.integers(0, 10**6))
def test_mdav_is_the_papers(k, more, width, seed):
    rows = np.random.default_rng(seed).standard_normal((k + more, width))
    groups = mdav(rows, k)
    sizes = np.bincount(groups)
    assert sizes.min() >= k
    assert sizes.max() < 2 * k
    assert _sets(groups) == _plain_mdav(rows.tolist(), k)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 5), st.integers(0, 10**6))
def test_mdav_of_ties_still_has_k_of_each(k, seed):
    rows = np.random.default_rng(seed).integers(0, 2, (5 * k + 1, 2)).astype(float)
    sizes = np.bincount(mdav(rows, k))
    assert sizes.min() >= k
    assert sizes.max() < 2 * k
    assert np.bincount(mdav(np.zeros((3 * k + 2, 2)), k)).min() >= k


def test_mdav_does_not_go_by_the_rows_order():
    rng = np.random.default_rng(0)
    rows, order = rng.standard_normal((40, 3)), rng.permutation(40)
    moved = mdav(rows[order], 4)
    back = np.empty_like(moved)
    back[order] = moved
    assert _sets(back) == _sets(mdav(rows, 4))


def test_mdav_finds_clusters():
    rng = np.random.default_rng(1)
    truth = np.repeat(np.arange(4), 5)
    rows = 10 * np.eye(4)[truth] + 0.1 * rng.standard_normal((20, 4))
    assert _sets(mdav(rows, 5)) == _sets(truth)


# --- donors ---------------------------------------------------------------------------------------------------------


def _law(subjects, n_donors):
    """Probability of every tuple of beats: an even choice among the beats of subjects not drawn yet, until none is."""
    law = {(): 1.0}
    for _ in range(n_donors):
        further = {}
        for drawn, p in law.items():
            seen = {subjects[i] for i in drawn}
            left = [i for i in range(len(subjects)) if subjects[i] not in seen]
            for i in left:
                further[(*drawn, i)] = p / len(left)
            if not left:
                further[drawn] = p
        law = further
    return law


def _drawn(donors, there):
    return Counter(tuple(row[: n.sum()].tolist()) for row, n in zip(donors, there, strict=True))


@pytest.mark.parametrize(
    ("subjects", "n_donors"),
    [
        ([0, 1], 2),
        ([2, 0, 0, 1, 0, 1], 2),
        ([2, 0, 0, 1, 0, 1], 3),  # subjects of 3, 2 and 1 beats
        ([3, 1, 3, 3], 3),  # fewer subjects than donors
        ([5, 5, 5], 2),
    ],
)
def test_law_of_donors_exactly(subjects, n_donors):
    """Every cell of a grid of random numbers so fine that each outcome has a whole number of cells."""
    fine = lcm(*range(1, len(subjects) + 1))
    grid = (np.arange(fine) + 0.5) / fine
    uniforms = np.stack(np.meshgrid(*[grid] * n_donors, indexing="ij"), axis=-1).reshape(-1, n_donors)
    pool = np.arange(len(subjects))
    donors = Donors(np.zeros((len(subjects), 2)), np.array(subjects), [pool])
    counts = _drawn(*donors.draw(np.zeros(len(uniforms), dtype=int), uniforms))
    law = _law(subjects, n_donors)
    assert counts.keys() == law.keys()
    for drawn, p in law.items():
        assert counts[drawn] == pytest.approx(p * len(uniforms), abs=1e-6)


def test_law_of_donors_in_many_pools_at_once():
    """By chance: overlapping pools in one call, each with its own law."""
    rng = np.random.default_rng(0)
    subjects = np.array([0, 3, 1, 1, 0, 2, 2, 2, 1, 3])
    pools = [np.array([8, 0, 2, 4, 5]), np.array([1, 9, 6]), np.arange(10)]
    donors = Donors(np.zeros((10, 2)), subjects, pools)
    pool = rng.integers(0, 3, 60_000)
    drawn, there = donors.draw(pool, rng.random((len(pool), 2)))
    assert there.all()
    assert (subjects[drawn[:, 0]] != subjects[drawn[:, 1]]).all()
    for i, beats in enumerate(pools):
        law = _law(subjects[beats].tolist(), 2)
        counts = Counter(map(tuple, drawn[pool == i].tolist()))
        expected = {tuple(beats[list(at)].tolist()): p for at, p in law.items()}
        assert counts.keys() <= expected.keys()
        observed = [counts[pair] for pair in expected]
        assert chisquare(observed, np.array(list(expected.values())) * (pool == i).sum()).pvalue > 1e-4
    assert donors.n_subjects.tolist() == [3, 2, 4]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.integers(1, 5), st.integers(0, 10**6))
def test_donors_are_of_distinct_subjects(subjects, n_donors, seed):
    subjects = np.array(subjects)
    rng = np.random.default_rng(seed)
    uniforms = rng.random((50, n_donors))
    uniforms[0] = 0
    uniforms[1] = np.nextafter(1, 0)
    pools = [np.flatnonzero(subjects == subjects[0]), np.arange(len(subjects))]
    donors = Donors(np.zeros((len(subjects), 2)), subjects, pools)
    for i, members in enumerate(pools):
        drawn, there = donors.draw(np.full(50, i), uniforms)
        assert np.isin(drawn, members).all()
        n = len(np.unique(subjects[members]))
        assert (there.sum(axis=1) == min(n, n_donors)).all()
        assert all(len(set(subjects[row[ok]])) == ok.sum() for row, ok in zip(drawn, there, strict=True))


def test_no_law_takes_a_source():
    """What is not an argument can't tell: pool and random numbers are all that a beat is made of."""
    for function in (Donors.draw, MixtureGenerator.generate, AlignedMixtureGenerator.generate, PPCAGenerator.generate):
        assert list(inspect.signature(function).parameters) == ["self", "pool", "uniforms"]


# --- weights --------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=80)
@given(st.integers(2, 6), st.floats(0, 1), st.floats(0.02, 3), st.integers(0, 10**6))
def test_capped_weights(n, at, concentration, seed):
    most = 1 / n + at * (1 - 1 / n)
    weights = np.random.default_rng(seed).dirichlet(np.full(n, concentration), 40)
    weights[0] = np.eye(n)[0]
    capped = cap_weights(weights, most)
    assert capped.min() >= 0
    assert capped.max() <= most + 1e-12
    np.testing.assert_allclose(capped.sum(axis=1), 1, rtol=1e-9)
    below = weights.max(axis=1) <= most
    np.testing.assert_array_equal(capped[below], weights[below])
    # Who had more does not end with less.
    order = np.argsort(weights, axis=1)
    assert (np.diff(np.take_along_axis(capped, order, axis=1), axis=1) > -1e-12).all()


def test_capped_weights_by_hand():
    got = cap_weights(np.array([[0.6, 0.39, 0.01], [0.95, 0.05, 0.0], [0.5, 0.5, 0.0]]), 0.4)
    # .2 goes half to each other one; .39 + .1 is above in its turn and passes .09 on.
    np.testing.assert_allclose(got, [[0.4, 0.4, 0.2], [0.4, 0.325, 0.275], [0.4, 0.4, 0.2]])


def _mixture(subjects, beats=None, pools=None, n_donors=2, **params):
    subjects = np.asarray(subjects)
    beats = np.random.default_rng(3).standard_normal((len(subjects), 9)) if beats is None else beats
    donors = Donors(beats, subjects, [np.arange(len(subjects))] if pools is None else pools)
    params = {"concentration": 0.25, "max_weight": 0.9, "random_state": np.random.default_rng(0), **params}
    return MixtureGenerator(donors, n_donors=n_donors, **params)


@pytest.mark.parametrize(("n_donors", "concentration"), [(2, 0.25), (3, 0.25), (3, 2.0)])
def test_weights_have_the_moments_of_dirichlet(n_donors, concentration):
    """Closed form: mean 1/n, variance (1/n)(1 - 1/n)/(n a + 1), covariance -1/n^2/(n a + 1); largest first."""
    generator = _mixture([0, 1, 2], n_donors=n_donors, concentration=concentration, max_weight=1.0)
    uniforms = np.random.default_rng(1).random((40_000, generator.n_uniforms))
    _, weights = generator.choose(np.zeros(len(uniforms), dtype=int), uniforms)
    assert (np.diff(weights, axis=1) <= 0).all()
    weights = np.random.default_rng(2).permuted(weights, axis=1)
    n, scale = n_donors, 1 / (n_donors * concentration + 1)
    expected = scale * (np.eye(n) / n - 1 / n**2)
    np.testing.assert_allclose(weights.mean(axis=0), 1 / n, atol=0.01)
    np.testing.assert_allclose(np.cov(weights, rowvar=False), expected, atol=0.006)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n_donors", "max_weight"), [(2, 0.9), (3, 0.6), (4, 0.3)])
def test_mixture_is_the_sum_of_donors_and_never_one(n_donors, max_weight, dtype):
    rng = np.random.default_rng(2)
    beats = rng.standard_normal((30, 7)).astype(dtype)
    generator = _mixture(np.arange(30) % 6, beats, n_donors=n_donors, max_weight=max_weight)
    pool, uniforms = np.zeros(3000, dtype=int), rng.random((3000, generator.n_uniforms))
    released = generator.generate(pool, uniforms)
    assert released.dtype == dtype
    donors, weights = generator.choose(pool, uniforms)
    assert weights.max() <= max_weight + 1e-6
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    exact = (beats[donors].astype(np.float64) * weights[:, :, None].astype(np.float64)).sum(axis=1)
    np.testing.assert_allclose(released, exact, rtol=0, atol=2e-6)
    assert np.abs(released[:, None] - beats).max(axis=2).min() > 0.02


@pytest.mark.parametrize("concentration", [0.01, 0.25])
def test_mixture_of_pools_with_few_subjects(concentration):
    """Two subjects for four donors: two are mixed, of weights that follow max_weight as far as two can."""
    beats = np.repeat(np.eye(4), 2, axis=0)
    subjects = np.repeat(np.arange(4), 2)
    pools = [np.arange(4), np.arange(8)]
    for max_weight, most in ((0.9, 0.9), (0.3, 0.5)):
        generator = _mixture(subjects, beats, pools, 4, concentration=concentration, max_weight=max_weight)
        uniforms = np.random.default_rng(0).random((4000, generator.n_uniforms))
        released = generator.generate(np.zeros(4000, dtype=int), uniforms)
        assert np.isfinite(released).all()
        np.testing.assert_allclose(released.sum(axis=1), 1, atol=1e-6)
        assert (released[:, 2:] == 0).all()
        assert released.max() <= most + 1e-6
        assert generator.generate(np.ones(4000, dtype=int), uniforms)[:, 2:].max() > 0.1


# --- aligned mixture ------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 6), st.booleans())
def test_warp_is_linear_interpolation(seed, n_landmarks, common):
    rng = np.random.default_rng(seed)
    n_samples, n_rows = 40, 5
    beats = rng.standard_normal((n_rows, n_samples))
    marks = rising(rng.uniform(0, n_samples, (n_rows, n_landmarks)), n_samples, np.zeros((n_rows, n_landmarks)))
    target = rising(rng.uniform(0, n_samples, (n_rows, n_landmarks)), n_samples, np.zeros((n_rows, n_landmarks)))
    target = target[:1] if common else target
    got = warp(beats, marks, target)
    time = np.arange(n_samples)
    for i in range(n_rows):
        source = np.interp(time, target[0 if common else i], marks[i])
        np.testing.assert_allclose(got[i], np.interp(source, time, beats[i]), atol=2e-4)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 8))
def test_landmarks_rise_from_end_to_end(seed, n):
    rng = np.random.default_rng(seed)
    n_samples = n + 3 + int(rng.integers(0, 30))
    marks = rng.uniform(-10, n_samples + 10, (20, n))
    marks[rng.random((20, n)) < 0.3] = np.nan
    fallback = rng.uniform(0, n_samples, (20, n))
    got = rising(marks, n_samples, fallback)
    assert got.shape == (20, n + 2)
    assert (got[:, 0] == 0).all()
    assert (got[:, -1] == n_samples - 1).all()
    assert np.diff(got, axis=1).min() >= 1 - 1e-9


def test_landmarks_that_rise_stay():
    marks = np.array([[4.5, 9.0, 20.25], [3.0, np.nan, 25.0]])
    got = rising(marks, 40, np.array([[1.0, 2.0, 3.0], [5.0, 11.0, 7.0]]))
    np.testing.assert_array_equal(got, [[0, 4.5, 9, 20.25, 39], [0, 3, 11, 25, 39]])


def test_aligned_mixture_does_not_smear():
    """Two people whose only difference is where their wave is: the mixture has it in between, and whole."""
    time = np.arange(80)
    peaks = np.array([[30.0], [50.0]])
    beats = np.exp(-0.5 * ((time - peaks) / 4) ** 2)
    marks = rising(peaks, 80, peaks)
    params = {"n_donors": 2, "concentration": 50.0, "max_weight": 0.9}
    donors = Donors(beats, np.array([0, 1]), [np.arange(2)])
    plain, aligned = (
        make(donors, *args, **params, random_state=np.random.default_rng(0))
        for make, args in ((MixtureGenerator, ()), (AlignedMixtureGenerator, (marks,)))
    )
    uniforms = np.random.default_rng(1).random((200, 3))
    pool = np.zeros(200, dtype=int)
    smeared, whole = plain.generate(pool, uniforms), aligned.generate(pool, uniforms)
    assert smeared.max(axis=1).max() < 0.75
    assert whole.max(axis=1).min() > 0.97
    chosen, weights = aligned.choose(pool, uniforms)
    place = (peaks[chosen, 0] * weights).sum(axis=1)
    assert np.abs(whole.argmax(axis=1) - place).max() <= 1
    assert np.ptp(place) > 2


def test_aligned_mixture_of_beats_alike_is_the_mixture():
    """Where all landmarks are the same nothing is warped."""
    rng = np.random.default_rng(0)
    beats = rng.standard_normal((12, 30))
    donors = Donors(beats, np.arange(12) % 4, [np.arange(12)])
    marks = np.tile([0.0, 8.0, 15.0, 29.0], (12, 1))
    params = {"n_donors": 3, "concentration": 1.0, "max_weight": 0.9}
    uniforms = rng.random((50, 4))
    made = [
        make(donors, *args, **params, random_state=np.random.default_rng(0)).generate(np.zeros(50, dtype=int), uniforms)
        for make, args in ((MixtureGenerator, ()), (AlignedMixtureGenerator, (marks,)))
    ]
    np.testing.assert_allclose(made[0], made[1], atol=1e-4)


# --- probabilistic PCA ----------------------------------------------------------------------------------------------


def test_ppca_has_mean_and_covariance_of_the_model():
    """The truth is scikit-learn's: PCA.get_covariance, brought from n - 1 to n."""
    rng = np.random.default_rng(0)
    sizes = (60, 200)
    parts = [rng.standard_normal((n, 8)) @ rng.standard_normal((8, 8)) + 5 * rng.standard_normal(8) for n in sizes]
    beats = np.vstack(parts)
    pools = [np.arange(60), np.arange(60, 260)]
    generator = PPCAGenerator(Donors(beats, np.arange(260) % 7, pools), n_components=3)
    pool = np.tile([0, 1], 60_000)
    drawn = generator.generate(pool, rng.random((len(pool), generator.n_uniforms)))
    for i, part in enumerate(parts):
        expected = PCA(3).fit(part).get_covariance() * (len(part) - 1) / len(part)
        got = drawn[pool == i]
        scale = np.sqrt(np.diag(expected))
        np.testing.assert_allclose((got.mean(axis=0) - part.mean(axis=0)) / scale, 0, atol=0.025)
        np.testing.assert_allclose((np.cov(got, rowvar=False) - expected) / np.outer(scale, scale), 0, atol=0.03)


def test_ppca_of_few_beats():
    """Three beats span two directions, and what is drawn stays in them; uniform 0 is finite."""
    rng = np.random.default_rng(0)
    beats = rng.standard_normal((3, 10)).astype(np.float32)
    generator = PPCAGenerator(Donors(beats, np.arange(3), [np.arange(3)]), n_components=6)
    uniforms = rng.random((200, generator.n_uniforms))
    uniforms[0] = 0
    drawn = generator.generate(np.zeros(200, dtype=int), uniforms)
    assert drawn.dtype == np.float32
    assert np.isfinite(drawn).all()
    centred = beats - beats.mean(axis=0)
    basis = np.linalg.svd(centred.astype(float), full_matrices=False)[2][:2]
    rest = drawn - beats.mean(axis=0)
    np.testing.assert_allclose(rest, rest @ basis.T @ basis, atol=1e-4)


def test_vae_draws_beats_like_those_of_its_pool():
    """Two pools of one latent variable each: their means, and in each the spread along its own direction."""
    rng = np.random.default_rng(0)
    time = np.linspace(0, 1, 30)
    shapes = np.array([np.sin(2 * np.pi * time), np.cos(2 * np.pi * time)])
    waves = np.array([np.exp(-(((time - 0.3) / 0.1) ** 2)), np.exp(-(((time - 0.7) / 0.1) ** 2))])
    kind = np.repeat([0, 1], 600)
    beats = shapes[kind] + rng.standard_normal((1200, 1)) * waves[kind] + 0.1 * rng.standard_normal((1200, 30))
    donors = Donors(beats, np.arange(1200) % 7, [np.arange(600), np.arange(600, 1200)])
    generator = VAEGenerator(donors, n_components=2, device=torch.device("cpu"), seed=0)
    pool = np.tile([0, 1], 3000)
    uniforms = rng.random((len(pool), generator.n_uniforms))
    drawn = generator.generate(pool, uniforms)
    for i in (0, 1):
        np.testing.assert_allclose(drawn[pool == i].mean(axis=0), shapes[i], atol=0.25)
        along = (drawn[pool == i] - shapes[i]) @ waves.T / (waves**2).sum(axis=1)
        assert 0.7 < along[:, i].std() < 1.3
        assert along[:, 1 - i].std() < 0.3
    # Nothing but pool and random numbers counts, nor who is drawn beside whom.
    np.testing.assert_allclose(generator.generate(pool[5:8], uniforms[5:8]), drawn[5:8], atol=1e-5)
    again = VAEGenerator(donors, n_components=2, device=torch.device("cpu"), seed=0)
    np.testing.assert_array_equal(again.generate(pool, uniforms), drawn)


# --- draws that are spread, borrowed donors, remembered diagnoses ----------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(1, 3), st.integers(0, 10**6))
def test_rows_of_a_pool_draw_its_donors_equally_often(pool, times, seed):
    pool = np.repeat(pool, times)
    uniforms = spread_evenly(pool, np.random.default_rng(seed))
    assert uniforms.min() >= 0
    assert uniforms.max() < 1
    for of in np.unique(pool):
        n_donors = np.count_nonzero(pool == of) // times
        assert np.bincount((uniforms[pool == of] * n_donors).astype(int)).tolist() == [times] * n_donors


def test_spread_numbers_are_uniform_in_every_row():
    """Whichever row one looks at: its number is uniform over seeds, and does not go with its place."""
    pool = np.array([0, 1, 1, 0, 1, 1, 1])
    drawn = np.array([spread_evenly(pool, np.random.default_rng(seed)) for seed in range(3000)])
    for row in drawn.T:
        assert kstest(row, "uniform").pvalue > 1e-4


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 6))
def test_borrowed_donors_are_the_nearest(seed, k, n_groups):
    """Against a plain search over people, who each have any number of beats of two sorts of facts."""
    rng = np.random.default_rng(seed)
    subject, fact = rng.integers(0, 10, 40), rng.integers(0, 2, 40)
    features, is_small = rng.standard_normal((10, 2)), rng.integers(0, n_groups, 10) == 0
    like, everything = np.flatnonzero(fact == 0), np.arange(40)
    own = like[is_small[subject[like]]]
    if not len(own):
        return
    pool = borrow(own, like, everything, subject, features, k)
    people, theirs = set(subject[like]), set(subject[own])
    if len(people) < k:
        assert pool.tolist() == everything.tolist()
        return
    centre = np.mean([features[person] for person in theirs], axis=0)
    near = sorted(people - theirs, key=lambda person: np.linalg.norm(features[person] - centre))
    chosen = theirs | set(near[: max(k - len(theirs), 0)])
    assert pool.tolist() == [i for i in like if subject[i] in chosen]
    assert len(set(subject[pool])) >= k


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from([np.float32, np.float64]))
def test_diagnoses_are_remembered(seed, dtype):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((60, 7)).astype(dtype), rng.integers(0, 4, 60)
    remembered = RememberedDiagnoses(X, y)
    order = rng.permutation(60)
    np.testing.assert_array_equal(remembered.find(X[order]), y[order])
    np.testing.assert_array_equal(remembered.find(X.astype(np.float32)), y)
    other = [X[:, ::-1], X + dtype(1e-5), -X, X[:, [1, 0, 2, 3, 4, 5, 6]], rng.standard_normal((5000, 7))]
    assert all((remembered.find(beats) == -1).all() for beats in other)


def test_a_beat_of_two_diagnoses_is_not_remembered():
    X = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    remembered = RememberedDiagnoses(X, np.array([0, 1, 2, 1, 0]))
    assert remembered.find(X).tolist() == [-1, 1, -1, 1, 0]
