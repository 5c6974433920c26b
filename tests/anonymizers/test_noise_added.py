"""NoiseAnonymizer: its law, its calibration against other derivations, what is clipped, and what the noise hangs on."""

import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import kstest, laplace, norm
from sklearn.base import clone

from skagile import NoiseAnonymizer, load, save
from skagile.anonymizers._beat_noise import _GOLDEN, _mix, beat_uniform, secret_uniform
from skagile.anonymizers._mechanisms import gaussian_epsilon, gaussian_noise
from skagile.leads import lead_residual

N_SAMPLES = 40
PRIVATE = {"epsilon": 2.0, "clip": 1.5}


def _beats(n_rows=60, seed=0):
    return np.random.default_rng(seed).normal(size=(n_rows, N_SAMPLES))


def _fit(X=None, **params):
    X = _beats() if X is None else X
    return NoiseAnonymizer(**{"random_state": 0, **params}).fit(X, np.arange(len(X)) % 2)


# --- the law --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("law", "quantiles"), [("gaussian", norm(scale=0.4)), ("laplace", laplace(scale=0.4 / 2**0.5))]
)
def test_noise_has_the_law_and_the_size(law, quantiles):
    X = _beats(2000)
    noise = (_fit(law=law, scale=0.4).transform(X) - X.astype(np.float32)).ravel()
    assert kstest(noise, quantiles.cdf).pvalue > 0.01
    assert (
        kstest(noise, quantiles.cdf).statistic
        < kstest(noise, (norm if law == "laplace" else laplace)(scale=0.4).cdf).statistic
    )
    # The standard error of a variance of 80,000 draws is below 0.8 % under either law.
    assert noise.std() == pytest.approx(0.4, rel=0.02)
    assert abs(noise.mean()) < 4 * 0.4 / math.sqrt(len(noise))


def test_samples_of_a_beat_and_beats_are_independent():
    X = _beats(3000)
    noise = _fit(scale=1.0).transform(X) - X
    off = np.corrcoef(noise.T)[~np.eye(N_SAMPLES, dtype=bool)]
    # 780 correlations of 3,000 pairs each: their standard error is 0.018.
    assert np.abs(off).max() < 0.1
    assert off.std() == pytest.approx(1 / math.sqrt(3000), rel=0.15)
    assert abs(np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]) < 0.015


# --- calibration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_beats", [1, 7])
@pytest.mark.parametrize("unit", ["sample", "beat", "record"])
def test_laplace_is_its_closed_form(unit, n_beats):
    """Largest log-ratio of the release's density between two inputs at opposite corners of the clip."""
    n_samples = {"sample": 1, "beat": N_SAMPLES, "record": N_SAMPLES * n_beats}[unit]
    fitted = _fit(law="laplace", unit=unit, n_beats=n_beats, **PRIVATE)
    one = laplace(scale=fitted.scale_ / math.sqrt(2))
    ratio = one.logpdf(5 - 1.5) - one.logpdf(5 + 1.5)
    assert n_samples * ratio == pytest.approx(2.0)
    assert fitted.epsilons_[unit] == pytest.approx(2.0)


@pytest.mark.parametrize("n_beats", [1, 7])
@pytest.mark.parametrize("unit", ["sample", "beat", "record"])
def test_gaussian_is_its_closed_form(unit, n_beats):
    """Delta by the theorem, for the projection on the line between two opposite corners, which holds all there is."""
    n_samples = {"sample": 1, "beat": N_SAMPLES, "record": N_SAMPLES * n_beats}[unit]
    fitted = _fit(unit=unit, n_beats=n_beats, delta=1e-4, **PRIVATE)
    far = np.linalg.norm(np.full(n_samples, 3.0)) / fitted.scale_
    delta = norm.cdf(far / 2 - 2.0 / far) - math.exp(2.0) * norm.cdf(-far / 2 - 2.0 / far)
    assert delta == pytest.approx(1e-4, rel=1e-6)
    assert fitted.epsilons_[unit] == pytest.approx(2.0)


def test_units_scale_as_their_norms():
    scales = {
        law: {unit: _fit(law=law, unit=unit, n_beats=9, **PRIVATE).scale_ for unit in ("sample", "beat", "record")}
        for law in ("gaussian", "laplace")
    }
    for law, power in (("gaussian", 0.5), ("laplace", 1.0)):
        assert scales[law]["beat"] == pytest.approx(scales[law]["sample"] * N_SAMPLES**power)
        assert scales[law]["record"] == pytest.approx(scales[law]["beat"] * 9**power)


@pytest.mark.parametrize("law", ["gaussian", "laplace"])
def test_more_privacy_is_more_noise(law):
    scales = [_fit(law=law, epsilon=epsilon, clip=1.0).scale_ for epsilon in (0.1, 0.5, 1, 3, 10)]
    assert (np.diff(scales) < 0).all()
    wider = _fit(law=law, epsilon=1, clip=2.0).scale_
    assert wider == pytest.approx(2 * scales[2])
    looser = _fit(law=law, epsilon=1, clip=1.0, delta=1e-2).scale_
    assert looser < scales[2] if law == "gaussian" else looser == scales[2]


@pytest.mark.parametrize(("epsilon", "delta"), [(0.05, 1e-2), (0.5, 1e-5), (4.0, 1e-8), (60.0, 1e-5), (900.0, 1e-3)])
def test_epsilon_is_the_inverse_of_the_noise(epsilon, delta):
    assert gaussian_epsilon(gaussian_noise(epsilon, delta), delta) == pytest.approx(epsilon, rel=1e-6)


def test_epsilon_of_hardly_any_and_of_overwhelming_noise():
    assert gaussian_epsilon(1e6, 1e-5) == 0
    assert gaussian_epsilon(1e-3, 1e-5) == pytest.approx(0.5e6, rel=0.01)


def test_calibration_is_that_of_dp_accounting():
    accounting = pytest.importorskip("dp_accounting")
    for unit, n_samples in (("sample", 1), ("beat", N_SAMPLES)):
        sigma = accounting.get_sigma_gaussian(2.0, 1e-5)
        assert _fit(unit=unit, **PRIVATE).scale_ == pytest.approx(3 * math.sqrt(n_samples) * sigma, rel=1e-6)


@pytest.mark.parametrize("law", ["gaussian", "laplace"])
def test_a_records_epsilon_is_that_of_its_beats_composed(law):
    """By an accountant that composes beat by beat what is here calibrated for the record at once."""
    pytest.importorskip("dp_accounting")
    from dp_accounting import GaussianDpEvent, LaplaceDpEvent, SelfComposedDpEvent
    from dp_accounting.pld import PLDAccountant

    fitted = _fit(law=law, unit="record", n_beats=5, epsilon=1.0, clip=0.5)
    far = N_SAMPLES if law == "laplace" else math.sqrt(N_SAMPLES)  # of two beats at opposite corners
    event = (
        LaplaceDpEvent(fitted.scale_ / math.sqrt(2) / far) if law == "laplace" else GaussianDpEvent(fitted.scale_ / far)
    )
    accountant = PLDAccountant(value_discretization_interval=1e-4).compose(SelfComposedDpEvent(event, 5))
    if law == "laplace":  # pure: at delta 0, and no less noise would do
        assert accountant.get_epsilon(1e-12) == pytest.approx(1.0, abs=2e-3)
    else:
        assert accountant.get_epsilon(fitted.delta) == pytest.approx(1.0, abs=2e-3)


def test_clipping_is_exact():
    X = _beats()
    X[0, 3], X[0, 4] = 30.0, -30.0
    fitted = _fit(X, clip=0.5, scale=1e-9)
    released = fitted.transform(X)
    np.testing.assert_allclose(released, np.clip(X, -0.5, 0.5), rtol=0, atol=1e-7)
    np.testing.assert_allclose(_fit(X, scale=1e-9).transform(X), X, rtol=1e-6, atol=1e-7)
    # Beats that are one beat to the mechanism are released as one.
    X[0, 3] = 77.0
    np.testing.assert_array_equal(fitted.transform(X), released)


def test_noise_of_two_leads_counts_both():
    X = np.random.default_rng(0).normal(size=(10, 2, 2, N_SAMPLES))
    one, two = (_fit(x, **PRIVATE).scale_ for x in (X[:, :, :1], X))
    assert two == pytest.approx(math.sqrt(2) * one)


def test_leads_that_follow_cost_nothing():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 10, 2, N_SAMPLES))
    X = np.stack([first, second, second - first, -(first + second) / 2], axis=2)
    names = ("I", "II", "III", "aVR")
    fitted = _fit(X, lead_names=names, **PRIVATE)
    assert fitted.scale_ == _fit(X[:, :, :2], **PRIVATE).scale_
    assert lead_residual(fitted.transform(X), names).max < 1e-9 * fitted.scale_


# --- what is guaranteed ---------------------------------------------------------------------------------------------


def test_guarantee_says_what_it_is_of():
    X = _beats()
    said = NoiseAnonymizer(unit="sample", law="laplace", **PRIVATE).fit(X, np.arange(60) % 2).guarantee_
    assert said.startswith("Local differential privacy (laplace noise")
    assert "one sample: epsilon 2; one beat: epsilon 80; one record of 1 beats: epsilon 80." in said
    assert "delta" not in said
    assert "epsilons add up" in said
    gaussian = NoiseAnonymizer(level="common", **PRIVATE).fit(X, np.arange(60) % 2).guarantee_
    assert "one beat: epsilon 2, delta 1e-05" in gaussian
    assert "median level of the fitted beats" in gaussian
    assert _fit(**PRIVATE).guarantee_.startswith("None: random_state was given")


def test_without_clipping_a_metric_is_all():
    plain = NoiseAnonymizer(law="laplace", scale=0.5).fit(_beats(), np.arange(60) % 2)
    assert plain.guarantee_.startswith("Metric privacy alone")
    # The log-ratio of two beats a millivolt apart in one sample, beyond both.
    one = laplace(scale=0.5 / math.sqrt(2))
    assert f"exp({one.logpdf(9) - one.logpdf(10):.4g} * d)" in plain.guarantee_
    assert set(plain.epsilons_.values()) == {math.inf}
    assert "(epsilon, delta) where 0.5 / d" in plain.set_params(law="gaussian").guarantee_


def test_a_fixed_size_has_an_epsilon_where_values_are_bounded():
    private = _fit(**PRIVATE)
    assert _fit(scale=private.scale_, clip=1.5).epsilons_ == pytest.approx(private.epsilons_)


def test_epsilon_needs_clip():
    with pytest.raises(ValueError, match=r"clip=None does not bound.*Give clip in millivolts"):
        _fit(epsilon=1.0)


def test_records_of_more_beats_than_covered_are_refused():
    X = np.random.default_rng(0).normal(size=(6, 4, N_SAMPLES))
    fitted = _fit(X[:, :3], unit="record", **PRIVATE)
    assert fitted.n_beats_ == 3
    with pytest.raises(ValueError, match=r"record of 4 beats.*up to 3.*n_beats=4"):
        fitted.transform(X)
    X[:, 1] = np.nan  # three are left
    assert np.isnan(fitted.transform(X)[:, 1]).all()
    with pytest.raises(ValueError, match="n_beats=3 or more"):
        _fit(X, unit="record", n_beats=2, **PRIVATE)
    assert _fit(X, unit="beat", n_beats=2, **PRIVATE).transform(X).shape == X.shape
    assert _fit(X, unit="record", n_beats=50, **PRIVATE).n_beats_ == 50


# --- where the noise comes from -------------------------------------------------------------------------------------


def _state_before(mixed):
    """Undo `_mix`: the inverse of each of its steps."""

    def unshift(value, by):
        out = value
        for _ in range(64 // by + 1):
            out = value ^ (out >> np.uint64(by))
        return out

    for by, factor in ((31, 0x94D049BB133111EB), (27, 0xBF58476D1CE4E5B9)):
        mixed = unshift(mixed, by) * np.uint64(pow(factor, -1, 2**64))
    return unshift(mixed, 30)


@pytest.mark.parametrize(("draw", "broken"), [(beat_uniform, True), (secret_uniform, False)])
def test_noise_does_not_tell_that_a_guess_is_right(draw, broken):
    """Who guesses the beat right sees its noise: of the quick numbers the first tells the second, without the seed."""
    first, second = draw(_beats(1), 2**127 + 5, 2)[0]
    # 53 of 64 bits are seen: 2048 states fit.
    bits = (np.uint64(first * 2**53 - 0.5) << np.uint64(11)) + np.arange(2048, dtype=np.uint64)
    with np.errstate(over="ignore"):
        following = _mix(_state_before(bits) - _GOLDEN + np.uint64(2) * _GOLDEN)
    assert (((following >> np.uint64(11)) + 0.5) / 2.0**53 == second).any() == broken


def test_noise_hangs_on_the_beat_and_the_seed_alone():
    X = _beats(50)
    fitted = _fit(scale=1.0)
    whole = fitted.transform(X)
    order = np.random.default_rng(1).permutation(50)[:20]
    np.testing.assert_array_equal(fitted.transform(X[order]), whole[order])
    np.testing.assert_array_equal(fitted.transform(X.astype(np.float32)), whole.astype(np.float32))
    again = clone(fitted).fit(X[::-1], np.arange(50) % 2)
    np.testing.assert_array_equal(again.transform(X), whole)
    other = _fit(scale=1.0, random_state=1).transform(X) - X
    assert abs(np.corrcoef(other.ravel(), (whole - X).ravel())[0, 1]) < 0.1


def test_chunks_change_nothing():
    X = _beats(2500)
    fitted = _fit(scale=1.0)
    np.testing.assert_array_equal(fitted.transform(X)[2040:2060], fitted.transform(X[2040:2060]))


def test_a_changed_bit_changes_all_noise():
    X = _beats(2000)
    near = X.astype(np.float32)
    near[:, 7] = np.nextafter(near[:, 7], np.float32(np.inf))
    fitted = _fit(scale=1.0)
    noise = [fitted.transform(x) - x for x in (X, near)]
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.015
    zeros = np.zeros((1, 3))
    np.testing.assert_array_equal(secret_uniform(zeros, 1, 9), secret_uniform(-zeros, 1, 9))


def test_asking_again_brings_nothing_and_many_beats_bring_the_mean():
    """What the docstring warns of: repeats are equal, near repeats average out."""
    X = np.tile(np.sin(np.arange(N_SAMPLES) / 4), (900, 1))
    fitted = _fit(X + _beats(900) * 1e-3, scale=0.5)
    assert len(np.unique(fitted.transform(X), axis=0)) == 1
    near = fitted.transform(X + 1e-3 * _beats(900))
    assert np.abs(near.mean(axis=0) - X[0]).max() < 5 * 0.5 / 30


def test_common_level_is_made_after_the_noise():
    X = _beats() * np.linspace(0.5, 3, 60)[:, None] + 1
    own, common = (_fit(X, scale=0.3, level=level).transform(X) for level in ("own", "common"))
    np.testing.assert_allclose(common.mean(axis=1), np.median(X.mean(axis=1)), atol=1e-9)
    np.testing.assert_allclose(common.std(axis=1), np.median(X.std(axis=1)), atol=1e-9)
    scaled = (own - own.mean(axis=1, keepdims=True)) / own.std(axis=1, keepdims=True)
    np.testing.assert_allclose((common - common.mean(axis=1, keepdims=True)) / common.std(axis=1)[:, None], scaled)


def test_missing_leads_get_no_noise_and_no_share():
    X = np.random.default_rng(0).normal(size=(8, 2, 3, N_SAMPLES))
    X[0, 0, 1] = np.nan
    released = _fit(X, level="common", scale=0.2).transform(X)
    np.testing.assert_array_equal(np.isnan(released), np.isnan(X))
    there = released[0, 0, [0, 2]], released[1, 1]
    one, other = (math.sqrt(leads.var(axis=-1).mean()) for leads in there)
    assert one == pytest.approx(other)


def test_saved_and_pickled_it_promises_and_does_the_same(tmp_path):
    X = _beats()
    fitted = NoiseAnonymizer(unit="record", n_beats=4, **PRIVATE).fit(X, np.arange(60) % 2)
    for again in (load(save(fitted, tmp_path / "noise")), pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(again.transform(X), fitted.transform(X))
        assert again.guarantee_ == fitted.guarantee_


def test_no_torch_is_loaded():
    code = (
        "import sys, numpy as np\nfrom skagile import NoiseAnonymizer\n"
        "X = np.random.default_rng(0).normal(size=(6, 9))\n"
        "NoiseAnonymizer(epsilon=1, clip=1, level='common').fit(X, [0, 1] * 3).transform(X)\n"
        "assert not {'torch', 'skorch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
