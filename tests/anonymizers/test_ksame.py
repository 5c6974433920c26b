"""KSameAnonymizer: the bound as an exact property, keys by hand, what keys give away by brute force, groups."""

import json
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils import Bunch

from skagile import KSameAnonymizer
from skagile.anonymizers._ksame import _partition
from skagile.anonymizers._ksame._checks import units_of
from skagile.anonymizers._ksame._readers import read

QUICK = {"k": 3, "max_epochs": 4, "lr": 0.01, "batch_size": 32, "random_state": 0, "device": "cpu"}
# Beats whose first samples say whose they are, and the next ones of which diagnosis.
N_PEOPLE, N_KINDS = 12, 4


def tagged(subjects, diagnoses, seed=0):
    rng = np.random.default_rng(seed)
    X = np.zeros((len(subjects), N_PEOPLE + N_KINDS + 8))
    X[:, N_PEOPLE + N_KINDS :] = 0.1 * rng.standard_normal((len(X), 8))
    X[np.arange(len(X)), subjects] = 0.5
    X[np.arange(len(X)), N_PEOPLE + np.asarray(diagnoses)] = 4.0
    return X


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
    return read(ksame.nets_, X, torch.device("cpu"))


@pytest.fixture(scope="module")
def people(beat_maker):
    return beat_maker(12, 360)


PARAMS = {
    "beat": {},
    "record": {"coherence": "record"},
    "subject": {"coherence": "subject", "grouping": "morphology"},
    "diverse": {"grouping": "diverse", "on_small_key": "suppress"},
    "facts": {"keep": ("p_present", "sex"), "sampling_rate": 100.0, "window": (0.18, 0.3), "grouping": "class_mix"},
}


@pytest.fixture(scope="module", params=PARAMS)
def ksame(request, people):
    ksame = KSameAnonymizer(**{**QUICK, "max_draws": 3, **PARAMS[request.param]})
    return ksame.fit(people.X, people.y, subjects=people.subjects, facts=_facts(people.subjects))


def _facts(subjects):
    return {"sex": np.where([int(name.split("-")[1]) % 2 for name in subjects], "m", "f")}


def _given(ksame, subjects):
    """What `transform` is given beside beats; records are runs of ten rows."""
    records = {"records": np.arange(len(subjects)) // 10} if ksame.coherence == "record" else {}
    return {"subjects": subjects, "facts": _facts(subjects), **records}


# --- the bound ------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 10**6))
def test_who_of_a_key_a_beat_came_from_changes_nothing(ksame, people, seed):
    """Beats change places with others of their key: bit-equal output, whatever has one pseudo-person."""
    rng = np.random.default_rng(seed)
    given = _given(ksame, people.subjects)
    keys = ksame.assign(people.X, subjects=people.subjects, facts=given["facts"])
    order = np.arange(len(keys))
    for key in np.unique(keys):
        order[keys == key] = rng.permutation(order[keys == key])
    subjects = people.subjects[order]
    assert (subjects != people.subjects).mean() > 0.1
    released = ksame.transform(people.X, **given)
    np.testing.assert_array_equal(ksame.transform(people.X[order], **given), released)
    np.testing.assert_array_equal(np.isnan(released).all(axis=1), keys < 0)
    assert np.isfinite(released[keys >= 0]).all()
    if ksame.coherence is None:  # with their subjects, too
        again = ksame.transform(people.X[order], subjects=subjects, facts=_facts(subjects))
        np.testing.assert_array_equal(again, released)


@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 10**6), gain=st.floats(0.5, 2), offset=st.floats(-1, 1), noise=st.floats(0, 0.03))
def test_nothing_of_the_beat_but_its_key_is_released(ksame, people, seed, gain, offset, noise):
    """Another gain, offset and shape, wherever they leave the key: every bit of the output stays."""
    rng = np.random.default_rng(seed)
    X = 1.001 * people.X  # new beats: of fitted ones the diagnosis is known
    changed = gain * (X + noise * rng.standard_normal(X.shape)) + offset
    given = _given(ksame, people.subjects)
    asked = {"subjects": people.subjects, "facts": given["facts"]}
    same = ksame.assign(changed, **asked) == ksame.assign(X, **asked)
    assert same.mean() > 0.3
    changed = np.where(same[:, None], changed, X).astype(X.dtype)
    np.testing.assert_array_equal(ksame.transform(changed, **given), ksame.transform(X, **given))


def test_members_of_a_group_are_the_same_person_to_it(ksame, people):
    """Subjects of one group trade all their beats: keys stay, and so does what is released of single beats."""
    facts = {"facts": _facts(people.subjects)}
    keys = ksame.assign(people.X, subjects=people.subjects, **facts)
    for group in np.unique(ksame.groups_):
        members = ksame.subjects_[ksame.groups_ == group]
        other = dict(zip(members, np.roll(members, 1), strict=True))
        renamed = np.array([other.get(name, name) for name in people.subjects])
        np.testing.assert_array_equal(ksame.assign(people.X, subjects=renamed, **facts), keys)
        if ksame.coherence is None:
            released = ksame.transform(people.X, subjects=people.subjects, **facts)
            np.testing.assert_array_equal(ksame.transform(people.X, subjects=renamed, **facts), released)


def test_release_is_a_function_of_the_key_and_random_numbers(ksame, people):
    given = _given(ksame, people.subjects)
    beats, key, _ = ksame._find_key(people.X, given["subjects"], given["facts"])
    unit = units_of(ksame, beats, given["subjects"], given.get("records"))
    args = key, unit, np.random.SeedSequence(ksame._seed), people.X.dtype, ksame
    again = ksame._model.release(*args)
    np.testing.assert_array_equal(again, ksame.transform(people.X, **given))
    other = ksame._model.release(key, unit, np.random.SeedSequence(99), people.X.dtype, ksame)
    released = np.isfinite(again).all(axis=1)
    assert (other[released] != again[released]).any(axis=1).all()


# --- keys -----------------------------------------------------------------------------------------------------------


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
@pytest.mark.parametrize("on_small_key", ["borrow", "suppress"])
def test_small_keys_are_told(dtype, on_small_key):
    data = _small_cohort()
    ksame = KSameAnonymizer(**{**QUICK, "max_draws": 1}, grouping="class_mix", on_small_key=on_small_key)
    given = {"subjects": data.subjects.astype(dtype)}
    released = ksame.fit_transform(data.X, data.y.astype(dtype), **given)
    near, far = ksame.groups_[0], ksame.groups_[3]
    assert near != far
    assert ksame.groups_.tolist() == [near] * 3 + [far] * 3
    summary = ksame.summary_
    assert json.loads(json.dumps(summary)) == summary  # no numbers of numpy's
    assert summary["group_sizes"] == [3, 3]
    assert summary["n_keys"] == 7
    entries = {(key["group"], key["diagnosis"]): key for key in summary["small_keys"]}
    done = {"borrow": "borrowed", "suppress": "suppressed"}[on_small_key]
    few = {(near, "F"): 1, (far, "F"): 1, (near, "V"): 1, (far, "S"): 3}
    assert entries == {
        (group, kind): {"group": group, "diagnosis": kind, "n_subjects": 1, "n_beats": n_beats, "done": done}
        for (group, kind), n_beats in few.items()
    }
    assert summary["small_key_share"] == pytest.approx(6 / 120)
    groups = ksame.groups_[np.searchsorted(list("abcdef"), data.subjects)]
    is_small = np.array([pair in few for pair in zip(groups, data.y, strict=True)])
    lost = np.isnan(released)
    np.testing.assert_array_equal(lost.all(axis=1), is_small & (on_small_key == "suppress"))
    np.testing.assert_array_equal(lost.any(axis=1), lost.all(axis=1))
    np.testing.assert_array_equal(ksame.assign(data.X, **given) < 0, lost.all(axis=1))


@pytest.mark.parametrize("grouping", ["one", "class_mix"])
def test_small_keys_are_refused(grouping):
    data = _small_cohort()
    ksame = KSameAnonymizer(**{**QUICK, "max_draws": 1}, grouping=grouping, on_small_key="raise")
    with pytest.raises(ValueError, match=r". subjects have the key \{'group': ., 'diagnosis': .*less than k=3"):
        ksame.fit(data.X, data.y, subjects=data.subjects)
    few = np.isin(data.y, ["F", "S"]) | ((data.y == "V") & (data.subjects == "b"))
    ksame.fit(data.X[~few], data.y[~few], subjects=data.subjects[~few])
    assert ksame.summary_["small_keys"] == []


@pytest.mark.parametrize("on_small_key", ["borrow", "suppress"])
def test_key_that_nobody_had(on_small_key):
    """Six people never have V, and are a group; a beat of theirs that is read as V is another's V, or nothing."""
    s = np.repeat(np.arange(12), 20)
    y = np.where(s < 6, np.arange(240) % 2, np.arange(240) % 4 // 2 * 2)
    params = {"k": 6, "max_draws": 1, "max_epochs": 20, "grouping": "class_mix", "on_small_key": on_small_key}
    ksame = KSameAnonymizer(**{**QUICK, **params})
    ksame.fit(tagged(s, y), np.array(list("NSV"))[y], subjects=s)
    assert ksame.groups_.tolist() == [ksame.groups_[0]] * 6 + [ksame.groups_[6]] * 6
    subjects, kinds = np.repeat(np.arange(6), 100), np.full(600, 2)
    X = tagged(subjects, kinds, seed=1)
    assert (diagnosis(ksame, X) == 2).all()
    released = ksame.transform(X, subjects=subjects)
    if on_small_key == "suppress":
        assert np.isnan(released).all()
        return
    # What makes a V one is known from the other group's.
    assert (released[:, N_PEOPLE : N_PEOPLE + N_KINDS].argmax(axis=1) == 2).mean() > 0.95


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_fitted_beats_keep_the_diagnosis_they_were_fitted_with(dtype):
    """Diagnoses that no network can have learned; new beats are read by the networks."""
    data = cohort()
    y = np.random.default_rng(0).permutation(data.y)
    X = data.X.astype(dtype)
    ksame = KSameAnonymizer(**{**QUICK, "max_epochs": 1, "max_draws": 1}).fit(X, y, subjects=data.subjects)
    assert (ksame.classes_[diagnosis(ksame, X)] != y).mean() > 0.2
    for beats in (X, X.astype(np.float32)):
        np.testing.assert_array_equal(ksame.classes_[ksame.assign(beats, subjects=data.subjects)], y)
    new = X + dtype(1e-3)
    np.testing.assert_array_equal(ksame.assign(new, subjects=data.subjects), diagnosis(ksame, new))


@pytest.mark.parametrize("coherence", ["beat", "subject"])
def test_released_beats_look_like_their_diagnosis(coherence):
    """Of tags of diagnoses the own is the largest; and of nobody is there as much as in anybody's beats."""
    data = cohort()
    ksame = KSameAnonymizer(**QUICK, coherence=coherence)
    released = ksame.fit_transform(data.X, data.y, subjects=data.subjects)
    kinds = released[:, N_PEOPLE : N_PEOPLE + 3].argmax(axis=1)
    assert (np.array(list("NSV"))[kinds] == data.y).mean() > 0.97
    # 0.5 of a beat's own person, 0 of others, before; the law has .5/12 of each, and as much variance.
    own = released[np.arange(len(released)), data.subjects]
    assert abs(own.mean() - released[:, :N_PEOPLE].mean()) < 0.1


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


@pytest.mark.parametrize(("keep", "grouping"), [((), "one"), ((), "class_mix"), (("age",), "class_mix")])
def test_expected_leakage_is_the_best_guess(keep, grouping):
    data = cohort()
    age = np.random.default_rng(5).integers(0, 2, len(data.y))
    ksame = KSameAnonymizer(**{**QUICK, "max_draws": 1, "max_epochs": 1}, keep=keep, grouping=grouping)
    ksame.fit(data.X, data.y, subjects=data.subjects, facts={"age": age})
    groups, kinds = ksame.groups_[data.subjects], np.searchsorted(ksame.classes_, data.y)
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
    # Disclosure: who knows the group guesses its commonest diagnosis of a person.
    commonest = [Counter(np.sort(data.y[data.subjects == s])).most_common(1)[0][0] for s in range(N_PEOPLE)]
    knowing = sum(
        max(Counter(np.array(commonest)[ksame.groups_ == g].tolist()).values()) for g in np.unique(ksame.groups_)
    )
    without = max(Counter(commonest).values())
    assert ksame.expected_leakage_["disclosure"] == pytest.approx((knowing - without) / N_PEOPLE)
    # A perfect attacker of single beats: also what assign is for.
    keys = ksame.assign(data.X, subjects=data.subjects, facts={"age": age})
    same_key = keys[:, None] == keys
    same_pair = np.array([[a[1] == b[1] for b in pairs] for a in pairs])
    np.testing.assert_array_equal(same_key, same_pair)


def test_leakage_of_subjects_of_one_row(people):
    ksame = KSameAnonymizer(**{**QUICK, "max_draws": 1, "max_epochs": 1}).fit(people.X[:60], people.y[:60])
    assert len(ksame.subjects_) == 60
    assert ksame.expected_leakage_.keys() == {"chance", "single", "disclosure"}
    assert ksame.expected_leakage_["disclosure"] == 0  # one group
    # Everybody has one beat: of each key one person is named right.
    keys = ksame.assign(people.X[:60], subjects=np.arange(60))
    assert ksame.expected_leakage_["single"] == pytest.approx(len(set(keys.tolist())) / 60)


# --- groups ---------------------------------------------------------------------------------------------------------


def _describe(ksame, X, kinds):
    Z = (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)
    return np.bincount(kinds, minlength=len(ksame.classes_)) / len(kinds), Z.mean(axis=0)


@pytest.mark.parametrize("grouping", ["class_mix", "morphology", "both", "diverse"])
def test_new_people_go_to_the_nearest_group(people, beat_maker, grouping, monkeypatch):
    ksame = KSameAnonymizer(**{**QUICK, "max_draws": 1, "max_epochs": 1}, grouping=grouping)
    ksame.fit(people.X, people.y, subjects=people.subjects)
    codes = np.searchsorted(ksame.classes_, people.y)
    known = [people.subjects == name for name in ksame.subjects_]
    mixes, templates = (
        np.array(part) for part in zip(*(_describe(ksame, people.X[m], codes[m]) for m in known), strict=True)
    )
    spreads = [np.sqrt(part.var(axis=0).sum()) for part in (mixes, templates)]
    chosen = {"class_mix": [0], "diverse": [0], "morphology": [1], "both": [0, 1]}[grouping]

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
        monkeypatch.setattr(_partition, "_BATCH", size)
        got = ksame._find_key(new.X, names, None)[1].group
        np.testing.assert_array_equal(got, expected)
    # Known and new ones in one call do not disturb each other.
    mixed = np.vstack([people.X[:30], new.X]), np.concatenate([people.subjects[:30], names])
    both = ksame._find_key(*mixed, None)[1].group
    np.testing.assert_array_equal(both[30:], expected)
    np.testing.assert_array_equal(both[:30], ksame.groups_[np.searchsorted(ksame.subjects_, people.subjects[:30])])


def test_without_subjects_every_row_is_a_new_person(ksame, people):
    facts, records = _facts(people.subjects), np.arange(len(people.X))
    names = np.array([f"x{i:04d}" for i in records])
    np.testing.assert_array_equal(
        ksame.assign(people.X, facts=facts), ksame.assign(people.X, subjects=names, facts=facts)
    )
    if ksame.coherence == "subject":
        with pytest.raises(ValueError, match='coherence="subject" for single beats needs to know'):
            ksame.transform(people.X, facts=facts)
        return
    given = {"facts": facts, "records": records if ksame.coherence else None}
    np.testing.assert_array_equal(
        ksame.transform(people.X, **given), ksame.transform(people.X, subjects=names, **given)
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


def test_fitted_law_is_a_copy(people):
    X = people.X.copy()
    ksame = KSameAnonymizer(**{**QUICK, "max_epochs": 1}).fit(X, people.y, subjects=people.subjects)
    before = ksame.transform(people.X, subjects=people.subjects)
    X[:] = 7.0
    np.testing.assert_array_equal(ksame.transform(people.X, subjects=people.subjects), before)


def test_subjects_of_another_type_are_refused(people):
    ksame = KSameAnonymizer(**{**QUICK, "max_epochs": 1}).fit(people.X, people.y, subjects=people.subjects)
    with pytest.raises(ValueError, match="subjects holds 0, fit was given 'person-0'"):
        ksame.transform(people.X, subjects=np.zeros(len(people.X), dtype=int))
