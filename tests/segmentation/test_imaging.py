"""BeatImager against its formula, its own inverse, and finite differences."""

import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.interpolate import CubicSpline
from sklearn.exceptions import NotFittedError

from skagile.datasets import load_mitdb_beats
from skagile.metrics import prdn
from skagile.segmentation import BeatImager, read_beats, render_beats

RNG = np.random.default_rng(0)


def smooth_beats(n_beats, n_samples=126, seed=0):
    """Slow waves with an R peak that stands 5 SD and more out."""
    rng = np.random.default_rng(seed)
    time = np.linspace(-1, 1, n_samples)
    waves = sum(
        rng.normal(0, 0.1, (n_beats, 1)) * np.sin(k * time + rng.normal(size=(n_beats, 1))) for k in range(1, 8)
    )
    return waves + rng.uniform(1, 1.5, (n_beats, 1)) * np.exp(-0.5 * (time / 0.05) ** 2) + 3.0


def statistics(beats):
    return {"offset": beats.mean(axis=-1), "scale": beats.std(axis=-1)}


def test_images_follow_the_formula():
    beats = smooth_beats(3, 50)
    images = BeatImager(size=40, n_sd=4.0, line_width=1.2).fit_transform(beats)
    z = (beats - beats.mean(axis=1, keepdims=True)) / beats.std(axis=1, keepdims=True)
    assert z.max() > 4
    s = np.clip(CubicSpline(np.linspace(0, 1, 50), z, axis=1)(np.linspace(0, 1, 40)), -4, 4)
    row = np.arange(40)[:, None]
    expected = np.exp(-((row - (4 - s[:, None]) / 8 * 39) ** 2) / (2 * 1.2**2))
    assert images.dtype == np.float32
    assert_allclose(images, expected, atol=2e-5)


def test_defaults_and_orientation():
    images = BeatImager().fit_transform(smooth_beats(2))
    assert images.shape == (2, 200, 200)
    assert images.min() >= 0
    assert images.max() <= 1
    # The R peak lies in the middle column and nearest to the top.
    top = images.argmax(axis=1)
    assert_allclose(top.argmin(axis=1), 100, atol=2)


@pytest.mark.parametrize("n_samples", [2, 3, 60, 126, 200, 252])
def test_round_trip(n_samples):
    beats = smooth_beats(20, n_samples)
    imager = BeatImager(batch_size=7).fit(beats)
    images = imager.transform(beats)
    back = imager.inverse_transform(images, **statistics(beats))
    assert back.shape == beats.shape
    assert prdn(beats, back.astype(float)).max() < 0.1
    z = imager.inverse_transform(images)
    assert_allclose(z, (beats - beats.mean(axis=1, keepdims=True)) / beats.std(axis=1, keepdims=True), atol=0.01)


def test_three_standard_deviations_are_kept_and_more_is_lost():
    low = np.sin(np.linspace(0, 9, 126) + np.arange(5)[:, None])  # within 3 SD
    high = smooth_beats(5)
    imager = BeatImager(n_sd=3.0).fit(low)
    assert prdn(low, imager.inverse_transform(imager.transform(low), **statistics(low)).astype(float)).max() < 1
    z = imager.inverse_transform(imager.transform(high))
    assert z.max() < 3.1
    assert prdn(high, imager.inverse_transform(imager.transform(high), **statistics(high)).astype(float)).min() > 5


def test_large_offset_costs_no_accuracy():
    beats = smooth_beats(4)
    imager = BeatImager().fit(beats)
    assert_allclose(imager.transform(1e5 + beats), imager.transform(beats), atol=1e-4)


def test_records_of_beats_with_missing_ones():
    beats = smooth_beats(6).reshape(2, 3, 126)
    beats[1, 0] = np.nan
    before = beats.copy()
    imager = BeatImager(size=64, batch_size=2).fit(beats)
    images = imager.transform(beats)
    assert_array_equal(beats, before)
    assert images.shape == (2, 3, 64, 64)
    assert np.isnan(images[1, 0]).all()
    present = ~np.isnan(beats[..., 0])
    flat = BeatImager(size=64).fit_transform(beats[present])
    assert_allclose(images[present], flat, atol=1e-6)
    back = imager.inverse_transform(images, **statistics(beats))
    assert back.shape == beats.shape
    assert_array_equal(np.isnan(back), np.isnan(beats))
    assert_allclose(back[present], imager.inverse_transform(flat, **statistics(beats[present])), atol=1e-5)


def test_reading_stands_a_faint_background_and_a_blank_image():
    beats = smooth_beats(8)
    imager = BeatImager().fit(beats)
    images = imager.transform(beats)
    noisy = images + RNG.uniform(-0.1, 0.1, images.shape)
    assert prdn(beats, imager.inverse_transform(noisy, **statistics(beats)).astype(float)).max() < 10
    assert_array_equal(imager.inverse_transform(np.zeros((1, 200, 200))), np.zeros((1, 126), dtype=np.float32))


def test_a_moved_image_is_a_moved_beat():
    beats = smooth_beats(3)
    imager = BeatImager(size=161).fit(beats)  # 10 rows per SD
    images = imager.transform(beats)
    lower = np.roll(images, 10, axis=1)
    assert_allclose(imager.inverse_transform(lower), imager.inverse_transform(images) - 1, atol=1e-3)


def test_gradients_are_those_of_finite_differences():
    beats = torch.tensor(smooth_beats(2, 7), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: render_beats(x, size=10, n_sd=4.0), (beats,))
    images = (render_beats(beats.detach(), size=10, n_sd=4.0) + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: read_beats(x, 7, n_sd=4.0), (images,))
    assert torch.autograd.gradcheck(lambda x: read_beats(render_beats(x, size=10, n_sd=4.0), 7, n_sd=4.0), (beats,))


def test_clipped_samples_have_no_gradient():
    beats = torch.tensor(smooth_beats(1, 60))
    z = ((beats - beats.mean()) / beats.std(unbiased=False)).requires_grad_()
    images = render_beats(z, size=60, n_sd=1.0)  # as many columns as samples: each its own
    column = int(z.argmax())
    assert z.max() > 1
    images[..., column].sum().backward()
    assert_array_equal(z.grad, 0)


def test_tensors_keep_dtype_and_shape():
    beats = torch.tensor(smooth_beats(6), dtype=torch.float32).reshape(2, 3, 126)
    images = render_beats(beats, size=50)
    assert images.shape == (2, 3, 50, 50)
    assert images.dtype == torch.float32
    assert read_beats(images, 77).shape == (2, 3, 77)


def test_batches_and_pickles_change_nothing():
    beats = smooth_beats(9)
    images = BeatImager(size=40, batch_size=100).fit_transform(beats)
    imager = pickle.loads(pickle.dumps(BeatImager(size=40, batch_size=2).fit(beats)))
    assert_allclose(imager.transform(beats), images, atol=1e-6)


def test_errors_name_what_is_wrong():
    beats = smooth_beats(2)
    imager = BeatImager(size=32).fit(beats)
    images = imager.transform(beats)
    broken = images.copy()
    broken[1, 3, 3] = np.nan
    with pytest.raises(NotFittedError):
        BeatImager().inverse_transform(images)
    with pytest.raises(ValueError, match=r"X has shape \(2, 31, 32\)"):
        imager.inverse_transform(images[:, 1:])
    with pytest.raises(ValueError, match="NaN in part of an image"):
        imager.inverse_transform(broken)
    with pytest.raises(ValueError, match="scale has shape"):
        imager.inverse_transform(images, scale=np.ones(3))
    with pytest.raises(ValueError, match="offset contains NaN"):
        imager.inverse_transform(images, offset=[0.0, np.nan])
    with pytest.raises(ValueError, match="n_sd"):
        BeatImager(n_sd=0).fit(beats)


@settings(max_examples=40, deadline=None)
@given(arrays(np.float64, (2, 50), elements=st.floats(allow_nan=False, allow_infinity=False)))
@example(np.tile([0.0, *[3.6687615e306] * 49], (2, 1)))
@example(np.tile([0.0, *[5e-324] * 49], (2, 1)))
def test_any_finite_beats_become_images_or_a_documented_error(beats):
    imager, documented = BeatImager(), re.compile("flat beat|expected millivolts")
    try:
        images = imager.fit(beats).transform(beats)
    except ValueError as error:
        if not documented.search(str(error)):
            raise
        return
    assert images.shape == (2, 200, 200)
    assert np.isfinite(images).all()
    assert np.isfinite(imager.inverse_transform(images)).all()


def test_importing_loads_no_torch():
    code = "import sys, skagile; skagile.BeatImager, skagile.measure_beats; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


@pytest.mark.realdata
def test_real_beats_come_back(realdata):
    beats = load_mitdb_beats(realdata, records=["100", "106", "108", "208"], max_beats=40, random_state=0).X.astype(
        float
    )
    imager = BeatImager().fit(beats)
    back = imager.inverse_transform(imager.transform(beats), **statistics(beats))
    assert prdn(beats, back.astype(float)).max() < 1


def _leads(n_rows=3, n_beats=2, n_leads=3):
    """Records of beats of leads of different sizes; one beat is missing, and one lead of another."""
    beats = smooth_beats(n_rows * n_beats * n_leads).reshape(n_rows, n_beats, n_leads, -1)
    beats = beats * np.array([1.0, -0.3, 40.0])[:n_leads, None] + np.array([0.0, 5.0, -2.0])[:n_leads, None]
    beats[1, 1] = np.nan
    beats[0, 1, 2] = np.nan
    return beats


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_leads_are_drawn_each_by_itself(batch_size):
    beats = _leads()
    imager = BeatImager(size=50, batch_size=batch_size).fit(beats)
    images = imager.transform(beats)
    assert images.shape == (3, 2, 3, 50, 50)
    missing = np.isnan(beats).all(axis=-1)
    assert_array_equal(np.isnan(images).all(axis=(-2, -1)), missing)
    assert np.isfinite(images[~missing]).all()
    for lead in range(3):
        alone = BeatImager(size=50).fit_transform(beats[:, :, lead])
        assert_allclose(images[:, :, lead], alone, atol=1e-6)


def test_leads_come_back():
    beats = _leads()
    imager = BeatImager().fit(beats)
    images = imager.transform(beats)
    back = imager.inverse_transform(images, **statistics(beats))
    assert back.shape == beats.shape
    there = ~np.isnan(beats).any(axis=-1)
    assert_array_equal(np.isnan(back).all(axis=-1), ~there)
    assert prdn(beats[there], back[there].astype(float)).max() < 0.1
    z = imager.inverse_transform(images)
    assert_allclose(z[there].std(axis=-1), 1.0, atol=0.01)
    again = BeatImager()._set_state(imager._get_state())
    assert_array_equal(again.inverse_transform(images), z)


def test_one_lead_in_four_dimensions():
    beats = smooth_beats(6).reshape(3, 2, 1, -1)
    imager, as_ever = BeatImager(size=40), BeatImager(size=40)
    images, expected = imager.fit_transform(beats), as_ever.fit_transform(beats[:, :, 0])
    assert_array_equal(images, expected[:, :, None])
    assert_array_equal(imager.inverse_transform(images)[:, :, 0], as_ever.inverse_transform(expected))


@pytest.mark.parametrize(
    "shape", [(2, 40, 40), (2, 2, 40, 40), (2, 2, 2, 40, 40), (2, 2, 3, 40, 41), (1, 2, 2, 3, 40, 40)]
)
def test_images_of_other_leads_are_refused(shape):
    imager = BeatImager(size=40).fit(_leads())
    with pytest.raises(ValueError, match=re.escape("(n_rows, n_beats, 3, 40, 40)")):
        imager.inverse_transform(np.zeros(shape))
    with pytest.raises(ValueError, match=r"scale has shape .* one per beat, or per lead"):
        imager.inverse_transform(np.zeros((1, 2, 3, 40, 40)), scale=np.ones((1, 2)))
