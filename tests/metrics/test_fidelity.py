"""Fidelity against the formulas written out, and what must not change it."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skagile.metrics import max_abs_error, prd, prdn, snr

MEASURES = [prd, prdn, snr, max_abs_error]
beat = arrays(np.float64, 12, elements=st.floats(-5, 5).map(lambda value: round(value, 3)))


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    original = rng.normal(size=(20, 40)).astype(np.float32) + np.float32(0.7)
    return original, original + rng.normal(scale=0.2, size=(20, 40)).astype(np.float32)


def test_formulas(pair):
    for x32, z32, *found in zip(*pair, *(measure(*pair) for measure in MEASURES), strict=True):
        x, z = [float(v) for v in x32], [float(v) for v in z32]
        mean = sum(x) / len(x)
        error = sum((b - a) ** 2 for a, b in zip(x, z, strict=True))
        power, variation = sum(a * a for a in x), sum((a - mean) ** 2 for a in x)
        expected = [
            100 * (error / power) ** 0.5,
            100 * (error / variation) ** 0.5,
            10 * np.log10(variation / error),
            max(abs(b - a) for a, b in zip(x, z, strict=True)),
        ]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@settings(deadline=None, max_examples=60)
@given(beat, beat, st.floats(0.1, 10), st.floats(-100, 100))
def test_prdn_ignores_a_common_offset_and_gain(x, z, gain, offset):
    assume(np.ptp(x) > 0.01)
    reference = prdn(x, z)
    assert prdn(gain * x + offset, gain * z + offset) == pytest.approx(reference, rel=1e-6, abs=1e-6)
    assert prdn(-x, -z) == pytest.approx(reference)
    assert prdn(x[::-1], z[::-1]) == pytest.approx(reference)
    # Twice the change is twice the measure.
    assert prdn(x, x + 2 * (z - x)) == pytest.approx(2 * reference, rel=1e-9, abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(beat, beat)
def test_snr_and_prdn_say_the_same(x, z):
    assume(np.ptp(x) > 0.01 and np.abs(x - z).max() > 0.01)
    assert snr(x, z) == pytest.approx(-20 * np.log10(prdn(x, z) / 100))


def test_prd_counts_the_offset_as_signal(pair):
    original, released = pair
    assert (prd(original + 10, released + 10) < 0.2 * prd(original, released)).all()


def test_equal_beats_and_flat_originals():
    x = np.array([[1.0, 2.0, 3.0], [2.0, 2.0, 2.0], [2.0, 2.0, 2.0]])
    z = np.array([[1.0, 2.0, 3.0], [2.0, 2.0, 2.0], [2.0, 2.0, 2.5]])
    np.testing.assert_array_equal(prdn(x, z), [0, 0, np.inf])
    np.testing.assert_array_equal(snr(x, z), [np.inf, np.inf, -np.inf])
    np.testing.assert_array_equal(max_abs_error(x, z), [0, 0, 0.5])
    # The mean of three times 0.1 is not 0.1 in floating point: flat all the same.
    assert prdn([0.1] * 3, [0.1, 0.1, 0.2]) == np.inf


@pytest.mark.parametrize("measure", MEASURES)
def test_records_with_missing_beats(pair, measure):
    original, released = (values.reshape(4, 5, 40).copy() for values in pair)
    original[1, 2] = released[1, 2] = np.nan
    found = measure(original, released)
    assert found.shape == (4, 5)
    assert np.isnan(found[1, 2])
    expected = measure(*pair).reshape(4, 5)
    np.testing.assert_array_equal(np.delete(found.ravel(), 7), np.delete(expected.ravel(), 7))


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    ("original", "released", "words"),
    [
        (np.zeros((2, 3)), np.zeros((2, 4)), "has the shape of its original"),
        (np.array([[0, 1, np.nan]]), np.zeros((1, 3)), "original holds NaN within a beat"),
        (np.zeros((1, 3)), np.array([[0, 1, np.inf]]), "released holds NaN within a beat or infinite"),
        (np.float64(1), np.float64(1), "at least one sample"),
    ],
)
def test_errors(measure, original, released, words):
    with pytest.raises(ValueError, match=words):
        measure(original, released)
