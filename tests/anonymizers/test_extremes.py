"""Every anonymizer on beats of any size and float type: an error, or the right result."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone

import skagile.anonymizers
from skagile import (
    AgileAnonymizer,
    KSameAnonymizer,
    NoiseAnonymizer,
    ODEGANAnonymizer,
    PPVAEAnonymizer,
    PrivECGAnonymizer,
    REACTAnonymizer,
    WarpAnonymizer,
)
from skagile._validation import check_beats

QUICK = {
    "AgileAnonymizer": AgileAnonymizer(n_surrogates=1, max_epochs=1, n_steps=2, random_state=0),
    "KSameAnonymizer": KSameAnonymizer(2, max_epochs=1, random_state=0),
    "NoiseAnonymizer": NoiseAnonymizer(random_state=0),
    "PrivECGAnonymizer": PrivECGAnonymizer(channels=(8, 8), adversary_channels=(4, 8), max_epochs=1, random_state=0),
    "ODEGANAnonymizer": ODEGANAnonymizer(channels=(8, 8), adversary_channels=(4, 8), max_epochs=1, random_state=0),
    "REACTAnonymizer": REACTAnonymizer(max_epochs=1, random_state=0),
    "PPVAEAnonymizer": PPVAEAnonymizer(max_epochs=1, random_state=0),
    "WarpAnonymizer": WarpAnonymizer(max_epochs=1, random_state=0),
}


def test_every_anonymizer_is_tried():
    assert sorted(QUICK) == sorted(skagile.anonymizers.__all__)


@pytest.fixture(scope="module")
def small(beat_maker):
    return beat_maker(n_subjects=6, n_rows=36)


@pytest.fixture(scope="module", params=list(QUICK))
def fitted(request, small):
    return QUICK[request.param].fit(small.X, small.y, subjects=small.subjects)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("exponent", [-300, -23, -16, -12, 12, 16, 19, 150])
def test_beats_of_any_size(fitted, small, exponent, dtype):
    """One beat of another size among the others: it is refused by name, or released as finite numbers."""
    X = small.X.astype(dtype)
    with np.errstate(over="ignore"):
        X[3] = X[3].astype(np.longdouble) * np.longdouble(10) ** exponent
    if not np.isfinite(X).all():
        with np.errstate(invalid="ignore"), pytest.raises(ValueError, match="infinity"):
            fitted.transform(X, subjects=small.subjects)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if abs(exponent) > 15:
            with pytest.raises(ValueError, match=r"X has 1 (beat|flat beat)\(s\).*(row 3).*(Look at the unit|Drop)"):
                fitted.transform(X, subjects=small.subjects)
            return
        released = fitted.transform(X, subjects=small.subjects)
    assert released.dtype == dtype
    assert np.isfinite(released).all()


@pytest.mark.parametrize("name", ["AgileAnonymizer", "PPVAEAnonymizer", "WarpAnonymizer"])
def test_the_unit_changes_nothing_else(name, small):
    """Fitted and released in another unit, beats are the same in it; a power of two rounds alike."""
    anonymizer = clone(QUICK[name])
    if name == "WarpAnonymizer":
        anonymizer.set_params(noise=False)  # it hangs on every bit of a beat
    if name == "PPVAEAnonymizer":
        anonymizer.set_params(draw=False)
    X, unit = small.X.astype(np.float64), 2.0**-45
    plain = anonymizer.fit(X, small.y, subjects=small.subjects).transform(X, subjects=small.subjects)
    scaled = anonymizer.fit(X * unit, small.y, subjects=small.subjects).transform(X * unit, subjects=small.subjects)
    np.testing.assert_allclose(scaled / unit, plain, rtol=0, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("layout", ["beats", "records"])
def test_float_types_come_back(fitted, small, dtype, layout):
    X = small.X.astype(dtype)
    subjects = small.subjects
    if layout == "records":
        X = X.reshape(6, 6, -1)[:, :5].copy()
        X[0, 2] = np.nan
        subjects = np.arange(6) if not hasattr(fitted, "groups_") else subjects[:6]
    released = fitted.transform(X, subjects=subjects)
    assert released.dtype == dtype
    assert released.shape == X.shape
    np.testing.assert_array_equal(np.isnan(released), np.isnan(X))
    assert np.abs(np.nanmax(released.astype(float))) > 0.1


def test_what_float16_does_not_hold_is_an_error(fitted, small):
    """Beats as large as the type holds: their release may be larger."""
    X = (small.X / np.abs(small.X).max() * 65500).astype(np.float16)
    beats = check_beats(fitted, X, reset=False)
    assert beats.restore_beats(beats.values).dtype == np.float16
    with pytest.raises(ValueError, match=r"X is of float16, .* Give X as float32 or float64"):
        beats.restore_beats(2 * beats.values)


@pytest.mark.parametrize("unit", [1e-3, 1e3, 1e14])
def test_ksame_asks_for_millivolts(small, unit):
    """What it makes is kept within what hearts give in millivolts."""
    with pytest.raises(ValueError, match=r"X has beats with a median standard deviation of .*Give X in millivolts"):
        clone(QUICK["KSameAnonymizer"]).fit(small.X * unit, small.y, subjects=small.subjects)
