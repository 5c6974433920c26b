"""The laws of limb leads, against electrodes on a body that obey them by themselves."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skagile.leads import derive_leads, independent_leads, lead_residual, plain_name, standard_lead

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # wfdb calls pandas as pandas 3 dislikes
    import wfdb

LIMB = ["I", "II", "III", "aVR", "aVL", "aVF"]
TWELVE = [*LIMB, "V1", "V2", "V3", "V4", "V5", "V6"]


def from_electrodes(rng, shape=(50,), names=LIMB):
    """Leads as an electrocardiograph makes them, of potentials at right arm, left arm, left leg and the chest."""
    ra, la, ll, *chest = rng.standard_normal((9, *shape))
    leads = {"I": la - ra, "II": ll - ra, "III": ll - la}
    leads |= {"aVR": ra - (la + ll) / 2, "aVL": la - (ra + ll) / 2, "aVF": ll - (ra + la) / 2}
    leads |= {f"V{i}": v - (ra + la + ll) / 3 for i, v in enumerate(chest, 1)}
    return np.stack([leads[name] for name in names])


@pytest.mark.parametrize("given_leads", list(itertools.permutations(LIMB, 2)))
def test_any_two_limb_leads_determine_the_others(given_leads):
    """Every other lead is spoilt; a spelling that puts the two first makes them the ones that are kept."""
    truth = from_electrodes(np.random.default_rng(0))
    spoilt = truth.copy()
    kept = [LIMB.index(name) for name in given_leads]
    for row in range(6):
        if row not in kept:
            names = [*given_leads, LIMB[row]]
            order = [*kept, row]
            wrong = truth[order].copy()
            independent = independent_leads(names)
            [target] = [place for place, name in enumerate(names) if name not in independent]
            wrong[target] = 7
            np.testing.assert_allclose(derive_leads(wrong, names), truth[order], atol=1e-13)
            spoilt[row] = 7
    assert lead_residual(truth, LIMB).max < 1e-14
    assert lead_residual(spoilt, LIMB).max > 1


def test_twelve_leads_and_layouts():
    truth = np.moveaxis(from_electrodes(np.random.default_rng(1), (3, 4, 40), TWELVE), 0, 2)
    assert truth.shape == (3, 4, 12, 40)
    wrong = truth.copy()
    wrong[:, :, 2:6] += 1
    np.testing.assert_allclose(derive_leads(wrong, TWELVE), truth, atol=1e-13)
    swapped = np.moveaxis(wrong, 2, 0)
    np.testing.assert_allclose(derive_leads(swapped, TWELVE, axis=0), np.moveaxis(truth, 2, 0), atol=1e-13)
    kept = [0, 1, *range(6, 12)]
    np.testing.assert_array_equal(derive_leads(wrong, TWELVE)[:, :, kept], truth[:, :, kept])
    assert wrong[0, 0, 2, 0] == truth[0, 0, 2, 0] + 1  # what was given is untouched
    residual = lead_residual(wrong, TWELVE)
    assert residual.n_compared == 3 * 4 * 4 * 40
    assert (residual.max, residual.rms) == (pytest.approx(1), pytest.approx(1))


@given(
    arrays(np.float32, (12, 6), elements=st.floats(-1e6, 1e6, width=32)),
    st.permutations(TWELVE),
    st.sets(st.integers(0, 11), max_size=9),
)
def test_what_is_derived_obeys_to_rounding(X, names, missing):
    X = X.copy()
    X[sorted(missing)] = np.nan
    out = derive_leads(X, names)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(out), np.isnan(X))
    residual = lead_residual(out, names)
    if residual.n_compared:
        largest = np.nanmax(np.abs(out[[name in LIMB for name in names]]))
        assert residual.rms <= residual.max <= np.spacing(np.float32(largest)) / 2
    np.testing.assert_array_equal(derive_leads(out, names), out)
    lead = dict(zip(names, X.astype(np.float64), strict=True))
    i, ii = lead["I"], lead["II"]
    laws = {"III": ii - i, "aVR": -(i + ii) / 2, "aVL": i - ii / 2, "aVF": ii - i / 2}
    for name, law in laws.items():
        if not np.isnan([i, ii, lead[name]]).any():
            np.testing.assert_array_equal(out[names.index(name)], law.astype(np.float32))  # rounded once


def test_leads_that_are_missing_or_fall_off():
    truth = from_electrodes(np.random.default_rng(2))
    holes = truth.copy()
    holes[0, :20] = np.nan  # I falls off: II and III are there
    holes[2, 20:30] = np.nan
    holes[[0, 1, 2, 3, 4], 40:] = np.nan  # aVF alone says nothing of others
    wrong = holes.copy()
    wrong[3:, :40] += 1
    np.testing.assert_allclose(derive_leads(wrong, LIMB), holes, atol=1e-13)
    two = derive_leads(wrong[[0, 5]], ["I", "aVF"])
    np.testing.assert_array_equal(two, wrong[[0, 5]])
    none = lead_residual(wrong[[0, 5]], ["I", "aVF"])
    assert none.n_compared == 0
    assert np.isnan([none.max, none.rms]).all()
    assert derive_leads(np.zeros((6, 0)), LIMB).shape == (6, 0)
    assert lead_residual(np.full((6, 5), np.nan), LIMB).n_compared == 0


def test_inverted_leads():
    truth = from_electrodes(np.random.default_rng(3))
    names = ["aVL", "I", "-aVR", "II", "aVF", "III"]  # Cabrera's order
    cabrera = truth[[4, 0, 3, 1, 5, 2]] * np.array([1, 1, -1, 1, 1, 1])[:, None]
    assert lead_residual(cabrera, names).max < 1e-14
    wrong = cabrera.copy()
    wrong[2] = 0
    np.testing.assert_allclose(derive_leads(wrong, names), cabrera, atol=1e-14)
    # A lead and its inverse say one thing: the two of them determine no third.
    assert independent_leads(["aVR", "-aVR", "V1"]) == ["aVR", "V1"]
    assert independent_leads(["aVR", "-aVR", "aVL"]) == ["aVR", "aVL"]


def test_independent_leads():
    assert independent_leads(TWELVE) == ["I", "II", "V1", "V2", "V3", "V4", "V5", "V6"]
    assert independent_leads(["V1", "avf", "AVR", "Lead III"]) == ["V1", "avf", "Lead III"]
    assert independent_leads(["MLII", "V5", "vx", "RESP"]) == ["MLII", "V5", "vx", "RESP"]
    assert independent_leads(["V5", "V5"]) == ["V5", "V5"]
    assert independent_leads([]) == []


@pytest.mark.parametrize(
    ("written", "standard"),
    [
        ("avr", ("aVR", 1, False)),
        (" Lead  aVR ", ("aVR", 1, False)),
        ("-aVR", ("aVR", -1, False)),
        ("Lead -aVR", ("aVR", -1, False)),
        ("\u2212aVR", ("aVR", -1, False)),
        ("lead-aVR", ("aVR", 1, False)),
        ("lead - II", ("II", 1, False)),
        ("ECG_lead_II", ("II", 1, False)),
        ("MLII", ("II", 1, True)),
        ("DIII", ("III", 1, False)),
        ("\u2162", ("III", 1, False)),
        ("v6", ("V6", 1, False)),
        ("MCL1", None),
        ("V10", None),
        ("lead", None),
        ("", None),
        ("-", None),
    ],
)
def test_spellings(written, standard):
    assert standard_lead(written) == standard
    if standard is not None:
        assert plain_name(written) == ("-" if standard[1] < 0 else "") + standard[0].casefold()


@pytest.mark.parametrize("function", [derive_leads, lead_residual])
def test_bad_input(function):
    X = np.zeros((2, 5))
    with pytest.raises(ValueError, match=r"lead_names has 3 name\(s\) and X of shape \(2, 5\) has 2 leads"):
        function(X, ["I", "II", "III"])
    with pytest.raises(ValueError, match=r"holds lead II twice, as 'II' \(place 0\) and 'DII' \(place 1\)"):
        function(X, ["II", "DII"])
    with pytest.raises(ValueError, match="holds 'I' beside 'MLII', whose electrodes are at other places"):
        function(X, ["I", "MLII"])
    with pytest.raises(ValueError, match="axis is 2 and X has shape"):
        function(X, ["I", "II"], axis=2)
    with pytest.raises(ValueError, match="axis is -2 and X has shape"):
        function(X[0], ["I", "II"])
    with pytest.raises(TypeError, match="axis is 'leads'"):
        function(X, ["I", "II"], axis="leads")
    with pytest.raises(TypeError, match="lead_names is 'II'"):
        function(X, "II")
    with pytest.raises(TypeError, match="lead_names holds 1 at place 1"):
        function(X, ["I", 1])
    with pytest.raises(ValueError, match="X is of complex128"):
        function(X + 1j, ["I", "II"])
    with pytest.raises(ValueError, match="X contains infinity"):
        function(X + np.inf, ["I", "II"])


def test_what_no_float_of_its_type_holds():
    X = np.array([[3e38], [-3e38], [0]], dtype=np.float32)
    with pytest.raises(ValueError, match=r"lead 'III' is beyond its range"):
        derive_leads(X, ["I", "II", "III"])
    assert derive_leads(np.array([[1], [2], [0]]), ["I", "II", "III"]).dtype == np.float64


@pytest.mark.realdata
@pytest.mark.parametrize("record", ["1", "50", "109", "200"])
def test_ludb_obeys_to_the_step_of_its_file(realdata, record):
    """In steps of the converter: the headers have other gains for each lead, with which no law holds."""
    read = wfdb.rdrecord(str(realdata / "ludb" / "data" / record), physical=False)
    steps = read.d_signal.T
    assert np.ptp(steps[0]) > 500
    residual = lead_residual(steps, read.sig_name)
    assert residual.n_compared == 4 * 5000
    assert residual.max <= 0.5
    assert np.abs(derive_leads(steps, read.sig_name) - steps).max() <= 0.5
    swapped = [*read.sig_name]
    swapped[3:5] = "avl", "avr"
    assert lead_residual(steps, swapped).max > 100
