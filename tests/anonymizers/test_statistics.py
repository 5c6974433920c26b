"""Sums over people and the law made of them: against loops, against the truth of simulated people, and for anybody."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skagile.anonymizers._generators import Basis, Columns, Law, Statistics
from skagile.anonymizers._generators._law import _contrasts

COLUMNS = Columns((3, 2))
N_FEATURES = 6


def _cohort(seed, n_people=8, n_beats=90, d=N_FEATURES, sizes=(3, 2)):
    """Features, codes and people; the first person has one beat, the second beats of one block only."""
    rng = np.random.default_rng(seed)
    person = np.concatenate([np.arange(n_people), rng.integers(1, n_people, n_beats - n_people)])
    codes = np.column_stack([rng.integers(0, size, n_beats) for size in sizes])
    codes[person == 1] = codes[person == 1][0]
    return rng.standard_normal((n_beats, d)) + person[:, None], codes, rng.permutation(1000)[person]


def _sums(V, codes, person, columns=COLUMNS):
    return Statistics.of(lambda rows: V[rows], codes, person, columns)


def _assert_same(got, expected, **tolerance):
    assert got.sums.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(got.sums[name], value, err_msg=name, **{"rtol": 1e-9, "atol": 1e-9, **tolerance})


def _plain(V, codes, person, sizes=(3, 2)):
    """The same sums by loops over people and blocks, one number of one person after another."""
    k, d, n_classes = sum(sizes), V.shape[1], sizes[0]
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    out = {name: np.zeros_like(value) for name, value in Statistics(d, Columns(sizes)).sums.items()}

    def mean(items):
        return sum(items) / len(items)

    for p in set(person.tolist()):
        beats = {}
        for v, code, of in zip(V, codes.tolist(), person, strict=True):
            if of == p:
                beats.setdefault(tuple(code), []).append(v)
        blocks = list(beats)
        M = {b: mean(beats[b]) for b in blocks}
        Z = {b: np.array([float(b[i] == j) for i, size in enumerate(sizes) for j in range(size)]) for b in blocks}
        m, z = mean(list(M.values())), mean(list(Z.values()))
        out["people"] += 1
        out["mean"] += m
        out["share"] += z
        for i in range(d):
            out["square"][i] += m[i] * m
        for i in range(k):
            out["share_square"][i] += z[i] * z
            out["share_mean"][i] += z[i] * m
            if any(b[label] == i - start for b in blocks for label, start in enumerate(starts)
                   if start <= i < start + sizes[label]):  # fmt: skip
                out["with_level"][i] += 1
                out["mean_of_level"][i] += m
                out["share_of_level"][i] += z
        if len(blocks) > 1:
            for i in range(k):
                n_having = sum(Z[b][i] for b in blocks)
                out["contrasted"][i] += 0 < n_having < len(blocks)
                out["level_pairs"][i] += mean([(Z[b] - z)[i] * (Z[b] - z) for b in blocks])
                out["level_means"][i] += mean([(Z[b] - z)[i] * (M[b] - m) for b in blocks])
            for c in {b[0] for b in blocks}:
                of_c = [b for b in blocks if b[0] == c]
                out["moved_people"][c] += 1
                out["moved"][c] += mean([np.outer(M[b] - m, M[b] - m) for b in of_c])
                out["moved_pairs"][c] += mean([np.outer(Z[b] - z, Z[b] - z) for b in of_c])
                out["moved_means"][c] += mean([np.outer(Z[b] - z, M[b] - m) for b in of_c])
                shift, share = mean([M[b] - m for b in of_c]), mean([Z[b] - z for b in of_c])
                out["moved_sum"][c] += shift
                out["moved_share"][c] += share
                for i in range(d):
                    out["mean_moved"][c][i] += m[i] * shift
                    out["mean_moved_share"][c][:, i] += m[i] * share
                for i in range(k):
                    out["share_moved"][c][i] += z[i] * shift
                    out["share_moved_share"][c][i] += z[i] * share
        covariances = {}
        for c in range(n_classes):
            of_c = [np.cov(np.array(beats[b]), rowvar=False) for b in blocks if b[0] == c and len(beats[b]) > 1]
            if of_c:
                covariances[c] = mean(of_c)
        if not covariances:
            continue
        own = mean(list(covariances.values()))
        noise = np.log(sum(own[i, i] for i in range(d - 2)))
        out["within_people"] += 1
        out["within"] += own
        out["within_energy"] += (own**2).sum()
        out["log_noise"] += noise
        out["log_noise_square"] += noise**2
        for c, covariance in covariances.items():
            out["within_people_of"][c] += 1
            out["within_of"][c] += own
            if len(covariances) > 1:
                out["own_people"][c] += 1
                out["own"][c] += covariance - own
    return out


# --- sums -----------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6))
def test_sums_are_those_of_loops(seed):
    V, codes, person = _cohort(seed)
    _assert_same(_sums(V, codes, person), _plain(V, codes, person))


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6))
def test_sums_of_two_cohorts_are_those_of_both(seed):
    """Added, taken away again, and in any order of the rows."""
    V, codes, person = _cohort(seed)
    first = person < np.median(person)
    parts = [_sums(V[rows], codes[rows], person[rows]) for rows in (first, ~first)]
    whole = _sums(V, codes, person)
    _assert_same(parts[0] + parts[1], whole.sums)
    _assert_same(whole + parts[1].scaled(-1.0), parts[0].sums)
    order = np.random.default_rng(seed).permutation(len(V))
    _assert_same(_sums(V[order], codes[order], person[order]), whole.sums)


def test_everybody_counts_the_same_however_many_their_beats_are():
    """One person's beats three times over: only the divisors n - 1 tell of it, which at their blocks are known."""
    V, codes, person = _cohort(0)
    p = person[2]
    own = person == p
    more = [np.concatenate([part, *[part[own]] * 2]) for part in (V, codes, person)]
    once, thrice = _sums(V, codes, person).sums, _sums(*more).sums
    for name in once:
        if not name.startswith(("within", "own", "log_noise")):
            np.testing.assert_allclose(thrice[name], once[name], rtol=1e-9, atol=1e-9, err_msg=name)
    # One block of four beats, three times over: sums of squares are threefold, and divided by 11 in the place of 3.
    V, codes, person = V[:4], codes[:4] * 0, np.zeros(4)
    once = _sums(V, codes, person).sums["within"]
    thrice = _sums(np.tile(V, (3, 1)), np.tile(codes, (3, 1)), np.zeros(12)).sums["within"]
    np.testing.assert_allclose(thrice, once * (3 / 11) / (1 / 3))


def test_sums_are_of_one_size_whatever_the_rows():
    sizes = {n: sum(value.nbytes for value in _sums(*_cohort(0, n_beats=n)).sums.values()) for n in (20, 400)}
    assert len(set(sizes.values())) == 1


# --- law of simulated people ------------------------------------------------------------------------------------------

D = 8  # features: six of the shape, size and offset
CLASSES = Columns((2,))


def _roots(seed, scale, d=D):
    return scale * np.random.default_rng(seed).standard_normal((d, d)) / np.sqrt(d)


TRUTH = {
    "mean": np.linspace(-1, 1, D),
    "contrast": np.where(np.arange(D) % 2, 1.0, -0.5),
    "between": _roots(1, 0.6),
    "moved": _roots(2, 0.3),
    "within": _roots(3, 0.4),
}


def _simulated(n_people, seed, n_beats=24, share=0.5, contrast=None, of_people=None, noise=0.0):
    """Beats of two diagnoses by the model; `of_people` is what people who have the second differ by from the others."""
    rng = np.random.default_rng(seed)
    V, codes, person = [], [], []
    contrast = TRUTH["contrast"] if contrast is None else contrast
    for p in range(n_people):
        has = rng.random() < share
        mine = rng.standard_normal(D) @ TRUTH["between"] + (of_people if has and of_people is not None else 0)
        amount = np.exp(0.5 * (noise * rng.standard_normal() - 0.5 * noise**2))
        for c in (0, 1) if has else (0,):
            moved = mine + rng.standard_normal(D) @ TRUTH["moved"]
            V.append(
                TRUTH["mean"] + c * contrast + moved + amount * rng.standard_normal((n_beats, D)) @ TRUTH["within"]
            )
            codes += [c] * n_beats
            person += [p] * n_beats
    return np.concatenate(V), np.array(codes)[:, None], np.array(person)


def _law(data, k=10, background=None, columns=CLASSES):
    return Law.of(_sums(*data, columns), k, background)


def _near(got, expected, share):
    """Whether covariances differ by less than a share of their size."""
    assert np.linalg.norm(got - expected) < share * np.linalg.norm(expected)


def _product(root):
    return root.T @ root


def test_law_of_many_people_is_the_truth():
    law = _law(_simulated(3000, 0, share=1.0))
    moved, within = (_product(TRUTH[name]) for name in ("moved", "within"))
    apart = law.offsets[1] - law.offsets[0]
    np.testing.assert_allclose(apart, TRUTH["contrast"], atol=0.05)
    np.testing.assert_allclose(law.mean + law.offsets[0], TRUTH["mean"], atol=0.05)
    # The person's mean over two blocks holds half of what the blocks differ by, and the contrasts the other half.
    half = (moved + within / 24) / 2
    for c in (0, 1):
        _near(_product(law.between[c]), _product(TRUTH["between"]) + half, 0.1)
        _near(_product(law.moved[c]), half, 0.1)
        _near(_product(law.within[c]), within, 0.05)
    # What a diagnosis changes does not go with the person, so that covariances of two diagnoses are the person's.
    _near(law.between[0].T @ law.between[1], _product(TRUTH["between"]) + half, 0.1)
    assert law.noise < 0.25


def test_law_knows_what_goes_with_the_person():
    """What the second diagnosis changes is, but for some of its own, half of what is the person's, in other samples."""
    rng, n = np.random.default_rng(0), 3000
    way = np.roll(np.eye(D), 1, axis=0) / 2
    mine = rng.standard_normal((n, D)) @ TRUTH["between"]
    first, second = (mine + rng.standard_normal((n, D)) @ TRUTH["moved"] / 2 + extra for extra in (0, mine @ way))
    V = np.stack([first, second + TRUTH["contrast"]], axis=1)[:, :, None] + 1e-3 * rng.standard_normal((n, 2, 2, D))
    codes = np.tile([0, 0, 1, 1], n)[:, None]
    law = _law((V.reshape(-1, D), codes, np.repeat(np.arange(n), 4)))
    centred = [part - part.mean(axis=0) for part in (first, second)]
    for c in (0, 1):
        _near(_product(law.between[c]) + _product(law.moved[c]), centred[c].T @ centred[c] / n, 0.05)
    # Of one person's beats, what they have in common: with and without what goes with the person.
    across = law.between[0].T @ law.between[1]
    _near(across, centred[0].T @ centred[1] / n, 0.15)
    alone = _product(np.linalg.cholesky(np.cov((centred[0] + centred[1]) / 2, rowvar=False)).T)
    assert np.linalg.norm(across - alone) > 0.2 * np.linalg.norm(alone)


@pytest.mark.parametrize("noise", [0.5, 1.0])
def test_law_knows_how_noise_differs_from_person_to_person(noise):
    law = _law(_simulated(1500, 1, share=1.0, noise=noise, n_beats=60))
    assert noise < law.noise < 1.15 * noise + 0.1


def test_a_coin_leaves_no_trace():
    """Half of the people, by a coin, have their beats labelled otherwise: offsets are equal, but for chance's 5 %."""
    equal = 0
    for seed in range(40):
        V, codes, person = _simulated(60, seed, share=0.0, n_beats=6)
        codes[:, 0] = np.random.default_rng([seed, 1]).integers(0, 2, 60)[person]
        offsets = _law((V, codes, person)).offsets
        equal += np.array_equal(offsets[0], offsets[1]) and not offsets.any()
    assert equal >= 34


def test_a_coin_of_beats_leaves_little():
    """Half of each person's beats: what the law takes for a contrast is within what chance does."""
    V, codes, person = _simulated(60, 0, share=0.0, n_beats=40)
    codes[:, 0] = np.random.default_rng(0).integers(0, 2, len(V))
    offsets = _law((V, codes, person)).offsets
    error = np.sqrt(_product(TRUTH["within"]).trace() / 60 * (1 / 20 + 1 / 20))
    assert np.linalg.norm(offsets[1] - offsets[0]) < 1.6 * error


def test_what_people_of_a_label_differ_by_is_found():
    """The second label is a person's; nobody has both."""
    found = []
    for seed in range(5):
        V, codes, person = _simulated(300, seed, share=0.0, n_beats=6)
        ill = np.random.default_rng([seed, 2]).random(300) < 0.4
        codes[:, 0] = ill[person]
        V[codes[:, 0] == 1] += TRUTH["contrast"]
        offsets = _law((V, codes, person)).offsets
        found.append((offsets[1] - offsets[0]) @ TRUTH["contrast"] / (TRUTH["contrast"] @ TRUTH["contrast"]))
    assert min(found) > 0.75
    assert max(found) < 1.2


@pytest.mark.parametrize("with_both", [1, 2, 5])
def test_nobody_dominates_a_rare_label(with_both):
    """Few have a label beside the common one; one of them gets wild beats of it.

    What the label changes within people moves by at most 1/k of their contrast, and what its people differ by from all
    by at most 1/k of their mean, which is half of that.
    """
    k, rng = 10, np.random.default_rng(0)
    V, codes, person = _simulated(40, 3, share=0.0)
    rare = (person < with_both) & (np.arange(len(V)) % 24 < 12)
    codes[rare, 0] = 1
    wild, change = (person == 0) & rare, 50 * rng.standard_normal(D)
    after = V + wild[:, None] * change
    moved = {}
    for find in (_offset_of_label, _contrast_of_label):
        apart = find(after, codes, person, k) - find(V, codes, person, k)
        moved[find] = apart @ change / (change @ change)
        np.testing.assert_allclose(apart, moved[find] * change, atol=0.5)  # in no other direction
    assert 0 < moved[_contrast_of_label] <= 1.001 / k
    assert 0 < moved[_offset_of_label] <= 1.5 / k
    if with_both == 1:  # closed form: the only contrast there is, as if nine others had shown none
        own = V[wild].mean(axis=0) - V[(person == 0) & ~rare].mean(axis=0)
        np.testing.assert_allclose(_contrast_of_label(V, codes, person, k), own / k, atol=1e-9)


def _offset_of_label(V, codes, person, k):
    offsets = _law((V, codes, person), k).offsets
    return offsets[1] - offsets[0]


def _contrast_of_label(V, codes, person, k):
    """What the label changes within people alone."""
    contrasts = _contrasts(_sums(V, codes, person, CLASSES).sums, CLASSES, k, np.zeros((2, D)))
    return contrasts[1] - contrasts[0]


def test_rare_label_is_shrunk_to_that_of_others():
    """One person with the label: nine parts of ten are the background's contrast."""
    known = _law(_simulated(400, 5, share=1.0))
    V, codes, person = _simulated(40, 3, share=0.0)
    codes[(person == 0) & (np.arange(len(V)) % 24 < 12), 0] = 1
    law = _law((V, codes, person), 10, known)
    apart = law.offsets[1] - law.offsets[0]
    own = V[codes[:, 0] == 1].mean(axis=0) - V[(person == 0) & (codes[:, 0] == 0)].mean(axis=0)
    np.testing.assert_allclose(apart, 0.9 * (known.offsets[1] - known.offsets[0]) + 0.1 * own, atol=0.12)


def test_a_law_of_one_diagnosis_a_person_and_one_beat_each():
    """Rows that are people of their own: nothing is known of what differs within, and nothing is infinite."""
    V, codes, _ = _simulated(50, 0, n_beats=1)
    law = _law((V, codes, np.arange(len(V))))
    for name in ("mean", "offsets", "between", "moved", "within"):
        assert np.isfinite(getattr(law, name)).all()
    assert not law.within.any()
    assert law.noise == 0


# --- features -------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.floats(0.01, 20), st.floats(-5, 5))
def test_beats_are_features_and_back(seed, gain, offset):
    X = gain * np.random.default_rng(seed).standard_normal((5, 30)) + offset
    basis = Basis(30)
    features = basis.features(X)
    np.testing.assert_allclose(features[:, :-2], (X - X.mean(1, keepdims=True)) / X.std(1, keepdims=True))
    np.testing.assert_allclose(features[:, -2:], np.column_stack([np.log(X.std(1)), X.mean(1)]))
    np.testing.assert_allclose(basis.beats(features), X, atol=1e-9 * gain + 1e-12, rtol=1e-9)
    features[:, :-2] *= 3  # a shape need not be standardized
    np.testing.assert_allclose(basis.beats(features), X, atol=1e-9 * gain + 1e-12, rtol=1e-9)


def test_axes_are_those_of_other_beats():
    """Beats of a plane are kept as they are; axes are the leading ones of the shapes."""
    rng = np.random.default_rng(0)
    waves = np.linalg.qr(rng.standard_normal((20, 3)) - 0)[0].T
    waves -= waves.mean(axis=1, keepdims=True)
    X = rng.standard_normal((200, 3)) @ waves + 5 * waves[0]
    basis = Basis.of(X, 3)
    assert basis.n_features == 5
    np.testing.assert_allclose(basis.axes @ basis.axes.T, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(basis.beats(basis.features(X)), X, atol=1e-8)
    shapes = (X - X.mean(1, keepdims=True)) / X.std(1, keepdims=True)
    variances = np.var((shapes - shapes.mean(axis=0)) @ basis.axes.T, axis=0)
    assert (np.diff(variances) <= 1e-12).all()
