"""Facts that a release keeps: bins of what is measured, columns of the user's, and what is refused."""

from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skagile.anonymizers._ksame._facts import MEASURED, Facts
from skagile.segmentation import measure_beats

RATE, WINDOW = 250.0, (0.35, 0.65)


def _beats(n=24, seed=0):
    """Beats of which every third has no P wave; QRS, ST and T of many kinds."""
    rng = np.random.default_rng(seed)
    time = np.arange(-round(0.35 * RATE), round(0.65 * RATE)) / RATE
    wide, t_height, st_level = rng.uniform(0.008, 0.04, n), rng.uniform(-0.3, 0.4, n), rng.uniform(-0.3, 0.3, n)
    p_height = np.where(np.arange(n) % 3 == 0, 0, 0.12)

    def wave(at, height, width):
        return height[:, None] * np.exp(-0.5 * ((time - at) / np.reshape(width, (-1, 1))) ** 2)

    step = st_level[:, None] / (1 + np.exp(-(time - 2.5 * wide[:, None]) / 0.01)) * (time < 0.18)
    X = wave(-0.17, p_height, 0.02) + wave(0, np.full(n, 1.2), wide) + wave(0.32, t_height, 0.04) + step
    return X + 0.002 * rng.standard_normal(X.shape)


def _codes(facts, X, table=None):
    return facts.fit(X, table, np.arange(len(X)), len(X))


@pytest.mark.parametrize("name", list(MEASURED))
def test_measured_facts_in_bins(name):
    X = _beats()
    facts = Facts((name,), RATE, WINDOW)
    codes = _codes(facts, X)[:, 0]
    value = np.asarray(measure_beats(X, RATE, window=WINDOW)[name], dtype=float)
    for code, v in zip(codes, value, strict=True):
        if np.isnan(v):
            assert code == len(MEASURED[name]) + 1
            assert facts.describe([code]) == {name: "absent"}
        else:
            assert code == sum(v >= bound for bound in MEASURED[name])
            low, high = facts.describe([code])[name].split("..")
            assert float(low or "-inf") <= v < float(high or "inf")
    assert facts.n_values.tolist() == [len(MEASURED[name]) + 2]
    assert codes.max() < facts.n_values[0]
    assert len(set(codes)) > 1  # the beats are not all alike


@settings(deadline=None, max_examples=15)
@given(st.lists(st.floats(20, 200), min_size=1, max_size=5, unique=True).map(sorted))
def test_bounds_of_a_mapping(bounds):
    if min(np.diff(bounds), default=1) <= 0:
        return
    X = _beats(9)
    facts = Facts({"qrs_duration": bounds, "p_present": None}, RATE, WINDOW)
    codes = _codes(facts, X)
    measured = measure_beats(X, RATE, window=WINDOW)
    expected = [sum(v >= b for b in bounds) if v == v else len(bounds) + 1 for v in measured.qrs_duration]
    assert codes[:, 0].tolist() == expected
    assert codes[:, 1].tolist() == measured.p_present.astype(int).tolist()
    assert facts.n_values.tolist() == [len(bounds) + 2, 3]


def test_value_on_a_bound_is_above_it():
    X = _beats(9)
    duration = np.asarray(measure_beats(X, RATE, window=WINDOW).qrs_duration)
    measured = duration[~np.isnan(duration)][0]
    codes = _codes(Facts({"qrs_duration": (measured,)}, RATE, WINDOW), X)[:, 0]
    assert codes[duration == measured].tolist() == [1] * (duration == measured).sum()


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"sex": ["f", "m", "f", "f"], "age": [3, 1, 2, 2], "idle": [None] * 4}, index=[7, 7, 8, 9]),
        {"age": [3, 1, 2, 2], "sex": np.array(["f", "m", "f", "f"], dtype=object)},
        MappingProxyType({"age": np.array([3, 1, 2, 2]), "sex": np.array(["f", "m", "f", "f"])}),
    ],
    ids=["frame", "dict", "mapping"],
)
def test_columns_of_the_user(table):
    """Row 1 has no beat: its values are not learned, and rows 2 and 3 have two beats and one."""
    row = np.array([0, 2, 2, 3])
    facts = Facts(["sex", "age"], None, WINDOW)
    codes = facts.fit(np.zeros((4, 5)), dict(table) if isinstance(table, MappingProxyType) else table, row, 4)
    assert facts.n_values.tolist() == [1, 2]
    assert codes.tolist() == [[0, 1], [0, 0], [0, 0], [0, 0]]
    assert [facts.describe(code) for code in codes[:2]] == [{"sex": "f", "age": 3}, {"sex": "f", "age": 2}]
    assert all(type(value) in (int, str) for value in facts.describe(codes[0]).values())


def test_no_facts():
    facts = Facts((), None, WINDOW)
    assert _codes(facts, np.zeros((3, 5))).shape == (3, 0)
    assert facts.describe([]) == {}


@pytest.mark.parametrize(
    ("keep", "rate", "match"),
    [
        ("sex", None, r"one string; give a tuple of names, such as keep=\('sex',\)"),
        (("sex", "sex"), None, "distinct names"),
        ((1,), None, "distinct names"),
        (("qt_interval",), None, "sampling_rate=None: qt_interval is measured in time"),
        ({"sex": (1, 2)}, None, "bounds for 'sex', which is not measured"),
        ({"qrs_duration": (120, 100)}, RATE, "rising, finite bounds"),
        ({"qrs_duration": (100, 100)}, RATE, "rising, finite bounds"),
        ({"qrs_duration": ()}, RATE, "rising, finite bounds"),
        ({"qrs_duration": ((1, 2), (3, 4))}, RATE, "rising, finite bounds"),
        ({"qrs_duration": (100, np.nan)}, RATE, "rising, finite bounds"),
    ],
)
def test_names_and_bounds_that_are_refused(keep, rate, match):
    with pytest.raises(ValueError, match=match):
        Facts(keep, rate, WINDOW)


@pytest.mark.parametrize(
    ("table", "match"),
    [
        (None, "keep names .'sex'., which are not measured"),
        ({"age": [1, 2, 3]}, r"facts has columns \['age'\], keep also names \['sex'\]"),
        ({"sex": ["f", "m"]}, "facts has 2 rows, X has 3"),
        ({"sex": ["f", None, "m"]}, "missing values"),
        ({"sex": ["f", np.nan, "m"]}, "missing values"),
    ],
)
def test_columns_that_are_refused(table, match):
    facts = Facts(("sex",), None, WINDOW)
    with pytest.raises(ValueError, match=match):
        _codes(facts, np.zeros((3, 5)), table)


@pytest.mark.parametrize("new", ["x", "a", "zz"])
@pytest.mark.parametrize("dtype", [object, str])
def test_value_that_was_not_fitted(new, dtype):
    facts = Facts(("sex",), None, WINDOW)
    _codes(facts, np.zeros((3, 5)), {"sex": np.array(["f", "m", "f"], dtype=dtype)})
    with pytest.raises(ValueError, match=rf"facts\['sex'\] holds .*{new}.* did not hold in fit"):
        facts.encode(np.zeros((1, 5)), {"sex": np.array([new], dtype=dtype)}, np.zeros(1, dtype=int), 1)


def test_value_of_another_type():
    facts = Facts(("sex",), None, WINDOW)
    _codes(facts, np.zeros((3, 5)), {"sex": ["f", "m", "f"]})
    with pytest.raises(ValueError, match=r"facts\['sex'\] holds .*1.*, which it did not hold in fit"):
        facts.encode(np.zeros((1, 5)), {"sex": [1]}, np.zeros(1, dtype=int), 1)
