"""Random views and the band of smooth perturbations, against scipy and closed forms."""

import numpy as np
import pytest
import torch
from scipy.fft import dct
from scipy.ndimage import gaussian_filter1d, shift

from skagile.anonymizers._views import band_projection, draw_views, view_matrix

N = 126
TIME = np.arange(N)


def _wave(place=60.0, width=6.0):
    return np.exp(-0.5 * ((TIME - place) / width) ** 2)


@pytest.mark.parametrize("by", [0.0, 2.0, -3.0, 1.5, -0.25])
def test_shift_is_scipys(by):
    rows = np.random.default_rng(0).standard_normal((4, N))
    expected = shift(rows, (0, by), order=1, mode="nearest")
    np.testing.assert_allclose(rows @ view_matrix(N, by, 1.0, 0.0), expected, atol=1e-12)


def test_stretch_is_about_the_middle():
    middle = (N - 1) / 2
    stretched = _wave(middle - 20, 6.0) @ view_matrix(N, 0.0, 1.1, 0.0)
    np.testing.assert_allclose(stretched, _wave(middle - 22, 6.6), atol=0.01)


@pytest.mark.parametrize("width", [0.3, 0.63, 2.0])
def test_smoothing_is_scipys_gaussian(width):
    rows = np.random.default_rng(0).standard_normal((4, N))
    expected = gaussian_filter1d(rows, width, axis=1, mode="constant", truncate=12)
    inside = slice(12, -12)  # the ends differ: here weights of samples outside are shared by those inside
    got = rows @ view_matrix(N, 0.0, 1.0, width)
    np.testing.assert_allclose(got[:, inside], expected[:, inside], atol=1e-9)
    np.testing.assert_allclose(np.ones(N) @ view_matrix(N, 1.3, 0.98, width), 1, atol=1e-12)


def test_smoothing_is_3_db_down_at_40_hz():
    """What the documentation says of diversity=1, for beats of 0.7 s."""
    largest = view_matrix(N, 0.0, 1.0, 0.005 * N)
    tone = np.sin(2 * np.pi * 40 * TIME / 180)
    gain = np.linalg.norm((tone @ largest)[20:-20]) / np.linalg.norm(tone[20:-20])
    assert -3.8 < 20 * np.log10(gain) < -2.5


def test_views_are_drawn_from_their_seed():
    one, two, other = (draw_views(N, 6, 1.0, seed) for seed in (3, 3, 4))
    assert one[0] is None
    beats = torch.from_numpy(np.stack([_wave(), _wave(40)]))[:, None]
    seen = [[view(beats).numpy() for view in views[1:]] for views in (one, two, other)]
    np.testing.assert_array_equal(seen[0], seen[1])
    assert np.abs(np.subtract(seen[0], seen[2])).max() > 0.01
    assert all(np.abs(a - b).max() > 1e-3 for a, b in zip(seen[0], seen[0][1:], strict=False))
    # Within the ranges: the peak is moved by at most 2 % of the beat and, stretched, by 2 % of its way to the middle.
    peaks = np.array(seen[0]).argmax(axis=-1)[..., 0] - [60, 40]
    assert np.abs(peaks).max() <= np.ceil(0.02 * N + 0.02 * 23)


def test_no_diversity_no_views():
    assert draw_views(N, 6, 0.0, 0) is None


@pytest.mark.parametrize(("sampling_rate", "kept"), [(180.0, 57), (360.0, 29), (80.0, 126), (60.0, 126)])
def test_projection_keeps_the_cosines_up_to_the_edge(sampling_rate, kept):
    projection = band_projection(N, sampling_rate, 40.0)
    np.testing.assert_allclose(projection, projection.T, atol=1e-12)
    np.testing.assert_allclose(projection @ projection, projection, atol=1e-12)
    rows = np.random.default_rng(0).standard_normal((4, N))
    before, after = (dct(r, norm="ortho") for r in (rows, rows @ projection))
    assert kept == min(N, 1 + int(40 * 2 * N / sampling_rate))
    np.testing.assert_allclose(after[:, :kept], before[:, :kept], atol=1e-12)
    np.testing.assert_allclose(after[:, kept:], 0, atol=1e-12)


def test_projection_is_a_filter_to_the_eye():
    """Tones well inside the band pass, tones well above are gone, wherever they start."""
    projection = band_projection(N, 180.0, 40.0)
    for phase in (0.0, 1.0, 2.0):
        low, high = (np.sin(2 * np.pi * f * TIME / 180 + phase) for f in (20, 60))
        assert np.linalg.norm(low @ projection - low) < 0.15 * np.linalg.norm(low)
        assert np.linalg.norm(high @ projection) < 0.2 * np.linalg.norm(high)
