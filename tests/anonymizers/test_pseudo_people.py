"""Pseudo-people: drawn by the law's covariances, kept apart by its sieve; what has one; and nobody's beat is kept."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, multivariate_t

from skagile import KSameAnonymizer
from skagile._arrays import standardize
from skagile.anonymizers._generators import CHUNK, Basis, Law, PseudoPeople
from skagile.anonymizers._generators._sieve import Sieve
from skagile.datasets import beats_from_records, make_cohort

QUICK = {"k": 3, "max_epochs": 1, "max_draws": 1, "random_state": 0, "device": "cpu"}
D, N_CLASSES = 7, 2


def _law(seed=0, noise=0.6, apart=1.0):
    rng = np.random.default_rng(seed)
    offsets = apart * rng.standard_normal((N_CLASSES + 2, D))
    between, moved, within = (
        rng.standard_normal(shape) / 2 for shape in ((N_CLASSES, 3, D), (N_CLASSES, 2, D), (N_CLASSES, 4, D))
    )
    covariances = np.array([sum(_product(part[c]) for part in (between, moved, within)) for c in range(N_CLASSES)])
    sieve = Sieve.of(offsets[:N_CLASSES], covariances)
    return Law(rng.standard_normal(D), offsets, between, moved, within, noise, sieve)


def _product(root):
    return root.T @ root


def _drawn(laws, unit, group, diagnosis, fact=None, seed=0, turn=0):
    """All beats of a call, and whether they pass."""
    fact = np.zeros(len(diagnosis), dtype=int) if fact is None else fact
    columns = np.concatenate([np.eye(N_CLASSES)[diagnosis], np.eye(2)[fact]], axis=1)
    people = PseudoPeople(laws, Basis(D - 2), unit, np.random.SeedSequence(seed))
    features, passes = [], []
    for start in range(0, len(diagnosis), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(diagnosis)))
        V, ok = people.draw(rows, group[rows], diagnosis[rows], columns[rows], turn)
        features.append(V)
        passes.append(ok)
    return np.concatenate(features).astype(float), np.concatenate(passes)


# --- law of what is drawn -------------------------------------------------------------------------------------------


def _near(got, expected, share):
    assert np.linalg.norm(got - expected) < share * np.linalg.norm(expected)


def test_pseudo_people_of_a_cell_are_balanced():
    """Twenty of each of two diagnoses, and three of no cell: mean and spread are the law's to rounding."""
    free = _law()
    law = Law(free.mean, free.offsets, free.between, 0 * free.moved, 0 * free.within, 0.0, free.sieve)
    diagnosis = np.repeat([0, 1, 0], [20, 20, 3])
    cells = np.repeat([0, 1, 2], [20, 20, 3])
    columns = np.concatenate([np.eye(N_CLASSES)[diagnosis], np.eye(2)[0 * diagnosis]], axis=1)
    unit, rows, group = np.arange(43), np.arange(43), np.zeros(43, int)

    def drawn(cells):
        people = PseudoPeople([law], Basis(D - 2), unit, np.random.SeedSequence(0), cells)
        return people.draw(rows, group, diagnosis, columns, 0)[0].astype(float)

    balanced, plain = drawn(cells), drawn(None)
    for c in (0, 1):
        V = balanced[cells == c]
        np.testing.assert_allclose(V.mean(axis=0), law.mean + law.offsets[c] + law.offsets[2], atol=1e-5)
        np.testing.assert_allclose(np.cov(V, rowvar=False, bias=True), _product(law.between[c]), atol=1e-4)
        assert np.abs(plain[cells == c].mean(axis=0) - V.mean(axis=0)).max() > 0.05
    np.testing.assert_array_equal(balanced[cells == 2], plain[cells == 2])


def test_pseudo_people_have_the_variances_of_the_law():
    """Six thousand units of four beats of each diagnosis: the components of variance, by plain sums of squares."""
    law, n = _law(), 6000
    unit = np.repeat(np.arange(n), 8)
    diagnosis = np.tile(np.repeat([0, 1], 4), n)
    V, _ = _drawn([law], unit, np.zeros(8 * n, int), diagnosis)
    V = V.reshape(n, 2, 4, D)
    for c in (0, 1):
        np.testing.assert_allclose(V[:, c].mean(axis=(0, 1)), law.mean + law.offsets[c] + law.offsets[2], atol=0.06)
        rest = V[:, c] - V[:, c].mean(axis=1, keepdims=True)
        within = np.einsum("nij,nik->jk", rest, rest) / (3 * n)
        _near(within, _product(law.within[c]), 0.06)
        level = np.cov(V[:, c].mean(axis=1), rowvar=False) - within / 4
        _near(level, _product(law.between[c]) + _product(law.moved[c]), 0.06)
    means = V.mean(axis=2) - V.mean(axis=(0, 2))
    across = np.einsum("nj,nk->jk", means[:, 0], means[:, 1]) / n
    _near(across, law.between[0].T @ law.between[1], 0.08)


def test_beats_of_their_own_have_the_same_law():
    law, n = _law(), 40_000
    V, _ = _drawn([law], None, np.zeros(n, int), np.arange(n) % 2, np.arange(n) // 2 % 2)
    for c in (0, 1):
        total = _product(law.between[c]) + _product(law.moved[c]) + _product(law.within[c])
        for fact in (0, 1):
            own = V[(np.arange(n) % 2 == c) & (np.arange(n) // 2 % 2 == fact)]
            np.testing.assert_allclose(own.mean(axis=0), law.mean + law.offsets[c] + law.offsets[2 + fact], atol=0.08)
            _near(np.cov(own, rowvar=False), total, 0.08)
    neighbours = np.corrcoef(V[:-4:4, 0], V[4::4, 0])[0, 1]
    assert abs(neighbours) < 0.03


@pytest.mark.parametrize("noise", [0.0, 0.5, 1.0])
def test_amounts_of_noise_are_log_normal_with_mean_one(noise):
    law, n = _law(noise=noise), 4000
    law.between[:], law.moved[:] = 0, 0
    unit = np.repeat(np.arange(n), 40)
    V, _ = _drawn([law], unit, np.zeros(40 * n, int), np.zeros(40 * n, int))
    rest = V - (law.mean + law.offsets[0] + law.offsets[2])
    # Whitened, the mean square of a unit's is its amount, but for a chi-square's error of 160 squares.
    z = rest @ np.linalg.pinv(law.within[0])
    amount = (z.reshape(n, -1) ** 2).mean(axis=1)
    error = np.sqrt(2 / 160)
    assert amount.mean() == pytest.approx(1, abs=4 * np.sqrt(np.expm1(noise**2) + error**2) / np.sqrt(n))
    assert np.log(amount).std() == pytest.approx(np.hypot(noise, error), rel=0.06)
    if noise:
        assert kstest((np.log(amount) + noise**2 / 2) / np.hypot(noise, error), "norm").pvalue > 1e-3


def test_groups_have_laws_of_their_own():
    laws, n = [_law(0), _law(1)], 20_000
    group = np.arange(n) % 2
    V, _ = _drawn(laws, None, group, np.zeros(n, int))
    for i, law in enumerate(laws):
        np.testing.assert_allclose(V[group == i].mean(axis=0), law.mean + law.offsets[0] + law.offsets[2], atol=0.08)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6))
def test_a_unit_is_the_same_pseudo_person_wherever_its_beats_are(seed):
    """With nothing that differs within people, beats of a unit and a diagnosis are one, in any chunk and any turn."""
    law = _law()
    law.within[:] = 0
    unit = np.random.default_rng(seed).integers(0, 50, CHUNK + 500)
    diagnosis = unit % 2
    V, _ = _drawn([law], unit, np.zeros(len(unit), int), diagnosis, seed=seed)
    again, _ = _drawn([law], unit, np.zeros(len(unit), int), diagnosis, seed=seed, turn=3)
    np.testing.assert_allclose(again, V, atol=1e-5)
    first = np.array([V[unit == u][0] for u in unit])
    np.testing.assert_allclose(V, first, atol=1e-5)
    assert len(np.unique(V.round(4), axis=0)) == len(set(unit.tolist()))


# --- sieve ----------------------------------------------------------------------------------------------------------


def test_every_beat_passes_where_diagnoses_have_one_law():
    offsets, covariance = np.tile(np.arange(float(D)), (3, 1)), np.tile(np.eye(D) + 0.5, (3, 1, 1))
    sieve = Sieve.of(offsets, covariance)
    V = 3 * np.random.default_rng(0).standard_normal((2000, D)).astype(np.float32)
    assert sieve.passes(V, np.arange(2000) % 3).all()


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.integers(4, 16))
def test_beats_that_pass_are_the_likeliest_as_their_diagnosis(seed, d):
    """Densities by scipy: Student's with five degrees of freedom along the sieve's axes."""
    rng = np.random.default_rng(seed)
    offsets = rng.standard_normal((3, d))
    roots = rng.standard_normal((3, d, d)) / np.sqrt(d)
    covariances = np.array([_product(root) + 0.1 * np.eye(d) for root in roots])
    sieve = Sieve.of(offsets, covariances)
    n_axes = min(10, d - 2)
    A = sieve.axes
    assert A.shape == (d, n_axes)
    assert not A[-2:].any()  # size and offset play no part
    np.testing.assert_allclose(A.T @ A, np.eye(n_axes), atol=1e-9)
    kept = np.trace(A.T @ covariances.mean(axis=0) @ A)
    assert kept == pytest.approx(np.sort(np.linalg.eigvalsh(covariances.mean(axis=0)[:-2, :-2]))[-n_axes:].sum())
    V = rng.standard_normal((400, d))
    scores = np.column_stack(
        [
            multivariate_t(offsets[c] @ A, A.T @ covariances[c] @ A, df=5, seed=0).logpdf(V @ A).reshape(-1)
            for c in range(3)
        ]
    )
    diagnosis = rng.integers(0, 3, 400)
    top = np.sort(scores, axis=1)
    sure = top[:, -1] - top[:, -2] > 1e-4
    got = sieve.passes(V, diagnosis)
    np.testing.assert_array_equal(got[sure], (scores.argmax(axis=1) == diagnosis)[sure])
    assert 0 < got.mean() < 1


def test_draws_are_sieved_by_their_own_law():
    law, n = _law(apart=2.0), 20_000
    diagnosis = np.arange(n) % 2
    V, passes = _drawn([law], None, np.zeros(n, int), diagnosis, np.arange(n) // 2 % 2)
    fact = law.offsets[2 + np.arange(n) // 2 % 2]  # facts are known, and tell nothing
    expected = law.sieve.passes(V - law.mean - fact, diagnosis)
    assert (passes == expected).mean() > 0.999
    assert 0.6 < passes.mean() < 1


# --- who has one pseudo-person --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cohort():
    """Forty people, two records each."""
    records = make_cohort(40, 2, duration=25.0, sampling_rate=100.0, class_mix={"N": 0.8, "V": 0.2}, random_state=0)
    beats = beats_from_records(records, sessions="date", max_beats=20, random_state=0)
    record = np.unique(np.column_stack([beats.subjects, beats.sessions]), axis=0, return_inverse=True)[1].reshape(-1)
    return beats, record


@pytest.fixture(scope="module")
def fitted(cohort):
    beats, _ = cohort
    return KSameAnonymizer(**{**QUICK, "k": 10}).fit(beats.X, beats.y, subjects=beats.subjects)


def _components(X, of, y):
    """Variance between records, and within them, of the normal beats' samples together."""
    normal = y == "N"
    X, of = X[normal].astype(float), of[normal]
    means, within, counts = [], [], []
    for record in np.unique(of):
        own = X[of == record]
        if len(own) > 2:
            means.append(own.mean(axis=0))
            within.append(own.var(axis=0, ddof=1).sum())
            counts.append(len(own))
    within = np.mean(within)
    return np.var(means, axis=0, ddof=1).sum() - within * np.mean(1 / np.array(counts)), within


def test_records_vary_as_those_of_people_do(cohort, fitted):
    """Variances between and within records, of eight releases on average, are near to the originals'."""
    beats, record = cohort
    rows = np.tile(np.arange(len(beats.X)), 8)
    records = record[rows] + 1000 * (np.arange(len(rows)) // len(beats.X))
    released = fitted.transform(beats.X[rows], records=records)
    original = np.array(_components(standardize(beats.X), record, beats.y))
    ratio = np.array(_components(standardize(released), records, beats.y[rows])) / original
    assert ((ratio > 0.8) & (ratio < 1.25)).all(), ratio
    # In millivolts the standard deviations are: of size, so few people tell less.
    original = np.array(_components(beats.X, record, beats.y))
    ratio = np.sqrt(np.array(_components(released, records, beats.y[rows])) / original)
    assert ((ratio > 0.8) & (ratio < 1.25)).all(), ratio
    # Where each beat has a pseudo-person of its own, no record differs from the next.
    apart = fitted.transform(beats.X[rows], subjects=beats.subjects[rows])
    between, within = _components(apart, records, beats.y[rows]) / original
    assert abs(between) < 0.05
    assert within > 1.2


def test_all_beats_of_a_subject_have_one_pseudo_person(cohort, fitted):
    beats, record = cohort
    ksame = copy.copy(fitted).set_params(coherence="subject")
    released = ksame.transform(beats.X, subjects=beats.subjects)
    of_record = np.array([released[(record == r) & (beats.y == "N")].mean(axis=0) for r in range(80)])
    subject = np.array([beats.subjects[record == r][0] for r in range(80)])
    distance = ((of_record[:, None] - of_record) ** 2).sum(axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (subject[distance.argmin(axis=1)] == subject).mean() > 0.8
    records = fitted.transform(beats.X, subjects=beats.subjects, records=record)
    means = np.array([records[(record == r) & (beats.y == "N")].mean(axis=0) for r in range(80)])
    distance = ((means[:, None] - means) ** 2).sum(axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (subject[distance.argmin(axis=1)] == subject).mean() < 0.15
    # Records of one name are those of a subject: the same name elsewhere is another's.
    session = fitted.transform(beats.X, subjects=beats.subjects, records=beats.sessions)
    np.testing.assert_array_equal(session, records)


def test_another_call_has_other_pseudo_people(cohort):
    beats, record = cohort
    ksame = KSameAnonymizer(**{**QUICK, "k": 10, "random_state": None})
    ksame.fit(beats.X, beats.y, subjects=beats.subjects)
    means = []
    for _ in range(2):
        released = ksame.transform(beats.X, records=record)
        means.append(np.array([released[(record == r) & (beats.y == "N")].mean(axis=0) for r in range(80)]))
    distance = ((means[0][:, None] - means[1]) ** 2).sum(axis=2)
    assert (distance.argmin(axis=1) == np.arange(80)).mean() < 0.1


def test_records_of_beats_and_rows_of_records_are_the_same(cohort, fitted):
    beats, record = cohort
    n = np.bincount(record).min()
    rows = np.array([np.flatnonzero(record == r)[:n] for r in range(80)])
    X, subjects = beats.X[rows], beats.subjects[rows[:, 0]]
    three = fitted.transform(X, subjects=subjects)
    flat = fitted.transform(X.reshape(80 * n, -1), subjects=np.repeat(subjects, n), records=np.repeat(range(80), n))
    np.testing.assert_array_equal(three.reshape(80 * n, -1), flat)
    own = copy.copy(fitted).set_params(coherence="beat")
    assert not np.array_equal(own.transform(X, subjects=subjects), three)
    # Rows that are parts of one record share its pseudo-person, told so.
    told = fitted.transform(X, subjects=subjects, records=np.arange(80))
    np.testing.assert_array_equal(told, three)
    assert not np.array_equal(fitted.transform(X, subjects=subjects, records=np.zeros(80)), three)


def test_what_belongs_together_must_be_known(cohort, fitted):
    beats, _ = cohort
    for coherence, wanted in (("record", "Give records"), ("subject", "Give subjects")):
        ksame = copy.copy(fitted).set_params(coherence=coherence)
        with pytest.raises(ValueError, match=f'coherence="{coherence}" for single beats .* {wanted}'):
            ksame.transform(beats.X)
    with pytest.raises(ValueError, match="records has length 3, X has"):
        fitted.transform(beats.X, records=[1, 2, 3])


# --- what is kept ---------------------------------------------------------------------------------------------------


def _arrays(value, seen):
    """All arrays that an object holds, its networks' among them."""
    if id(value) in seen or isinstance(value, str | bytes | type):
        return
    seen[id(value)] = value
    if isinstance(value, np.ndarray):
        yield value
    elif hasattr(value, "detach"):
        yield value.detach().cpu().numpy()
    elif isinstance(value, dict):
        for item in value.values():
            yield from _arrays(item, seen)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _arrays(item, seen)
    elif hasattr(value, "state_dict"):
        yield from _arrays(dict(value.state_dict()), seen)
        yield from _arrays(list(vars(value).values()), seen)
    elif hasattr(value, "__dict__"):
        yield from _arrays(vars(value), seen)


def _is_held(held, X, tolerance=1e-3):
    """Whether a row of an array, or that row less its mean and scaled, is nearly a beat's."""

    def scaled(rows):
        rows = rows - rows.mean(axis=1, keepdims=True)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)

    for array in held:
        if array.dtype.kind != "f" or not array.size:
            continue
        for axis in range(array.ndim):
            rows = np.moveaxis(array, axis, -1).reshape(-1, array.shape[axis])
            for start in range(max(rows.shape[1] - X.shape[1] + 1, 0))[:4]:  # features stand behind a beat's samples
                part = scaled(rows[:, start : start + X.shape[1]].astype(float))
                if (part @ scaled(X.astype(float)).T).max() > 1 - tolerance**2 / 2:
                    return True
    return False


def test_no_beat_is_kept(cohort, fitted):
    beats, _ = cohort
    held = list(_arrays(pickle.loads(pickle.dumps(fitted)), {}))
    assert len(held) > 20
    assert not _is_held(held, beats.X)
    leaky = copy.copy(fitted)
    leaky.extra_ = {"all": [beats.X[7:9] * 3 + 1]}
    assert _is_held(_arrays(leaky, {}), beats.X)


def test_size_of_the_law_does_not_go_by_rows(cohort):
    """Of a row a hash and a code are kept, and nothing else."""
    beats, _ = cohort
    sizes, n_rows = [], []
    for rows in (slice(None), slice(None, None, 2)):
        ksame = KSameAnonymizer(**{**QUICK, "k": 10, "coherence": "beat"})
        ksame.fit(beats.X[rows], beats.y[rows], subjects=beats.subjects[rows])
        remembered, law = ksame._model.keys.remembered, ksame._model.laws[0]
        sizes.append(sum(a.nbytes for a in _arrays([ksame._model.partition, ksame._model.basis, law.sieve], {})))
        n_rows.append(len(beats.X[rows]))
        assert 9 * n_rows[-1] <= remembered.codes.nbytes + remembered.y.nbytes <= 16 * n_rows[-1]
        d = ksame._model.basis.n_features
        assert all(len(root) <= d for root in (*law.between, *law.moved, *law.within))
    assert sizes[0] == sizes[1]
    assert n_rows[0] == pytest.approx(2 * n_rows[1], abs=1)
