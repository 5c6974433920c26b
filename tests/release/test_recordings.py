"""One recording to an anonymized one: its beats, its background, and nothing of the source but R peaks and gaps."""

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from skagile import KSameAnonymizer
from skagile.datasets import make_cohort
from skagile.leads import lead_residual
from skagile.records import Recording
from skagile.release._recordings import NoBeatsError, RecordingModel
from skagile.release._recordings._background import Background, log_levels
from skagile.release._recordings._compose import compose
from skagile.release._recordings._prepare import cut_recording
from skagile.segmentation import detect_r_peaks

RATE, WINDOW, BAND, BEAT_RATE = 250.0, (0.3, 0.5), (0.5, 40.0), 200.0
HOW = {"window": WINDOW, "band": BAND, "sampling_rate": BEAT_RATE}
LEADS = ("I", "II", "III", "V1")


def _recording(signal, leads=LEADS, rate=RATE):
    return Recording(np.asarray(signal, dtype=np.float32), rate, list(leads), [], "")


@pytest.fixture(scope="module")
def recordings():
    """Twelve people, one recording of 20 s each, four leads."""
    records = make_cohort(12, 1, duration=20.0, sampling_rate=RATE, n_leads=12, random_state=0)
    rows = [list(records.leads[0]).index(lead) for lead in LEADS]
    return [_recording(np.asarray(signal)[rows]) for signal in records.signals]


@pytest.fixture(scope="module")
def model(recordings):
    cuts = [cut_recording(own, LEADS, **HOW) for own in recordings]
    X = np.concatenate([cut.beats for cut in cuts])[:, None]
    people = np.repeat(np.arange(len(cuts)), [len(cut.beats) for cut in cuts])
    levels = [log_levels(cut.signal, cut.r_peak, RATE, WINDOW, cut.broken) for cut in cuts]
    ksame = KSameAnonymizer(5, max_draws=1, lead_names=LEADS, random_state=0)
    ksame.fit(X, np.repeat("all", len(X)), subjects=people, records=people)
    background = Background.of_people(np.stack(levels), np.arange(len(cuts)), RATE)
    return RecordingModel(ksame, LEADS, background, **HOW)


# ------------------------------------------------------------------------------------------------------------ cut


def test_beats_at_the_ends_are_cut_too(recordings):
    """Twenty seconds that begin and end in the middle of a beat: none of the detector's R peaks is left out."""
    signal = recordings[0].signal
    first = detect_r_peaks(signal[1], RATE)[2]
    part = signal[:, first - 5 : first + int(8 * RATE)]
    cut = cut_recording(_recording(part), LEADS, **HOW)
    assert abs(cut.r_peak[0] - 5) <= 2
    expected = detect_r_peaks(part[1], RATE)
    assert len(cut.r_peak) >= len(expected)
    assert cut.beats.shape == (len(cut.r_peak), 4, 160)
    assert np.isfinite(cut.beats).all()


def test_a_beat_is_what_a_filter_gives(recordings):
    """Against scipy's own Butterworth filter, in the middle of a recording, at the rate of the recording."""
    own = recordings[1]
    cut = cut_recording(own, LEADS, window=WINDOW, band=BAND, sampling_rate=RATE)
    sos = butter(2, BAND, btype="bandpass", fs=RATE, output="sos")
    filtered = sosfiltfilt(sos, own.signal.astype(float), axis=1, padlen=500)
    middle = len(cut.r_peak) // 2
    peak = cut.r_peak[middle]
    expected = filtered[:, peak - 75 : peak + 125]
    np.testing.assert_allclose(cut.beats[middle], expected, atol=0.01)


def test_missing_leads_and_gaps(recordings):
    signal = recordings[0].signal.copy()
    signal[0] = np.nan
    signal[3, 1000:1400] = np.nan
    cut = cut_recording(_recording(signal, ("i", "Lead II", "III", "v1")), (*LEADS, "V6"), **HOW)
    assert cut.rows == [0, 1, 2, 3, None]
    assert np.isnan(cut.beats[:, [0, 4]]).all()
    there = np.isfinite(cut.beats[:, :, 0])
    assert there[:, 1].all()
    touched = (cut.r_peak + 0.5 * RATE > 1000) & (cut.r_peak - 0.3 * RATE < 1400)
    assert not there[touched, 3].any()
    assert there[~touched, 3].mean() > 0.9


@pytest.mark.parametrize(
    ("signal", "leads", "rate", "message"),
    [
        (np.zeros((1, 5000)), ("II",), RATE, "flat or missing"),
        (np.full((1, 5000), np.nan), ("II",), RATE, "flat or missing"),
        (np.random.default_rng(0).normal(size=(1, 5000)), ("aortic pressure",), RATE, "none of the leads I, II"),
        (np.random.default_rng(0).normal(size=(1, 5000)), ("II",), RATE, "no heartbeat that can be told"),
        (np.random.default_rng(0).normal(size=(1, 5000)), ("II",), 50.0, "sampled at 50 Hz"),
    ],
)
def test_recordings_without_heartbeats(signal, leads, rate, message):
    with pytest.raises(NoBeatsError, match=message):
        cut_recording(_recording(signal, leads, rate), LEADS, **HOW)


# ------------------------------------------------------------------------------------------------------ background


def _make(law, n_times, rate, seed=0):
    """Background everywhere, and what is added where no beat lies."""
    everywhere, whole = np.zeros((2, len(law.level), n_times), dtype=np.float32)
    for signal, covered in ((everywhere, np.ones_like(whole)), (whole, np.zeros_like(whole))):
        law.add_to(signal, covered, rate, np.random.SeedSequence(seed))
    return everywhere, whole - everywhere


def _spread(signal, band, rate):
    kind, edges = ("lowpass", band[1]) if band[0] == 0 else ("highpass", band[0]) if band[1] is None else ("band", band)
    return sosfiltfilt(butter(4, edges, kind, fs=rate, output="sos"), signal).std()


def test_background_has_the_amounts_of_its_law():
    """Four minutes, by other filters than those that made it."""
    law = Background(np.array([[0.2, 0.05, 0.01], [0.02, 0.01, 0.04]]), 500.0)
    everywhere, between = _make(law, 240 * 500, 500.0)
    assert everywhere.dtype == between.dtype == np.float32
    for lead, (low, middle, high) in enumerate(law.level):
        assert _spread(everywhere[lead], (0, 1.0), 500.0) == pytest.approx(low, rel=0.25)
        assert _spread(everywhere[lead], (30.0, None), 500.0) == pytest.approx(high, rel=0.05)
        assert between[lead].std() == pytest.approx(middle, rel=0.1)
        assert _spread(between[lead], (60.0, None), 500.0) < 0.05 * middle
    assert abs(np.corrcoef(everywhere)[0, 1]) < 0.3


def test_background_has_no_seams():
    """Power over blends of blocks, second by second over an hour, is that of the middle of blocks."""
    law = Background(np.array([[0.0, 0.0, 1.0]]), 200.0)
    noise, _ = _make(law, 3600 * 200, 200.0, 1)
    power = (noise.reshape(-1, 200) ** 2).mean(axis=1)
    blend = np.arange(len(power)) % 55 < 5
    assert power[blend].mean() == pytest.approx(power[~blend].mean(), rel=0.05)
    again, _ = _make(law, 3600 * 200, 200.0, 1)
    np.testing.assert_array_equal(noise, again)


@pytest.mark.parametrize("n_times", [1, 2, 50, 300, 1200, 13000])
def test_background_of_any_length(n_times):
    law = Background(np.array([[0.1, 0.1, 0.1]]), 200.0)
    made = _make(law, n_times, 200.0)
    assert all(part.shape == (1, n_times) and np.isfinite(part).all() for part in made)


def test_levels_are_those_of_the_noise_that_was_added(recordings):
    """White noise of .1 mV beside the recording's own: the power above 40 Hz is the share of the band."""
    own = recordings[0]
    r_peak, whole = detect_r_peaks(own.signal[1], RATE), np.zeros(own.signal.shape, dtype=bool)
    noise = 0.1 * np.random.default_rng(0).standard_normal(own.signal.shape).astype(np.float32)
    before, after = (
        np.exp(log_levels(signal, r_peak, RATE, WINDOW, whole)) for signal in (own.signal, own.signal + noise)
    )
    power = after[:, 2] ** 2 - before[:, 2] ** 2
    assert np.sqrt(power.mean()) == pytest.approx(0.1 * np.sqrt((0.5 * RATE - 40) / (0.5 * RATE)), rel=0.1)
    wave = 0.3 * np.sqrt(2) * np.sin(2 * np.pi * 0.2 * np.arange(own.signal.shape[1]) / RATE).astype(np.float32)
    slow = np.exp(log_levels(own.signal + wave, r_peak, RATE, WINDOW, whole))
    assert np.sqrt((slow[:, 0] ** 2 - before[:, 0] ** 2).mean()) == pytest.approx(0.3, rel=0.5)


def test_each_person_counts_the_same_in_the_background():
    """Of a person's three recordings and another's one: geometric means, lead by lead, of what is known."""
    logs = np.log([[[1.0, 1, 1]], [[4.0, 1, 1]], [[2.0, 1, np.nan]], [[8.0, 4, 9]]])
    law = Background.of_people(logs, np.array(["a", "a", "a", "b"]), 500.0)
    np.testing.assert_allclose(law.level, [[4.0, 2.0, 3.0]])
    unknown = np.full((4, 1, 3), np.nan)
    law = Background.of_people(np.concatenate([logs, unknown], axis=1), np.array(["a", "a", "a", "b"]), 500.0)
    np.testing.assert_allclose(law.level[1], law.level[0])


# --------------------------------------------------------------------------------------------------------- compose


def test_beats_of_a_signal_give_it_back():
    """A smooth signal cut into overlapping beats and written again, at another rate than theirs."""
    time = np.arange(0, 20, 1 / 500)
    truth = np.sin(2 * np.pi * 1.3 * time) + 0.3 * np.cos(2 * np.pi * 4.1 * time)
    r_peak = np.arange(400, 9000, 250)
    grid = np.arange(-round(0.3 * 200), round(0.5 * 200)) / 200
    beats = np.stack([np.interp(time[peak] + grid, time, truth) for peak in r_peak])[:, None].astype(np.float32)
    made, covered = compose(beats, r_peak, len(time), 500.0, WINDOW, 200.0)
    inside = slice(r_peak[0] - 100, r_peak[-1] + 200)
    np.testing.assert_allclose(made[0, inside], truth[inside], atol=0.01)
    assert (covered[0, inside] > 0.999).all()
    assert covered[0, 0] == covered[0, -1] == 0


def test_between_beats_lies_a_line_between_their_ends():
    beats = np.stack([np.full((1, 160), 1.0), np.full((1, 160), 2.0)]).astype(np.float32)
    made, covered = compose(beats, np.array([200, 800]), 1000, 200.0, WINDOW, 200.0)
    np.testing.assert_allclose(made[0, [0, 150, 290]], 1.0, atol=1e-6)
    assert made[0, (300 + 740) // 2] == pytest.approx(1.5, abs=0.01)
    assert (np.diff(made[0]) >= -1e-6).all()
    assert covered[0, 520] == 0


def test_neighbours_that_are_near_share_the_room():
    """At 200 a minute no beat reaches into the R wave of the next one."""
    spikes = np.zeros((30, 1, 160), dtype=np.float32)
    spikes[:, :, 60] = 1.0
    made, _ = compose(spikes, np.arange(100, 1900, 60), 2000, 200.0, WINDOW, 200.0)
    np.testing.assert_allclose(made[0, np.arange(100, 1900, 60)], 1.0, atol=1e-5)


def test_chunks_change_nothing(monkeypatch):
    random = np.random.default_rng(0)
    beats = random.normal(size=(50, 3, 160)).astype(np.float32)
    beats[10:20, 1] = np.nan
    r_peak = np.sort(random.choice(9000, 50, replace=False))
    whole = compose(beats, r_peak, 9000, 250.0, WINDOW, 200.0)
    monkeypatch.setattr("skagile.release._recordings._compose._BEATS", 7)
    monkeypatch.setattr("skagile.release._recordings._compose._CHUNK", 100)
    for one, other in zip(whole, compose(beats, r_peak, 9000, 250.0, WINDOW, 200.0), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


# ------------------------------------------------------------------------------------------------------- the whole


def test_nothing_but_r_peaks_and_gaps_is_the_sources(model, recordings):
    """Two hearts with the same R peaks, one of them inverted between beats and twice as loud: one release."""
    own = recordings[2]
    r_peak = cut_recording(own, LEADS, **HOW).r_peak
    away = np.abs(np.arange(own.signal.shape[1])[:, None] - r_peak).min(axis=1) > 0.12 * RATE
    other = own.signal * np.where(away, -0.5, 1.0) * 1.5
    assert np.array_equal(cut_recording(_recording(other), LEADS, **HOW).r_peak, r_peak)
    released = model.anonymize(own, 7)
    again = model.anonymize(_recording(other), 7)
    np.testing.assert_array_equal(released.signal, again.signal)
    assert released.n_kept == 0
    assert not np.array_equal(released.signal, model.anonymize(own, 8).signal)
    np.testing.assert_array_equal(released.signal, model.anonymize(own, 7).signal)


def test_released_recording_is_as_the_original(model, recordings):
    """Shape, gaps, R peaks, and the laws of limb leads."""
    signal = recordings[3].signal.copy()
    signal[3, 2000:2100] = np.nan
    released = model.anonymize(_recording(signal), 3)
    assert released.signal.shape == signal.shape
    assert released.signal.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(released.signal), np.isnan(signal))
    again = cut_recording(_recording(released.signal), LEADS, **HOW).r_peak
    near = np.abs(released.r_peak[:, None] - again).min(axis=1) <= 0.02 * RATE
    assert near.mean() > 0.95
    assert lead_residual(released.signal, LEADS).max < 1e-6


def test_leads_that_the_model_does_not_know_are_missing(model, recordings):
    signal = np.vstack([recordings[0].signal[1], recordings[0].signal[1]])
    released = model.anonymize(_recording(signal, ("Lead II", "respiration")), 0)
    assert released.unknown == ["respiration"]
    assert np.isnan(released.signal[1]).all()
    assert np.isfinite(released.signal[0]).all()
