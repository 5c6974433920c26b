"""Rhythm of k-same: times of beats depend on their source through its group alone."""

import itertools

import numpy as np
import pytest
from scipy.stats import kstest
from sklearn import config_context
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils import Bunch

from skagile import KSameAnonymizer
from skagile.attackers import RRIdentifier
from skagile.datasets import beats_from_records, load_mitdb_beats, make_cohort
from skagile.metrics import fuse_scores, label_only_floor
from skagile.segmentation import BeatSegmenter, rr_windows

K = 3
N_PEOPLE = 6
QUICK = {"k": K, "max_draws": 1, "max_epochs": 1, "device": "cpu", "random_state": 0, "grouping": "morphology"}


def _intervals(rng, person, n):
    """Each person has a mean of his own, and slow waves about it: successive intervals are alike."""
    wave = np.sin(np.arange(n) / 6 + rng.uniform(0, 6)) + 0.2 * rng.standard_normal(n)
    return 0.6 + 0.1 * person + 0.03 * wave


@pytest.fixture(scope="module")
def cohort(beat_maker):
    """Recordings one after another, of single beats."""
    n_beats = 200
    rng = np.random.default_rng(5)
    beats = beat_maker(N_PEOPLE, N_PEOPLE * n_beats)
    order = np.argsort(beats.subjects, kind="stable")
    times = np.concatenate([rng.uniform(0, 1) + np.cumsum(_intervals(rng, i, n_beats)) for i in range(N_PEOPLE)])
    return Bunch(X=beats.X[order], y=beats.y[order], subjects=beats.subjects[order], times=times)


@pytest.fixture(scope="module")
def ksame(cohort):
    return _fit(cohort)


def _fit(cohort, times=None, **params):
    times = cohort.times if times is None else times
    ksame = KSameAnonymizer(rhythm="resample", **{**QUICK, **params})
    return ksame.fit(cohort.X, cohort.y, subjects=cohort.subjects, times=times)


def _as_records(cohort):
    n_samples = cohort.X.shape[1]
    first = cohort.subjects.reshape(N_PEOPLE, -1)[:, 0]
    return (
        cohort.X.reshape(N_PEOPLE, -1, n_samples),
        cohort.y.reshape(N_PEOPLE, -1),
        first,
        cohort.times.reshape(N_PEOPLE, -1),
    )


def _pool(cohort, ksame, group):
    names = ksame.subjects_[ksame.groups_ == group]
    return np.concatenate([np.diff(cohort.times[cohort.subjects == name]) for name in names])


def _drawn(ksame, group, n_beats, seed_rows=1):
    """Intervals of long recordings of a member of the group."""
    name = ksame.subjects_[ksame.groups_ == group][0]
    times = np.cumsum(np.ones((seed_rows, n_beats)), axis=1)
    return np.diff(ksame.resample_times(times, subjects=[name] * seed_rows), axis=1, prepend=0)


def test_keep_is_identity(cohort):
    ksame = KSameAnonymizer(**QUICK).fit(cohort.X, cohort.y, subjects=cohort.subjects)
    for times in (cohort.times, cohort.times.astype(np.float32)):
        kept = ksame.resample_times(times, subjects=cohort.subjects)
        assert kept.dtype == times.dtype
        assert not np.shares_memory(kept, times)
        np.testing.assert_array_equal(kept, times)


def test_only_the_group_counts(cohort, ksame):
    """Members change places, and bring their own times along: nothing that is released changes."""
    released = ksame.resample_times(cohort.times, subjects=cohort.subjects)
    times = cohort.times.reshape(N_PEOPLE, -1)
    people = cohort.subjects.reshape(N_PEOPLE, -1)
    names = people[:, 0]
    for group in np.unique(ksame.groups_):
        members = np.flatnonzero(np.isin(names, ksame.subjects_[ksame.groups_ == group]))
        moved = np.arange(N_PEOPLE)
        moved[members] = np.roll(members, 1)
        again = ksame.resample_times(times[moved].ravel(), subjects=people[moved].ravel())
        np.testing.assert_array_equal(again, released)
    # Whoever changes with another group does change what is released.
    other = np.roll(np.arange(N_PEOPLE), np.argmax(ksame.groups_ != ksame.groups_[0]))
    assert not np.array_equal(ksame.resample_times(cohort.times, subjects=people[other].ravel()), released)


def test_members_have_equal_chances(cohort, ksame):
    """Everyone's intervals are in the release of everyone, the source's own included, however long he was recorded."""
    group = ksame.groups_[0]
    lengths = np.repeat([200, 60, 140, 200, 30, 90], 200)
    seen = np.tile(np.arange(200), N_PEOPLE) < lengths
    part = Bunch(X=cohort.X[seen], y=cohort.y[seen], subjects=cohort.subjects[seen], times=cohort.times[seen])
    short = _fit(part)
    drawn = _drawn(short, group, 50_000)[0]
    members = short.subjects_[short.groups_ == group]
    share = [np.isin(drawn.round(9), np.diff(part.times[part.subjects == name]).round(9)).mean() for name in members]
    # 2500 runs: three standard errors, a run's length being random, are .04.
    np.testing.assert_allclose(share, 1 / len(members), atol=0.05)
    assert sum(share) == pytest.approx(1, abs=0.01)


def test_distribution_is_the_pools(cohort, ksame):
    for group in np.unique(ksame.groups_):
        # Far apart, so that no two are of one run.
        drawn = _drawn(ksame, group, 60, seed_rows=1000)[:, 59]
        assert kstest(drawn, _pool(cohort, ksame, group)).pvalue > 0.01
        assert kstest(drawn, _pool(cohort, ksame, 1 - group)).pvalue < 1e-6


def test_runs_keep_successive_intervals(cohort, ksame):
    drawn = _drawn(ksame, 0, 20_000)[0].round(9)
    pairs = set()
    for name in ksame.subjects_[ksame.groups_ == 0]:
        own = np.diff(cohort.times[cohort.subjects == name]).round(9)
        pairs |= set(zip(own, np.roll(own, -1), strict=True))
    together = np.mean([pair in pairs for pair in itertools.pairwise(drawn)])
    # A run ends with a chance of 1 in 20.
    assert together == pytest.approx(0.95, abs=0.01)
    # So the slow wave of each person is still there: as in the source, but for the jumps between runs.
    within = np.abs(np.diff(drawn))
    assert np.median(within) < 1.3 * np.median(np.abs(np.diff(_pool(cohort, ksame, 0))))
    shuffled = np.random.default_rng(0).permutation(drawn)
    assert np.median(within) < 0.5 * np.median(np.abs(np.diff(shuffled)))


def test_records_with_missing_beats(cohort):
    X, y, subjects, times = (values.copy() for values in _as_records(cohort))
    X[1, 150:], X[2, 40:41] = np.nan, np.nan
    times[1, 150:], times[2, 40:41] = np.nan, np.nan
    ksame = KSameAnonymizer(rhythm="resample", **QUICK).fit(X, y, subjects=subjects, times=times)
    whole = ksame.resample_times(_as_records(cohort)[3], subjects=subjects)
    released = ksame.resample_times(times, subjects=subjects)
    np.testing.assert_array_equal(np.isnan(released), np.isnan(times))
    # Each beat has its own random numbers, and a missing one its time.
    there = ~np.isnan(times)
    np.testing.assert_allclose(released[there], whole[there], atol=1e-9)
    assert (np.diff(whole, axis=1) > 0).all()
    # The interval over the missing beat, of 1.6 s, is no R-R interval of anybody.
    assert np.nanmax(times[2, 1:] - times[2, :-1]) < 1 < times[2, 41] - times[2, 39]
    many = np.cumsum(np.ones((50, 200)), axis=1)
    assert np.diff(ksame.resample_times(many, subjects=subjects[[2] * 50]), axis=1).max() < 1.3
    # Rows of one recording follow one another.
    halves = times[:1].reshape(2, -1)
    joined = ksame.resample_times(halves, subjects=subjects[[0, 0]], records=["a", "a"])
    np.testing.assert_allclose(joined.ravel(), ksame.resample_times(times[:1], subjects=subjects[:1])[0])
    assert ksame.resample_times(halves, subjects=subjects[[0, 0]])[1, 0] < 2


def test_recordings_of_one_subject(cohort, ksame):
    records = np.tile(np.arange(200) >= 100, N_PEOPLE)
    times = np.where(records, cohort.times - 1000, cohort.times)
    released = ksame.resample_times(times, subjects=cohort.subjects, records=records).reshape(N_PEOPLE, 2, 100)
    assert (released[:, :, 0] < 2).all()
    assert (np.diff(released, axis=2) > 0).all()
    # From one recording to the next there is no R-R interval.
    apart = np.where(records, cohort.times + 1, cohort.times)
    fitted = KSameAnonymizer(rhythm="resample", **QUICK)
    fitted.fit(cohort.X, cohort.y, subjects=cohort.subjects, times=apart, records=records)
    assert max(_drawn(fitted, group, 20_000).max() for group in (0, 1)) < 1.3
    with pytest.raises(ValueError, match=r"times must rise .* 6 place\(s\).* name them in records"):
        ksame.resample_times(times, subjects=cohort.subjects)


def test_random_state(cohort, ksame):
    def release(fitted):
        return fitted.resample_times(cohort.times, subjects=cohort.subjects)

    np.testing.assert_array_equal(release(ksame), release(_fit(cohort)))
    assert not np.array_equal(release(ksame), release(_fit(cohort, random_state=1)))
    fresh = _fit(cohort, random_state=None)
    assert not np.array_equal(release(fresh), release(fresh))
    # Beats are what they are without a rhythm.
    plain = clone(ksame).set_params(rhythm="keep").fit(cohort.X, cohort.y, subjects=cohort.subjects)
    X = cohort.X[:20], cohort.subjects[:20]
    np.testing.assert_array_equal(plain.transform(X[0], subjects=X[1]), ksame.transform(X[0], subjects=X[1]))


def test_new_subjects(cohort, ksame):
    """A newcomer has the rhythm of the group that his beats go to."""
    for name in ksame.subjects_:
        rows = cohort.subjects == name
        known = ksame.resample_times(cohort.times[rows], subjects=cohort.subjects[rows], X=cohort.X[rows])
        new = np.full(rows.sum(), "somebody")
        group = np.unique(ksame.assign(cohort.X[rows], subjects=new) // len(ksame.classes_))
        assert group.tolist() == [ksame.groups_[ksame.subjects_ == name][0]]
        np.testing.assert_array_equal(ksame.resample_times(cohort.times[rows], subjects=new, X=cohort.X[rows]), known)
    X, _, _, times = _as_records(cohort)
    released = ksame.resample_times(times, X=X)
    assert released.shape == times.shape
    X = X.copy()
    X[0] = np.nan
    assert np.isnan(ksame.resample_times(times, X=X)[0]).all()
    with pytest.raises(ValueError, match="subjects holds new ones, the first in row 1, and X=None"):
        ksame.resample_times([1.0, 1.0], subjects=["person-0", "somebody"])
    with pytest.raises(ValueError, match="subjects=None makes every row a new subject"):
        ksame.resample_times([[1.0, 2.0]])
    with pytest.raises(ValueError, match=r"X has shape \(1, 48\), times \(2,\)"):
        ksame.resample_times([1.0, 2.0], subjects=["somebody"] * 2, X=cohort.X[:1])


def test_routing(cohort, ksame):
    """A Pipeline hands times and records on without being told to."""
    with config_context(enable_metadata_routing=True):
        model = make_pipeline(clone(ksame), "passthrough")
        records = np.zeros(len(cohort.X))
        model.fit(cohort.X, cohort.y, subjects=cohort.subjects, times=cohort.times, records=records)
    new, wanted = (x.resample_times(cohort.times, subjects=cohort.subjects) for x in (model[0], ksame))
    np.testing.assert_array_equal(new, wanted)


def test_small_rhythms(cohort):
    """Groups with less than k people's intervals."""
    group = _fit(cohort).groups_[0]
    times = cohort.times.copy()
    times[:200] = np.nan
    lacking = {"group": group, "n_subjects": 2}
    borrowed = _fit(cohort, times)
    assert borrowed.summary_["small_rhythms"] == [{**lacking, "done": "borrowed"}]
    # Intervals of the other group are in.
    other = _pool(cohort, borrowed, 1 - group).round(9)
    assert np.isin(_drawn(borrowed, group, 5000).round(9), other).mean() == pytest.approx(3 / 5, abs=0.15)
    suppressed = _fit(cohort, times, on_small_key="suppress")
    assert suppressed.summary_["small_rhythms"] == [{**lacking, "done": "suppressed"}]
    released = suppressed.resample_times(cohort.times, subjects=cohort.subjects)
    of_group = np.isin(cohort.subjects, suppressed.subjects_[suppressed.groups_ == group])
    np.testing.assert_array_equal(np.isnan(released), of_group)
    with pytest.raises(ValueError, match="R-R intervals of 2 subjects, less than k=3"):
        _fit(cohort, times, on_small_key="raise")


def test_errors_of_fit(cohort):
    X, y, subjects, times = _as_records(cohort)

    def fit(times, **params):
        return KSameAnonymizer(rhythm="resample", **QUICK).fit(X, y, subjects=subjects, times=times, **params)

    with pytest.raises(ValueError, match='rhythm="resample" with times=None'):
        fit(None)
    with pytest.raises(ValueError, match=r"times has shape \(6,\), expected \(6, 200\)"):
        fit(times[:, 0])
    with pytest.raises(ValueError, match=r"times must rise .* in row 0, and so in 6 place"):
        fit(np.where(np.arange(200) == 100, times - 5, times))
    with pytest.raises(ValueError, match="must rise"):
        fit(np.where(np.arange(200) == 100, np.roll(times, 1, axis=1), times))
    with pytest.raises(ValueError, match="infinite"):
        fit(times * np.inf)
    with pytest.raises(ValueError, match="times must hold seconds, got dtype"):
        fit(np.full(times.shape, "early"))
    with pytest.raises(ValueError, match=r"R-R intervals of 0 subjects, k=3 are needed.*in seconds"):
        fit(times * 1000)
    with pytest.raises(ValueError, match=r"records has shape \(5,\), expected \(6,\)"):
        fit(times, records=np.arange(5))
    with pytest.raises(ValueError, match="'rhythm' parameter of KSameAnonymizer must be"):
        KSameAnonymizer(rhythm="slow", **QUICK).fit(X, y, subjects=subjects)
    # Times are checked where they are kept, too.
    with pytest.raises(ValueError, match="must rise"):
        KSameAnonymizer(**QUICK).fit(X, y, subjects=subjects, times=-times)


def test_errors_of_resample_times(cohort, ksame):
    with pytest.raises(ValueError, match=r"times has shape \(0,\)"):
        ksame.resample_times([], subjects=[])
    with pytest.raises(ValueError, match="subjects=None: each beat would be a recording"):
        ksame.resample_times(cohort.times)
    with pytest.raises(ValueError, match="subjects has length 2, X has 1200 rows"):
        ksame.resample_times(cohort.times, subjects=cohort.subjects[:2])
    late = clone(ksame).set_params(rhythm="keep").fit(cohort.X, cohort.y, subjects=cohort.subjects)
    with pytest.raises(ValueError, match='set to "resample" after fit'):
        late.set_params(rhythm="resample").resample_times(cohort.times, subjects=cohort.subjects)


def test_record_again():
    """Segment, new beats, new rhythm, restore: a recording with R peaks where they were put."""
    rate, window = 250, (0.25, 0.45)
    records = make_cohort(6, 1, duration=30.0, sampling_rate=rate, random_state=0)
    segmenter = BeatSegmenter(sampling_rate=rate, window=window)
    r_peaks = [marks.sample for marks in records.annotations]
    cut = segmenter.segment(list(np.squeeze(records.signals)), r_peaks)
    labels = beats_from_records(records, window=window)
    assert len(labels.y) == len(cut.X)
    subjects, times = records.subjects[cut.record], cut.r_peak / rate
    ksame = KSameAnonymizer(rhythm="resample", **QUICK)
    released = ksame.fit_transform(cut.X, labels.y, subjects=subjects, times=times, records=cut.record)
    new = ksame.resample_times(times, subjects=subjects, records=cut.record)
    # Room for the first window; a flat record of one length for all, and what does not go in is left out.
    r_peak = np.round((new + window[0]) * rate).astype(int)
    length = 25 * rate
    goes_in = r_peak + round(window[1] * rate) <= length
    flat = np.zeros((6, length), dtype=released.dtype)
    made = segmenter.restore(flat, released[goes_in], r_peak[goes_in], cut.record[goes_in], fade=0)
    again = segmenter.segment(made, [r_peak[goes_in & (cut.record == i)] for i in range(6)])
    assert len(again.X) == goes_in.sum()
    # Beats apart from their neighbours are there as they were released.
    gap = np.diff(r_peak, prepend=-1000, append=10**6)
    alone = np.minimum(np.abs(gap[:-1]), np.abs(gap[1:])) >= released.shape[1]
    alone = alone[goes_in]
    assert alone.sum() > 20
    np.testing.assert_allclose(again.X[alone], released[goes_in][alone], atol=1e-6)
    intervals = np.concatenate([np.diff(again.r_peak[again.record == i]) / rate for i in range(6)])
    assert kstest(intervals, np.concatenate([np.diff(peaks) / rate for peaks in r_peaks])).statistic < 0.35


@pytest.mark.realdata
def test_rr_attacker_on_mitdb(realdata):
    """Who knows the rhythm finds people by it, and no better than by their group once it is drawn anew."""
    beats = load_mitdb_beats(
        data_home=realdata,
        records=["100", "103", "105", "106", "108", "114", "119", "200", "203", "208", "213", "221"],
        guard=60.0,
        sampling_rate=100.0,
        classes=("N", "S", "V", "F"),
        r_peaks="detected",
    )
    ksame = KSameAnonymizer(**{**QUICK, "k": 6, "grouping": "class_mix"}, rhythm="resample")
    ksame.fit(beats.X, beats.y, subjects=beats.subjects, times=beats.times, records=beats.sessions)
    new = ksame.resample_times(beats.times, subjects=beats.subjects, records=beats.sessions)
    groups = dict(zip(ksame.subjects_, ksame.groups_, strict=True))
    part = np.char.add(np.char.add(beats.subjects, "|"), beats.sessions.astype(str))
    rank1, floor = {}, {}
    for name, times in (("keep", beats.times), ("resample", new)):
        windows = rr_windows(times, part)
        subjects, session = np.array([label.split("|") for label in windows.records]).T
        group = np.array([groups[subject] for subject in subjects])
        enrol = session == "0"
        attacker = RRIdentifier(random_state=0).fit(windows.X[enrol], subjects[enrol])
        people, scores = fuse_scores(attacker.predict_log_proba(windows.X[~enrol]), subjects[~enrol])
        rank1[name] = (
            attacker.score(windows.X[~enrol], subjects[~enrol]),
            np.mean(attacker.classes_[scores.argmax(axis=1)] == people),
        )
        floor[name] = label_only_floor(group[enrol], subjects[enrol], group[~enrol], subjects[~enrol])
    assert rank1["keep"][0] > 0.5
    assert rank1["keep"][1] > 0.7
    # 500 windows, two groups of six: three standard errors above the best guess within a group.
    assert rank1["resample"][0] < floor["resample"] + 3 * np.sqrt(floor["resample"] / 500)
    assert rank1["resample"][1] <= 5 / 12
