"""Pieces of k-same, each alone: partition, keys, pools, draws, leakage; and that what they hold is plain data."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from skagile import KSameAnonymizer
from skagile.anonymizers._ksame import _draw, _keys
from skagile.anonymizers._ksame._checks import check_new, check_rhythm
from skagile.anonymizers._ksame._donors import spread_evenly
from skagile.anonymizers._ksame._draw import Draws
from skagile.anonymizers._ksame._facts import Facts
from skagile.anonymizers._ksame._keys import Key, Keys, draw_diagnoses
from skagile.anonymizers._ksame._leakage import expected_leakage
from skagile.anonymizers._ksame._microaggregation import mdav
from skagile.anonymizers._ksame._nets import critics_of, readers_of
from skagile.anonymizers._ksame._partition import Partition, describe_subjects, find_subjects
from skagile.anonymizers._ksame._pools import form_pools
from skagile.anonymizers._ksame._remembered import RememberedDiagnoses
from skagile.anonymizers._ksame._rhythm import GroupRhythm, Recordings


def _subjects(seed, n_subjects=9, n_beats=120, n_samples=6, n_classes=3):
    """Beats, diagnoses and subjects, of each subject at least one."""
    rng = np.random.default_rng(seed)
    s = rng.permutation(np.concatenate([np.arange(n_subjects), rng.integers(0, n_subjects, n_beats - n_subjects)]))
    return rng.standard_normal((n_beats, n_samples)), rng.integers(0, n_classes, n_beats), s


# --- partition ------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6))
def test_subjects_are_described_by_their_shares_and_mean_beat(seed):
    Z, y, s = _subjects(seed)
    mix, template = describe_subjects(Z, y, s, 3, 9)
    for person in range(9):
        np.testing.assert_allclose(mix[person], [(y[s == person] == kind).mean() for kind in range(3)])
        np.testing.assert_allclose(template[person], Z[s == person].mean(axis=0))


def _partition(seed=0, grouping="both", k=2):
    Z, y, s = _subjects(seed)
    described = describe_subjects(Z, y, s, 3, 9)
    return Partition.form(np.array(list("abcdefghi")), *described, k=k, grouping=grouping), *described


@pytest.mark.parametrize(("grouping", "parts"), [("class_mix", [0]), ("morphology", [1]), ("both", [0, 1])])
def test_partition_is_of_features_by_their_spread(grouping, parts):
    partition, *described = _partition(grouping=grouping)
    rows = np.hstack([described[i] / np.sqrt(described[i].var(axis=0).sum()) for i in parts])
    np.testing.assert_allclose(partition.features(*described), rows)
    np.testing.assert_array_equal(partition.groups, mdav(rows, 2))
    for group in range(partition.groups.max() + 1):
        own = partition.groups == group
        np.testing.assert_allclose(partition.centres[group], rows[own].mean(axis=0))
        np.testing.assert_allclose(partition.mix[group], described[0][own].mean(axis=0))


def test_subjects_who_are_all_alike_can_be_grouped():
    partition = Partition.form(np.arange(4), np.ones((4, 1)), np.ones((4, 3)), k=2, grouping="both")
    assert np.bincount(partition.groups).tolist() == [2, 2]
    assert np.isfinite(partition.centres).all()


@pytest.mark.parametrize("batch_size", [1, 10, 1000])
def test_beats_go_with_their_subject_or_to_the_nearest_group(batch_size):
    partition, *_ = _partition()
    X, y, owner = _subjects(1, n_subjects=7)
    names = np.array(["a", "new 1", "c", "new 2", "i", "new 3", "new 4"])
    got = partition.groups_of_beats(X, y, owner, names, batch_size=batch_size)
    Z = (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)
    features = partition.features(*describe_subjects(Z, y, owner, 3, 7))
    nearest = ((features[:, None] - partition.centres) ** 2).sum(axis=2).argmin(axis=1)
    assert len(set(nearest)) > 1
    for person, name in enumerate(names):
        known = partition.subjects == name
        expected = partition.groups[known][0] if known.any() else nearest[person]
        assert set(got[owner == person]) == {expected}
    # Without names everybody is new.
    np.testing.assert_array_equal(partition.groups_of_beats(X, y, owner, batch_size=batch_size), nearest[owner])


def test_names_are_found():
    assert find_subjects(np.array(["b", "d"]), np.array(["d", "a", "z", "b"])).tolist() == [1, -1, -1, 0]
    assert find_subjects(np.array([3, 5]), np.array([5.0, 4.0, 3.0])).tolist() == [1, -1, 0]
    partition, *_ = _partition()
    assert partition.groups_of_names(np.array(["x", "b"])).tolist() == [-1, partition.groups[1]]
    with pytest.raises(ValueError, match="subjects holds 1, fit was given 'a'"):
        partition.groups_of_names(np.array([1, 2]))


# --- keys -----------------------------------------------------------------------------------------------------------


def _make_keys(facts=None, X=None, y=None, classes="NSV"):
    kept = Facts(list(facts or {}), None, None)
    X = np.eye(4) if X is None else X
    kept.fit(X, facts, np.arange(len(X)), len(X))
    return Keys(np.array(list(classes)), kept, RememberedDiagnoses(X, np.zeros(len(X), int) if y is None else y))


def test_every_key_has_a_number_of_its_own():
    keys = _make_keys({"sex": list("fmfm"), "site": list("abcc")})
    parts = np.array(np.meshgrid(range(4), range(3), range(2), range(3), indexing="ij")).reshape(4, -1)
    key = Key(parts[0], parts[1], parts[2:].T)
    assert len(key) == len(np.unique(keys.number(key))) == 72
    alike = keys.number_without_group(key)
    assert len(np.unique(alike)) == 18
    for i in range(0, 72, 7):
        np.testing.assert_array_equal(alike == alike[i], (parts[1:] == parts[1:, [i]]).all(axis=0))
    some = key.take([5, 3])
    np.testing.assert_array_equal(keys.number(some), keys.number(key)[[5, 3]])
    key = Key(np.array([0, 2]), np.array([1, 0]), np.array([[0, 0], [1, 2]]))
    assert keys.describe(key, 1) == {"group": 2, "diagnosis": "N", "sex": "m", "site": "c"}
    assert type(keys.describe(key, 1)["group"]) is int


def test_only_new_beats_are_read(monkeypatch):
    X = np.arange(12.0).reshape(4, 3) + np.eye(4, 3)
    keys = _make_keys(X=X, y=np.array([2, 0, 1, 2]))
    shown = []
    monkeypatch.setattr(_keys, "read", lambda nets, beats, device: shown.append(beats) or np.full(len(beats), 1))
    assert keys.diagnose(X[::-1], [], None).tolist() == [2, 1, 0, 2]
    assert not shown
    assert keys.diagnose(np.vstack([X[:1], X[:2] + 1]), [], None).tolist() == [2, 1, 1]
    np.testing.assert_array_equal(shown[0], X[:2] + 1)


def test_diagnoses_are_drawn_from_the_mix_of_the_group():
    mix = np.array([[0.5, 0.0, 0.5], [0.1, 0.2, 0.7]])
    group = np.tile([0, 1], 20_000)
    random = np.random.SeedSequence(0)
    drawn = draw_diagnoses(mix, group, random)
    assert random.n_children_spawned == 1
    for i in (0, 1):
        counts = np.bincount(drawn[group == i], minlength=3)
        held = mix[i] > 0
        assert not counts[~held].any()
        assert chisquare(counts[held], 20_000 * mix[i][held]).pvalue > 1e-4
    np.testing.assert_array_equal(draw_diagnoses(mix, group, np.random.SeedSequence(0)), drawn)
    assert not np.array_equal(draw_diagnoses(mix, group, random), drawn)


# --- pools ----------------------------------------------------------------------------------------------------------


def _cohort_keys(seed, k=3):
    """Keys of 12 people in groups of three; the last diagnosis is rare, and of it the second sex has few people."""
    rng = np.random.default_rng(seed)
    s = rng.permutation(np.repeat(np.arange(12), 8))
    y = rng.choice(4, len(s), p=[0.6, 0.25, 0.1, 0.05])
    sex = np.array(list("ffmfmfmmffmf"))
    keys = _make_keys({"sex": sex.tolist()}, X=np.eye(12) + 1, classes="NSVF")
    key = Key((np.arange(12) // 3)[s], y, (sex == "m").astype(int)[s][:, None])
    return keys, key, s, rng.standard_normal((12, 2))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6))
def test_every_key_is_served_by_k_or_by_its_diagnosis(seed):
    keys, key, s, features = _cohort_keys(seed)
    pools, members, small = form_pools(keys, key, s, features, k=3, on_small_key="borrow")
    at, suppressed = pools.find(keys.number(key), key.diagnosis)
    number = keys.number(key)
    n_small = 0
    for code in np.unique(number):
        own = np.flatnonzero(number == code)
        pool = members[at[own[0]]]
        assert (at[own] == at[own[0]]).all()
        assert (key.diagnosis[pool] == key.diagnosis[own[0]]).all()
        if len(set(s[own])) >= 3:
            assert pool.tolist() == own.tolist()
            assert not suppressed[own].any()
            continue
        n_small += 1
        assert set(own) <= set(pool)
        of_diagnosis = np.flatnonzero(key.diagnosis == key.diagnosis[own[0]])
        assert len(set(s[pool])) >= 3 or pool.tolist() == of_diagnosis.tolist()
        assert suppressed[own].all() == (len(set(s[pool])) < 2)
    assert len(small) == n_small
    assert len({pool.tobytes() for pool in members}) == len(members)
    # Small keys of one diagnosis and the same facts have one pool.
    alike, n_subjects = keys.number_without_group(key), {code: len(set(s[number == code])) for code in number}
    few = np.array([n_subjects[code] < 3 for code in number])
    for code in np.unique(alike[few]):
        assert len(set(at[few & (alike == code)])) == 1


def test_key_that_nobody_had_is_served_by_its_diagnosis():
    keys, key, s, features = _cohort_keys(0)
    pools, members, _ = form_pools(keys, key, s, features, k=3, on_small_key="borrow")
    for kind in range(4):
        pool, suppressed = pools.find(np.array([10**6, -5]), np.array([kind, kind]))
        of_diagnosis = np.flatnonzero(key.diagnosis == kind)
        assert [members[i].tolist() for i in pool] == [of_diagnosis.tolist()] * 2
        assert suppressed.tolist() == [len(set(s[of_diagnosis])) < 2] * 2


def test_small_keys_are_suppressed_or_refused():
    keys, key, s, features = _cohort_keys(0)
    args = keys, key, s, features
    pools, _, small = form_pools(*args, k=3, on_small_key="suppress")
    assert small
    assert {entry["done"] for entry in small} == {"suppressed"}
    assert not any("borrowed_subjects" in entry for entry in small)
    number = keys.number(key)
    few = np.array([len(set(s[number == code])) < 3 for code in number])
    np.testing.assert_array_equal(pools.find(number, key.diagnosis)[1], few)
    assert pools.find(np.array([10**6]), np.array([0]))[1].all()
    with pytest.raises(ValueError, match=r"subjects have the key \{'group': .*less than k=3"):
        form_pools(*args, k=3, on_small_key="raise")


# --- draws ----------------------------------------------------------------------------------------------------------


class _Echo:
    """A generator whose beats are the random numbers, behind the pool."""

    n_uniforms = 3

    def generate(self, pool, uniforms):
        return np.column_stack([pool, uniforms])


def _draws(max_draws, batch_size=1000, critics=("a", "b"), facts=None):
    agree = facts or (lambda beats, codes: np.ones(len(beats), dtype=bool))
    return Draws(
        _Echo(),
        list(critics),
        SimpleNamespace(agree=agree),
        n_samples=4,
        max_draws=max_draws,
        batch_size=batch_size,
        device=None,
    )


def _key(n):
    return Key(np.zeros(n, int), np.ones(n, int), np.arange(n)[:, None] % 2)


@pytest.fixture
def read_by_size(monkeypatch):
    """Critic "a" wants a large second sample, "b" a large third; who is shown what is counted."""
    shown = {"a": 0, "b": 0}

    def read(nets, beats, device):
        (name,) = nets
        shown[name] += len(beats)
        return (beats[:, {"a": 2, "b": 3}[name]] > 0.5).astype(int)

    monkeypatch.setattr(_draw, "read", read)
    return shown


def test_beats_are_drawn_until_they_convince(read_by_size):
    n, pool = 400, np.arange(400) % 3
    doubted = np.zeros(5, dtype=int)
    beats = _draws(5).draw(_key(n), pool, np.random.SeedSequence(1), np.float64, doubted)
    # One round after another: the i-th has the i-th stream, behind that of the first donors.
    first, *seeds = np.random.SeedSequence(1).spawn(7)[1:]
    expected, left = np.empty((n, 4)), np.arange(n)
    for i in range(5):
        uniforms = np.random.Generator(np.random.PCG64(seeds[i])).random((n, 3))
        if not i:
            uniforms[:, 0] = spread_evenly(pool, np.random.default_rng(first))
        expected[left] = np.column_stack([pool, uniforms])[left]
        left = left[~(expected[left, 2:] > 0.5).all(axis=1)]
        assert doubted[i] == len(left)
    np.testing.assert_array_equal(beats, expected)
    assert 0 < doubted[4] < doubted[0]


def test_first_donors_are_spread_over_the_pool():
    pool = np.array([0, 1, 1, 0, 1, 1])
    beats = _draws(1).draw(_key(6), pool, np.random.SeedSequence(3), np.float64)
    for of, n in ((0, 2), (1, 4)):
        assert sorted((beats[pool == of, 1] * n).astype(int)) == list(range(n))


def test_a_critic_sees_what_others_believe(read_by_size):
    _draws(2).draw(_key(300), np.zeros(300, int), np.random.SeedSequence(0), np.float64)
    assert read_by_size["a"] == 300  # the last draw is released unseen
    assert 100 < read_by_size["b"] < 200
    _draws(1).draw(_key(300), np.zeros(300, int), np.random.SeedSequence(0), np.float64)
    assert read_by_size["a"] == 300


def test_facts_are_asked_of_beats_that_convince(read_by_size):
    seen = []

    def agree(beats, codes):
        seen.append(beats)
        return codes[:, 0] == 0

    draws = _draws(3, facts=agree)
    beats = np.random.default_rng(0).random((50, 4))
    got = draws.convinces(beats, _key(50))
    believed = (beats[:, 2:] > 0.5).all(axis=1)
    np.testing.assert_array_equal(got, believed & (np.arange(50) % 2 == 0))
    np.testing.assert_array_equal(seen[0], beats[believed])


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batches_do_not_change_draws(read_by_size, batch_size):
    counts = np.zeros((2, 4), dtype=int)
    whole, some = (
        _draws(4, size).draw(_key(100), np.arange(100) % 2, np.random.SeedSequence(5), np.float32, counts[i])
        for i, size in enumerate((1000, batch_size))
    )
    np.testing.assert_array_equal(some, whole)
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(*counts)
    assert counts[0, 0] > counts[0, -1]


def test_critics_and_readers():
    assert readers_of(list("abcd")) == ["a", "b"]
    assert critics_of(list("abcd")) == ["a", "c", "d"]
    assert critics_of(list("ab")) == ["a"]


# --- leakage --------------------------------------------------------------------------------------------------------


def test_leakage_of_keys_that_tell_all_and_nothing():
    s = np.tile(np.arange(5), 6)
    assert expected_leakage(s, s) == {"chance": 0.2, "single": 1.0, "fused": 1.0}
    assert expected_leakage(np.zeros(30, int), s) == pytest.approx({"chance": 0.2, "single": 0.2, "fused": 0.2})
    # Pairs share a key: one of two is named right, by either half.
    assert expected_leakage(s // 2, s)["single"] == pytest.approx(3 / 5)


def test_leakage_of_single_rows():
    assert expected_leakage(np.array([0, 0, 1]), np.arange(3)) == pytest.approx({"chance": 1 / 3, "single": 2 / 3})


def test_leakage_by_hand():
    """a: halves 00 and 01; b: 11 and 11. Learned from the late halves 0 is a's, 1 b's; from the early ones, too."""
    s, numbers = np.array([0, 0, 0, 0, 1, 1, 1, 1]), np.array([0, 0, 0, 1, 1, 1, 1, 1])
    assert expected_leakage(numbers, s)["single"] == pytest.approx((4 / 4 + 3 / 4) / 2)


# --- rhythm of recordings -------------------------------------------------------------------------------------------


def test_intervals_of_nobody_are_left_out():
    times = np.array([0.0, 0.5, 1.5, 0.0, 2.0, 0.0, 1.0])
    owner = np.array([0, 0, 0, -1, -1, 1, 1])
    rhythm = GroupRhythm.of(Recordings(times, owner), owner, np.array([0, 0]), 2, "borrow")
    assert sorted(rhythm._intervals.tolist()) == [0.5, 1.0, 1.0]


def test_times_that_are_refused():
    with pytest.raises(ValueError, match="kept no intervals"):
        check_rhythm(None, np.zeros((2, 3)), None, None)
    with pytest.raises(ValueError, match="each beat would be a recording"):
        check_rhythm("fitted", np.zeros(3), None, None)
    with pytest.raises(ValueError, match="subjects holds new ones, the first in row 1"):
        check_new(None, ["a", "b"], np.array([0, -1]))


# --- state ----------------------------------------------------------------------------------------------------------

_PLAIN = (np.ndarray, np.dtype, str, int, float, bool, type(None), np.integer, np.floating)
# What a network is; how its weights are kept is its own matter.
_NETS = ("NeuralNet", "device")


def _odd(value, place="state"):
    """Places that hold something else than arrays, plain values, and lists, dicts and pieces of them."""
    if isinstance(value, _PLAIN) or type(value).__name__ in _NETS:
        return []
    if isinstance(value, dict):
        return [odd for name, item in value.items() for odd in _odd(item, f"{place}.{name}")]
    if isinstance(value, list | tuple):
        return [odd for item in value for odd in _odd(item, f"{place}[]")]
    if type(value).__module__.startswith("skagile."):
        return _odd(vars(value), place)
    return [f"{place}: {type(value)}"]


@pytest.mark.parametrize("generator", ["mixture", "aligned_mixture", "ppca", "vae"])
def test_fitted_state_is_plain(beat_maker, generator):
    people = beat_maker(6, 120)
    params = {"sampling_rate": 100.0, "window": (0.18, 0.3), "max_epochs": 1, "device": "cpu", "n_components": 2}
    ksame = KSameAnonymizer(3, keep=("p_present", "sex"), generator=generator, random_state=0, **params)
    sex = np.where(people.subjects > "person-2", "m", "f")
    ksame.fit(people.X, people.y, subjects=people.subjects, facts={"sex": sex})
    assert not _odd(ksame._model)
    assert _odd({"a": lambda: 0, "b": [iter("b")]}) != []
