"""KSameAnonymizer: records, randomness, memory, routing, composition, rejection, settings that are refused."""

import copy
import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from joblib import Parallel, delayed
from scipy.stats import chisquare
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skagile import AgileAnonymizer, KSameAnonymizer
from skagile._arrays import standardize
from skagile.anonymizers._generators import CHUNK
from skagile.anonymizers._ksame._keys import Key
from skagile.anonymizers._ksame._readers import fit_reader, read, reader_encoders
from skagile.datasets import beats_from_records, make_cohort

QUICK = {"k": 3, "max_epochs": 4, "lr": 0.01, "batch_size": 32, "max_draws": 3, "random_state": 0, "device": "cpu"}
FIRST = {**QUICK, "max_draws": 1}


@pytest.fixture(scope="module")
def people(beat_maker):
    return beat_maker(12, 360)


@pytest.fixture(scope="module")
def fitted(people):
    return KSameAnonymizer(**QUICK).fit(people.X, people.y, subjects=people.subjects)


# --- records of beats -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def records(people):
    """Two records of each person, 15 places with missing beats at the end; the 24th of somebody has none at all."""
    order = np.argsort(people.subjects, kind="stable").reshape(24, 15)
    X, y, subjects = people.X[order].copy(), people.y[order], people.subjects[order[:, 0]]
    for i in range(24):
        X[i, 15 - i % 4 :] = np.nan
    X[23] = np.nan
    return X, y, subjects


def test_records_are_their_beats(records):
    X, y, subjects = records
    present = ~np.isnan(X).all(axis=2)
    flat = np.nonzero(present)[0]
    as_records = KSameAnonymizer(**QUICK, coherence="beat").fit(X, np.where(present, y, "?"), subjects=subjects)
    as_beats = KSameAnonymizer(**QUICK).fit(X[present], y[present], subjects=subjects[flat])
    assert as_records.classes_.tolist() == ["N", "V"]
    assert as_records.summary_ == as_beats.summary_
    assert as_records.expected_leakage_ == as_beats.expected_leakage_
    released = as_records.transform(X, subjects=subjects)
    assert released.shape == X.shape
    assert released.dtype == X.dtype
    np.testing.assert_array_equal(np.isnan(released).all(axis=2), ~present)
    np.testing.assert_array_equal(released[present], as_beats.transform(X[present], subjects=subjects[flat]))
    keys = as_records.assign(X, subjects=subjects)
    assert keys.shape == present.shape
    np.testing.assert_array_equal(keys == -1, ~present)
    np.testing.assert_array_equal(keys[present], as_beats.assign(X[present], subjects=subjects[flat]))
    # By default a record has one pseudo-person, and so have beats whose records are given.
    released = copy.copy(as_records).set_params(coherence=None).transform(X, subjects=subjects)
    coherent = as_beats.transform(X[present], subjects=subjects[flat], records=flat)
    # Records of several subjects in one call are numbered by subject first: they are in this order here.
    np.testing.assert_array_equal(released[present], coherent)
    assert not np.array_equal(coherent, as_beats.transform(X[present], subjects=subjects[flat]))


def test_records_with_a_diagnosis_of_the_record(records):
    X, _, subjects = records
    y = np.where(np.arange(24) % 2, "sick", "well")
    y[23] = "never seen"  # of the record without beats
    ksame = KSameAnonymizer(**{**FIRST, "max_epochs": 1}).fit(X, y, subjects=subjects)
    assert ksame.classes_.tolist() == ["sick", "well"]


def test_records_without_subjects_are_people(records):
    X, y, _ = records
    ksame = KSameAnonymizer(**FIRST, grouping="morphology").fit(X, y)
    assert ksame.subjects_.tolist() == list(range(23))
    groups = ksame._find_key(X, None, None)[1].group
    assert np.ptp(groups) > 0
    row = np.nonzero(~np.isnan(X).all(axis=2))[0]
    assert all(len(set(groups[row == i])) == 1 for i in range(23))
    assert np.isfinite(ksame.transform(X)[:23, 0]).all()


@pytest.fixture(scope="module")
def resampled(beat_maker):
    data = beat_maker(6, 6 * 120)
    order = np.argsort(data.subjects, kind="stable").reshape(6, 120)
    X, y = data.X[order], data.y[order]
    # Shares of V from 0 to all but one: people differ, and groups of three have mixes of their own.
    rng = np.random.default_rng(0)
    for i, share in enumerate([0.1, 0.2, 0.15, 0.7, 0.8, 0.9]):
        v, n = np.flatnonzero(y[i] == "V"), np.flatnonzero(y[i] == "N")
        take = np.concatenate([rng.choice(v, round(share * 120)), rng.choice(n, 120 - round(share * 120))])
        X[i], y[i] = X[i, take], y[i, take]
    subjects = data.subjects[order[:, 0]]
    ksame = KSameAnonymizer(**{**QUICK, "max_epochs": 8}, class_mix="resample", grouping="class_mix").fit(
        X, y, subjects=subjects
    )
    return ksame, X, y, subjects


def test_resampled_records_have_the_mix_of_their_group(resampled):
    ksame, X, y, subjects = resampled
    groups = ksame.groups_[np.searchsorted(ksame.subjects_, subjects)]
    assert sorted(np.bincount(groups)) == [3, 3]
    keys, released = ksame.assign(X, subjects=subjects), ksame.transform(X, subjects=subjects)
    seen = read(ksame.nets_, released.reshape(-1, X.shape[2]), torch.device("cpu")).reshape(y.shape)
    np.testing.assert_array_equal(keys // 2, np.tile(groups[:, None], (1, 120)))
    assert (keys % 2 == seen).mean() > 0.98  # the rejection sees to it
    for i in range(6):
        share = np.mean([(y[j] == "V").mean() for j in np.flatnonzero(groups == groups[i])])
        observed = np.bincount(keys[i] % 2, minlength=2)
        assert chisquare(observed, 120 * np.array([1 - share, share])).pvalue > 1e-3
    # ... and not that of the person: .1 and .9 would stand out.
    many = np.concatenate([X] * 8, axis=1)
    shares = (ksame.assign(many, subjects=subjects) % 2).mean(axis=1)
    for group in (0, 1):
        assert np.ptp(shares[groups == group]) < 0.12


def test_resampled_records_tell_nothing_of_their_own_beats(resampled):
    """Records of one group trade places, with all that their beats are: the same output to the last bit."""
    ksame, X, _, subjects = resampled
    groups = ksame.groups_[np.searchsorted(ksame.subjects_, subjects)]
    order = np.arange(6)
    for group in (0, 1):
        order[groups == group] = np.roll(order[groups == group], 1)
    released = ksame.transform(X, subjects=subjects)
    np.testing.assert_array_equal(ksame.transform(X[order], subjects=subjects[order]), released)


# --- randomness -----------------------------------------------------------------------------------------------------


def test_rows_have_random_numbers_of_their_own(people):
    """Repeats of one beat are all released differently."""
    ksame = KSameAnonymizer(**FIRST).fit(people.X, people.y, subjects=people.subjects)
    released = ksame.transform(np.repeat(people.X[:1], 360, axis=0), subjects=np.repeat(people.subjects[:1], 360))
    assert len(np.unique(released, axis=0)) == 360


def test_seeds(people):
    X, y, given = people.X, people.y, {"subjects": people.subjects}
    releases = []
    for seed in (0, 1):
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
        releases.append(KSameAnonymizer(**QUICK).fit_transform(X, y, **given))
        np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
        assert torch.equal(torch.get_rng_state(), before[1])
    np.testing.assert_array_equal(*releases)
    other = KSameAnonymizer(**{**QUICK, "random_state": 1}).fit_transform(X, y, **given)
    assert not np.array_equal(other, releases[0])
    instance = KSameAnonymizer(**{**QUICK, "random_state": np.random.RandomState(0)}).fit(X, y, **given)
    np.testing.assert_array_equal(instance.transform(X, **given), instance.transform(X, **given))
    np.testing.assert_array_equal(instance.transform(X, **given), releases[0])


def test_no_seed_draws_anew(people):
    given = {"subjects": people.subjects}
    ksame = KSameAnonymizer(**{**FIRST, "random_state": None}).fit(people.X, people.y, **given)
    first, second = ksame.transform(people.X, **given), ksame.transform(people.X, **given)
    assert (first != second).any(axis=1).mean() > 0.9
    np.testing.assert_array_equal(ksame.assign(people.X, **given), ksame.assign(people.X, **given))


def test_copies(people, fitted):
    given = {"subjects": people.subjects}
    released = fitted.transform(people.X, **given)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(people.X, **given), released)
    np.testing.assert_array_equal(clone(fitted).fit_transform(people.X, people.y, **given), released)
    jobs = (delayed(fitted.transform)(people.X, **given) for _ in range(2))
    for parallel in Parallel(n_jobs=2, prefer="threads")(jobs):
        np.testing.assert_array_equal(parallel, released)


def test_workers(people, by_value):
    jobs = (delayed(_released)(people.X, people.y, people.subjects) for _ in range(2))
    one, two = Parallel(n_jobs=2)(jobs)
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, _released(people.X, people.y, people.subjects))


def _released(X, y, subjects):
    return KSameAnonymizer(**{**FIRST, "max_epochs": 1}).fit_transform(X, y, subjects=subjects)


@pytest.mark.parametrize("grouping", ["one", "diverse"])
def test_float_types(people, grouping):
    params = {**FIRST, "grouping": grouping}
    X = people.X.astype(np.float64)
    released = {}
    for dtype in (np.float32, np.float64):
        ksame = KSameAnonymizer(**params).fit(X.astype(dtype), people.y, subjects=people.subjects)
        for given in (np.float32, np.float64):
            released[dtype, given] = ksame.transform(X.astype(given), subjects=people.subjects)
            assert released[dtype, given].dtype == given
    for other in released.values():
        np.testing.assert_allclose(other, released[np.float64, np.float64], rtol=0, atol=2e-4)


# --- memory ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coherence", ["beat", "subject"])
def test_chunks_bound_the_memory_of_draws(people, coherence):
    """Beyond the output, what is held grows by some numbers a row: beats are drawn in chunks."""
    ksame = KSameAnonymizer(**{**QUICK, "max_epochs": 1}, coherence=coherence)
    ksame.fit(people.X, people.y, subjects=people.subjects)
    n_rows, held = 8 * CHUNK, {}
    for n in (n_rows // 4, n_rows):
        key = Key(np.zeros(n, dtype=int), np.arange(n) % 2, np.zeros((n, 0), dtype=int))
        unit = None if coherence == "beat" else np.arange(n) % 12
        args = (key, unit, np.random.SeedSequence(0), np.dtype(np.float32), ksame)
        tracemalloc.start()
        released = ksame._model.release(*args)
        held[n] = tracemalloc.get_traced_memory()[1] - released.nbytes
        tracemalloc.stop()
    assert held[n_rows] - held[n_rows // 4] < 0.25 * (n_rows - n_rows // 4) * people.X.shape[1] * 4


@pytest.mark.parametrize("known", [True, False])
def test_memory_of_transform_is_bounded(people, known):
    ksame = KSameAnonymizer(**FIRST, grouping="morphology").fit(people.X, people.y, subjects=people.subjects)
    tall, subjects = np.tile(people.X, (90, 1)), np.tile(people.subjects, 90)
    held = []
    for n in (len(tall) // 4, len(tall)):
        given = {"subjects": subjects[:n] if known else None}
        tracemalloc.start()
        released = ksame.transform(tall[:n], **given)
        held.append(tracemalloc.get_traced_memory()[1] - released.nbytes)
        tracemalloc.stop()
    # Numbers a row, such as its group and its diagnosis, but no second copy of its beat.
    assert held[1] - held[0] < 0.6 * (released.nbytes * 3 // 4)


# --- routing and pipelines ------------------------------------------------------------------------------------------


def _facts(subjects):
    return pd.DataFrame({"sex": np.where([int(name.split("-")[1]) % 2 for name in subjects], "m", "f")})


def test_metadata_is_routed(people):
    ksame = KSameAnonymizer(**{**FIRST, "k": 2}, keep=("sex",))
    given = {"subjects": people.subjects, "facts": _facts(people.subjects)}
    expected = clone(ksame).fit_transform(people.X, people.y, **given)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(clone(ksame), LogisticRegression(max_iter=2000))
        pipeline.fit(people.X, people.y, **given)
        np.testing.assert_array_equal(pipeline[:-1].transform(people.X, **given), expected)
        predicted = pipeline.predict(people.X, **given)
        alone = make_pipeline(clone(ksame))
        np.testing.assert_array_equal(alone.fit_transform(people.X, people.y, **given), expected)
        # Records are routed, too.
        records = np.arange(360) // 10
        routed = make_pipeline(clone(ksame)).fit_transform(people.X, people.y, records=records, **given)
        by_hand = clone(ksame).fit(people.X, people.y, **given).transform(people.X, records=records, **given)
        np.testing.assert_array_equal(routed, by_hand)
        assert not np.array_equal(routed, expected)
    judge = LogisticRegression(max_iter=2000).fit(expected, people.y)
    np.testing.assert_array_equal(judge.predict(expected), predicted)


def test_metadata_without_routing(people):
    pipeline = make_pipeline(KSameAnonymizer(**FIRST), LogisticRegression(max_iter=2000))
    pipeline.fit(people.X, people.y, ksameanonymizer__subjects=people.subjects)
    step = pipeline[0]
    assert step.subjects_.tolist() == sorted(set(people.subjects))
    released = step.transform(people.X, subjects=people.subjects)
    expected = LogisticRegression(max_iter=2000).fit(released, people.y)
    np.testing.assert_allclose(pipeline[-1].coef_, expected.coef_)
    # A pipeline tells transform nothing without routing: rows are people of their own.
    np.testing.assert_array_equal(pipeline[:-1].transform(people.X), step.transform(people.X))


def test_output_in_pandas(people, fitted):
    frame = pd.DataFrame(people.X, columns=[f"t{i}" for i in range(people.X.shape[1])], index=np.arange(360) + 7)
    ksame = clone(fitted).set_output(transform="pandas")
    released = ksame.fit_transform(frame, people.y, subjects=people.subjects)
    assert isinstance(released, pd.DataFrame)
    assert released.columns.tolist() == frame.columns.tolist()
    assert released.index.tolist() == frame.index.tolist()
    np.testing.assert_array_equal(released.to_numpy(), fitted.transform(people.X, subjects=people.subjects))
    pd.testing.assert_frame_equal(ksame.transform(frame, subjects=people.subjects), released)


def test_agile_after_ksame(people, fitted):
    agile = AgileAnonymizer(n_surrogates=1, max_epochs=1, n_steps=2, epsilon=0.3, random_state=0, device="cpu")
    pipeline = make_pipeline(clone(fitted), agile)
    given = {"ksameanonymizer__subjects": people.subjects, "agileanonymizer__subjects": people.subjects}
    released = pipeline.fit_transform(people.X, people.y, **given)
    first = fitted.transform(people.X, subjects=people.subjects)
    expected = clone(agile).fit(first, people.y, subjects=people.subjects).transform(first)
    np.testing.assert_array_equal(released, expected)
    assert np.abs(released - first).max() > 0
    with sklearn.config_context(enable_metadata_routing=True):
        again = make_pipeline(clone(fitted), clone(agile))
        again.fit(people.X, people.y, subjects=people.subjects)
        np.testing.assert_array_equal(again.transform(people.X, subjects=people.subjects), expected)


# --- rejection ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def doubtful(beat_maker):
    """Beats that mixtures often make a mess of: more noise, and one labelled wrong in ten."""
    data = beat_maker(12, 480, noise=0.35)
    rng = np.random.default_rng(0)
    wrong = rng.random(480) < 0.1
    data.y = np.where(wrong, np.where(data.y == "N", "V", "N"), data.y)
    return data


def test_rejection_convinces_law_and_networks(doubtful):
    """Shares of drawn beats that law and networks read as their diagnosis: as `fit` tells, and on the release."""
    X, y, given = doubtful.X, doubtful.y, {"subjects": doubtful.subjects}
    ksame = KSameAnonymizer(**{**QUICK, "max_draws": 6}, coherence="beat").fit(X, y, **given)
    codes = np.searchsorted(ksame.classes_, y)
    key = Key(np.zeros(480, dtype=int), codes, np.zeros((480, 0), dtype=int))
    (law,) = ksame._model.laws
    share = {}
    for draws in (1, 2, 6):
        some = copy.copy(ksame).set_params(max_draws=draws)
        released = some._model.release(key, None, np.random.SeedSequence(ksame._seed), X.dtype, some)
        # Shapes are standardized on release, so what is on the border may fall on its other side.
        features = ksame._model.basis.features(released) - law.mean
        agreed = [read([net], released, torch.device("cpu")) == codes for net in ksame.nets_]
        share[draws] = np.all([law.sieve.passes(features, codes), *agreed], axis=0).mean()
    assert share[1] < 0.97
    assert share[1] + 0.01 < share[2]
    assert share[6] > 0.97
    assert ksame.summary_["accepted_first"] == pytest.approx(share[1], abs=0.03)
    assert ksame.summary_["accepted"] == pytest.approx(share[6], abs=0.03)
    assert ksame.summary_["accepted_first"] < ksame.summary_["accepted"] <= 1


def test_one_draw_is_not_read(people, fitted):
    ksame = KSameAnonymizer(**FIRST).fit(people.X, people.y, subjects=people.subjects)
    assert not {"accepted", "accepted_first"} & ksame.summary_.keys()
    assert {"accepted", "accepted_first"} <= fitted.summary_.keys()
    assert [type(net.module_[0]).__name__ for net in fitted.nets_] == ["MLPEncoder"] * 2


def test_epochs_and_batches(people):
    ksame = KSameAnonymizer(**{**QUICK, "max_epochs": 2, "batch_size": 20}).fit(
        people.X, people.y, subjects=people.subjects
    )
    for net in ksame.nets_:
        assert len(net.history) == 2
        assert [batch["train_batch_size"] for batch in net.history[0, "batches"]] == [20] * 18


def test_readers_read(people):
    """Trained on one half they read the other; alone, and together as the mean of their probabilities."""
    cpu = torch.device("cpu")
    Z = standardize(people.X)
    y = (people.y == "V").astype(int)
    settings = {"max_epochs": 6, "lr": 0.01, "batch_size": 32, "device": cpu}
    for encoder in reader_encoders(Z.shape[1]):
        net = fit_reader(encoder, Z[:180], y[:180], 2, seed=0, **settings)
        # Gain and offset are not read.
        assert (read([net], 3 * people.X[180:] + 1, cpu) == y[180:]).mean() > 0.95
    # Three classes: of two, means of probabilities and of scores read the same.
    y[::3] = 2
    nets = [
        fit_reader(encoder, Z, y, 3, seed=seed, **settings) for seed, encoder in enumerate(reader_encoders(Z.shape[1]))
    ]
    noise = np.random.default_rng(0).standard_normal((5000, Z.shape[1]))
    batch = torch.from_numpy(standardize(noise).astype(np.float32))[:, None]
    with torch.no_grad():
        shares = [net.module_(batch).softmax(dim=1).numpy() for net in nets]
    mean = (shares[0] + shares[1]) / 2
    top = np.sort(mean, axis=1)
    sure = top[:, -1] - top[:, -2] > 1e-4
    seen = read(nets, noise, cpu)
    np.testing.assert_array_equal(seen[sure], mean.argmax(axis=1)[sure])
    assert (shares[0].argmax(axis=1) != seen).any()


# --- networks that are kept -----------------------------------------------------------------------------------------


def test_warm_start_keeps_networks_and_is_a_fit_otherwise(people):
    given = {"subjects": people.subjects}
    ksame = KSameAnonymizer(**QUICK, warm_start=True).fit(people.X, people.y, **given)
    for params in ({"k": 4}, {"coherence": "subject"}, {"max_draws": 1}, {"grouping": "morphology"}):
        some = copy.copy(ksame).set_params(**params).fit(people.X, people.y, **given)
        assert len(some.nets_) == 2
        assert all(net is known for net, known in zip(some.nets_, ksame.nets_, strict=True))
        again = KSameAnonymizer(**{**QUICK, **params}).fit(people.X, people.y, **given)
        assert some.summary_ == again.summary_
        np.testing.assert_array_equal(some.transform(people.X, **given), again.transform(people.X, **given))


def test_networks_of_other_beats_are_not_kept(people):
    given = {"subjects": people.subjects}
    ksame = KSameAnonymizer(**FIRST, warm_start=True).fit(people.X, people.y, **given)
    nets = ksame.nets_
    other = np.where(people.y == "V", "S", "N")
    for X, y in ((people.X, other), (people.X[:, :40], other)):
        again = ksame.fit(X, y, **given)
        assert not any(net is known for net in again.nets_ for known in nets)
        fresh = KSameAnonymizer(**FIRST).fit_transform(X, y, **given)
        np.testing.assert_array_equal(again.transform(X, **given), fresh)
        nets = again.nets_
    cold = KSameAnonymizer(**FIRST).fit(people.X, people.y, **given)
    first = cold.nets_[0]
    assert cold.fit(people.X, people.y, **given).nets_[0] is not first


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"k": 13}, "k=13, but X has beats of 12 subjects"),
        ({"class_mix": "resample"}, 'class_mix="resample" needs records of beats'),
        ({"coherence": "person"}, "'coherence' parameter"),
        ({"max_draws": 0}, "'max_draws' parameter"),
        ({"epsilon": 1.0}, "epsilon=1.0 with prior=None"),
        ({"epsilon": 0.0}, "'epsilon' parameter"),
        ({"delta": 1.0}, "'delta' parameter"),
        ({"keep": "sex"}, "'keep' parameter"),
        ({"keep": ("sex",)}, "give them as facts"),
        ({"k": 1}, "'k' parameter"),
        ({"grouping": "flow"}, "'grouping' parameter"),
        ({"device": "no such"}, "not a torch device"),
    ],
)
def test_settings_that_are_refused(people, params, match):
    with pytest.raises(ValueError, match=match):
        KSameAnonymizer(**{**FIRST, **params}).fit(people.X, people.y, subjects=people.subjects)


def test_calls_that_are_refused(people, fitted, resampled):
    with pytest.raises(ValueError, match="y is None"):
        KSameAnonymizer(**FIRST).fit(people.X, None, subjects=people.subjects)
    with pytest.raises(ValueError, match="subjects has length 3"):
        fitted.transform(people.X, subjects=people.subjects[:3])
    with pytest.raises(ValueError, match="subjects has length 3"):
        fitted.assign(people.X, subjects=people.subjects[:3])
    with pytest.raises(sklearn.exceptions.NotFittedError):
        KSameAnonymizer().transform(people.X)
    with pytest.raises(ValueError, match="needs records of beats"):
        resampled[0].transform(people.X)
    y = np.full((360, 2), "N")
    with pytest.raises(ValueError, match="y should be a 1d array"):
        KSameAnonymizer(**FIRST).fit(people.X, y, subjects=people.subjects)


def test_one_diagnosis_needs_no_network():
    """Recordings without a diagnosis are of one: groups of people, one law, and a state that can be put away."""
    beats = beats_from_records(make_cohort(12, 1, duration=12.0, random_state=0))
    y = np.full(len(beats.X), "any")
    ksame = KSameAnonymizer(4, random_state=0).fit(beats.X, y, subjects=beats.subjects)
    assert ksame.nets_ == []
    assert ksame.classes_.tolist() == ["any"]
    released = ksame.transform(beats.X, subjects=beats.subjects)
    assert np.isfinite(released).all()
    again = KSameAnonymizer(4, random_state=0)._set_state(ksame._get_state())
    np.testing.assert_array_equal(again.transform(beats.X, subjects=beats.subjects), released)
    # New people, whose beats nobody read.
    new = ksame.transform(beats.X[:20] * 1.1)
    assert np.isfinite(new).all()
    # The law is that of beats of any diagnosis together.
    distance = np.abs(released.mean(axis=0) - beats.X.mean(axis=0)).max()
    assert distance < 0.5 * beats.X.std(axis=0).max()
