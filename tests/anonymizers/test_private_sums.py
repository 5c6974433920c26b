"""Private sums: noise against other evaluations of the theorem, clipping against wild people, and what k-same makes."""

import copy
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import kstest, norm

from skagile import KSameAnonymizer
from skagile.anonymizers._generators import Basis, Columns, Law, PrivateSum, Statistics
from skagile.anonymizers._ksame import _form
from skagile.anonymizers._ksame._form import delta_of
from skagile.anonymizers._ksame._laws import N_AXES, Prior, fit_private_law
from skagile.anonymizers._mechanisms import gaussian_noise

QUICK = {"k": 3, "max_epochs": 1, "max_draws": 2, "random_state": 0, "device": "cpu"}
COLUMNS = Columns((2,))
PAIRS = [(0.1, 1e-2), (0.5, 1e-5), (1.0, 1e-3), (1.0, 1e-5), (4.0, 1e-2), (10.0, 1e-6)]


# --- noise ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("epsilon", "delta", "known"),
    # As get_sigma_gaussian of dp_accounting 0.6.0 has them.
    [
        (*pair, sigma)
        for pair, sigma in zip(
            PAIRS,
            [9.541823088828867, 7.0318266755825, 2.5746570186372044, 3.7306316348159374, 0.6690413226560561,
             0.5410868318184269],
            strict=True,
        )
    ],
)  # fmt: skip
def test_noise_is_that_of_dp_accounting(epsilon, delta, known):
    assert gaussian_noise(epsilon, delta) == pytest.approx(known, rel=1e-6)


@settings(deadline=None, max_examples=50)
@given(st.floats(0.01, 20), st.floats(-8, -0.5))
def test_noise_is_that_of_dp_accounting_anywhere(epsilon, log_delta):
    accounting = pytest.importorskip("dp_accounting")
    assert gaussian_noise(epsilon, 10**log_delta) == pytest.approx(
        accounting.get_sigma_gaussian(epsilon, 10**log_delta), rel=1e-6
    )


def _delta(epsilon, sigma):
    """Delta of the mechanism by its definition: what one normal law has beyond e^epsilon times its shifted self."""

    def excess(x):
        log_ratio = norm.logpdf(x, 1, sigma) - norm.logpdf(x, 0, sigma)
        return norm.pdf(x, 1, sigma) * max(0.0, -np.expm1(epsilon - log_ratio))

    border = 0.5 + epsilon * sigma**2  # above it the ratio is larger
    steps = border + sigma * np.array([0, 0.05, 0.2, 0.5, 1, 2, 4, 8, 16])
    return sum(quad(excess, low, high, epsabs=1e-16, epsrel=1e-10)[0] for low, high in pairwise(steps))


@pytest.mark.parametrize(("epsilon", "delta"), PAIRS)
def test_noise_is_the_least_that_is_private(epsilon, delta):
    sigma = gaussian_noise(epsilon, delta)
    assert _delta(epsilon, sigma) == pytest.approx(delta, rel=1e-4)
    assert _delta(epsilon, 0.99 * sigma) > delta > _delta(epsilon, 1.01 * sigma)


@settings(deadline=None, max_examples=50)
@given(st.floats(0.01, 1e6), st.floats(-9, -0.5), st.floats(1.001, 3))
def test_less_privacy_needs_less_noise(epsilon, log_delta, factor):
    noise = gaussian_noise(epsilon, 10**log_delta)
    assert 0 < gaussian_noise(epsilon * factor, 10**log_delta) < noise
    assert gaussian_noise(epsilon, 10 ** (log_delta / factor)) < noise


# --- clipped sums ---------------------------------------------------------------------------------------------------


def _person(rng, scale=1.0, n_beats=12, d=6):
    person = Statistics(d, COLUMNS)
    codes = rng.integers(0, 2, (n_beats, 1))
    person.add_person(scale * (rng.standard_normal((n_beats, d)) + rng.standard_normal(d)), codes)
    return person


@pytest.fixture(scope="module")
def others():
    rng = np.random.default_rng(0)
    return [_person(rng) for _ in range(31)]


def _norm(sums, private):
    """Norm of all numbers together, each in the scale of its sum."""
    parts = [np.ravel(sums[name]) / private._scales[name] for name in private._names]
    return np.linalg.norm(np.concatenate(parts))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.floats(-6, 6), st.integers(1, 40))
def test_nobody_moves_the_sums_by_more_than_the_clip(others, seed, log_scale, n_beats):
    rng = np.random.default_rng(seed)
    private = PrivateSum(Statistics(6, COLUMNS), others)
    for _ in range(3):
        private.add(_person(rng))
    before = private._total.sums
    wild = _person(rng, 10**log_scale, n_beats)
    private.add(wild)
    moved = {name: private._total.sums[name] - before[name] for name in before}
    assert _norm(moved, private) <= private._clip * (1 + 1e-9)
    # Who is below is not clipped, and who is above is made smaller as a whole.
    factor = min(1.0, private._clip / _norm(wild.sums, private))
    for name in private._names:
        np.testing.assert_allclose(moved[name], factor * wild.sums[name], rtol=1e-6, atol=1e-9 * 10**log_scale)


def test_scales_and_clip_are_those_of_other_people(others):
    private = PrivateSum(Statistics(6, COLUMNS), others)
    for name in private._names:
        squares = [np.sum(np.square(person.sums[name])) for person in others]
        assert private._scales[name] == pytest.approx(np.sqrt(np.mean(squares)))
    assert private._clip == pytest.approx(np.median([_norm(person.sums, private) for person in others]))
    # Of each sum, and of all together, is the mean square one.
    mean = np.mean([_norm(person.sums, private) ** 2 for person in others])
    assert mean == pytest.approx(len(private._names))


def test_noise_has_the_promised_spread(others):
    """Of many releases of nobody's sums, and of somebody's."""
    rng = np.random.default_rng(0)
    drawn = {}
    for _ in range(400):
        private = PrivateSum(Statistics(6, COLUMNS), others)
        known = rng.integers(0, 2)
        if known:
            private.add(others[0])
        released = private.release(2.0, 1e-3, rng)
        for name in ("mean", "square", "level_means"):
            rest = released.sums[name] - private._total.sums[name]
            drawn.setdefault(name, []).append(np.ravel(rest) / private._scales[name])
    promised = private._clip * gaussian_noise(2.0, 1e-3)
    assert private.noise(2.0, 1e-3) == pytest.approx(promised)
    for name, values in drawn.items():
        values = np.concatenate(values)
        assert values.std() == pytest.approx(promised, rel=5 / np.sqrt(2 * len(values))), name
        assert kstest(values[:2000] / promised, "norm").pvalue > 1e-3
    # No number is told without noise: each of the sums differs from what it was.
    exact = private._total.sums
    assert all((released.sums[name] != exact[name]).any() for name in ("square", "share_mean", "within", "moved"))


def test_what_nobody_of_the_others_has_is_left_out(others):
    rng = np.random.default_rng(0)
    one_kind = []
    for _ in range(9):
        person = Statistics(6, COLUMNS)
        person.add_person(rng.standard_normal((8, 6)), np.zeros((8, 1), dtype=int))
        one_kind.append(person)
    private = PrivateSum(Statistics(6, COLUMNS), one_kind)
    private.add(others[0])
    released = private.release(1.0, 1e-3, rng)
    for name in ("contrasted", "level_pairs", "moved", "own"):
        assert not released.sums[name].any()
    assert released.sums["square"].any()


def test_counts_are_not_below_zero(others):
    rng = np.random.default_rng(0)
    lowest = []
    for _ in range(20):
        sums = PrivateSum(Statistics(6, COLUMNS), others).release(1.0, 1e-3, rng).sums
        for name in ("people", "with_level", "contrasted", "moved_people", "within_people", "own_people"):
            assert (sums[name] >= 0).all()
        lowest.append(min(np.min(sums[name]) for name in ("mean", "square", "log_noise", "mean_of_level")))
    assert max(lowest) < 0


# --- law and anonymizer ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def people(beat_maker):
    return beat_maker(30, 600)


@pytest.fixture(scope="module")
def prior(beat_maker):
    data = beat_maker(25, 500, people=1)
    return data.X, data.y, data.subjects


def _codes(y):
    return (np.asarray(y) == "V").astype(int)[:, None]


def _person_codes(subjects):
    return np.unique(subjects, return_inverse=True)[1]


def test_law_without_noise_and_clip_is_that_of_the_sums(people, prior, monkeypatch):
    """With an epsilon of a million, and nobody clipped: the law of cohort and prior on the same axes."""
    of_prior = Prior(prior[0], _codes(prior[1]), _person_codes(prior[2]))
    make = PrivateSum.__init__

    def unclipped(self, blank, others):
        make(self, blank, others)
        self._clip = 1e4

    monkeypatch.setattr(PrivateSum, "__init__", unclipped)
    monkeypatch.setattr(PrivateSum, "noise", lambda self, epsilon, delta: gaussian_noise(1e12, delta))
    (law,), basis = fit_private_law(
        people.X, _codes(people.y), _person_codes(people.subjects), COLUMNS,
        k=10, prior=of_prior, epsilon=1e6, delta=1e-3, random_state=np.random.RandomState(0),
    )  # fmt: skip
    assert basis.axes.shape == (N_AXES, people.X.shape[1])
    parts = []
    for X, y, s in ((people.X, people.y, people.subjects), prior):
        parts.append(Statistics.of(lambda rows, X=X: basis.features(X[rows]), _codes(y), _person_codes(s), COLUMNS))
    exact = Law.of(parts[0] + parts[1].scaled(10 / 25), 10, Law.of(parts[1], 10))
    # Which of two levels that all have offsets are counted from hangs on the last digit; the sums of both do not.
    np.testing.assert_allclose(law.mean + law.offsets, exact.mean + exact.offsets, rtol=1e-3, atol=1e-3)
    assert law.noise == pytest.approx(exact.noise, abs=1e-3)
    for name in ("between", "moved", "within"):
        roots = [np.asarray(getattr(one, name)) for one in (law, exact)]
        products = [np.swapaxes(root, -1, -2) @ root for root in roots]
        np.testing.assert_allclose(*products, rtol=1e-2, atol=1e-2)


def test_axes_are_those_of_the_prior_alone(people, prior):
    """Nothing of the cohort but noisy sums is in the law: with the same axes and scales for whatever cohort."""
    X, y, s = prior
    of_prior = Prior(X, _codes(y), _person_codes(s))
    bases = []
    for factor in (1, -5):
        args = factor * people.X, _codes(people.y), _person_codes(people.subjects), COLUMNS
        given = {"k": 10, "prior": of_prior, "epsilon": 1.0, "delta": 1e-3}
        bases.append(fit_private_law(*args, **given, random_state=np.random.RandomState(0))[1])
    np.testing.assert_array_equal(bases[0].axes, bases[1].axes)
    np.testing.assert_allclose(bases[0].axes, Basis.of(X, N_AXES).axes)


def test_release_of_a_private_law(people, prior):
    ksame = KSameAnonymizer(**QUICK, epsilon=8.0, prior=prior)
    released = ksame.fit_transform(people.X, people.y, subjects=people.subjects)
    assert released.shape == people.X.shape
    assert np.isfinite(released).all()
    told = ksame.summary_["privacy"]
    assert told["epsilon"] == 8
    assert told["delta"] == pytest.approx(30**-1.1)
    assert "expected_leakage_" in told["covers"]
    assert ksame._model.basis.axes.shape == (N_AXES, people.X.shape[1])
    given = copy.copy(ksame).set_params(delta=1e-4)
    given.fit(people.X, people.y, subjects=people.subjects)
    assert given.summary_["privacy"]["delta"] == 1e-4
    # Another seed has other noise, the same the same.
    again = KSameAnonymizer(**QUICK, epsilon=8.0, prior=prior).fit(people.X, people.y, subjects=people.subjects)
    np.testing.assert_array_equal(again._model.laws[0].mean, ksame._model.laws[0].mean)
    other = KSameAnonymizer(**{**QUICK, "random_state": 1}, epsilon=8.0, prior=prior)
    other.fit(people.X, people.y, subjects=people.subjects)
    assert not np.array_equal(other._model.laws[0].mean, ksame._model.laws[0].mean)


def test_networks_of_a_private_law_see_no_beat(people, prior, monkeypatch):
    """They are trained on its draws: nothing else reaches them."""
    shown = []
    fit_nets = _form.fit_nets

    def spy(settings, Z, *rest):
        shown.append(Z)
        return fit_nets(settings, Z, *rest)

    monkeypatch.setattr(_form, "fit_nets", spy)
    KSameAnonymizer(**QUICK, epsilon=8.0, prior=prior).fit(people.X, people.y, subjects=people.subjects)
    KSameAnonymizer(**QUICK, prior=prior).fit(people.X, people.y, subjects=people.subjects)
    private, plain = shown
    Z = people.X - people.X.mean(axis=1, keepdims=True)
    Z = Z / Z.std(axis=1, keepdims=True)
    np.testing.assert_allclose(plain, Z, atol=1e-4)
    assert np.abs(private[:, None, ::4] - Z[None, :, ::4]).max(axis=2).min() > 1e-2


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 10**7))
def test_delta_is_below_one_over_the_people(n):
    delta = delta_of(KSameAnonymizer(epsilon=1.0), n)
    assert 0 < delta < 1 / n
    assert delta == pytest.approx(np.exp(-1.1 * np.log(n)))


# --- prior without noise --------------------------------------------------------------------------------------------


def test_prior_counts_as_k_people(people, prior):
    """Its sums are added, as if there were `k` of them; here with cohort and prior read off the law's mean."""
    given = {"subjects": people.subjects}
    ksame = KSameAnonymizer(**{**QUICK, "k": 10}, prior=prior).fit(people.X, people.y, **given)
    basis, sums = ksame._model.basis, []
    for X, y, s in ((people.X, people.y, people.subjects), prior):
        sums.append(Statistics.of(lambda rows, X=X: basis.features(X[rows]), _codes(y), _person_codes(s), COLUMNS))
    together = sums[0] + sums[1].scaled(10 / 25)
    expected = Law.of(together, 10, Law.of(sums[1], 10))
    np.testing.assert_allclose(ksame._model.laws[0].mean, expected.mean, atol=1e-6)
    np.testing.assert_allclose(ksame._model.laws[0].offsets, expected.offsets, atol=1e-6)
    without = KSameAnonymizer(**{**QUICK, "k": 10}).fit(people.X, people.y, **given)
    assert np.abs(without._model.laws[0].mean - expected.mean).max() > 1e-3


def test_prior_without_people_is_of_as_many_as_beats(people, prior):
    """Each beat is another person's; diagnoses that the cohort has not are left out."""
    X, y, _ = prior
    y = np.where(np.arange(len(y)) % 5 == 0, "Q", y)
    given = {"subjects": people.subjects}
    ksame = KSameAnonymizer(**QUICK, prior=(X, y)).fit(people.X, people.y, **given)
    named = KSameAnonymizer(**QUICK, prior=(X[y != "Q"], y[y != "Q"], np.arange((y != "Q").sum())))
    named.fit(people.X, people.y, **given)
    np.testing.assert_allclose(ksame._model.laws[0].mean, named._model.laws[0].mean)


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"prior": None, "epsilon": 1.0}, "epsilon=1.0 with prior=None: .* Give beats of other people"),
        ({"epsilon": 1.0, "grouping": "diverse"}, 'epsilon=1.0 with grouping="diverse".*Use grouping="one"'),
        ({"epsilon": 1.0, "grouping": "morphology"}, 'epsilon=1.0 with grouping="morphology"'),
        ({"keep": ("sex",)}, r"prior with keep=\['sex'\]: nobody tells these"),
    ],
)
def test_settings_that_are_refused(people, prior, params, match):
    ksame = KSameAnonymizer(**{**QUICK, "prior": prior, **params})
    facts = {"sex": np.full(len(people.X), "f")}
    with pytest.raises(ValueError, match=match):
        ksame.fit(people.X, people.y, subjects=people.subjects, facts=facts)


def _changed(make):
    return lambda X, y, s: make(X.copy(), y, s)


def _flat(X, y, s):
    X[3] = 1.0
    return X, y, s


def _missing(X, y, s):
    X[3, 2] = np.nan
    return X, y, s


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda X, y, s: (X,), r"prior is tuple; expected \(X, y, subjects\)"),
        (lambda X, y, s: (X[:, :30], y, s), "prior X has 30 samples a beat, X has 48"),
        (lambda X, y, s: (X, y[:9], s), "prior y has length 9"),
        (lambda X, y, s: (X, y, s[:9]), "subjects has length 9"),
        (lambda X, y, s: (X, np.full(len(y), "Q"), s), r"prior y holds none of the diagnoses of y \(\['N', 'V'\]\)"),
        (_changed(_flat), "prior X holds flat beats"),
        (_changed(_missing), "prior X contains NaN"),
    ],
)
def test_priors_that_are_refused(people, prior, make, match):
    with pytest.raises(ValueError, match=match):
        KSameAnonymizer(**QUICK, prior=make(*prior)).fit(people.X, people.y, subjects=people.subjects)


def test_beats_of_a_private_law_are_no_larger_than_the_priors(people, prior):
    """With a dozen people and much noise: no size, and no offset, that the prior does not have."""
    ksame = KSameAnonymizer(**QUICK, prior=prior, epsilon=0.5)
    released = ksame.fit_transform(people.X, people.y, subjects=people.subjects)
    for measure in (np.std, np.mean):
        of_prior, got = measure(prior[0], axis=1), measure(released, axis=1)
        assert got.min() >= of_prior.min() - 1e-4
        assert got.max() <= of_prior.max() + 1e-4
