"""KSameAnonymizer: the bound as an exact property, keys and pools by hand, what keys give away by brute force."""

import json
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from sklearn.utils import Bunch

from skagile import KSameAnonymizer
from skagile.anonymizers._ksame._keys import Key
from skagile.anonymizers._ksame._readers import read

QUICK = {"k": 3, "max_epochs": 4, "lr": 0.01, "batch_size": 32, "random_state": 0, "device": "cpu"}
# Beats whose first samples say whose they are, and the next ones of which diagnosis: what was mixed can be read off.
N_PEOPLE, N_KINDS = 12, 4


def tagged(subjects, diagnoses, seed=0):
    rng = np.random.default_rng(seed)
    X = np.zeros((len(subjects), N_PEOPLE + N_KINDS + 8))
    X[:, N_PEOPLE + N_KINDS :] = 0.1 * rng.standard_normal((len(X), 8))
    X[np.arange(len(X)), subjects] = 0.5
    X[np.arange(len(X)), N_PEOPLE + np.asarray(diagnoses)] = 4.0
    return X


def shares(released):
    """How much of each person, and of each diagnosis, is in released beats."""
    return released[..., :N_PEOPLE] / 0.5, released[..., N_PEOPLE : N_PEOPLE + N_KINDS] / 4.0


def cohort(seed=0):
    """Twelve people with mixes of their own of three diagnoses; the last has none of the first."""
    rng = np.random.default_rng(seed)
    mixes = rng.dirichlet([4, 2, 1], N_PEOPLE)
    mixes[-1] = [0, 0.6, 0.4]
    s = np.repeat(np.arange(N_PEOPLE), 30)
    y = np.concatenate([rng.choice(3, 30, p=mix) for mix in mixes])
    order = rng.permutation(len(s))
    return Bunch(X=tagged(s, y, seed)[order], y=np.array(list("NSV"))[y[order]], subjects=s[order])


def diagnosis(ksame, X):
    return read(ksame.nets_[:2], X, torch.device("cpu"))


@pytest.fixture(scope="module")
def people(beat_maker):
    return beat_maker(12, 360)


PARAMS = {
    "mixture": {},
    "aligned": {"generator": "aligned_mixture", "sampling_rate": 100.0, "window": (0.18, 0.3)},
    "ppca": {"generator": "ppca", "n_components": 3},
    "vae": {"generator": "vae", "n_components": 3},
    "facts": {"keep": ("p_present", "sex"), "sampling_rate": 100.0, "window": (0.18, 0.3), "n_donors": 3},
}


@pytest.fixture(scope="module", params=PARAMS)
def ksame(request, people):
    ksame = KSameAnonymizer(**{**QUICK, "max_draws": 3, **PARAMS[request.param]})
    return ksame.fit(people.X, people.y, subjects=people.subjects, facts=_facts(people.subjects))


def _facts(subjects):
    return {"sex": np.where([int(name.split("-")[1]) % 2 for name in subjects], "m", "f")}


# --- the bound ------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_who_of_a_key_a_beat_came_from_changes_nothing(ksame, people, seed):
    """Beats change places with others of their key, with their subjects: bit-equal output."""
    rng = np.random.default_rng(seed)
    keys = ksame.assign(people.X, subjects=people.subjects, facts=_facts(people.subjects))
    order = np.arange(len(keys))
    for key in np.unique(keys):
        order[keys == key] = rng.permutation(order[keys == key])
    subjects = people.subjects[order]
    assert (subjects != people.subjects).mean() > 0.1
    released = ksame.transform(people.X, subjects=people.subjects, facts=_facts(people.subjects))
    swapped = ksame.transform(people.X[order], subjects=subjects, facts=_facts(subjects))
    np.testing.assert_array_equal(swapped, released)
    assert np.isfinite(released).all()


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 10**6), gain=st.floats(0.5, 2), offset=st.floats(-1, 1), noise=st.floats(0, 0.05))
def test_nothing_of_the_beat_but_its_key_is_released(ksame, people, seed, gain, offset, noise):
    """Another gain, offset and shape, wherever they leave the key: every bit of the output stays."""
    rng = np.random.default_rng(seed)
    X = 1.001 * people.X  # new beats: of fitted ones the diagnosis is known
    changed = gain * X + offset + noise * rng.standard_normal(X.shape)
    given = {"subjects": people.subjects, "facts": _facts(people.subjects)}
    same = ksame.assign(changed, **given) == ksame.assign(X, **given)
    assert same.mean() > 0.5
    changed = np.where(same[:, None], changed, X).astype(X.dtype)
    np.testing.assert_array_equal(ksame.transform(changed, **given), ksame.transform(X, **given))


def test_members_of_a_group_are_the_same_person_to_it(ksame, people):
    """Subjects of one group trade all their beats."""
    given = {"facts": _facts(people.subjects)}
    released = ksame.transform(people.X, subjects=people.subjects, **given)
    for group in np.unique(ksame.groups_):
        members = ksame.subjects_[ksame.groups_ == group]
        other = dict(zip(members, np.roll(members, 1), strict=True))
        renamed = np.array([other.get(name, name) for name in people.subjects])
        np.testing.assert_array_equal(ksame.transform(people.X, subjects=renamed, **given), released)


def test_release_is_a_function_of_the_key_and_random_numbers(ksame, people):
    given = {"subjects": people.subjects, "facts": _facts(people.subjects)}
    _, key, _ = ksame._find_key(people.X, given["subjects"], given["facts"])
    again = ksame._model.release(key, np.random.SeedSequence(ksame._seed), people.X.dtype, ksame)
    np.testing.assert_array_equal(again, ksame.transform(people.X, **given))
    other = ksame._model.release(key, np.random.SeedSequence(99), people.X.dtype, ksame)
    assert not np.array_equal(other, again)


def test_donors_of_members_and_of_the_source_have_one_law():
    """Of 20,000 releases for one member, each pair of the group is first and second donor as the closed form says."""
    data = cohort()
    ksame = KSameAnonymizer(**{**QUICK, "max_draws": 1}).fit(data.X, data.y, subjects=data.subjects)
    source = np.flatnonzero(data.y == "N")[0]
    group = ksame.groups_[data.subjects[source]]
    n = 20_000
    released = ksame.transform(np.repeat(data.X[[source]], n, axis=0), subjects=np.repeat(data.subjects[source], n))
    part, kind = shares(released)
    np.testing.assert_allclose(kind, np.tile(np.eye(N_KINDS)[0], (n, 1)), atol=1e-6)
    np.testing.assert_allclose(part.sum(axis=1), 1, atol=1e-6)
    members = np.flatnonzero(ksame.groups_ == group)
    beats = np.array([((data.subjects == m) & (data.y == "N")).sum() for m in members], dtype=float)
    # Pairs (a, b): a first and with most of the weight, b after it.
    law = {
        (a, b): beats[i] / beats.sum() * beats[j] / (beats.sum() - beats[i])
        for i, a in enumerate(members)
        for j, b in enumerate(members)
        if i != j and beats[i] * beats[j]
    }
    order = np.argsort(-part, axis=1, kind="stable")[:, :2].tolist()
    counts = Counter(map(tuple, order))
    assert counts.keys() <= law.keys()
    assert data.subjects[source] in {member for pair in counts for member in pair}
    assert chisquare([counts[pair] for pair in law], np.array([*law.values()]) * n).pvalue > 1e-4
    assert part.max() <= 0.95 + 1e-6


# --- keys and pools -------------------------------------------------------------------------------------------------


def _small_cohort():
    """Six people, k = 3. a, b, c have N but for one V of b and one F of a; d, e, f halves of N and V, one F of d and
    three S of f."""
    table = {"a": "N" * 19 + "F", "b": "N" * 19 + "V", "c": "N" * 20, "d": "N" * 10 + "V" * 9 + "F"}
    table |= {"e": "N" * 10 + "V" * 10, "f": "N" * 9 + "V" * 8 + "SSS"}
    subjects = np.concatenate([[name] * len(kinds) for name, kinds in table.items()])
    y = np.array(list("".join(table.values())))
    codes = np.searchsorted(list("abcdef"), subjects)
    return Bunch(X=tagged(codes, np.searchsorted(list("FNSV"), y)), y=y, subjects=subjects)


@pytest.mark.parametrize("dtype", [str, object])
def test_small_keys_borrow(dtype):
    data = _small_cohort()
    ksame = KSameAnonymizer(**{**QUICK, "max_draws": 1})
    ksame.fit(data.X, data.y.astype(dtype), subjects=data.subjects.astype(dtype))
    assert ksame.groups_[:3].tolist() == [ksame.groups_[0]] * 3
    assert ksame.groups_[3:].tolist() == [ksame.groups_[3]] * 3
    near, far = ksame.groups_[0], ksame.groups_[3]
    assert near != far
    summary = ksame.summary_
    assert json.loads(json.dumps(summary)) == summary  # no numbers of numpy's
    assert summary["group_sizes"] == [3, 3]
    assert summary["n_keys"] == 7
    entries = {(key["group"], key["diagnosis"]): key for key in summary["small_keys"]}
    assert entries == {
        (near, "F"): _small(near, "F", 1, 1, done="borrowed", borrowed_subjects=2),
        (far, "F"): _small(far, "F", 1, 1, done="borrowed", borrowed_subjects=2),
        (near, "V"): _small(near, "V", 1, 1, done="borrowed", borrowed_subjects=3),
        (far, "S"): _small(far, "S", 1, 3, done="suppressed"),
    }
    assert summary["small_key_share"] == pytest.approx(6 / 120)
    # Donors, read off the release. Codes of the diagnoses: F, N, S, V.
    for group, kind, donors in [
        (near, 1, {0, 1, 2}),
        (far, 1, {3, 4, 5}),
        (near, 0, {0, 3}),
        (near, 3, {1, 3, 5}),  # of d, e and f the two whose shares are nearest to those of b
        (far, 3, {3, 4, 5}),
    ]:
        part, kinds = shares(_of_key(ksame, group, kind))
        assert set(np.flatnonzero(part.max(axis=0) > 1e-6)) == donors
        np.testing.assert_allclose(kinds, np.tile(np.eye(N_KINDS)[kind], (500, 1)), atol=1e-6)
    assert np.isnan(_of_key(ksame, far, 2)).all()
    assert np.isnan(_of_key(ksame, near, 2)).all()  # nobody's key in fit, of a diagnosis of one person


def _small(group, kind, n_subjects, n_beats, **done):
    return {"group": group, "diagnosis": kind, "n_subjects": n_subjects, "n_beats": n_beats, **done}


def _of_key(ksame, group, kind, n=500, facts=()):
    facts = np.tile(np.array(facts, dtype=int), (n, 1))
    key = Key(np.full(n, group), np.full(n, kind), facts)
    return ksame._model.release(key, np.random.SeedSequence(1), np.float64, ksame)


def test_small_keys_are_suppressed():
    data = _small_cohort()
    ksame = KSameAnonymizer(**{**QUICK, "max_draws": 1, "max_epochs": 40}, on_small_key="suppress")
    released = ksame.fit_transform(data.X, data.y, subjects=data.subjects)
    assert {key["done"] for key in ksame.summary_["small_keys"]} == {"suppressed"}
    read_as = ksame.classes_[diagnosis(ksame, data.X)]
    assert (read_as == data.y).mean() > 0.95
    few = (read_as == "F") | (read_as == "S") | ((read_as == "V") & np.isin(data.subjects, list("abc")))
    np.testing.assert_array_equal(np.isnan(released).all(axis=1), few)
    np.testing.assert_array_equal(np.isnan(released).any(axis=1), few)
    assert few.any()


def test_small_keys_are_refused():
    data = _small_cohort()
    ksame = KSameAnonymizer(**{**QUICK, "max_draws": 1}, on_small_key="raise")
    with pytest.raises(ValueError, match=r"1 subjects have the key \{'group': ., 'diagnosis': .*less than k=3"):
        ksame.fit(data.X, data.y, subjects=data.subjects)
    few = np.isin(data.y, ["F", "S"]) | ((data.y == "V") & (data.subjects == "b"))
    ksame.fit(data.X[~few], data.y[~few], subjects=data.subjects[~few])
    assert ksame.summary_["small_keys"] == []


def test_facts_make_keys_and_borrow_first_from_their_like():
    """Groups 012 and 34567. Keys of few take the nearest of the same facts; where these are few, the diagnosis."""
    rng = np.random.default_rng(0)
    s = np.repeat(np.arange(8), 20)
    y = np.where(rng.random(160) < np.where(s < 3, 0.05, 0.6), 1, 0)
    y[::20], y[1::20] = 0, 1  # everybody has both
    sex = np.array(list("ffmfmmmx"))[s]
    ksame = KSameAnonymizer(**{**QUICK, "k": 3, "max_draws": 1}, keep=["sex"])
    ksame.fit(tagged(s, y), np.array(["N", "V"])[y], subjects=s, facts={"sex": sex})
    near, far = ksame.groups_[0], ksame.groups_[7]
    assert ksame.groups_.tolist() == [near] * 3 + [far] * 5
    abnormal = np.array([y[s == person].mean() for person in range(8)])
    nearest = sorted([4, 5, 6], key=lambda person: abs(abnormal[person] - abnormal[2]))[:2]
    for group, kind, code, donors in [
        (near, 0, 0, {0, 1, 3}),
        (near, 1, 1, {2, *nearest}),
        (far, 1, 1, {4, 5, 6}),
        (far, 0, 0, {0, 1, 3}),
        (far, 0, 2, set(range(8))),
        (near, 0, 2, set(range(8))),  # nobody's key in fit
    ]:
        part, kinds = shares(_of_key(ksame, group, kind, facts=[code], n=1000))
        assert set(np.flatnonzero(part.max(axis=0) > 1e-6)) == donors
        assert kinds[:, kind].min() > 0.999
    told = sorted((key["group"] == near, key["sex"], key["borrowed_subjects"]) for key in ksame.summary_["small_keys"])
    assert told == [(False, "f", 3)] * 2 + [(False, "x", 8)] * 2 + [(True, "f", 3)] * 2 + [(True, "m", 3)] * 2
    assert ksame.summary_["n_keys"] == 10


def test_small_keys_are_served_together():
    """Groups 012 and 34567; of site a are two of each: one pool of these four, and nobody else."""
    rng = np.random.default_rng(0)
    s = np.repeat(np.arange(8), 20)
    y = np.where(rng.random(160) < np.where(s < 3, 0.05, 0.6), 1, 0)
    y[::20], y[1::20] = 0, 1
    site = np.array(list("aabaabbb"))[s]
    ksame = KSameAnonymizer(**{**QUICK, "k": 3, "max_draws": 1}, keep=["site"])
    ksame.fit(tagged(s, y), np.array(["N", "V"])[y], subjects=s, facts={"site": site})
    near, far = ksame.groups_[0], ksame.groups_[7]
    assert ksame.groups_.tolist() == [near] * 3 + [far] * 5
    for group in (near, far):
        part, _ = shares(_of_key(ksame, group, 0, facts=[0], n=1000))
        assert set(np.flatnonzero(part.max(axis=0) > 1e-6)) == {0, 1, 3, 4}
    keys = ksame.assign(tagged(s, y), subjects=s, facts={"site": site})
    assert len(np.unique(keys[(site == "a") & (y == 0)])) == 1


def test_key_that_nobody_had_takes_its_diagnosis():
    """Six people never have V; a beat of theirs that is read as V gets it from the six others."""
    s = np.repeat(np.arange(12), 20)
    y = np.where(s < 6, np.arange(240) % 2, np.arange(240) % 4 // 2 * 2)
    ksame = KSameAnonymizer(**{**QUICK, "k": 6, "max_draws": 1, "max_epochs": 20})
    ksame.fit(tagged(s, y), np.array(list("NSV"))[y], subjects=s)
    assert ksame.groups_.tolist() == [ksame.groups_[0]] * 6 + [ksame.groups_[6]] * 6
    subjects, kinds = np.repeat(np.arange(6), 100), np.full(600, 2)
    X = tagged(subjects, kinds, seed=1)
    assert (diagnosis(ksame, X) == 2).all()
    part, released = shares(ksame.transform(X, subjects=subjects))
    assert set(np.flatnonzero(part.max(axis=0) > 1e-6)) == set(range(6, 12))
    assert released[:, 2].min() > 0.999


def test_donors_serve_as_often_as_they_came():
    """Where all fitted beats are released, each member's lead as many as he has in the key."""
    data = cohort()
    ksame = KSameAnonymizer(**{**QUICK, "max_draws": 1}, grouping="morphology")
    part, _ = shares(ksame.fit_transform(data.X, data.y, subjects=data.subjects))
    keys = ksame.assign(data.X, subjects=data.subjects)
    lead = part.argmax(axis=1)
    small = {(entry["group"], entry["diagnosis"]) for entry in ksame.summary_["small_keys"]}
    of_small = [pair in small for pair in zip(ksame.groups_[data.subjects], data.y, strict=True)]
    assert np.mean(of_small) < 0.5
    for key in np.unique(keys[~np.array(of_small)]):
        of_key = keys == key
        np.testing.assert_array_equal(np.bincount(lead[of_key]), np.bincount(data.subjects[of_key]))
    assert (lead != data.subjects).mean() > 0.5


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_fitted_beats_keep_the_diagnosis_they_were_fitted_with(dtype):
    """Diagnoses that no network can have learned; new beats are read by the networks."""
    data = cohort()
    y = np.random.default_rng(0).permutation(data.y)
    X = tagged(data.subjects, np.searchsorted(["N", "S", "V"], y)).astype(dtype)  # what is released can be read off
    X[:, N_PEOPLE : N_PEOPLE + N_KINDS] *= dtype(1e-3)
    ksame = KSameAnonymizer(**{**QUICK, "max_epochs": 1, "max_draws": 1}).fit(X, y, subjects=data.subjects)
    assert (ksame.classes_[diagnosis(ksame, X)] != y).mean() > 0.2
    for beats in (X, X.astype(np.float32)):
        _, kinds = shares(ksame.transform(beats, subjects=data.subjects))
        np.testing.assert_array_equal(ksame.classes_[kinds[:, :3].argmax(axis=1)], y)
    new = X + dtype(1e-3)
    _, kinds = shares(ksame.transform(new, subjects=data.subjects))
    np.testing.assert_array_equal(kinds[:, :3].argmax(axis=1), diagnosis(ksame, new))


# --- what keys give away ---------------------------------------------------------------------------------------------


def _best_guesses(seen, asked):
    """Rank-1 of who knows keys: pairs (subject, key) seen, and asked of."""
    count = Counter(key for key in seen)
    people = sorted({s for s, _ in seen})
    most = max(people, key=lambda s: sum(count[pair] for pair in count if pair[0] == s))
    right = 0
    for s, key in asked:
        best = max(people, key=lambda person: count[person, key])
        right += (best if count[best, key] else most) == s
    return right / len(asked)


def _best_guesses_fused(seen, asked):
    people, keys = sorted({s for s, _ in seen}), {key for _, key in [*seen, *asked]}
    count, total = Counter(seen), Counter(s for s, _ in seen)
    of = defaultdict(list)
    for s, key in asked:
        of[s].append(key)

    def told(person, probes):
        return sum(np.log((count[person, key] + 0.5) / (total[person] + 0.5 * len(keys))) for key in probes)

    return np.mean(
        [max(people, key=lambda person, probes=probes: told(person, probes)) == s for s, probes in of.items()]
    )


@pytest.mark.parametrize("keep", [(), ("age",)])
def test_expected_leakage_is_the_best_guess(keep):
    data = cohort()
    age = np.random.default_rng(5).integers(0, 2, len(data.y))
    ksame = KSameAnonymizer(**{**QUICK, "max_draws": 1}, keep=keep)
    ksame.fit(data.X, data.y, subjects=data.subjects, facts={"age": age})
    groups, kinds = ksame.groups_[data.subjects], diagnosis(ksame, data.X)
    pairs = [
        (int(s), (int(g), int(d), int(a) if keep else 0))
        for s, g, d, a in zip(data.subjects, groups, kinds, age, strict=True)
    ]
    seen, halves = Counter(), ([], [])
    for pair in pairs:
        halves[seen[pair[0]] >= 15].append(pair)
        seen[pair[0]] += 1
    for name, guesses in (("single", _best_guesses), ("fused", _best_guesses_fused)):
        expected = np.mean([guesses(*halves), guesses(*halves[::-1])])
        assert ksame.expected_leakage_[name] == pytest.approx(expected)
    assert ksame.expected_leakage_["chance"] == 1 / 12
    # A perfect attacker of single beats: also what assign is for.
    keys = ksame.assign(data.X, subjects=data.subjects, facts={"age": age})
    same_key = keys[:, None] == keys
    same_pair = np.array([[a[1] == b[1] for b in pairs] for a in pairs])
    np.testing.assert_array_equal(same_key, same_pair)


def test_leakage_of_subjects_of_one_row(people):
    ksame = KSameAnonymizer(**{**QUICK, "max_draws": 1}).fit(people.X[:60], people.y[:60])
    assert len(ksame.subjects_) == 60
    assert ksame.expected_leakage_.keys() == {"chance", "single"}
    # Everybody has one beat: of each key one person is named right.
    keys = ksame.assign(people.X[:60], subjects=np.arange(60))
    assert ksame.expected_leakage_["single"] == pytest.approx(len(set(keys.tolist())) / 60)


# --- groups ---------------------------------------------------------------------------------------------------------


def _describe(ksame, X, kinds):
    Z = (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)
    return np.bincount(kinds, minlength=len(ksame.classes_)) / len(kinds), Z.mean(axis=0)


@pytest.mark.parametrize("grouping", ["class_mix", "morphology", "both"])
def test_new_people_go_to_the_nearest_group(people, beat_maker, grouping):
    ksame = KSameAnonymizer(**{**QUICK, "max_draws": 1}, grouping=grouping)
    ksame.fit(people.X, people.y, subjects=people.subjects)
    codes = np.searchsorted(ksame.classes_, people.y)
    known = [people.subjects == name for name in ksame.subjects_]
    mixes, templates = (
        np.array(part) for part in zip(*(_describe(ksame, people.X[m], codes[m]) for m in known), strict=True)
    )
    spreads = [np.sqrt(part.var(axis=0).sum()) for part in (mixes, templates)]
    chosen = {"class_mix": [0], "morphology": [1], "both": [0, 1]}[grouping]

    def features(*parts):
        return np.concatenate([parts[i] / spreads[i] for i in chosen])

    rows = np.array([features(*parts) for parts in zip(mixes, templates, strict=True)])
    centres = [rows[ksame.groups_ == g].mean(axis=0) for g in range(ksame.groups_.max() + 1)]
    assert len(centres) == 4
    new = beat_maker(9, 90, people=7)
    names = np.array([f"new {name}" for name in new.subjects])
    kinds = diagnosis(ksame, new.X)
    expected = np.zeros(90, dtype=int)
    for name in np.unique(names):
        m = names == name
        here = features(*_describe(ksame, new.X[m], kinds[m]))
        expected[m] = np.argmin([((here - centre) ** 2).sum() for centre in centres])
    assert len(set(expected)) > 1
    for size in (1, 25, 4096):
        got = ksame.set_params(transform_batch_size=size)._find_key(new.X, names, None)[1].group
        np.testing.assert_array_equal(got, expected)
    # Known and new ones in one call do not disturb each other.
    mixed = np.vstack([people.X[:30], new.X]), np.concatenate([people.subjects[:30], names])
    both = ksame._find_key(*mixed, None)[1].group
    np.testing.assert_array_equal(both[30:], expected)
    np.testing.assert_array_equal(both[:30], ksame.groups_[np.searchsorted(ksame.subjects_, people.subjects[:30])])


def test_without_subjects_every_row_is_a_new_person(ksame, people):
    facts = _facts(people.subjects)
    names = np.array([f"x{i:04d}" for i in range(len(people.X))])
    np.testing.assert_array_equal(
        ksame.transform(people.X, facts=facts), ksame.transform(people.X, subjects=names, facts=facts)
    )
    np.testing.assert_array_equal(
        ksame.assign(people.X, facts=facts), ksame.assign(people.X, subjects=names, facts=facts)
    )


def test_groups_do_not_go_by_names_or_order(people):
    """One partition, of what the people are like."""
    rng = np.random.default_rng(0)
    names = np.unique(people.subjects)
    other = dict(zip(names, rng.permutation([f"p{i}" for i in range(len(names))]), strict=True))
    order = rng.permutation(len(people.X))
    renamed = np.array([other[name] for name in people.subjects])
    fits = [
        KSameAnonymizer(**{**QUICK, "max_draws": 1, "max_epochs": 1}, grouping="both").fit(X, y, subjects=s)
        for X, y, s in [(people.X, people.y, people.subjects), (people.X[order], people.y[order], renamed[order])]
    ]
    groups = [dict(zip(fit.subjects_, fit.groups_, strict=True)) for fit in fits]
    sets = [
        {frozenset(name for name in names if get[key(name)] == g) for g in set(get.values())}
        for get, key in zip(groups, (str, other.get), strict=True)
    ]
    assert sets[0] == sets[1]
    assert all(fit.summary_["group_sizes"] == np.bincount(fit.groups_).tolist() for fit in fits)
    assert min(fits[0].summary_["group_sizes"]) >= 3


def test_keys_that_borrow_the_same_donors_are_one():
    """A diagnosis that few of any group have is released from all who have it: the group is then not told."""
    data = cohort()
    rare = np.isin(data.subjects, [0, 5, 9]) & (np.arange(len(data.X)) % 7 == 0)
    y = np.where(rare, "F", data.y)
    X = tagged(data.subjects, np.searchsorted(list("FNSV"), y))
    ksame = KSameAnonymizer(**QUICK, max_draws=1, grouping="morphology").fit(X, y, subjects=data.subjects)
    keys = ksame.assign(X, subjects=data.subjects)
    groups, said = ksame.groups_[data.subjects], np.array(list("FNSV"))[diagnosis(ksame, X)]
    assert len(np.unique(groups[said == "F"])) > 1
    assert len(np.unique(keys[said == "F"])) == 1
    assert len(np.unique(keys[said == "N"])) == groups.max() + 1


def test_donors_are_a_copy(people):
    X = people.X.copy()
    ksame = KSameAnonymizer(**QUICK).fit(X, people.y, subjects=people.subjects)
    before = ksame.transform(people.X, subjects=people.subjects)
    X[:] = 7.0
    np.testing.assert_array_equal(ksame.transform(people.X, subjects=people.subjects), before)


def test_subjects_of_another_type_are_refused(people):
    ksame = KSameAnonymizer(**QUICK).fit(people.X, people.y, subjects=people.subjects)
    with pytest.raises(ValueError, match="subjects holds 0, fit was given 'person-0'"):
        ksame.transform(people.X, subjects=np.zeros(len(people.X), dtype=int))
