"""The synthetic cohort, against the model it claims to solve and the difficulty it claims to have."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.signal import welch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.svm import SVC

from skagile.datasets import beats_from_records, make_cohort
from skagile.datasets._cohort import Waves, integrate_ecg, rr_series
from skagile.datasets._vectorcardiogram import DOWER


@pytest.fixture(scope="module")
def cohort():
    return make_cohort(random_state=0)


@pytest.fixture(scope="module")
def beats(cohort):
    return beats_from_records(cohort, sessions="date")


def z_scored(X):
    return (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)


def test_it_solves_the_three_equations_of_the_paper():
    """Against scipy's integrator on dx, dy, dz of McSharry et al. 2003 with the parameters of their table 1."""
    rr, fs, duration = 0.9, 500, 6.0
    theta_i = np.array([-np.pi / 3, -np.pi / 12, 0, np.pi / 12, np.pi / 2])
    a = np.array([1.2, -5.0, 30.0, -7.5, 0.75])
    b = np.array([0.25, 0.1, 0.1, 0.1, 0.4])
    omega = 2 * np.pi / rr

    def z_0(t):
        return 0.15 * np.sin(2 * np.pi * 0.25 * t)

    def derivative(t, state):
        x, y, z = state
        pull = 1 - np.hypot(x, y)
        off = (np.arctan2(y, x) - theta_i + np.pi) % (2 * np.pi) - np.pi
        dz = -np.sum(a * off * np.exp(-(off**2) / (2 * b**2))) - (z - z_0(t))
        return [pull * x - omega * y, pull * y + omega * x, dz]

    t = np.arange(round(duration * fs)) / fs
    start = 0.37 * rr  # of the first R peak
    phase = -omega * start
    truth = solve_ivp(
        derivative, (0, t[-1]), [np.cos(phase), np.sin(phase), 0.0], t_eval=t, rtol=1e-9, atol=1e-10, max_step=1e-3
    ).y[2]
    r_times = start + rr * np.arange(-2, 9)
    shape = (len(r_times), 5)
    waves = Waves(
        time=np.broadcast_to(theta_i / omega, shape),
        width=np.broadcast_to(b / omega, shape),
        amplitude=np.broadcast_to(a * b**2 / omega, (1, *shape)),
    )
    [z] = integrate_ecg(r_times, waves, z_0(t), fs)
    assert np.ptp(truth) > 0.04
    np.testing.assert_allclose(z, truth, atol=2e-3 * np.ptp(truth))


def test_a_wave_is_where_and_as_high_as_it_says():
    r_times = np.cumsum([0.8, 0.9, 0.6, 1.2, 0.9, 0.8, 0.8]) - 1.0
    n = len(r_times)
    waves = Waves(time=np.full((n, 1), -0.1), width=np.full((n, 1), 0.01), amplitude=np.full((1, n, 1), 1.5))
    [z] = integrate_ecg(r_times, waves, np.zeros(1000), 250)
    for r in r_times[1:5]:
        around = z[round((r - 0.15) * 250) : round((r - 0.05) * 250)]
        assert abs(np.argmax(around) / 250 - 0.05) <= 0.005
        assert np.ptp(around) == pytest.approx(1.5, rel=0.04)  # z decays with a time constant of 1 s


def test_rr_series_has_two_peaks_and_their_ratio():
    rr = rr_series(np.random.RandomState(0), 4000, 0.9, 0.05, 0.5)
    assert rr.mean() == pytest.approx(0.9)
    assert rr.std() == pytest.approx(0.05)
    f, power = welch(rr - rr.mean(), fs=4, nperseg=4096)
    low, high = (power[(f > centre - 0.05) & (f < centre + 0.05)].sum() for centre in (0.1, 0.25))
    assert low / high == pytest.approx(0.5, rel=0.25)
    assert (low + high) / power.sum() > 0.98


def test_layout(cohort):
    assert len(cohort.signals) == 40
    assert {signal.shape for signal in cohort.signals} == {(1, 15000)}
    assert cohort.signals[0].dtype == np.float32
    assert cohort.record_names[:3] == ["cohort-001-s0", "cohort-001-s1", "cohort-002-s0"]
    assert len(np.unique(cohort.subjects)) == 20
    for subject in np.unique(cohort.subjects):
        own = cohort.subjects == subject
        first, second = cohort.sessions[own]
        assert first < second  # ISO dates
        assert len(set(cohort.age[own])) == len(set(cohort.sex[own])) == 1
    assert set(cohort.sex) == {"F", "M"}
    assert all(0.5 < np.ptp(signal) < 8 for signal in cohort.signals)  # mV


def test_r_peaks_are_true(cohort):
    """In the normal beats of an upright lead the largest sample near the mark is the mark's, give or take Q and S."""
    off = []
    for signal, marks in zip(cohort.signals, cohort.annotations, strict=True):
        assert (np.diff(marks.sample) > 0.3 * 250).all()
        normal = marks.sample[(marks.symbol == "N") & (marks.sample > 20) & (marks.sample < 14980)]
        near = signal[0][normal[:, None] + np.arange(-20, 21)]
        off.append(near.argmax(axis=1) - 20)
    off = np.concatenate(off)
    assert (np.abs(off) <= 3).mean() > 0.995
    assert abs(off.mean()) < 1


def test_rhythm_of_ectopic_beats(cohort):
    """S and V come early; after V the sinus beat comes where it would have come, after S the rhythm starts anew."""
    before, after = {"A": [], "V": [], "N": []}, {"A": [], "V": [], "N": []}
    for marks in cohort.annotations:
        rr = np.diff(marks.sample) / 250
        symbol = marks.symbol
        assert not ((symbol[1:] != "N") & (symbol[:-1] != "N")).any()
        typical = np.median(rr)
        for kind in before:
            i = np.flatnonzero(symbol[1:-1] == kind) + 1
            before[kind].append(rr[i - 1] / typical)
            after[kind].append(rr[i] / typical)
    before = {kind: np.concatenate(values) for kind, values in before.items()}
    after = {kind: np.concatenate(values) for kind, values in after.items()}
    assert before["N"].mean() == pytest.approx(1.0, abs=0.05)
    assert before["A"].mean() < 0.85
    assert before["V"].mean() < 0.85
    assert after["A"].mean() == pytest.approx(1.0, abs=0.06)
    assert (before["V"] + after["V"]).mean() == pytest.approx(2.0, abs=0.06)


def test_deterministic():
    same = [make_cohort(3, 2, duration=10, n_leads=2, random_state=7) for _ in range(2)]
    other = make_cohort(3, 2, duration=10, n_leads=2, random_state=8)
    for a, b in zip(same[0].signals, same[1].signals, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(same[0].signals[0], other.signals[0])
    np.random.seed(3)  # noqa: NPY002  (the global state is nobody's business)
    np.testing.assert_array_equal(
        make_cohort(3, 2, duration=10, n_leads=2, random_state=7).signals[5], same[0].signals[5]
    )


def test_leads_rates_and_sizes():
    records = make_cohort(1, 3, duration=8, sampling_rate=360, n_leads=12, random_state=0)
    assert [signal.shape for signal in records.signals] == [(12, 2880)] * 3
    assert records.leads == [["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]] * 3
    assert records.signals[0].dtype == np.float32
    assert records.sampling_rate == 360
    few = make_cohort(1, 3, duration=8, sampling_rate=360, n_leads=4, random_state=0)
    assert few.leads[0] == ["II", "V5", "I", "V1"]
    np.testing.assert_array_equal(few.signals[1], records.signals[1][[1, 10, 0, 6]])


def test_one_lead_is_what_it_was():
    """As the package made it when it knew no dipoles."""
    signal = make_cohort(4, 2, duration=20, random_state=0).signals[3][0]
    before = [0.116519354, -0.000440658769, 0.0578107983, -0.271616548, -0.0876298770]
    np.testing.assert_allclose(signal[[0, 100, 1000, 2500, 4999]], before, atol=1e-6)
    assert np.abs(signal).sum() == pytest.approx(557.79657, rel=1e-5)


def test_twelve_leads_are_those_of_the_same_people():
    one, twelve = (make_cohort(3, 2, duration=10, n_leads=n, random_state=4) for n in (1, 12))
    for i in range(6):
        np.testing.assert_allclose(twelve.signals[i][1], one.signals[i][0], atol=1e-6)
        np.testing.assert_array_equal(twelve.annotations[i].sample, one.annotations[i].sample)
        np.testing.assert_array_equal(twelve.annotations[i].symbol, one.annotations[i].symbol)
    np.testing.assert_array_equal(twelve.sessions, one.sessions)


def test_limb_leads_obey_einthoven_and_goldberger():
    for snr in (18, 0):
        for signal in make_cohort(3, 2, duration=10, n_leads=12, snr=snr, random_state=0).signals:
            i, ii, iii, avr, avl, avf = signal[:6].astype(np.float64)
            rounding = np.spacing(np.abs(signal).max())
            for lead, law in ((iii, ii - i), (avr, -(i + ii) / 2), (avl, i - ii / 2), (avf, ii - i / 2)):
                assert np.abs(lead - law).max() <= rounding
            assert np.linalg.matrix_rank(signal.astype(np.float64), tol=1e-3) == 8  # each electrode has its own noise


def test_leads_see_one_dipole():
    """Without noise three dimensions and breathing are all there is, and the matrix is the published one's inverse."""
    signal = make_cohort(1, 1, duration=10, n_leads=12, snr=300, random_state=1).signals[0]
    size = np.linalg.svd(signal - signal.mean(axis=1, keepdims=True), compute_uv=False)
    assert size[2] > 0.02 * size[0]
    assert size[4] < 1e-5 * size[0]
    edenbrandt_pahlm = [
        [0.156, -0.010, -0.172, -0.074, 0.122, 0.231, 0.239, 0.194],
        [-0.227, 0.887, 0.057, -0.019, -0.106, -0.022, 0.041, 0.048],
        [0.022, 0.102, -0.229, -0.310, -0.246, -0.063, 0.055, 0.108],
    ]
    np.testing.assert_allclose(np.linalg.pinv(DOWER), edenbrandt_pahlm, atol=6e-4)


def test_noise_of_twelve_leads():
    """In lead II as asked for; of electrodes that know nothing of each other in the others."""
    clean, noisy = (make_cohort(1, 1, duration=300, n_leads=12, snr=db, random_state=2).signals[0] for db in (200, 10))
    noise = (noisy - clean).astype(np.float64)
    assert 20 * np.log10(clean[1].std() / noise[1].std()) == pytest.approx(10, abs=0.5)
    # Limb leads share electrodes: I and II the right arm. Chest leads share Wilson's terminal, a third of three.
    power = noise[1].var()
    assert noise[0].var() / power == pytest.approx(1, abs=0.03)
    assert np.mean(noise[0] * noise[1]) / power == pytest.approx(0.5, abs=0.03)
    assert noise[8].var() / power == pytest.approx(2 / 3, abs=0.03)
    assert np.mean(noise[8] * noise[11]) / power == pytest.approx(1 / 6, abs=0.03)


def test_they_look_like_twelve_leads():
    """In most people: aVR upside down, S in V1 that is lost towards V6, T upright from V2 on."""
    records = make_cohort(40, 1, duration=10, n_leads=12, snr=60, class_mix={"N": 1}, random_state=0)
    right = {"aVR": 0, "V1": 0, "V6": 0, "T": 0}
    for signal, marks in zip(records.signals, records.annotations, strict=True):
        at = marks.sample[(marks.sample > 30) & (marks.sample < 2400)]
        beat = np.median(signal[:, at[:, None] + np.arange(-25, 100)], axis=1)
        beat -= np.median(beat, axis=1, keepdims=True)
        lead = dict(zip(records.leads[0], beat, strict=True))
        qrs = {name: (values[10:45].max(), -values[10:45].min()) for name, values in lead.items()}
        right["aVR"] += qrs["aVR"][1] > qrs["aVR"][0]
        right["V1"] += qrs["V1"][1] > qrs["V1"][0]
        right["V6"] += qrs["V6"][0] > qrs["V6"][1]
        right["T"] += all(lead[f"V{i}"][65:].max() > -lead[f"V{i}"][65:].min() for i in range(2, 7))
    assert right["aVR"] >= 38
    assert right["V6"] >= 34
    assert right["T"] >= 34
    assert right["V1"] >= 26


def test_the_same_heart_at_another_rate():
    """Noise aside, the sampling rate changes the samples and not the signal."""
    slow, fast = (make_cohort(1, 1, duration=10, sampling_rate=fs, snr=200, random_state=3) for fs in (250, 500))
    np.testing.assert_allclose(slow.signals[0][0], fast.signals[0][0][::2], atol=0.02)


def test_snr():
    def clean_and_noisy(snr):
        return [make_cohort(2, 1, duration=20, snr=db, random_state=0).signals[1][0] for db in (200, snr)]

    for snr in (0, 18):
        clean, noisy = clean_and_noisy(snr)
        assert 20 * np.log10(clean.std() / (noisy - clean).std()) == pytest.approx(snr, abs=0.5)


def test_class_mix():
    records = make_cohort(10, 1, duration=120, class_mix={"N": 2, "V": 1}, random_state=0)
    symbol = np.concatenate([marks.symbol for marks in records.annotations])
    assert set(symbol) == {"N", "V"}
    assert 0.2 < (symbol == "V").mean() < 0.45
    records = make_cohort(2, 1, duration=10, class_mix={"N": 1}, random_state=0)
    assert {kind for marks in records.annotations for kind in marks.symbol} == {"N"}
    for mix in ({"N": 1, "Q": 1}, {"V": 1}, {"N": 1, "V": -1}, {"N": np.nan}, {}):
        with pytest.raises(ValueError, match="class_mix="):
            make_cohort(2, 1, class_mix=mix)


@pytest.mark.parametrize(
    "arguments",
    [{"n_subjects": 0}, {"n_sessions": 0}, {"duration": 1}, {"sampling_rate": 0}, {"n_leads": 13}, {"drift": -1}],
)
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        make_cohort(**arguments)


def test_a_person_is_recognised_often_but_not_always(beats):
    X, enrolled = z_scored(beats.X), beats.sessions == 0
    attacker = LinearDiscriminantAnalysis().fit(X[enrolled], beats.subjects[enrolled])
    across = attacker.score(X[~enrolled], beats.subjects[~enrolled])
    assert 0.70 < across < 0.95
    # within the session nothing drifts, and half the beats to learn from do more
    first = enrolled & (beats.times < 30)
    attacker = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.01).fit(X[first], beats.subjects[first])
    assert attacker.score(X[enrolled & ~first], beats.subjects[enrolled & ~first]) > max(0.9, across)


def test_diagnosis_can_be_learnt(beats):
    X, enrolled = z_scored(beats.X), beats.sessions == 0
    assert set(beats.y) == {"N", "S", "V", "F"}
    predicted = SVC(C=10).fit(X[enrolled], beats.y[enrolled]).predict(X[~enrolled])
    truth = beats.y[~enrolled]
    assert 0.92 < (predicted == truth).mean() < 0.995
    recall = [(predicted[truth == kind] == kind).mean() for kind in "NSVF"]
    assert min(recall) > 0.6


def test_drift_and_variability_do_what_they_say():
    def rank_1(**arguments):
        cut = beats_from_records(make_cohort(10, duration=30, random_state=1, **arguments), sessions="date")
        X, enrolled = z_scored(cut.X), cut.sessions == 0
        attacker = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(X[enrolled], cut.subjects[enrolled])
        return attacker.score(X[~enrolled], cut.subjects[~enrolled])

    assert rank_1(drift=0.0) > rank_1(drift=0.35) > rank_1(drift=1.5)
    assert rank_1(variability=0.0) < rank_1(variability=1.0)


def test_sex_and_age_show_weakly():
    records = make_cohort(300, 1, duration=5, class_mix={"N": 1}, snr=60, random_state=0)
    cut = beats_from_records(records)
    height = np.array([np.median(cut.X[cut.records == i, 62]) for i in range(300)])
    women = records.sex == "F"
    effect = (height[~women].mean() - height[women].mean()) / height.std()
    assert 0.1 < effect < 1.0
