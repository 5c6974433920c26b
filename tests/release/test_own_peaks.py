"""A release that is not in time with its original is attacked where it has its R peaks."""

import numpy as np
import pytest
from scipy.signal import resample

from skagile.release import read_release_views
from skagile.release._cuts import AT_ORIGINAL, AT_RELEASE
from skagile.release._own_peaks import is_elsewhere, partners

pytestmark = pytest.mark.usefixtures("cheap_audit")
FS = 250


def shifted(signal, seconds):
    """A signal late by so many seconds; what comes in at the end is the end's value."""
    n = round(seconds * FS)
    at = np.clip(np.arange(signal.shape[-1]) - n, 0, signal.shape[-1] - 1)
    return signal[..., at]


def shift_of(i):
    """Another for each record, between .1 and .6 s."""
    return 0.1 + 0.5 * ((7 * i) % 16) / 15


def stretched(signal, factor):
    at = np.arange(signal.shape[-1]) / factor
    return np.stack([np.interp(at, np.arange(signal.shape[-1]), row) for row in signal])


CHANGES = {
    "late": lambda i, signal: shifted(signal, shift_of(i)),
    "early": lambda i, signal: shifted(signal, -shift_of(i)),
    "late after nothing": lambda i, signal: np.concatenate(
        [np.full((1, round(FS * shift_of(i))), np.nan), signal[:, : -round(FS * shift_of(i))]], axis=1
    ),
    "by more than a beat": lambda i, signal: shifted(signal, 1.1 + 2 * shift_of(i)),
    "upside down and late": lambda i, signal: -shifted(signal, shift_of(i)),
    "stretched": lambda i, signal: stretched(signal, 1 + 0.01 * (1 + i % 5)),
    "trimmed": lambda i, signal: signal[:, round(FS * shift_of(i)) :],
    "longer": lambda i, signal: np.concatenate([signal[:, : round(FS * shift_of(i))], signal], axis=1),
    "without a second of beats": lambda i, signal: np.delete(signal, np.s_[750 + 20 * i : 1000 + 20 * i], axis=1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_is_hidden_by_time(release, run, change):
    """The originals, changed in time only: named as in the originals, up to beats lost at the ends."""
    report, result, page = run(release(lambda i, signal: (CHANGES[change](i, signal[1:]), ("II",))))
    assert report.verdict()["level"] == "red"
    by_cut = {view["cut"]: view for view in report.lead_results}
    assert list(by_cut) == [AT_ORIGINAL, AT_RELEASE]
    assert report.headline["single"]["value"] > 0.7  # of the originals .9
    assert AT_RELEASE in report.threats().loc["sources", "what"]
    for text in (result.stdout, page):
        assert "the release has its R peaks elsewhere; beats are cut there, too." in text


def test_a_release_at_another_rate(release, run):
    """Late and at 360 Hz: cut as the original is, at the original's rate."""
    pair = release(
        lambda i, signal: (resample(shifted(signal[1:], shift_of(i)), signal.shape[1] * 360 // 250, axis=1), ("II",)),
        of_original=lambda i, signal: (signal[1:], ("II",)),
        fs=360,
    )
    report, result, _ = run(pair)
    assert report.verdict()["level"] == "red"
    assert report.headline["single"]["value"] > 0.8
    assert report.protocol["sampling_rate"] == 250
    assert "360 Hz, the original at 250 Hz" in result.stderr


def test_a_release_in_time_is_cut_once(release):
    """At the same R peaks there is nothing to gain: noise of a tenth of a millivolt moves none."""
    rng = np.random.default_rng(0)
    pair = release(lambda i, signal: (signal + 0.05 * rng.standard_normal(signal.shape), ("I", "II")))
    assert [(view.lead, view.cut) for view in read_release_views(*pair, labels=None).views] == [
        ("all leads together", AT_ORIGINAL),
        ("I", AT_ORIGINAL),
        ("II", AT_ORIGINAL),
    ]


def test_r_peaks_that_are_nowhere_are_said(release, run):
    """A release of mains hum: it is cut at the original's alone, and the report says so."""

    def of(i, signal):
        return (0.3 * np.sin(2 * np.pi * 50 * np.arange(signal.shape[1]) / FS + i),), ("II",)

    report, result, page = run(release(of, of_original=lambda i, signal: (signal[1:], ("II",))))
    assert [view["cut"] for view in report.lead_results] == [AT_ORIGINAL]
    for text in (result.stdout, page):
        assert "In 16 of 16 records no R peak of its own is found in the release; these are cut at the" in text


def test_a_part_of_the_records_is_enough(release, run):
    """A quarter of the records are late: these are attacked where they are, the others where they were."""
    pair = release(lambda i, signal: (shifted(signal[1:], 0.3 if i % 4 == 0 else 0.0), ("II",)))
    views = read_release_views(*pair, labels=None).views
    assert [view.cut for view in views] == [AT_ORIGINAL, AT_RELEASE]
    assert "In 4 of 16 records the release has its R peaks elsewhere" in views[0].remarks[0]
    in_time = np.array([int(name[-1]) == 1 or int(name.split("/")[0][-1]) % 2 == 0 for name in views[1].record_names])
    assert in_time.sum() == 12
    np.testing.assert_array_equal(
        views[1].released[in_time[views[1].records]], views[0].released[in_time[views[0].records]]
    )


def test_beats_of_a_late_release_are_those_of_the_original(release):
    """Row by row the same heartbeat, though each record is late by another time."""
    views = read_release_views(
        *release(lambda i, signal: (shifted(signal[1:], shift_of(i)), ("II",))), labels=None, band=None
    ).views
    assert views[1].corresponds
    own, late = (np.abs(view.released - view.original).max(axis=1) for view in views[::-1])
    assert np.mean(own < 2e-3) > 0.9  # but for beats at the ends
    assert np.mean(late < 2e-3) < 0.1


# ---------------------------------------------------------------------------------------------------- R peaks by number


@pytest.fixture
def peaks():
    return np.cumsum(0.8 + 0.05 * np.random.default_rng(0).standard_normal(200))


@pytest.mark.parametrize("shift", [-12.3, -0.6, -0.02, 0.1, 0.25, 0.6, 3.0, 25.0])
def test_one_shift_gives_back_every_beat(peaks, shift):
    at, corresponds = partners(peaks, peaks[40:160] + shift)
    assert corresponds
    assert np.mean(at == np.arange(40, 160)) > 0.98


def test_a_stretch_gives_back_every_beat_and_another_rhythm_does_not(peaks):
    at, corresponds = partners(peaks, 1.05 * peaks)
    assert corresponds
    np.testing.assert_array_equal(at, np.arange(200))
    other = np.cumsum(0.7 + 0.15 * np.random.default_rng(1).standard_normal(150))
    at, corresponds = partners(peaks, np.sort(other))
    assert not corresponds
    assert at[0] == 0
    assert at[-1] == 199
    assert (np.diff(at) >= 0).all()


def test_where_r_peaks_are(peaks):
    rng = np.random.default_rng(0)
    assert not is_elsewhere(peaks, peaks + 0.004 * rng.standard_normal(200))
    assert not is_elsewhere(peaks, peaks[:190])
    assert is_elsewhere(peaks, peaks + 0.012)
    assert is_elsewhere(peaks, peaks[::2])
    assert is_elsewhere(peaks[::2], peaks)
    assert not is_elsewhere(peaks, peaks[:0])


# ---------------------------------------------------------------------------------------------- beats in .npz files


@pytest.mark.parametrize("edge", ["turned round", "cut off"])
def test_beats_that_are_moved_in_their_window(tmp_path, run, edge):
    """Each person and half with a shift of its own: the beats moved back are those of the original."""
    rng = np.random.default_rng(0)
    subjects = np.repeat([f"p{i}" for i in range(10)], 24)
    time = (np.arange(126) - 45) / 180
    shape = rng.normal(size=(10, 3)).repeat(24, axis=0)
    X = 1.5 * np.exp(-((time / 0.012) ** 2)) + 0.02 * rng.normal(size=(240, 126))
    for k, (at, width) in enumerate([(-0.12, 0.03), (0.08, 0.04), (0.22, 0.05)]):
        X += 0.15 * shape[:, k, None] * np.exp(-(((time - at) / width) ** 2))
    session = np.tile([0] * 12 + [1] * 12, 10)
    by = np.array([rng.integers(9, 20) * (-1) ** i for i in range(20)]).repeat(12)
    released = np.stack([np.roll(row, n) for row, n in zip(X, by, strict=True)])
    if edge == "cut off":
        for row, n in zip(released, by, strict=True):
            row[: max(n, 0)] = row[max(n, 0)]
            if n < 0:
                row[n:] = row[n - 1]
    known = {"subjects": subjects, "sessions": session, "sampling_rate": 180.0, "window": [0.25, 0.45]}
    np.savez(tmp_path / "original.npz", X=X, **known)
    np.savez(tmp_path / "released.npz", X=released)
    pair = tmp_path / "original.npz", tmp_path / "released.npz"
    views = read_release_views(*pair).views
    assert [view.cut for view in views] == [AT_ORIGINAL, AT_RELEASE]
    np.testing.assert_allclose(views[1].released[:, 25:100], X[:, 25:100])
    report, _, _ = run(pair)
    assert report.verdict()["level"] == "red"
    assert AT_RELEASE in report.threats().loc["sources", "what"]
    np.savez(tmp_path / "released.npz", X=X + 0.05 * rng.normal(size=X.shape))
    assert len(read_release_views(*pair).views) == 1
