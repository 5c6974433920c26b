"""Electrocardiogram paper: measured in pixels of the figure, as with a ruler."""

import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from skagile.datasets import fetch_ludb
from skagile.plotting import plot_ecg

FS = 250
TWELVE = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]


def spikes(at, n_times=2500, height=1.0):
    """A signal of 0 with single samples of `height` mV at these seconds."""
    signal = np.zeros(n_times)
    signal[np.rint(np.multiply(at, FS)).astype(int)] = height
    return signal


def twelve(n_times=2500):
    """Lead i has its spikes i + 1 tenths of a millivolt high."""
    return np.stack([spikes([1, 2, 4, 6, 9], n_times, (i + 1) / 10) for i in range(12)])


def traces(ax):
    return [line for line in ax.lines if line.get_label() not in ("_1 mV", "_border")]


def in_mm(ax, x, y):
    """Millimetres on the printed figure, from its lower left corner."""
    return ax.transData.transform(np.column_stack([x, y])) / ax.figure.dpi * 25.4


def peaks_in_mm(ax, line):
    """Places of the spikes of a trace in mm, and their height above its baseline."""
    x, y = line.get_data()
    base = np.nanmedian(y)
    top = y > base + 1e-6
    place = in_mm(ax, x[top], y[top])
    return place[:, 0], place[:, 1] - in_mm(ax, [0], [base])[0, 1]


@pytest.mark.parametrize(("speed", "gain"), [(25, 10), (50, 20), (12.5, 5)])
def test_true_scale(speed, gain):
    ax = plot_ecg(spikes([1, 3]), FS, speed=speed, gain=gain)
    for dpi in (ax.figure.dpi, 100):
        ax.figure.set_dpi(dpi)
        x, height = peaks_in_mm(ax, traces(ax)[0])
        assert np.diff(x) == pytest.approx(2 * speed)
        np.testing.assert_allclose(height, gain)
        [pulse] = [line for line in ax.lines if line.get_label() == "_1 mV"]
        assert np.ptp(in_mm(ax, *pulse.get_data())[:, 1]) == pytest.approx(gain)
        assert np.diff(x)[0] / np.ptp(in_mm(ax, *pulse.get_data())[2:4, 0]) == pytest.approx(2 * speed / 5)
    assert [text.get_text() for text in ax.texts][-1] == f"{speed:g} mm/s, {gain:g} mm/mV"
    width, _ = 25.4 * ax.figure.get_size_inches()
    assert 10 * speed <= width <= 10 * speed + 30


def test_grid():
    """Lines every millimetre, heavier and darker every five, and baselines on heavy ones."""
    ax = plot_ecg(twelve(), FS, lead_names=TWELVE)
    width, height = 25.4 * ax.figure.get_size_inches()
    found = {}
    for lines in ax.collections:
        ends = [in_mm(ax, *np.transpose(segment)) for segment in lines.get_segments()]
        upright = np.array([end[0, 0] for end in ends if np.ptp(end[:, 0]) < 1e-6])
        level = np.array([end[0, 1] for end in ends if np.ptp(end[:, 1]) < 1e-6])
        found[lines.get_label()] = upright, level, lines.get_linewidth()[0], lines.get_color()[0][:3].sum()
    for axis, size in enumerate((width, height)):
        np.testing.assert_allclose(found["_5 mm"][axis], np.arange(0, size + 1, 5), atol=1e-6)
        together = np.sort(np.concatenate([found["_5 mm"][axis], found["_1 mm"][axis]]))
        np.testing.assert_allclose(together, np.arange(round(size) + 1), atol=1e-6)
    assert found["_5 mm"][2] > found["_1 mm"][2]
    assert found["_5 mm"][3] < found["_1 mm"][3]
    for line in traces(ax):
        base = in_mm(ax, [0], [np.median(line.get_ydata())])[0, 1]
        assert base / 5 == pytest.approx(round(base / 5), abs=1e-6)


def test_three_by_four():
    """Which lead is where, told by the height of its spikes; columns follow each other in time."""
    order = np.random.default_rng(0).permutation(12)
    written = [TWELVE[i].upper() if i % 2 else f"lead {TWELVE[i].lower()}" for i in order]
    ax = plot_ecg(twelve()[order], FS, lead_names=written)
    lines = traces(ax)
    assert len(lines) == 13
    corner = min(in_mm(ax, *line.get_data())[0, 0] for line in lines)
    for line in lines[:12]:
        number = TWELVE.index(line.get_label()[1:])
        x, height = peaks_in_mm(ax, line)
        np.testing.assert_allclose(height, number + 1)
        column = number // 3
        seconds = [t for t in (1, 2, 4, 6, 9) if 2.5 * column <= t < 2.5 * (column + 1)]
        np.testing.assert_allclose(x - corner, 25 * np.array(seconds), atol=0.05)
    baselines = [np.median(line.get_ydata()) for line in lines]
    for row in range(3):
        assert len({baselines[i] for i in range(12) if i % 3 == row}) == 1
    assert baselines[0] > baselines[1] > baselines[2] > baselines[12]
    x, height = peaks_in_mm(ax, lines[12])
    np.testing.assert_allclose(x - corner, [25, 50, 100, 150, 225], atol=0.05)
    np.testing.assert_allclose(height, 2)  # lead II
    texts = [text.get_text() for text in ax.texts]
    assert texts == [*TWELVE, "II", "25 mm/s, 10 mm/mV"]
    for text, line in zip(ax.texts, lines, strict=False):
        left, bottom = text.get_position()
        assert left == pytest.approx(line.get_xdata()[0] + 1)
        assert bottom > np.median(line.get_ydata())


def test_six_by_two_and_rhythm():
    ax = plot_ecg(twelve(), FS, lead_names=TWELVE, layout="6x2", rhythm=["v1", "v5"], title="A title of $1 and $2")
    assert [text.get_text() for text in ax.texts] == [
        *TWELVE,
        "V1",
        "V5",
        "25 mm/s, 10 mm/mV",
        "A title of $1 and $2",
    ]
    assert len({np.median(line.get_ydata()) for line in traces(ax)}) == 8
    assert len(traces(plot_ecg(twelve(), FS, lead_names=TWELVE, rhythm=None))) == 12


def test_one_lead_several_leads_and_names_of_their_own():
    assert plot_ecg(spikes([1]), FS).texts[0].get_text() == ""
    ax = plot_ecg(twelve()[:3], FS)
    assert [text.get_text() for text in ax.texts][:3] == ["1", "2", "3"]
    ax = plot_ecg(twelve()[:4], FS, lead_names=["MLII", "-avr", " ECG x ", "$V_1"])
    assert [text.get_text() for text in ax.texts][:4] == ["MLII", "−aVR", "ECG x", "$V_1"]
    ax.figure.canvas.draw()
    extra = plot_ecg(np.vstack([twelve(), spikes([1])]), FS, lead_names=[*TWELVE, "vx"])
    assert len(traces(extra)) == 13


def test_rows_do_not_touch():
    """A tall wave pushes the next row away; labels are above what is drawn beside them."""
    signal = twelve()
    signal[1] = spikes([0.1, 1, 2], height=4.5)
    signal[2] = -spikes([1.5, 2], height=0.9)
    ax = plot_ecg(signal, FS, lead_names=TWELVE)
    lines = traces(ax)
    assert min(lines[0].get_ydata()) > max(lines[1].get_ydata())
    assert min(lines[2].get_ydata()) > max(lines[12].get_ydata())
    assert ax.texts[1].get_position()[1] > max(lines[1].get_ydata())
    _, height = 25.4 * ax.figure.get_size_inches()
    for line in ax.lines:
        assert 0 < min(line.get_ydata()) <= max(line.get_ydata()) < height
    tall = plot_ecg(spikes([1]), FS, gain=40)
    _, height = 25.4 * tall.figure.get_size_inches()
    assert max(max(line.get_ydata()) for line in tall.lines) < height


def test_gaps_and_missing_leads():
    signal = twelve()
    signal[0, 100:200] = np.nan
    signal[7] = np.nan
    ax = plot_ecg(signal, FS, lead_names=TWELVE)
    lines = traces(ax)
    assert np.isnan(lines[0].get_ydata()).sum() == 100
    assert [text.get_text() for text in ax.texts][7] == "V2 (no signal)"
    ax.figure.canvas.draw()


def test_stretches_and_units():
    long = spikes([1, 11, 13, 25], 30 * FS)
    ax = plot_ecg(long, FS, start=10)
    assert len(peaks_in_mm(ax, traces(ax)[0])[0]) == 2
    everything = plot_ecg(long, FS, duration=None)
    assert 25.4 * everything.figure.get_size_inches()[0] == pytest.approx(770)
    micro = plot_ecg(1000 * long + 5e5, FS, unit="uV")
    np.testing.assert_allclose(peaks_in_mm(micro, traces(micro)[0])[1], 10)


def test_on_axes_of_the_caller():
    """Proportions are true, and other axes of the figure are untouched."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3))
    try:
        assert plot_ecg(spikes([1, 2]), FS, ax=left) is left
        figure.canvas.draw()
        x, height = peaks_in_mm(left, traces(left)[0])
        assert np.diff(x)[0] / height[0] == pytest.approx(2.5)
        assert not right.lines
        assert tuple(figure.get_size_inches()) == (12, 3)
    finally:
        plt.close(figure)


def test_nothing_is_left_in_pyplot(tmp_path):
    before, settings = plt.get_fignums(), dict(mpl.rcParams)
    ax = plot_ecg(twelve(), FS, lead_names=TWELVE)
    for kind in ("png", "pdf", "svg"):
        ax.figure.savefig(tmp_path / f"ecg.{kind}")
    assert plt.get_fignums() == before
    assert dict(mpl.rcParams) == settings


def test_the_room_loads_no_matplotlib():
    code = "import sys, skagile.plotting; assert 'matplotlib' not in sys.modules and 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("signal", "arguments", "error", "words"),
    [
        (np.zeros((2, 3, 40)), {}, ValueError, r"shape \(2, 3, 40\)"),
        (np.zeros(0), {}, ValueError, r"shape \(0,\)"),
        (["a", "b"], {}, ValueError, "expected real numbers"),
        (np.zeros((40, 2)), {}, ValueError, "more leads than samples"),
        (np.full(40, np.inf), {}, ValueError, "signal contains infinity"),
        (np.zeros((2, 40)), {"lead_names": ["I"]}, ValueError, r"lead_names has 1 name\(s\)"),
        (np.zeros((2, 40)), {"lead_names": "I"}, TypeError, "lead_names is 'I'"),
        (np.zeros((2, 40)), {"lead_names": [1, 2]}, TypeError, "expected a sequence of texts"),
        (np.zeros((2, 40)), {"layout": "4x3"}, ValueError, "layout"),
        (np.zeros((2, 40)), {"layout": "3x4"}, ValueError, "layout='3x4' needs lead 'I', and lead_names is None"),
        (np.zeros((2, 40)), {"lead_names": ["II", "V1"], "layout": "6x2"}, ValueError, "needs lead 'I'"),
        (np.zeros((2, 40)), {"lead_names": ["II", "V1"], "rhythm": "V5"}, ValueError, "rhythm needs lead 'V5'"),
        (np.zeros((2, 40)), {"lead_names": ["II", "MLII"], "rhythm": "II"}, ValueError, "2 times"),
        (np.zeros((2, 40)), {"rhythm": [1]}, TypeError, "rhythm is"),
        (np.zeros(40), {"start": 1}, ValueError, "start is 1 s and the signal has 0.16 s"),
        (np.zeros(40), {"start": -1}, ValueError, "start"),
        (np.zeros(40), {"duration": 0}, ValueError, "duration"),
        (np.zeros(40), {"speed": 0}, ValueError, "speed"),
        (np.zeros(40), {"gain": float("nan")}, ValueError, "gain"),
        (np.zeros(40), {"unit": "mv"}, ValueError, "unit"),
        (np.zeros(100_000), {"duration": None}, ValueError, "10 m of paper would be needed"),
        (1000 * np.sin(np.arange(400)), {}, ValueError, "unit='uV'"),
    ],
)
def test_bad_input(signal, arguments, error, words):
    with pytest.raises(error, match=words):
        plot_ecg(signal, FS, **arguments)


@pytest.mark.realdata
def test_a_recording_of_ludb(realdata, tmp_path):
    """Times and voltages of the highest sample of lead V2, read off the paper."""
    records = fetch_ludb(realdata, records=["1"])
    ax = plot_ecg(records.signals[0], 500, lead_names=records.leads[0])
    [line] = [line for line in traces(ax) if line.get_label() == "_V2"]
    v2 = records.signals[0][records.leads[0].index("v2"), 2500:3750]
    place = in_mm(ax, *line.get_data())
    assert (place[:, 1].max() - place[:, 1].min()) / 10 == pytest.approx(np.ptp(v2), rel=1e-4)
    assert (place[place[:, 1].argmax(), 0] - place[0, 0]) / 25 == pytest.approx(v2.argmax() / 500, abs=1e-6)
    ax.figure.savefig(tmp_path / "ludb.png")
    assert plt.imread(tmp_path / "ludb.png").shape[1] == 270 * 6
