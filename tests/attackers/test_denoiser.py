"""BeatDenoiser: what it takes off and what it keeps, against filters and projections of others."""

import pickle

import numpy as np
import pytest
import torch
from scipy.signal import butter, freqz
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

import skagile
from skagile.attackers import BeatDenoiser, DeepECGIdentifier, SVDIdentifier
from skagile.attackers._denoiser import KnownError, MaskBatch

RATE = 120.0
LEARNED = {"max_epochs": 12, "channels": 12, "n_blocks": 2, "random_state": 0, "device": "cpu"}
DENOISERS = {
    "band_pass": BeatDenoiser(sampling_rate=RATE),
    "low_rank": BeatDenoiser("low_rank"),
    "learned": BeatDenoiser("learned", **LEARNED),
}


@pytest.fixture
def noisy(cohort):
    """Release of the probe beats with independent noise."""
    return cohort.probe + 0.15 * np.random.default_rng(1).standard_normal(cohort.probe.shape)


@pytest.fixture
def released(cohort):
    """Release of the enrolled beats with independent noise."""
    return cohort.X + 0.15 * np.random.default_rng(0).standard_normal(cohort.X.shape)


@pytest.fixture(params=list(DENOISERS))
def denoiser(request):
    return clone(DENOISERS[request.param])


def _error(got, clean):
    """What stands against the clean beats, offsets aside."""
    difference = got - clean
    return np.std(difference - difference.mean(axis=1, keepdims=True))


# --- what is taken off ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "share"), [("low_rank", 0.65), ("learned", 0.9)])
def test_takes_noise_off_other_beats(method, share, released, noisy, cohort):
    got = clone(DENOISERS[method]).fit(released).transform(noisy)
    assert _error(got, cohort.probe) < share * _error(noisy, cohort.probe)


def test_pairs_teach_more_than_the_release_alone(released, noisy, cohort):
    alone, paired = (
        clone(DENOISERS["learned"]).fit(released, clean=clean).transform(noisy) for clean in (None, cohort.X)
    )
    assert _error(paired, cohort.probe) < 0.9 * _error(alone, cohort.probe)
    assert _error(paired, cohort.probe) < 0.65 * _error(noisy, cohort.probe)


def test_pairs_undo_what_all_beats_share(cohort):
    """A fixed pattern is no noise to a release alone; to an attacker with pairs it is."""
    pattern = 0.3 * np.sin(np.arange(84) / 2.0)
    alone, paired = (
        clone(DENOISERS["learned"]).set_params(max_epochs=25).fit(cohort.X + pattern, clean=clean)
        for clean in (None, cohort.X)
    )
    left = [_error(fitted.transform(cohort.probe + pattern), cohort.probe) for fitted in (alone, paired)]
    assert left[1] < 0.5 * np.std(pattern)
    assert left[0] > 0.8 * np.std(pattern)


def test_low_rank_is_the_projection_on_principal_components(released, noisy, cohort):
    for clean in (None, cohort.X):
        got = BeatDenoiser("low_rank", n_components=5).fit(released, clean=clean).transform(noisy)
        pca = PCA(5, svd_solver="full").fit(released if clean is None else clean.astype(np.float64))
        np.testing.assert_allclose(got, pca.inverse_transform(pca.transform(noisy)), atol=1e-5)


def test_all_components_change_nothing(released, noisy):
    got = BeatDenoiser("low_rank", n_components=1000).fit(released).transform(noisy)
    np.testing.assert_allclose(got, noisy, atol=1e-9)


@pytest.mark.parametrize(("band", "kind"), [((2.0, 20.0), "bandpass"), ((0, 20.0), "lowpass")])
@pytest.mark.parametrize("frequency", [1.0, 8.0, 20.0, 40.0])
def test_band_pass_has_the_response_of_the_filter(band, kind, frequency):
    """Forth and back: the squared response, and no delay."""
    time = np.arange(2400) / RATE
    X = np.cos(2 * np.pi * frequency * time)[None]
    got = BeatDenoiser(sampling_rate=RATE, band=band).fit(X).transform(X)
    coefficients = butter(2, band if band[0] else band[1], btype=kind, fs=RATE)
    gain = np.abs(freqz(*coefficients, worN=[frequency], fs=RATE)[1][0]) ** 2
    np.testing.assert_allclose(got[0, 600:-600], gain * X[0, 600:-600], atol=2e-3)


# --- layouts and promises -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_records_are_their_beats(denoiser, released, dtype):
    X = released.astype(dtype)
    records = X.reshape(24, 5, -1).copy()
    records[3, 1:] = np.nan
    records[7] = np.nan
    there = ~np.isnan(records).all(axis=2)
    expected = clone(denoiser).fit(records[there]).transform(records[there])
    got = denoiser.fit_transform(records)
    assert got.shape == records.shape
    assert got.dtype == expected.dtype == dtype
    np.testing.assert_array_equal(np.isnan(got).all(axis=2), ~there)
    np.testing.assert_array_equal(got[there], expected)


def test_records_of_clean_beats(released, cohort):
    records, clean = (X.reshape(24, 5, -1).copy() for X in (released, cohort.X))
    records[3, 1:] = np.nan  # the clean ones may have more beats
    got = clone(DENOISERS["learned"]).fit(records, clean=clean).transform(released)
    there = ~np.isnan(records).all(axis=2)
    expected = clone(DENOISERS["learned"]).fit(records[there], clean=clean[there]).transform(released)
    np.testing.assert_array_equal(got, expected)


def test_level_and_gain_come_back(denoiser, released):
    fitted = denoiser.fit(released)
    once, twice = fitted.transform(released), fitted.transform(4 * released)
    if fitted.method != "low_rank":  # an affine projection
        np.testing.assert_allclose(twice, 4 * once, rtol=1e-3, atol=1e-4)
    if fitted.method == "learned":
        np.testing.assert_allclose(fitted.transform(released + 1), once + 1, rtol=1e-3, atol=1e-4)


def test_rows_do_not_mix(denoiser, released):
    fitted = denoiser.fit(released)
    np.testing.assert_allclose(fitted.transform(released[5:8]), fitted.transform(released)[5:8], rtol=1e-4, atol=1e-5)


def test_input_is_not_written_to(denoiser, released):
    X = released.copy()
    X.flags.writeable = False
    denoiser.fit_transform(X)
    np.testing.assert_array_equal(X, released)


def test_equal_seed_equal_answer_whatever_batches_and_the_global_seed(released):
    state = torch.get_rng_state()
    answers = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        answers.append(clone(DENOISERS["learned"]).fit(released).transform(released))
    torch.set_rng_state(state)
    np.testing.assert_array_equal(*answers)
    other = clone(DENOISERS["learned"]).set_params(random_state=1).fit(released).transform(released)
    assert np.abs(other - answers[0]).max() > 1e-4
    fitted = clone(DENOISERS["learned"]).fit(released).set_params(batch_size=7)
    np.testing.assert_allclose(fitted.transform(released), answers[0], rtol=1e-4, atol=1e-5)


def test_clone_and_pickle(denoiser, released):
    fitted = denoiser.fit(released)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(released), fitted.transform(released))
    assert set(fitted._parameter_constraints) == set(fitted.get_params())
    assert skagile.BeatDenoiser is BeatDenoiser


@pytest.mark.parametrize(
    "attacker", [SVDIdentifier(20), DeepECGIdentifier(channels=(8,), max_epochs=4, random_state=0, device="cpu")]
)
def test_pipeline_answers_what_the_audit_asks(denoiser, attacker, released, noisy, cohort):
    fitted = make_pipeline(denoiser, clone(attacker)).fit(released, cohort.subjects)
    assert fitted.predict_log_proba(noisy).shape == (120, 8)
    assert len(fitted.transform(noisy)) == 120
    np.testing.assert_array_equal(fitted.predict(noisy), fitted[1].predict(fitted[0].transform(noisy)))
    assert fitted.score(noisy, cohort.probe_subjects) > 0.25


def test_pairs_reach_the_denoiser_in_a_pipeline(released, cohort):
    pipe = make_pipeline(clone(DENOISERS["learned"]), SVDIdentifier(20))
    pipe.fit(released, cohort.subjects, beatdenoiser__clean=cohort.X)
    expected = clone(DENOISERS["learned"]).fit(released, clean=cohort.X).transform(released)
    np.testing.assert_array_equal(pipe[0].transform(released), expected)


# --- its parts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_mask_hides_runs_of_the_share_asked(share):
    X = torch.arange(400 * 100, dtype=torch.float32).reshape(400, 1, 100)
    torch.manual_seed(0)
    masked, target = MaskBatch(share, run=5, reach=3)((X, X))
    target = target[:, 0]
    hidden = ~torch.isnan(target)
    assert masked.shape == X.shape
    assert hidden[:, 4:].float().mean().item() == pytest.approx(share, rel=0.1)
    torch.testing.assert_close(masked[:, 0][~hidden], X[:, 0][~hidden])
    torch.testing.assert_close(target[hidden], X[:, 0][hidden])
    assert (masked[:, 0] - X[:, 0]).abs().max() == 3
    runs = np.diff(np.flatnonzero(np.diff(np.pad(hidden[0].int().numpy(), 1))).reshape(-1, 2), axis=1)
    assert np.median(runs) >= 5 or share < 0.1


def test_loss_is_over_known_targets():
    output = torch.tensor([[[1.0, 2.0, 3.0]], [[0.0, 0.0, 0.0]]])
    target = torch.tensor([[[0.0, torch.nan, 5.0]], [[torch.nan, torch.nan, 3.0]]])
    assert KnownError()(output, target).item() == pytest.approx((1 + 4 + 9) / 3)
    assert KnownError()(output, torch.full((2, 1, 3), torch.nan)).item() == 0


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, r'"band_pass" needs sampling_rate.*"low_rank" or "learned"'),
        ({"sampling_rate": RATE, "band": (0.5, 60.0)}, r"band=\(0.5, 60.0\) Hz does not fit.*high < 60"),
        ({"sampling_rate": RATE, "band": (20, 10)}, r"band=\(20.0, 10.0\) Hz does not fit"),
        ({"sampling_rate": RATE, "band": (1, 2, 3)}, r"band=\(1, 2, 3\); expected two numbers"),
        ({"sampling_rate": 0.0}, r"'sampling_rate'.*Got 0\.0"),
        ({"method": "wavelet"}, r"'method'.*'wavelet'"),
        ({"method": "low_rank", "n_components": 0}, r"'n_components'.*Got 0"),
        ({"method": "learned", "masked": 1.0}, r"'masked'.*Got 1\.0"),
        ({"method": "learned", "n_blocks": -1}, r"'n_blocks'.*Got -1"),
        ({"method": "learned", "device": "nonsense"}, r"device='nonsense'"),
    ],
)
def test_bad_parameter(params, message, released):
    with pytest.raises(ValueError, match=message):
        BeatDenoiser(**params).fit(released)


def test_clean_beats_of_another_shape(denoiser, released):
    with pytest.raises(ValueError, match=r"clean has shape \(119, 84\), X has \(120, 84\).*same order"):
        denoiser.fit(released, clean=released[1:])


def test_clean_beats_missing(denoiser, released):
    clean = released.copy()
    clean[[3, 8], 5] = np.nan
    with pytest.raises(ValueError, match=r"clean has NaN in 2 beat\(s\) that X has"):
        denoiser.fit(released, clean=clean)


def test_unfitted(denoiser, released):
    with pytest.raises(NotFittedError, match="BeatDenoiser"):
        denoiser.transform(released)


def test_other_number_of_samples(denoiser, released):
    with pytest.raises(ValueError, match=r"83 features.*expecting 84"):
        denoiser.fit(released).transform(released[:, 1:])
