"""Rhythm of k-same that fits diagnoses: early beats come early where the group's do, whatever they are called."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest
from sklearn.base import clone
from sklearn.utils import Bunch

from skagile import KSameAnonymizer
from skagile.anonymizers._ksame._contexts import Contexts, Runs, local_medians
from skagile.anonymizers._ksame._rhythm import GroupRhythm, Recordings
from skagile.datasets import load_mitdb_beats

K = 3
N_BEATS = 120
EARLY, PAUSE = 0.6, 1.4
QUICK = {"k": K, "max_draws": 1, "max_epochs": 1, "device": "cpu", "random_state": 0, "rhythm": "resample"}
NAMES = ("late", "soon")  # no name of a diagnosis is known to the package


def _person(is_early, mean):
    """R-R intervals of one: every second beat comes early, and a pause after it; or all alike."""
    early = (np.arange(N_BEATS) % 2 == 1) & is_early
    ratio = np.where(early, EARLY, np.where(is_early, PAUSE, 1.0))
    return early.astype(int), np.cumsum(mean * ratio)


def _make(beat_maker, bigeminy, means=None):
    """Make a cohort of people with bigeminy (True) and without."""
    n_people = len(bigeminy)
    means = np.full(n_people, 0.8) if means is None else means
    beats = beat_maker(n_people, n_people * N_BEATS)
    X = beats.X[np.argsort(beats.subjects, kind="stable")]
    codes, times = zip(*map(_person, bigeminy, means), strict=True)
    subjects = np.repeat([f"p{i}" for i in range(n_people)], N_BEATS)
    return Bunch(X=X, y=np.array(NAMES)[np.concatenate(codes)], subjects=subjects, times=np.concatenate(times))


def _fit(cohort, **params):
    ksame = KSameAnonymizer(**{**QUICK, **params})
    return ksame.fit(cohort.X, cohort.y, subjects=cohort.subjects, times=cohort.times)


@pytest.fixture(scope="module")
def cohort(beat_maker):
    return _make(beat_maker, [True] * 3 + [False] * 3)


@pytest.fixture(scope="module")
def ksame(cohort):
    return _fit(cohort)


def _beats_of(cohort, codes, seed=0):
    """Fitted beats of given diagnoses, whosever."""
    rng = np.random.default_rng(seed)
    pools = [np.flatnonzero(cohort.y == name) for name in NAMES]
    return cohort.X[[rng.choice(pools[code]) for code in codes]]


def _intervals(ksame, cohort, codes, seed=0):
    """R-R intervals of a newcomer with given diagnoses; the first is up to the first beat."""
    X, who = _beats_of(cohort, codes, seed), np.full(len(codes), "somebody new")
    return np.diff(ksame.resample_times(np.arange(1.0, len(codes) + 1), subjects=who, X=X), prepend=0)


def test_ratios_are_exactly_those_of_the_group(cohort, ksame):
    codes = np.random.default_rng(1).integers(0, 2, 3000)
    drawn = _intervals(ksame, cohort, codes)[1:] / 0.8
    before, own = codes[:-1], codes[1:]
    np.testing.assert_allclose(drawn[(before == 0) & (own == 1)], EARLY)
    np.testing.assert_allclose(drawn[(before == 1) & (own == 0)], PAUSE)
    np.testing.assert_allclose(drawn[(before == 0) & (own == 0)], 1)
    # Nobody has two early ones in a row: it is early as any of its kind.
    np.testing.assert_allclose(drawn[(before == 1) & (own == 1)], EARLY)
    # Without beats intervals follow nothing.
    blind = ksame.resample_times(np.arange(1.0, 3001), subjects=np.full(3000, "p0"))
    assert np.median(np.diff(blind)[own == 1]) == pytest.approx(0.8)


def test_slow_rhythm_is_the_runs(beat_maker):
    """Each has a heart rate of their own; it lasts for a run, whatever the diagnoses are."""
    means = np.array([0.5, 0.62, 0.74, 0.86, 0.98, 1.1])
    cohort = _make(beat_maker, [True] * 3 + [False] * 3, means)
    codes = (np.arange(6000) % 5 == 2).astype(int)
    ratio = np.where(codes == 1, EARLY, np.where(np.roll(codes, 1) == 1, PAUSE, 1.0))
    slow = (_intervals(_fit(cohort), cohort, codes) / ratio)[1:]
    whose = np.abs(slow[:, None] - means).argmin(axis=1)
    np.testing.assert_allclose(slow, means[whose])
    # A run is 20 long, and one in six goes on with the same person. 300 runs: three standard errors are .07.
    assert np.mean(whose[1:] != whose[:-1]) == pytest.approx(5 / 6 / 20, abs=0.01)
    np.testing.assert_allclose(np.bincount(whose, minlength=6) / len(whose), 1 / 6, atol=0.1)


def test_only_diagnoses_and_group_count(cohort, ksame):
    """The source's own times and shapes leave nothing."""
    codes = np.random.default_rng(2).integers(0, 2, 300)
    released = _intervals(ksame, cohort, codes)
    np.testing.assert_array_equal(_intervals(ksame, cohort, codes, seed=5), released)
    X, times = _beats_of(cohort, codes), np.sort(np.random.default_rng(3).uniform(0, 500, 300))
    for who in ("p0", "p5", "somebody new"):
        again = ksame.resample_times(times, subjects=[who] * 300, X=X)
        np.testing.assert_array_equal(np.diff(again, prepend=0), released)
    # Another diagnosis changes only what lies about it, and what goes on from there in its run.
    other = codes.copy()
    other[150] = 1 - other[150]
    assert not np.array_equal(_intervals(ksame, cohort, other), released)
    np.testing.assert_allclose(_intervals(ksame, cohort, other)[:150], released[:150], atol=1e-12)


def test_one_diagnosis_is_as_without_beats(beat_maker):
    rng = np.random.default_rng(0)
    cohort = _make(beat_maker, [False] * 6)
    cohort.times = np.cumsum(rng.uniform(0.5, 1.1, (6, N_BEATS)), axis=1).ravel()
    ksame = _fit(cohort)
    blind = ksame.resample_times(cohort.times, subjects=cohort.subjects)
    fitted = ksame.resample_times(cohort.times, subjects=cohort.subjects, X=cohort.X)
    np.testing.assert_allclose(fitted, blind, atol=1e-9)


def test_mean_and_sdnn_over_recordings_stay(beat_maker):
    """Labels that say nothing of the rhythm leave its law alone."""
    rng = np.random.default_rng(0)
    cohort = _make(beat_maker, [True] * 6)
    cohort.y = np.array(NAMES)[rng.integers(0, 2, len(cohort.y))]
    waves = np.sin(np.arange(N_BEATS) / 12 + rng.uniform(0, 6, (6, 1)))
    lengths = 0.6 + 0.1 * np.arange(6)[:, None] + 0.03 * waves + 0.01 * rng.standard_normal((6, N_BEATS))
    cohort.times = np.cumsum(lengths, axis=1).ravel()
    ksame = _fit(cohort)
    n_records = 400
    times = np.tile(np.arange(1.0, N_BEATS + 1), (n_records, 1)).ravel()
    who, records = np.full(len(times), "p0"), np.repeat(np.arange(n_records), N_BEATS)
    X = cohort.X[np.tile(np.arange(N_BEATS), n_records)]
    new, old = (
        np.diff(ksame.resample_times(times, subjects=who, records=records, X=beats).reshape(n_records, -1), axis=1)
        for beats in (X, None)
    )
    assert not np.allclose(new, old)
    # Other runs: neither test shall know of the other's random numbers.
    half = n_records // 2
    assert kstest(new[:half].mean(axis=1), old[half:].mean(axis=1)).pvalue > 0.01
    assert kstest(new[:half].std(axis=1), old[half:].std(axis=1)).pvalue > 0.01


# --- layouts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_leads", [None, 2])
def test_records_and_missing_beats(beat_maker, n_leads):
    cohort = _make(beat_maker, [True] * 3 + [False] * 3)
    X, y, times = cohort.X.reshape(6, N_BEATS, -1), cohort.y.reshape(6, -1), cohort.times.reshape(6, -1)
    X = X if n_leads is None else np.stack([X, X[..., ::-1]], axis=2)
    subjects = np.array([f"p{i}" for i in range(6)])
    ksame = KSameAnonymizer(**QUICK).fit(X, y, subjects=subjects, times=times)
    released = ksame.resample_times(times, subjects=subjects, X=X)
    ratios = np.diff(released, axis=1) / 0.8
    early = y[:, 1:] == NAMES[1]
    np.testing.assert_allclose(ratios[early], EARLY)
    np.testing.assert_allclose(ratios[:3][~early[:3]], PAUSE)
    np.testing.assert_allclose(ratios[3:], 1)
    # Missing ones have no diagnosis, and stay missing; beats at the end are padding.
    X, times = X.copy(), times.copy()
    X[0, 50:52], times[0, 50:52] = np.nan, np.nan
    X[1, 100:], times[1, 100:] = np.nan, np.nan
    again = ksame.resample_times(times, subjects=subjects, X=X)
    np.testing.assert_array_equal(np.isnan(again), np.isnan(times))
    np.testing.assert_allclose(again[0, :50], released[0, :50])
    np.testing.assert_allclose(np.diff(again[0, 53:]), np.diff(released[0, 53:]))
    np.testing.assert_allclose(again[2:], released[2:])
    # A row without a beat has times all the same, where its subject is known.
    X[4] = np.nan
    bare = ksame.resample_times(times, subjects=subjects, X=X)
    assert (np.diff(bare[4]) > 0).all()
    np.testing.assert_array_equal(bare[:4], again[:4])
    # A recording over several rows: its second row's first beat has one before it.
    halves = X[2:3].reshape(2, N_BEATS // 2, *X.shape[2:])
    joined = ksame.resample_times(times[2:3].reshape(2, -1), subjects=["p2"] * 2, records=[7, 7], X=halves)
    assert joined[1, 0] - joined[0, -1] == pytest.approx(PAUSE * 0.8)


def test_drawn_diagnoses(beat_maker):
    """With drawn diagnoses times fit those that are released, which the amplitude tells here."""
    cohort = _make(beat_maker, [True] * 3 + [False] * 3)
    early = cohort.y == NAMES[1]
    cohort.X = np.where(early[:, None], -2, 1) * (cohort.X + np.linspace(0, 3, cohort.X.shape[1]))
    X, y, times = cohort.X.reshape(6, N_BEATS, -1), cohort.y.reshape(6, -1), cohort.times.reshape(6, -1)
    subjects = np.array([f"p{i}" for i in range(6)])
    ksame = KSameAnonymizer(**QUICK, class_mix="resample").fit(X, y, subjects=subjects, times=times)
    released = ksame.transform(X, subjects=subjects)
    shown = released[..., -1] < released[..., 0]
    assert 0.1 < shown.mean() < 0.5
    assert np.mean(shown == (y == NAMES[1])) < 0.8
    ratios = np.diff(ksame.resample_times(times, subjects=subjects, X=X), axis=1) / 0.8
    np.testing.assert_allclose(ratios[shown[:, 1:]], EARLY)
    np.testing.assert_allclose(ratios[~shown[:, 1:] & shown[:, :-1]], PAUSE)
    unknown = KSameAnonymizer(**{**QUICK, "random_state": None}, class_mix="resample")
    unknown.fit(X, y, subjects=subjects, times=times)
    with pytest.raises(ValueError, match=r'class_mix="resample" with X and random_state=None.*secret int'):
        unknown.resample_times(times, subjects=subjects, X=X)
    assert unknown.resample_times(times, subjects=subjects).shape == times.shape


def test_beats_of_other_times(cohort, ksame):
    with pytest.raises(ValueError, match=r"X has shape \(1, 48\), times \(2,\)"):
        ksame.resample_times([1.0, 2.0], subjects=["p0"] * 2, X=cohort.X[:1])


def test_state(cohort, ksame):
    codes = np.random.default_rng(4).integers(0, 2, 200)
    wanted = _intervals(ksame, cohort, codes)
    for again in (clone(ksame)._set_state(ksame._get_state()), pickle.loads(pickle.dumps(ksame)), _fit(cohort)):
        np.testing.assert_array_equal(_intervals(again, cohort, codes), wanted)
    assert not np.array_equal(_intervals(_fit(cohort, random_state=1), cohort, codes), wanted)
    assert clone(ksame).get_params() == ksame.get_params()
    state = ksame._rhythm._contexts._get_state()
    for name, value, problem in (
        ("_slow", np.zeros(len(state["fitted"]["_slow"])), "local median of 0 s"),
        ("_before", np.full(len(state["fitted"]["_slow"]), 2), "above 1"),
        ("_diagnosis", state["fitted"]["_diagnosis"][1:], "shape"),
    ):
        hostile = {**state, "fitted": {**state["fitted"], name: value}}
        with pytest.raises(ValueError, match=problem):
            pickle.loads(pickle.dumps(ksame._rhythm._contexts))._set_state(hostile)


# --- less than k ----------------------------------------------------------------------------------------------------


def test_diagnosis_of_less_than_k(beat_maker):
    cohort = _make(beat_maker, [True] * 2 + [False] * 4)
    codes = np.random.default_rng(5).integers(0, 2, 4000)
    told = {"group": 0, "diagnosis": NAMES[1], "n_subjects": 2}
    borrowed = _fit(cohort)
    assert borrowed.summary_["small_rhythms"] == [{**told, "done": "borrowed"}]
    early = _intervals(borrowed, cohort, codes)[codes == 1] / 0.8
    # As any beat of anybody: two of six people have such ratios half of the time.
    assert np.isclose(early, EARLY).mean() == pytest.approx(1 / 6, abs=0.05)
    assert np.isclose(early, 1).mean() == pytest.approx(4 / 6, abs=0.1)
    suppressed = _fit(cohort, on_small_key="suppress")
    assert suppressed.summary_["small_rhythms"] == [{**told, "done": "suppressed"}]
    times = suppressed.resample_times(cohort.times, subjects=cohort.subjects, X=cohort.X)
    np.testing.assert_array_equal(np.isnan(times), cohort.y == NAMES[1])
    assert (np.diff(times.reshape(6, -1)[:, ::2], axis=1) > 0).all()
    # A third has the key, yet no interval before it.
    cohort.y[2 * N_BEATS] = NAMES[1]
    with pytest.raises(ValueError, match=r"group 0 has R-R intervals before beats of 'soon' of 2 subjects, less than"):
        _fit(cohort, on_small_key="raise")


def _rhythm(people, groups, k=2, on_small="borrow", n_codes=3):
    """Make the rhythm of people given by lists of (code, interval)."""
    codes = np.concatenate([[0, *(code for code, _ in person)] for person in people])
    times = np.concatenate([np.cumsum([0, *(length for _, length in person)]) for person in people])
    owner = np.repeat(np.arange(len(people)), [len(person) + 1 for person in people])
    classes = np.arange(n_codes)
    return GroupRhythm.of(Recordings(times, owner), owner, np.array(groups), codes, classes, k, on_small)


def _draw(rhythm, codes, n=None):
    """Intervals of a member of group 0 with these diagnoses, or with none."""
    codes = None if codes is None else np.asarray(codes)
    zeros = np.zeros(len(codes) if n is None else n, dtype=int)
    recordings = Recordings(np.arange(len(zeros), dtype=float), zeros)
    return np.diff(rhythm.draw(recordings, zeros, np.random.default_rng(0), codes), prepend=0)


REGULAR, BIGEMINY = [(0, 1.0)] * 40, [(1, EARLY), (0, PAUSE)] * 20


def test_context_of_another_group_is_borrowed():
    people, groups = [REGULAR, REGULAR, BIGEMINY, BIGEMINY], [0, 0, 1, 1]
    codes = [0, 0, 1, 0] * 100
    np.testing.assert_allclose(_draw(_rhythm(people, groups), codes)[2::4], EARLY)
    np.testing.assert_allclose(_draw(_rhythm(people, groups), codes)[7::4], PAUSE)
    assert np.isnan(_draw(_rhythm(people, groups, on_small="suppress"), codes)[2::4]).all()
    # Where one is to refuse, other groups stay out of it.
    np.testing.assert_allclose(_draw(_rhythm(people, groups, on_small="raise"), codes), 1)


def test_borrowed_contexts_are_everybodys_alike():
    """The one of the group who has early ones counts as one of three, in their own runs, too."""
    mine = [(1, 0.3), (0, 1.7)] * 20
    drawn = _draw(_rhythm([REGULAR, mine, BIGEMINY, BIGEMINY], [0, 0, 1, 1]), [0, 0, 1, 0] * 2000)
    assert np.isclose(drawn[2::4], 0.3).mean() == pytest.approx(1 / 3, abs=0.06)


def test_pairs_are_borrowed_only_where_one_says_so():
    """Two early ones in a row, the second at .3, are known in the other group alone."""
    couplets = [(1, EARLY), (1, 0.3), (0, PAUSE), *[(0, 1.0)] * 7] * 4
    people, groups = [BIGEMINY, BIGEMINY, couplets, couplets], [0, 0, 1, 1]
    for on_small, wanted in (("borrow", 0.3), ("suppress", EARLY), ("raise", EARLY)):
        drawn = _draw(_rhythm(people, groups, on_small=on_small), [0, 1, 1, 0] * 100)
        np.testing.assert_allclose(drawn[2::4], wanted)


def test_a_run_goes_on_behind_what_is_of_others():
    """Normal beats of one who has no early ones are where their run has them, before and behind early ones."""
    ramps = [[(0, x) for x in np.linspace(low, low + 0.3, 100)] for low in (0.65, 1.0)]
    rhythm = _rhythm([*ramps, BIGEMINY, BIGEMINY], [0] * 4)
    codes = np.array([0, 0, 1, 0, 0, 0, 0, 0] * 500)
    blind, drawn = _draw(rhythm, None, n=len(codes)), _draw(rhythm, codes)
    of_ramp = np.isin(blind.round(9), np.concatenate([[x for _, x in ramp] for ramp in ramps]).round(9))
    of_ramp &= (codes == 0) & (np.roll(codes, 1) == 0)
    assert of_ramp.sum() > 1000
    np.testing.assert_allclose(drawn[of_ramp], blind[of_ramp])


def test_pair_of_less_than_k_counts_by_its_second_alone():
    """One person has two early ones in a row, the second at .3: it is never drawn from by itself."""
    couplets = [(1, EARLY), (1, 0.3), (0, PAUSE), *[(0, 1.0)] * 7] * 4
    codes = np.tile([0, 1, 1, 0, 0], 2000)
    drawn = _draw(_rhythm([couplets, BIGEMINY, BIGEMINY], [0, 0, 0]), codes)
    second = drawn[2::5]
    # One of three people, who goes from one to the other, as in life.
    assert 1 / 6 - 0.04 < np.isclose(second, 0.3).mean() < 1 / 3 + 0.04
    assert (np.isclose(second, 0.3) | np.isclose(second, EARLY)).all()
    two = _draw(_rhythm([couplets, couplets, BIGEMINY], [0, 0, 0]), codes)
    np.testing.assert_allclose(two[2::5], 0.3)


def test_nothing_goes_before_the_first_beat():
    """Of many recordings of two beats: the last of one is none before the first of the next."""
    recordings = Recordings(np.tile([0.0, 1.0], (300, 1)), np.zeros(300, dtype=int))
    rhythm = _rhythm([REGULAR, BIGEMINY, BIGEMINY], [0, 0, 0])
    codes = np.tile([0, 1], (300, 1))
    first = rhythm.draw(recordings, np.zeros(300, dtype=int), np.random.default_rng(0), codes)[:, 0]
    assert np.isclose(first, PAUSE).mean() == pytest.approx(2 / 3, abs=0.1)


def test_a_pause_is_that_of_its_early_beat():
    """Compensation is kept: early by as much as the pause is long, in each beat another."""
    early = np.random.default_rng(0).uniform(0.4, 0.8, 40)
    person = [pair for by in early for pair in ((0, 1.0), (0, 1.0), (1, by), (0, 2 - by))]
    drawn = _draw(_rhythm([person, REGULAR, person], [0, 0, 0]), np.tile([0, 0, 0, 0, 1, 0], 500))
    pairs = drawn.reshape(-1, 6)[:, 4:]
    # A new run, one in twenty, may lie between.
    assert np.isclose(pairs.sum(axis=1), 2).mean() > 0.9


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 3), st.integers(0, 9)), min_size=3, max_size=5),
    st.integers(0, 2**16),
)
def test_each_who_has_a_context_counts_the_same(people, seed):
    """However many intervals of it they have; the ratio tells here whose it is."""
    rng = np.random.default_rng(seed)
    count = np.array([n for n, _, _ in people])
    owner = np.repeat(np.arange(len(people)), count)
    # Shares of the codes are other ones in each person.
    own = np.concatenate([rng.choice(2, n, p=[1 - share / 3, share / 3]) for n, share, _ in people])
    before = rng.integers(0, 2, len(own))
    contexts = Contexts(np.ones(len(own)), before, own, 2, 2, "borrow")
    contexts.lay_out(1 + owner / 100, count, [np.arange(len(people))])
    n_beats, length = 40_000, 10
    starts = np.arange(0, n_beats, length)
    of = np.repeat(np.arange(len(starts)), length)
    member = rng.integers(0, len(people), len(starts))
    first = np.cumsum(count) - count
    begin = (rng.random(len(starts)) * count[member]).astype(int)
    place = first[member[of]] + (begin[of] + np.tile(np.arange(length), len(starts))) % count[member[of]]
    codes = rng.integers(0, 2, n_beats)
    wanted = np.roll(codes, 1)
    runs = Runs(starts, of, member, place)
    drawn, _ = contexts.fit_to(runs, np.zeros(n_beats, dtype=int), wanted, codes, rng.random((n_beats, 2)))
    whose = np.round((drawn - 1) * 100).astype(int)
    for pair in ((0, 0), (0, 1), (1, 0), (1, 1)):
        rows = (wanted == pair[0]) & (codes == pair[1])
        have = np.unique(owner[(before == pair[0]) & (own == pair[1])])
        have = have if len(have) >= 2 else np.unique(owner[own == pair[1]])
        have = have if len(have) >= 2 else np.arange(len(people))
        share = np.bincount(whose[rows], minlength=len(people)) / rows.sum()
        # 4,000 runs of about three such beats: more than four standard errors.
        np.testing.assert_allclose(share[have], 1 / len(have), atol=0.045)
        assert share[have].sum() == pytest.approx(1)


def test_local_medians_by_hand():
    lengths, recording = np.array([1, 2, 4, 1, 9, 9, 3.0]), np.array([0, 0, 0, 1, 2, 2, 2])
    # Of three the first two, then the last two; of one itself.
    np.testing.assert_allclose(local_medians(lengths, recording), [1.5, 1.5, 3, 1, 9, 9, 6])
    alternating = np.tile([EARLY, PAUSE], 30)
    np.testing.assert_allclose(local_medians(alternating, np.zeros(60)), 1)
    step = np.repeat([1.0, 2.0], 40)
    np.testing.assert_allclose(local_medians(step, np.zeros(80))[[0, 30, 50, 79]], [1, 1, 2, 2])
    assert len(local_medians(np.empty(0), np.empty(0))) == 0


def test_lengths_stay_possible():
    """A slow heart's mean and a fast one's ratio: no interval is beyond what is an interval."""
    slow, fast = [(0, 2.5)] * 40, [(0, 0.3), (0, 0.3), (1, 0.1), (0, 0.6)] * 10
    drawn = _draw(_rhythm([slow, slow, fast, fast], [0, 0, 0, 0]), np.tile([0, 0, 1], 2000))
    assert drawn.max() <= 3
    assert (np.isclose(drawn, 0.1) | (drawn >= 0.2 - 1e-9)).all()


@pytest.mark.realdata
def test_premature_beats_of_mitdb(realdata):
    beats = load_mitdb_beats(
        data_home=realdata,
        records=["105", "106", "114", "116", "119", "200", "203", "208", "210", "213", "215", "221"],
        sampling_rate=50.0,
        classes=("N", "S", "V", "F"),
        r_peaks="detected",
    )
    ksame = KSameAnonymizer(**{**QUICK, "k": 6})
    ksame.fit(beats.X, beats.y, subjects=beats.subjects, times=beats.times, records=beats.records)
    medians = {}
    for name, X in (("original", None), ("blind", None), ("fitted", beats.X)):
        times = beats.times
        if name != "original":
            times = ksame.resample_times(times, subjects=beats.subjects, records=beats.records, X=X)
        lengths, inside = np.diff(times), np.diff(beats.records) == 0
        ratio = np.full(len(times) + 1, np.nan)
        ratio[1:-1][inside] = lengths[inside] / local_medians(lengths[inside], beats.records[1:][inside])
        is_v = beats.y == "V"
        medians[name] = np.nanmedian(ratio[:-1][is_v]), np.nanmedian(ratio[1:][is_v])
    assert medians["original"][0] < 0.8 < 1.1 < medians["original"][1]
    np.testing.assert_allclose(medians["blind"], 1, atol=0.05)
    np.testing.assert_allclose(medians["fitted"], medians["original"], atol=0.1)
