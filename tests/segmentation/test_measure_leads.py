"""measure_beats over leads: one lead as ever, medians, outermost marks, a dipole's angle, and cardiologists' marks."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skagile.datasets import fetch_ludb
from skagile.leads import STANDARD, derive_leads, independent_leads
from skagile.segmentation import measure_beats
from skagile.segmentation._measure_leads import outermost

WINDOW = (0.35, 0.65)
LIMB = STANDARD[:6]
MARKS = ("p_onset", "p_peak", "p_offset", "qrs_onset", "qrs_offset", "t_peak", "t_end")


def make_beats(n_beats=3, rate=500, late=0.0, seed=0):
    """Beats of one lead in a little noise; QRS begins, and T ends, later by `late` s."""
    time = np.arange(-round(WINDOW[0] * rate), round(WINDOW[1] * rate)) / rate
    waves = [(-0.16, 0.12, 0.02), (late - 0.025, -0.1, 0.006), (late, 1.0, 0.01), (late + 0.03, -0.3, 0.008)]
    waves.append((0.29 + late, 0.3, 0.04))
    clean = sum(height * np.exp(-0.5 * ((time - at) / width) ** 2) for at, height, width in waves)
    return clean + 0.004 * np.random.default_rng(seed).standard_normal((n_beats, len(time)))


def over(beats, rate=500, **arguments):
    return measure_beats(beats, rate, window=WINDOW, **arguments)


@pytest.mark.parametrize("how", ["median", "rms"])
def test_one_lead_is_measured_as_ever(how):
    beats = make_beats(4).reshape(2, 2, -1)
    beats[1, 0] = np.nan
    as_ever = over(beats)
    measured = over(beats[:, :, None], over=how)
    # A second lead that is missing everywhere is left out.
    beside = np.stack([np.full_like(beats, np.nan), beats], axis=2)
    for several in (measured, over(beside, over=how)):
        for name, values in as_ever.items():
            assert_array_equal(several[name], values, err_msg=name)
        assert_array_equal(several.global_qt_interval, as_ever.qt_interval)
        assert_array_equal(several.global_qrs_duration, as_ever.qrs_duration)
        for name, values in as_ever.items():
            assert_array_equal(several.by_lead[name][..., -1], values)
    assert np.isnan(measured.qrs_axis).all()


def test_median_of_three_leads_and_of_those_that_are_there():
    leads = [make_beats(late=late, seed=i) for i, late in enumerate((0.0, 0.012, 0.04))]
    alone = [over(lead) for lead in leads]
    measured = over(np.stack(leads, axis=1)[None])
    for name in MARKS:
        marks = pd.DataFrame([each[name] for each in alone])
        assert_array_equal(measured[name][0], marks.median().where(marks.count() >= 2))
        assert_array_equal(measured.by_lead[name][0], np.stack([each[name] for each in alone], axis=1))
    assert_allclose(measured.qt_interval, measured.t_end - measured.qrs_onset)
    missing = np.stack(leads, axis=1)[None]
    missing[:, :, 1] = np.nan
    measured = over(missing)
    for name in ("qrs_onset", "t_end"):
        assert_allclose(measured[name][0], (alone[0][name] + alone[2][name]) / 2)


def test_a_wave_of_few_leads_is_none():
    time = np.arange(-175, 325) / 500
    p_wave = 0.12 * np.exp(-0.5 * ((time + 0.16) / 0.02) ** 2)
    beats = np.stack([make_beats(1, seed=i) for i in range(5)], axis=1)[None]
    without = beats.copy()
    without[:, :, :3] -= p_wave
    assert over(beats).p_present.all()
    measured = over(without)
    assert_array_equal(measured.by_lead.p_present[0, 0], [False, False, False, True, True])
    assert not measured.p_present.any()
    assert np.isnan(measured.p_onset).all()
    assert np.isnan(measured.pr_interval).all()
    without[:, :, 0] += p_wave
    assert over(without).p_present.all()


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ([-90, -44, -42, -40, -36], -44),  # the first is nobody else's
        ([-90, -88, -44, -42, -40], -44),  # two that err alike do not decide
        ([-48, -44, -40, -30, -20], -48),
        ([-80, -60, -40, -20], -50),  # no company: the median
        ([-48, -40], -48),
        ([-60, -40], -50),
        ([-60], -60),
        ([np.nan, -48, np.nan, -40], -48),
        ([np.nan, np.nan], np.nan),
    ],
)
def test_outermost_mark_has_company(marks, expected):
    shuffled = np.random.default_rng(0).permutation(np.array(marks, dtype=float))
    assert_array_equal(outermost(np.stack([marks, shuffled])[None], 10.0), [[expected, expected]])


def test_one_lead_that_errs_does_not_decide_the_qt():
    beats = np.stack([make_beats(1, late=0.002 * i, seed=i) for i in range(6)], axis=1)[None]
    right = over(beats)
    spoilt = beats.copy()
    spoilt[:, :, 5] = make_beats(1, late=0.1, seed=5)
    assert over(spoilt).by_lead.t_end[0, 0, 5] > right.by_lead.t_end.max() + 60
    assert abs(over(spoilt).global_qt_interval - right.global_qt_interval)[0, 0] < 16
    # All of it, from the first onset to the last end: more than in the leads by themselves.
    assert right.global_qt_interval[0, 0] >= np.median(right.by_lead.qt_interval)


def see(angle, names, seed=0, noise=0.0):
    """Limb leads of a dipole in the frontal plane, by Einthoven's triangle; a QRS, and a T of another direction."""
    time = np.arange(-175, 325) / 500
    qrs = np.exp(-0.5 * (time / 0.014) ** 2)
    t_wave = 0.3 * np.exp(-0.5 * ((time - 0.29) / 0.04) ** 2)
    at = {"I": 0, "II": 60, "III": 120, "aVF": 90, "aVL": -30, "aVR": -150}
    size = {name: 1.0 if name in ("I", "II", "III") else np.sqrt(3) / 2 for name in at}
    angle = np.asarray(angle, dtype=float)[:, None, None]
    axis = np.array([at[name] for name in names])[:, None]
    leads = np.cos(np.deg2rad(angle - axis)) * qrs + np.cos(np.deg2rad(40 - axis)) * t_wave
    beats = leads * np.array([size[name] for name in names])[:, None]
    return (beats + noise * np.random.default_rng(seed).standard_normal(beats.shape))[:, None]


def turn(measured, true):
    """Least turn from an angle to another, in degrees."""
    return np.abs((np.asarray(measured) - true + 180) % 360 - 180)


@pytest.mark.parametrize(
    "names", [LIMB, ("I", "aVF"), ("I", "II"), ("II", "III"), ("aVR", "aVL"), ("III", "I"), ("aVF", "aVR", "II")]
)
def test_axis_of_a_dipole(names):
    # Every 5 degrees: some leads look across the axis and have no QRS.
    angle = np.arange(-175, 186, 5.0)
    axis = over(see(angle, names), lead_names=names).qrs_axis
    assert axis.shape == (len(angle), 1)
    assert turn(axis[:, 0], angle).max() < 1.0
    assert ((axis > -180) & (axis <= 180)).all()
    assert turn(over(see(angle, names, noise=0.01), lead_names=names).qrs_axis[:, 0], angle).max() < 8.0


def test_half_a_turn_is_180():
    beats = see([180.0, 180.0], ("I", "aVF"))
    beats[:, :, 1] = np.array([[1e-20], [-1e-20]])[:, None] * beats[:, :, 0]
    assert_array_equal(over(beats, lead_names=("I", "aVF")).qrs_axis, 180.0)


def test_axis_of_leads_that_are_there():
    angle = np.arange(-150, 181, 30.0)
    beats = see(angle, LIMB)
    beats[:, :, [1, 5]] = np.nan
    names = [f"Lead {name.upper()}" for name in LIMB]
    assert turn(over(beats, lead_names=names).qrs_axis[:, 0], angle).max() < 1.0
    beats[:, :, [0, 2, 3]] = np.nan
    assert np.isnan(over(beats, lead_names=names).qrs_axis).all()
    inverted = see(angle, ("I", "II"))
    inverted[:, :, 1] *= -1
    assert turn(over(inverted, lead_names=("I", "-II")).qrs_axis[:, 0], angle).max() < 1.0


@pytest.mark.parametrize("names", [("V1", "V2"), ("I", "V1"), ("MLII", "MLIII")])
def test_no_axis_without_two_leads_of_the_limbs(names):
    assert np.isnan(over(see([30.0], ("I", "II")), lead_names=names).qrs_axis).all()


@settings(deadline=None, max_examples=20)
@given(gain=st.floats(1e-6, 1e6), offset=st.floats(-5, 5), angle=st.floats(-180, 180))
def test_axis_knows_neither_gain_nor_offset(gain, offset, angle):
    beats = gain * (see([angle], ("I", "aVF"), noise=0.001) + offset)
    assert turn(over(beats, lead_names=("I", "aVF")).qrs_axis[0, 0], angle) < 2.0


def test_axis_is_the_same_of_any_two_limb_leads():
    rng = np.random.default_rng(0)
    beats = derive_leads(make_beats(12, seed=1).reshape(1, 1, 12, -1) * rng.uniform(-1, 1, (1, 1, 12, 1)), STANDARD)
    chest = beats[:, :, 6:]
    expected = over(beats, lead_names=STANDARD)
    for pair in ((0, 1), (0, 5), (2, 4)):
        axis = over(
            np.concatenate([beats[:, :, pair], chest], axis=2),
            lead_names=[STANDARD[i] for i in pair] + list(STANDARD[6:]),
        ).qrs_axis
        assert turn(axis, expected.qrs_axis).max() < 3.0  # of the bounds of other leads
    assert len(independent_leads(STANDARD)) == 8


def test_root_mean_square_does_not_know_which_way_leads_look():
    beats = np.stack([make_beats(3, seed=i) for i in range(4)], axis=1)[None]
    turned = beats * np.array([1, -1, 1, -1])[:, None] + np.array([0, 3, -2, 1])[:, None]
    first, second = (over(each, over="rms") for each in (beats, turned))
    for name in (*MARKS, "r_amplitude", "t_amplitude"):
        assert_allclose(second[name], first[name], atol=1e-6)
    assert_allclose(first.r_amplitude, 1.0, atol=0.05)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"over": "mean"}, ValueError, 'expected "median" or "rms"'),
        ({"over": None}, ValueError, 'expected "median" or "rms"'),
        ({"lead_names": ("I",)}, ValueError, "1 name.* 2 lead"),
        ({"lead_names": ("I", "I")}, ValueError, "twice"),
        ({"lead_names": "I"}, TypeError, "sequence of names"),
    ],
)
def test_errors_name_what_is_wrong(arguments, error, message):
    with pytest.raises(error, match=message):
        over(np.zeros((1, 1, 2, 500)), **arguments)


def test_names_want_leads():
    with pytest.raises(ValueError, match="Leave lead_names out"):
        over(np.zeros((1, 500)), lead_names=("I",))


def test_flat_and_missing_leads_have_no_bounds():
    beats = np.zeros((1, 2, 2, 500))
    beats[0, 1] = np.nan
    measured = over(beats, lead_names=("I", "II"))
    assert not measured.p_present.any()
    for name in (*MARKS, "global_qt_interval", "qrs_axis"):
        assert np.isnan(measured[name]).all()


def _marks(marks):
    """R peak, onsets of P and QRS, offset of QRS and end of T of each QRS that cardiologists marked, in samples."""
    symbol, sample = np.pad(marks.symbol, (4, 4)), np.pad(marks.sample.astype(float), (4, 4))
    rows = []
    for at in np.flatnonzero(symbol == "N"):
        there = "".join(symbol[at - 4 : at - 1]) == "(p)", symbol[at - 1] == "(", symbol[at + 1] == ")"
        there += ("".join(symbol[at + 2 : at + 5]) == "(t)",)
        rows.append([sample[at], *np.where(there, sample[[at - 4, at - 1, at + 1, at + 4]], np.nan)])
    return np.array(rows).reshape(-1, 5)


@pytest.fixture(scope="module")
def even(realdata):
    """Beats of the even-numbered subjects in 12 leads, the leads' marks in ms, subjects, and the records."""
    records = fetch_ludb(realdata, records=[str(i) for i in range(2, 201, 2)], annotation_leads="all", common_gain=True)
    beats, marks, subjects = [], [], []
    for i, (signal, by_lead) in enumerate(zip(records.signals, records.annotations_by_lead, strict=True)):
        tables = [_marks(by_lead[name.lower()]) for name in STANDARD]
        for r_peak in tables[1][:, 0]:
            nearest = [table[np.abs(table[:, 0] - r_peak).argmin()] for table in tables if len(table)]
            rows = np.array([row for row in nearest if abs(row[0] - r_peak) <= 75])
            rows = np.pad(rows, ((0, 12 - len(rows)), (0, 0)), constant_values=np.nan)
            middle = round(np.nanmedian(rows[:, 0]))
            if np.isfinite(rows[:, 1:4]).sum(axis=0)[1] >= 8 and middle >= 175 and middle + 325 <= 5000:
                beats.append(signal[:, middle - 175 : middle + 325])
                marks.append(2 * (rows[:, 1:] - middle))
                subjects.append(i)
    return np.stack(beats)[:, None], np.stack(marks), np.array(subjects), records


@pytest.mark.realdata
def test_against_cardiologists(even):
    """Bars from the odd-numbered subjects, whose errors are 6.8, 11.9 and 6.5 ms, and 9.2 and 17.3 ms globally."""
    beats, marks, _, _ = even
    measured, rms = over(beats, lead_names=STANDARD), over(beats, over="rms")
    assert len(beats) > 800
    table = [pd.DataFrame(marks[:, :, i]) for i in range(4)]
    p_onset, onset, offset, t_end = (each.median(axis=1).to_numpy() for each in table)
    truth = {"qrs_duration": offset - onset, "qt_interval": t_end - onset, "pr_interval": onset - p_onset}
    for name, bar in (("qrs_duration", 8), ("qt_interval", 12), ("pr_interval", 8)):
        error, of_rms = (np.abs(each[name][:, 0] - truth[name]) for each in (measured, rms))
        assert np.nanmean(error) < bar, name
        assert np.nanmean(error) < np.nanmean(of_rms), name  # why the median is the default
        assert (~np.isnan(error)).sum() > 0.85 * (~np.isnan(truth[name])).sum()
    # The second earliest and the second latest: one lead's mark may be anything.
    first, last, last_t = (sign * np.sort(sign * marks[:, :, i])[:, 1] for i, sign in ((1, 1), (2, -1), (3, -1)))
    assert np.nanmean(np.abs(measured.global_qrs_duration[:, 0] - (last - first))) < 12
    error = measured.global_qt_interval[:, 0] - (last_t - first)
    assert np.nanmean(np.abs(error)) < 18
    assert abs(np.nanmean(error)) < 5
    naive = np.nanmax(measured.by_lead.t_end, axis=-1) - np.nanmin(measured.by_lead.qrs_onset, axis=-1)
    assert np.nanmean(np.abs(naive[:, 0] - (last_t - first))) > 30  # of the outermost marks as they are


@pytest.mark.realdata
def test_axis_against_diagnoses(even):
    """LUDB's cardiologists call left what is below about 30 degrees, and vertical what is above about 70.

    Of the odd-numbered subjects 38 of 38, 32 of 35 and 10 of 11 are on the right side of these angles.
    """
    beats, _, subjects, records = even
    axis = np.deg2rad(over(beats, lead_names=STANDARD).qrs_axis[:, 0])
    told = np.array([next((d for d in of_one if "axis" in d), "").split(": ")[-1] for of_one in records.diagnoses])
    turned = [np.exp(1j * axis[(subjects == i) & ~np.isnan(axis)]).sum() for i in range(len(told))]
    degrees = np.rad2deg(np.angle(turned))
    left, normal, vertical = (degrees[told == name] for name in ("left axis deviation", "normal", "vertical"))
    assert min(len(left), len(normal), len(vertical)) >= 10
    assert np.mean((normal > 0) & (normal <= 90)) >= 0.94
    assert np.mean(left < 30) >= 0.85
    assert np.mean(vertical > 60) >= 0.85
    assert np.mean(left[:, None] < normal) > 0.9  # area under the curve, of left among left and normal
