"""Pieces of k-same, each alone: partition, keys, draws, leakage; and that what they hold is plain data."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from skagile import KSameAnonymizer
from skagile.anonymizers._generators import Columns
from skagile.anonymizers._ksame import _critics, _draw, _keys
from skagile.anonymizers._ksame import _partition as _partition_module
from skagile.anonymizers._ksame._checks import check_new, check_rhythm
from skagile.anonymizers._ksame._draw import Draws
from skagile.anonymizers._ksame._facts import Facts
from skagile.anonymizers._ksame._keys import Key, Keys, draw_diagnoses
from skagile.anonymizers._ksame._leakage import expected_leakage
from skagile.anonymizers._ksame._microaggregation import deal, mdav
from skagile.anonymizers._ksame._partition import Partition, describe_subjects, find_subjects
from skagile.anonymizers._ksame._remembered import RememberedDiagnoses
from skagile.anonymizers._ksame._rhythm import GroupRhythm, Recordings
from skagile.anonymizers._ksame._small_keys import find_small_keys
from skagile.anonymizers._ksame._told_apart import told_apart


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


@pytest.mark.parametrize(
    ("grouping", "parts"),
    [("class_mix", [0]), ("morphology", [1]), ("both", [0, 1]), ("diverse", [0]), ("one", [0])],
)
def test_partition_is_of_features_by_their_spread(grouping, parts):
    partition, *described = _partition(grouping=grouping)
    rows = np.hstack([described[i] / np.sqrt(described[i].var(axis=0).sum()) for i in parts])
    np.testing.assert_allclose(partition.features(*described), rows)
    make = {"diverse": deal, "one": lambda rows, k: np.zeros(len(rows), dtype=int)}.get(grouping, mdav)
    np.testing.assert_array_equal(partition.groups, make(rows, 2))
    for group in range(partition.groups.max() + 1):
        own = partition.groups == group
        np.testing.assert_allclose(partition.centres[group], rows[own].mean(axis=0))
        np.testing.assert_allclose(partition.mix[group], described[0][own].mean(axis=0))


def test_subjects_who_are_all_alike_can_be_grouped():
    partition = Partition.form(np.arange(4), np.ones((4, 1)), np.ones((4, 3)), k=2, grouping="both")
    assert np.bincount(partition.groups).tolist() == [2, 2]
    assert np.isfinite(partition.centres).all()


@pytest.mark.parametrize("batch_size", [1, 10, 1000])
def test_beats_go_with_their_subject_or_to_the_nearest_group(batch_size, monkeypatch):
    monkeypatch.setattr(_partition_module, "_BATCH", batch_size)
    partition, *_ = _partition()
    X, y, owner = _subjects(1, n_subjects=7)
    names = np.array(["a", "new 1", "c", "new 2", "i", "new 3", "new 4"])
    got = partition.groups_of_beats(X, y, owner, names)
    Z = (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)
    features = partition.features(*describe_subjects(Z, y, owner, 3, 7))
    nearest = ((features[:, None] - partition.centres) ** 2).sum(axis=2).argmin(axis=1)
    assert len(set(nearest)) > 1
    for person, name in enumerate(names):
        known = partition.subjects == name
        expected = partition.groups[known][0] if known.any() else nearest[person]
        assert set(got[owner == person]) == {expected}
    # Without names everybody is new.
    np.testing.assert_array_equal(partition.groups_of_beats(X, y, owner), nearest[owner])


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
    columns = keys.columns
    assert columns.sizes == (3, 2, 3)
    rows = columns.of(key.codes_of(np.arange(len(keys.classes))))
    assert rows.sum(axis=1).tolist() == [3.0] * 72
    for i in range(0, 72, 7):
        assert np.flatnonzero(rows[i]).tolist() == [parts[1, i], 3 + parts[2, i], 5 + parts[3, i]]
    some = key.take([5, 3])
    np.testing.assert_array_equal(keys.number(some), keys.number(key)[[5, 3]])
    key = Key(np.array([0, 2]), np.array([1, 0]), np.array([[0, 0], [1, 2]]))
    assert keys.describe(key, 1) == {"group": 2, "diagnosis": "N", "sex": "m", "site": "c"}
    assert type(keys.describe(key, 1)["group"]) is int


def test_only_new_beats_are_read(monkeypatch):
    X = np.arange(12.0).reshape(4, 3) + np.eye(4, 3)
    keys = _make_keys(X=X, y=np.array([2, 0, 1, 2]))
    shown = []
    monkeypatch.setattr(
        _keys, "read", lambda nets, beats, device, n_leads: shown.append(beats) or np.full(len(beats), 1)
    )
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


# --- small keys -----------------------------------------------------------------------------------------------------


def _cohort_keys(seed):
    """Keys of 12 people in groups of three; the last diagnosis is rare, and of it the second sex has few people."""
    rng = np.random.default_rng(seed)
    s = rng.permutation(np.repeat(np.arange(12), 8))
    y = rng.choice(4, len(s), p=[0.6, 0.25, 0.1, 0.05])
    sex = np.array(list("ffmfmfmmffmf"))
    keys = _make_keys({"sex": sex.tolist()}, X=np.eye(12) + 1, classes="NSVF")
    return keys, Key((np.arange(12) // 3)[s], y, (sex == "m").astype(int)[s][:, None]), s


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from(["borrow", "suppress"]))
def test_keys_of_few_people_are_found(seed, on_small_key):
    keys, key, s = _cohort_keys(seed)
    small, told = find_small_keys(keys, key, s, k=3, on_small_key=on_small_key)
    number = keys.number(key)
    people = {code: len(set(s[number == code])) for code in number}
    few = np.array([people[code] < 3 for code in number])
    suppresses = on_small_key == "suppress"
    np.testing.assert_array_equal(small.are_suppressed(number), few & suppresses)
    assert small.are_suppressed(np.array([10**6, -5])).tolist() == [suppresses] * 2  # keys that nobody had
    assert small.numbers.tolist() == sorted(people)
    assert [(entry["n_subjects"], entry["n_beats"]) for entry in told] == [
        (people[code], np.count_nonzero(number == code)) for code in sorted(people) if people[code] < 3
    ]
    assert {entry["done"] for entry in told} <= {"suppressed" if suppresses else "borrowed"}
    assert all(entry["sex"] in "fm" and entry["diagnosis"] in "NSVF" for entry in told)


def test_keys_of_few_people_are_refused():
    keys, key, s = _cohort_keys(0)
    with pytest.raises(ValueError, match=r"subjects have the key \{'group': .*less than k=3"):
        find_small_keys(keys, key, s, k=3, on_small_key="raise")
    find_small_keys(keys, key, s, k=1, on_small_key="raise")


# --- draws ----------------------------------------------------------------------------------------------------------


class _Echo:
    """In the place of pseudo-people: features are the row and random numbers; a beat passes by the first of them."""

    def __init__(self, laws, basis, unit, seed, cells=None):
        self.seed = seed

    def draw(self, rows, group, diagnosis, columns, turn):
        assert len(group) == len(diagnosis) == len(columns) == len(rows)
        assert len(set(rows // _draw.CHUNK)) == 1
        numbers = _numbers(self.seed, turn)[rows]
        return np.column_stack([rows, numbers]), numbers[:, 0] > 0.5


def _numbers(seed, turn, n=400):
    return np.random.default_rng([seed, turn]).random((n, 3))


def _same(beats, codes):
    return np.ones(len(beats), dtype=bool)


def _draws(max_draws, agree=_same, critics=_same):
    basis = SimpleNamespace(n_samples=4, beats=lambda features: features)
    agree, critics = SimpleNamespace(agree=agree), SimpleNamespace(agree=critics)
    return Draws(np.arange(2), [], basis, Columns((2, 2)), agree, critics, max_draws)


def _key(n):
    return Key(np.zeros(n, int), np.ones(n, int), np.arange(n)[:, None] % 2)


@pytest.fixture(params=[4096, 1, 64])
def echo(request, monkeypatch):
    monkeypatch.setattr(_draw, "PseudoPeople", _Echo)
    monkeypatch.setattr(_draw, "CHUNK", request.param)


@pytest.mark.usefixtures("echo")
def test_beats_are_drawn_until_they_convince():
    n = 400
    doubted = np.zeros(5, dtype=int)
    beats = _draws(5).draw(_key(n), None, 7, np.float64, doubted)
    expected, left = np.empty((n, 4)), np.arange(n)
    for turn in range(5):  # one round after another
        expected[left] = np.column_stack([np.arange(n), _numbers(7, turn)])[left]
        left = left[expected[left, 1] <= 0.5]
        assert doubted[turn] == len(left)
    np.testing.assert_array_equal(beats, expected)
    assert 0 < doubted[4] < doubted[0]
    np.testing.assert_array_equal(_draws(5).draw(_key(n), None, 7, np.float64), expected)
    assert _draws(5).draw(_key(n), None, 7, np.float32).dtype == np.float32


@pytest.mark.usefixtures("echo")
def test_facts_are_asked_of_beats_that_convince():
    seen = []

    def agree(beats, codes):
        np.testing.assert_array_equal(codes[:, 0], beats[:, 0] % 2)
        seen.extend(beats.tolist())
        return beats[:, 2] > 0.5

    beats = _draws(2, agree).draw(_key(50), None, 3, np.float64)
    first, second = (np.column_stack([np.arange(50), _numbers(3, turn)[:50]]) for turn in (0, 1))
    convinced = first[:, 1] > 0.5
    assert sorted(seen) == sorted(first[convinced].tolist())  # the last draw is released unseen
    agreed = convinced & (first[:, 2] > 0.5)
    np.testing.assert_array_equal(beats, np.where(agreed[:, None], first, second))


@pytest.mark.usefixtures("echo")
def test_critics_are_asked_before_facts():
    seen = []

    def agree(beats, codes):
        seen.extend(beats.tolist())
        return np.ones(len(beats), dtype=bool)

    _draws(2, agree, lambda beats, diagnosis: beats[:, 3] > 0.5).draw(_key(50), None, 3, np.float64)
    first = np.column_stack([np.arange(50), _numbers(3, 0)[:50]])
    assert sorted(seen) == sorted(first[(first[:, 1:] > 0.5)[:, [0, 2]].all(axis=1)].tolist())


def test_critics_disagree_where_diagnoses_are_told_apart(monkeypatch):
    """Nets that read the first and the second sample; 0 and 1 are told apart, 2 from neither."""
    monkeypatch.setattr(_critics, "read", lambda nets, beats, device, n_leads: beats[:, nets[0]].astype(int))
    apart = np.zeros((3, 3), dtype=bool)
    apart[0, 1] = apart[1, 0] = True
    said = np.array([(i, j) for i in range(3) for j in range(3)])
    for diagnosis, wrong in ((0, 1), (1, 0), (2, None)):
        got = _critics.Critics([0, 1], apart, None).agree(said, np.full(9, diagnosis))
        np.testing.assert_array_equal(got, (said != wrong).all(axis=1))
    assert _critics.Critics([0], np.zeros((3, 3), dtype=bool), None).agree(said, np.zeros(9, int)).all()


def test_networks_tell_apart_what_hearts_show(beat_maker):
    """N and V are; a coin of each person is not, though a network learns it by heart."""
    people = beat_maker(16, 480)
    y, person = (people.y == "V").astype(int), np.unique(people.subjects, return_inverse=True)[1]
    settings = SimpleNamespace(classes_=np.arange(2), max_epochs=6, lr=0.01, batch_size=32)

    def apart(labels, seed):
        found = told_apart(settings, people.X, labels, person, torch.device("cpu"), np.random.RandomState(seed))
        np.testing.assert_array_equal(found, found.T)
        assert not found.diagonal().any()
        return bool(found[0, 1])

    assert apart(y, 0)
    assert sum(apart(np.random.RandomState(seed).permutation(16)[person] % 2, seed) for seed in range(6)) <= 1


# --- leakage --------------------------------------------------------------------------------------------------------


def _leakage(numbers, s, group=None, diagnosis=None):
    none = np.zeros(len(s), dtype=int)
    group, diagnosis = (none if codes is None else codes for codes in (group, diagnosis))
    return expected_leakage(numbers, s, Key(group, diagnosis, np.zeros((len(s), 0), dtype=int)))


def test_leakage_of_keys_that_tell_all_and_nothing():
    s = np.tile(np.arange(5), 6)
    assert _leakage(s, s) == {"chance": 0.2, "single": 1.0, "fused": 1.0, "disclosure": 0.0}
    nothing = {"chance": 0.2, "single": 0.2, "fused": 0.2, "disclosure": 0.0}
    assert _leakage(np.zeros(30, int), s) == pytest.approx(nothing)
    # Pairs share a key: one of two is named right, by either half.
    assert _leakage(s // 2, s)["single"] == pytest.approx(3 / 5)


def test_leakage_of_single_rows():
    expected = {"chance": 1 / 3, "single": 2 / 3, "disclosure": 0.0}
    assert _leakage(np.array([0, 0, 1]), np.arange(3)) == pytest.approx(expected)


def test_leakage_by_hand():
    """a: halves 00 and 01; b: 11 and 11. Learned from the late halves 0 is a's, 1 b's; from the early ones, too."""
    s, numbers = np.array([0, 0, 0, 0, 1, 1, 1, 1]), np.array([0, 0, 0, 1, 1, 1, 1, 1])
    assert _leakage(numbers, s)["single"] == pytest.approx((4 / 4 + 3 / 4) / 2)


def test_disclosure_by_hand():
    """Six people: commonest 0 0 0 1 1 1. Groups of one kind tell all; mixed ones, of two alike and one, less."""
    s = np.repeat(np.arange(6), 5)
    diagnosis = np.where(np.arange(30) % 5 < 3, s // 3, 1 - s // 3)
    by_group = {}
    for groups in ([0, 0, 0, 1, 1, 1], [0, 0, 1, 0, 1, 1], [0, 1, 0, 1, 0, 1], [0] * 6):
        by_group[tuple(groups)] = _leakage(diagnosis, s, np.array(groups)[s], diagnosis)["disclosure"]
    assert list(by_group.values()) == pytest.approx([6 / 6 - 3 / 6, 4 / 6 - 3 / 6, 4 / 6 - 3 / 6, 0])


# --- rhythm of recordings -------------------------------------------------------------------------------------------


def test_intervals_of_nobody_are_left_out():
    times = np.array([0.0, 0.5, 1.5, 0.0, 2.0, 0.0, 1.0])
    owner = np.array([0, 0, 0, -1, -1, 1, 1])
    rhythm = GroupRhythm.of(
        Recordings(times, owner), owner, np.array([0, 0]), np.zeros(7, int), np.array(["N"]), 2, "borrow"
    )
    assert sorted(rhythm._intervals.tolist()) == [0.5, 1.0, 1.0]


def test_times_that_are_refused():
    with pytest.raises(ValueError, match="kept no intervals"):
        check_rhythm(None, np.zeros((2, 3)), None, None)
    with pytest.raises(ValueError, match="each beat would be a recording"):
        check_rhythm("fitted", np.zeros(3), None, None)
    with pytest.raises(ValueError, match="subjects holds new ones, the first in row 1"):
        check_new(["a", "b"], np.array([0, -1]))


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


@pytest.mark.parametrize("params", [{"grouping": "diverse"}, {"epsilon": 2.0}], ids=["groups", "private"])
def test_fitted_state_is_plain(beat_maker, params):
    people, others = beat_maker(6, 120), beat_maker(8, 160, people=1)
    if "epsilon" in params:
        params = {**params, "prior": (others.X, others.y, others.subjects), "keep": ("p_present",)}
    params = {"sampling_rate": 100.0, "window": (0.18, 0.3), "max_epochs": 1, "keep": ("p_present", "sex"), **params}
    ksame = KSameAnonymizer(3, device="cpu", random_state=0, **params)
    sex = np.where(people.subjects > "person-2", "m", "f")
    ksame.fit(people.X, people.y, subjects=people.subjects, facts={"sex": sex})
    assert not _odd(ksame._model)
    assert _odd({"a": lambda: 0, "b": [iter("b")]}) != []
