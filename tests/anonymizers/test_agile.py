"""AgileAnonymizer: what it changes, by how much, and what its answer must not depend on."""

import copy
import inspect
import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import dct
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import nn

from skagile import AgileAnonymizer
from skagile.anonymizers._agile._surrogates import BiometricOnly, neighbour_surrogate, weight_of
from skagile.networks import CNNEncoder, CTHEncoder, DualHead, LinearEncoder, SoftNearestNeighbour, TemplateMatcher


def _z(X):
    return (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)


def _answers(agile, X):
    """Log-probabilities of every surrogate, diagnosis and identity; a surrogate without a diagnosis gives None."""
    with torch.no_grad():
        answers = [net(torch.from_numpy(_z(X).astype(np.float32))[:, None]) for net in agile.surrogates_]
    return [[None if logits is None else log_softmax(logits.numpy(), axis=1) for logits in pair] for pair in answers]


def _codes(agile, X):
    """What the surrogates together take a beat for: argmax of the mean probability."""
    answers = _answers(agile, X)
    return [
        np.mean([np.exp(pair[i]) for pair in answers if pair[i] is not None], axis=0).argmax(axis=1) for i in (0, 1)
    ]


def _losses(agile, X, codes):
    """Identity and diagnosis loss of each beat, summed over the surrogates."""
    rows = np.arange(len(X))
    diagnosis, identity = (
        -np.sum([pair[i][rows, codes[i]] for pair in _answers(agile, X) if pair[i] is not None], axis=0) for i in (0, 1)
    )
    return identity, diagnosis


def _change(agile, X):
    """Change of every sample in standard deviations of its beat."""
    return (agile.transform(X) - X) / X.std(axis=1, keepdims=True)


# --- how far --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("epsilon", [0.05, 0.6])
@pytest.mark.parametrize("normalize_gradients", [True, False])
def test_one_step_moves_every_sample_by_epsilon(varied, beats, epsilon, normalize_gradients):
    agile = varied(n_steps=1, epsilon=epsilon, normalize_gradients=normalize_gradients)
    change = _change(agile, beats.X.astype(np.float64))
    moved = np.abs(change) > 1e-6
    assert moved.mean() > 0.99
    np.testing.assert_allclose(np.abs(change[moved]), epsilon, atol=2e-6)


@pytest.mark.parametrize("n_steps", [2, 4, 15])
def test_stays_in_the_ball_and_reaches_its_edge(varied, beats, n_steps):
    change = np.abs(_change(varied(n_steps=n_steps, epsilon=0.3), beats.X.astype(np.float64)))
    assert change.max() <= 0.3 + 2e-6
    assert change.max() > 1.5 * 0.3 / n_steps
    assert np.isclose(change, 0.3, atol=2e-6).mean() > 0.2


def test_epsilon_in_millivolts(fitted, beats):
    assert fitted.epsilon_mv_ == pytest.approx(0.6 * np.median(beats.X.std(axis=1)), rel=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("params", [{"alpha": 1.0}, {"epsilon": 0.0}, {"epsilon": 0.0, "n_steps": 1}, {"alpha": 1}])
def test_no_change_is_the_beat_itself(varied, beats, params, dtype):
    X = beats.X.astype(dtype)
    np.testing.assert_array_equal(varied(**params).transform(X), X)


@pytest.mark.parametrize("alpha", [0.25, 0.5, 0.9])
def test_alpha_mixes(varied, beats, alpha):
    X = beats.X.astype(np.float64)
    mixed, whole = (varied(alpha=a).transform(X) - X for a in (alpha, 0.0))
    np.testing.assert_allclose(mixed, (1 - alpha) * whole, rtol=1e-6, atol=1e-12)


# --- in which direction ---------------------------------------------------------------------------------------------


def test_identity_is_lost_and_diagnosis_kept(fitted, beats, beat_maker):
    """An attacker and a diagnostic model that the anonymizer never met."""
    later = beat_maker(n_rows=100, seed=1)  # of the same people
    released = fitted.transform(later.X)
    who, what = (
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1).fit(_z(beats.X), labels)
        for labels in (beats.subjects, beats.y)
    )
    assert who.score(_z(later.X), later.subjects) > 0.85
    assert what.score(_z(later.X), later.y) > 0.95
    assert who.score(_z(released), later.subjects) < 0.5
    assert what.score(_z(released), later.y) > 0.95


def test_lambda_weighs_the_diagnosis(fitted, beats):
    """From no weight to all of it, the surrogates' diagnosis gets better and identity survives more.

    Of those with a diagnosis: the others know nothing that lambda could weigh.
    """
    both = copy.copy(fitted)
    both.surrogates_ = fitted.surrogates_[:4]
    codes = _codes(both, beats.X)
    by_lambda = [
        [loss.mean() for loss in _losses(both, both.set_params(lambda_=lambda_).transform(beats.X), codes)]
        for lambda_ in (0.0, 1.0, 30.0)
    ]
    both.set_params(lambda_=fitted.lambda_)
    identity, diagnosis = np.transpose(by_lambda)
    assert (np.diff(diagnosis) < 0).all()
    assert (np.diff(identity) < 0).all()
    assert identity[0] > identity[1] > _losses(both, beats.X, codes)[0].mean()


@pytest.mark.parametrize("normalize_gradients", [True, False])
@pytest.mark.parametrize("people", [1, 2])
def test_huge_lambda_never_costs_a_diagnosis(varied, beat_maker, normalize_gradients, people):
    X = beat_maker(n_rows=60, people=people).X  # other people than those of the fit
    agile = varied(lambda_=1e6, epsilon=0.1, normalize_gradients=normalize_gradients)
    agile.surrogates_ = agile.surrogates_[:4]  # those with a diagnosis
    codes = _codes(agile, X)
    released = agile.transform(X)
    before, after = (_losses(agile, values, codes)[1] for values in (X, released))
    assert (after <= before + 1e-4).all()
    assert (after < before).mean() > 0.9
    np.testing.assert_array_equal(_codes(agile, released)[0], codes[0])


def test_direction_follows_predicted_labels(varied, beat_maker):
    """A small step leads up the identity loss of the *predicted* subject of every beat, right or wrong."""
    agile = varied(n_steps=1, epsilon=0.02, lambda_=0.0)
    noisy = beat_maker(noise=0.25, seed=2)
    codes = _codes(agile, noisy.X)
    wrong = agile.subjects_[codes[1]] != noisy.subjects
    assert 5 < wrong.sum() < 85  # else predicted and true subjects could not be told apart
    released = agile.transform(noisy.X)
    before, after = (_losses(agile, values, codes)[0] for values in (noisy.X, released))
    assert (after > before).all()
    true = codes[0], np.searchsorted(agile.subjects_, noisy.subjects)
    before, after = (_losses(agile, values, true)[0] for values in (noisy.X, released))
    assert (after < before)[wrong].mean() > 0.5  # away from the wrong one is often towards the right one


# --- the nets -------------------------------------------------------------------------------------------------------


def test_surrogates_come_in_their_order(quick, beats):
    agile = quick(n_surrogates=8, max_epochs=1).fit(beats.X, beats.y, subjects=beats.subjects)
    kinds = [net.biometric if isinstance(net, BiometricOnly) else net.encoder for net in agile.surrogates_]
    assert [type(kind) for kind in kinds] == [
        CTHEncoder,
        CNNEncoder,
        CNNEncoder,
        LinearEncoder,
        SoftNearestNeighbour,
        TemplateMatcher,
        CTHEncoder,
        CNNEncoder,
    ]
    assert [kinds[i].layers[0].kernel_size for i in (1, 2)] == [(7,), (15,)]
    assert [net.training for net in agile.nets_] == [
        "alternating", "plain", "plain", "plain", "alternating", "plain",
    ]  # fmt: skip
    assert agile.net_ is agile.nets_[0]
    assert not torch.equal(kinds[0].to_tokens.weight, kinds[6].to_tokens.weight)
    for net in agile.surrogates_:
        assert not net.training
        assert not any(parameter.requires_grad for parameter in net.parameters())
        if isinstance(net, DualHead):
            assert (net.clinical.out_features, net.biometric.out_features) == (2, 5)


@pytest.mark.parametrize("n_surrogates", [1, 2, 4, 5, 6])
def test_fewer_surrogates_are_the_first_of_more(quick, beats, n_surrogates):
    few, many = (
        quick(n_surrogates=n, max_epochs=1).fit(beats.X, beats.y, subjects=beats.subjects) for n in (n_surrogates, 7)
    )
    assert len(few.surrogates_) == n_surrogates
    assert len(few.nets_) == n_surrogates - (n_surrogates >= 5) - (n_surrogates >= 6)
    for ours, theirs in zip(few.surrogates_, many.surrogates_, strict=False):
        torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("activation", ["sigmoid", "gelu", "relu"])
def test_activation_is_the_first_nets(quick, beats, activation):
    agile = quick(activation=activation, max_epochs=1).fit(beats.X, beats.y, subjects=beats.subjects)
    kind = {"sigmoid": nn.Sigmoid, "gelu": nn.GELU, "relu": nn.ReLU}[activation]
    cth, cnn = (net.encoder for net in agile.surrogates_)
    assert isinstance(cth.convolution[2], kind)
    assert isinstance(cnn.layers[2], nn.ReLU)


@pytest.fixture(scope="module")
def trained(beats):
    """The CTH alone, trained long enough to tell the three ways apart."""

    def fit(training, **params):
        params = {"max_epochs": 12, "batch_size": 16, "epsilon": 0.2, "lambda_": 1.0, "random_state": 0, **params}
        agile = AgileAnonymizer(n_surrogates=1, training=training, device="cpu", **params)
        return agile.fit(beats.X, beats.y, subjects=beats.subjects)

    return {training: fit(training) for training in ("plain", "paper", "alternating")} | {
        "reversed": fit("alternating", reversal=5.0)
    }


def _true_losses(agile, beats):
    codes = np.searchsorted(agile.classes_, beats.y), np.searchsorted(agile.subjects_, beats.subjects)
    return [loss.mean() for loss in _losses(agile, beats.X, codes)]


def test_training_as_printed_teaches_the_biometric_head_to_be_bad(trained, beats):
    chance = np.log(5)
    plain, paper = (_true_losses(trained[training], beats)[0] for training in ("plain", "paper"))
    assert plain < 0.5 * chance
    assert paper > 1.5 * chance


def test_every_training_learns_the_diagnosis(trained, beats):
    for training in ("plain", "paper", "alternating"):
        assert _true_losses(trained[training], beats)[1] < 0.45, training


def test_alternating_knows_who_is_who_unless_reversed_hard(trained, beats):
    """A net that does not know the people could not tell where to perturb a beat."""
    mild, strong = (_true_losses(trained[key], beats)[0] for key in ("alternating", "reversed"))
    assert mild < 0.5 * np.log(5) < strong


@pytest.mark.parametrize("training", ["plain", "paper", "alternating"])
def test_every_training_releases(trained, beats, training):
    released = trained[training].transform(beats.X)
    assert released.shape == beats.X.shape
    assert np.isfinite(released).all()
    assert (released != beats.X).any()


def test_templates_are_the_mean_beats(fitted, beats):
    matcher = fitted.surrogates_[5].biometric
    logits = matcher(torch.from_numpy(_z(beats.X))[:, None]).numpy()
    for code, name in enumerate(fitted.subjects_):
        mean = _z(beats.X)[beats.subjects == name].mean(axis=0)
        expected = [np.corrcoef(beat, mean)[0, 1] for beat in beats.X]
        np.testing.assert_allclose(logits[:, code], expected, atol=1e-5)


def test_stored_surrogates_weigh_more(fitted):
    assert [weight_of(net) for net in fitted.surrogates_] == [1, 1, 1, 1, 2, 2]


def test_neighbours_are_spread_over_the_subjects(monkeypatch):
    """One subject with most of the beats must not crowd out the others."""
    monkeypatch.setattr("skagile.anonymizers._agile._surrogates.MAX_REFERENCES", 40)
    s = np.r_[np.zeros(500, int), np.repeat([1, 2, 3], [5, 20, 20])]
    X = np.random.default_rng(0).standard_normal((len(s), 6))
    net = neighbour_surrogate(X, s, 4, np.random.RandomState(0)).biometric
    count = np.bincount(net.subjects.numpy())
    assert count.sum() == 40
    assert count[1] == 5
    assert set(count[[0, 2, 3]].tolist()) <= {11, 12}
    stored = net.references.numpy()[:, None] == X.astype(np.float32)
    row = stored.all(axis=2).argmax(axis=1)
    np.testing.assert_array_equal(s[row], net.subjects.numpy())
    assert len(set(row.tolist())) == 40


# --- what the answer must not depend on -----------------------------------------------------------------------------


def test_equal_seed_equal_release(quick, beats):
    releases = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        np.random.seed(global_seed)  # noqa: NPY002  (the point is that it plays no part)
        agile = quick(n_surrogates=6, random_state=7).fit(beats.X, beats.y, subjects=beats.subjects)
        releases.append(agile.transform(beats.X))
    np.testing.assert_array_equal(*releases)
    other = quick(n_surrogates=6, random_state=8).fit(beats.X, beats.y, subjects=beats.subjects)
    assert (other.transform(beats.X) != releases[0]).mean() > 0.05


def test_random_state_instance(quick, beats):
    one, two = (
        quick(random_state=np.random.RandomState(3)).fit(beats.X, beats.y, subjects=beats.subjects).transform(beats.X)
        for _ in range(2)
    )
    np.testing.assert_array_equal(one, two)


def test_refit_forgets(quick, beats, beat_maker):
    other = beat_maker(n_subjects=3, n_rows=60, n_samples=30, seed=5)
    agile = quick().fit(other.X, other.y, subjects=other.subjects)
    again = agile.fit(beats.X, beats.y, subjects=beats.subjects)
    assert again is agile
    fresh = quick().fit(beats.X, beats.y, subjects=beats.subjects)
    np.testing.assert_array_equal(again.transform(beats.X), fresh.transform(beats.X))


def test_global_random_states_are_left_alone(quick, beats):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    agile = quick(n_surrogates=6, max_epochs=1).fit(beats.X, beats.y, subjects=beats.subjects)
    agile.transform(beats.X)
    assert torch.equal(torch.get_rng_state(), torch_state)
    after = np.random.get_state()  # noqa: NPY002
    np.testing.assert_array_equal(after[1], numpy_state[1])
    assert after[2:] == numpy_state[2:]


def test_order_of_the_rows_of_fit_is_not_the_labels(quick, beats):
    """Labels are matched to rows, whatever they are called: codes follow the sorted names."""
    a = quick().fit(beats.X, beats.y, subjects=beats.subjects)
    b = quick().fit(beats.X, np.where(beats.y == "N", 10, 20), subjects=[int(s[-1]) for s in beats.subjects])
    np.testing.assert_array_equal(a.transform(beats.X), b.transform(beats.X))
    assert a.classes_.tolist() == ["N", "V"]
    assert b.classes_.tolist() == [10, 20]
    assert a.subjects_.tolist() == [f"person-{i}" for i in range(5)]


def test_transform_takes_no_labels(fitted):
    """People may be told, by name only, as to every anonymizer; a diagnosis may not."""
    parameters = inspect.signature(fitted.transform).parameters
    assert list(parameters) == ["X", "subjects"]
    assert parameters["subjects"].kind is inspect.Parameter.KEYWORD_ONLY


def test_labels_changed_after_fit_play_no_part(quick, beats):
    X, y, subjects = beats.X.copy(), beats.y.copy(), beats.subjects.copy()
    agile = quick(n_surrogates=6, max_epochs=1).fit(X, y, subjects=subjects)
    before = agile.transform(beats.X)
    rng = np.random.default_rng(0)
    for array in (X, y, subjects):
        rng.shuffle(array)
    np.testing.assert_array_equal(agile.transform(beats.X), before)


def test_input_is_not_written_to(fitted, quick, beats):
    X = beats.X.copy()
    X.flags.writeable = False
    quick(max_epochs=1).fit(X, beats.y, subjects=beats.subjects)
    fitted.transform(X)
    np.testing.assert_array_equal(X, beats.X)


@pytest.mark.parametrize(("transform_batch_size", "n_rows"), [(1, 5), (7, 45), (64, 90), (512, 90)])
def test_batch_size_does_not_change_the_release(varied, beats, released, transform_batch_size, n_rows):
    got = varied(transform_batch_size=transform_batch_size).transform(beats.X[:n_rows])
    np.testing.assert_allclose(got, released[:n_rows], rtol=1e-5, atol=1e-6)


@settings(max_examples=8, deadline=None)
@given(rows=st.lists(st.integers(0, 89), min_size=1, max_size=45))
def test_neighbours_in_the_array_do_not_change_a_row(fitted, beats, released, rows):
    np.testing.assert_allclose(fitted.transform(beats.X[rows]), released[rows], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("exponent", [-7, 3, 10])
def test_gain_by_a_power_of_two_is_exact(fitted, beats, released, exponent):
    gain = np.float32(2.0**exponent)
    np.testing.assert_array_equal(fitted.transform(gain * beats.X), gain * released)


@settings(max_examples=8, deadline=None)
@given(gain=st.floats(1e-3, 1e3), offset=st.floats(-50, 50))
def test_gain_and_offset_pass_through(fitted, beats, gain, offset):
    X = beats.X[:30].astype(np.float64)
    expected = gain * fitted.transform(X) + offset
    got = fitted.transform(gain * X + offset)
    # A gradient that is zero to rounding may take either sign: a sample in hundreds, if any.
    near = np.isclose(got, expected, rtol=1e-5, atol=1e-5 * gain)
    assert near.mean() > 0.99


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(fitted, beats, released, dtype):
    got = fitted.transform(beats.X.astype(dtype))
    assert got.dtype == dtype
    np.testing.assert_allclose(got, released, atol=1e-5)


def test_memory_order_does_not_matter(fitted, beats, released):
    """A DataFrame's values lie column after column; sums of them would round otherwise."""
    np.testing.assert_array_equal(fitted.transform(np.asfortranarray(beats.X)), released)
    np.testing.assert_array_equal(fitted.transform(np.repeat(beats.X, 2, axis=1)[:, ::2]), released)  # strided
    np.testing.assert_allclose(fitted.transform(beats.X.tolist()), released, rtol=1e-5, atol=1e-6)


def test_integers_become_float64(fitted, beats):
    counts = np.rint(1000 * beats.X).astype(np.int16)
    released = fitted.transform(counts)
    assert released.dtype == np.float64
    np.testing.assert_array_equal(released, fitted.transform(counts.astype(np.float64)))


def test_fit_on_float64_is_close_to_float32(quick, beats):
    one, two = (
        quick(max_epochs=1).fit(beats.X.astype(dtype), beats.y, subjects=beats.subjects).transform(beats.X)
        for dtype in (np.float32, np.float64)
    )
    assert np.isclose(one, two, atol=1e-4).mean() > 0.95


# --- layouts --------------------------------------------------------------------------------------------------------


def _records(X, n_beats=6, missing=((0, 5), (3, 0), (3, 1), (7, slice(None)))):
    records = X.reshape(-1, n_beats, X.shape[1]).copy()
    for index in missing:
        records[index] = np.nan
    return records


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_records_of_beats(fitted, beats, dtype):
    records = _records(beats.X.astype(dtype))
    released = fitted.transform(records)
    assert released.dtype == dtype
    assert released.shape == records.shape
    missing = np.isnan(records).all(axis=2)
    assert missing.sum() == 9
    assert np.isnan(released[missing]).all()
    np.testing.assert_array_equal(released[~missing], fitted.transform(records[~missing]))


def test_fit_on_records_is_fit_on_their_beats(quick, beats):
    """Labels go with the record: fitting on 3-D is fitting on the beats that are there, with the labels repeated."""
    records = _records(beats.X)
    there = ~np.isnan(records).all(axis=2)
    rows = np.nonzero(there)[0]
    y = np.where(np.arange(15) % 2, "V", "N")
    subjects = np.arange(15) % 4
    three = quick(n_surrogates=6, max_epochs=1).fit(records, y, subjects=subjects)
    two = quick(n_surrogates=6, max_epochs=1).fit(records[there], y[rows], subjects=subjects[rows])
    assert three.n_features_in_ == records.shape[2]
    np.testing.assert_array_equal(three.transform(beats.X), two.transform(beats.X))


def test_subjects_none_makes_every_row_its_own(quick, beats):
    two = quick(max_epochs=1).fit(beats.X, beats.y)
    three = quick(max_epochs=1).fit(_records(beats.X, missing=()), np.where(np.arange(15) % 2, "V", "N"))
    np.testing.assert_array_equal(two.subjects_, np.arange(90))
    np.testing.assert_array_equal(three.subjects_, np.arange(15))
    named = quick(max_epochs=1).fit(beats.X, beats.y, subjects=np.arange(90))
    np.testing.assert_array_equal(two.transform(beats.X), named.transform(beats.X))


def test_label_of_a_record_without_beats_does_not_count(quick, beats):
    records = _records(beats.X)  # record 7 has no beat
    y = np.where(np.arange(15) % 2, "V", "N")
    subjects = np.arange(15) % 4
    y[7], subjects[7] = "F", 9
    agile = quick(max_epochs=1).fit(records, y, subjects=subjects)
    assert agile.classes_.tolist() == ["N", "V"]
    assert agile.subjects_.tolist() == [0, 1, 2, 3]


def test_fit_transform_is_fit_then_transform(quick, beats):
    together = quick(max_epochs=1).fit_transform(beats.X, beats.y, subjects=beats.subjects)
    apart = quick(max_epochs=1).fit(beats.X, beats.y, subjects=beats.subjects).transform(beats.X)
    np.testing.assert_array_equal(together, apart)


def test_few_beats(quick, beats):
    """Two beats of two people are enough to run, though not to learn."""
    rows = [int(np.flatnonzero(beats.y == label)[0]) for label in ("N", "V")]
    released = quick(n_surrogates=6, batch_size=128).fit_transform(beats.X[rows], beats.y[rows], subjects=["a", "b"])
    assert np.isfinite(released).all()


def test_last_short_batch(quick, beats):
    """65 rows in batches of 32 leave one over, which batch normalisation could not take."""
    quick(max_epochs=1, batch_size=32).fit(beats.X[:65], beats.y[:65], subjects=beats.subjects[:65])


# --- scikit-learn ---------------------------------------------------------------------------------------------------


def test_clone_and_parameters(fitted):
    twin = clone(fitted)
    assert twin.get_params() == fitted.get_params()
    assert not hasattr(twin, "surrogates_")
    assert twin.set_params(epsilon=0.2, lambda_=3).get_params()["lambda_"] == 3
    names = set(inspect.signature(AgileAnonymizer).parameters)
    assert set(AgileAnonymizer._parameter_constraints) == names


def test_pickle_round_trip(fitted, beats, released):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(beats.X), released)
    assert again.get_params() == fitted.get_params()


def test_pandas_output(quick, beats):
    frame = pd.DataFrame(beats.X, columns=[f"t{i}" for i in range(beats.X.shape[1])], index=np.arange(90) + 1000)
    agile = quick(max_epochs=1).set_output(transform="pandas")
    released = agile.fit(frame, pd.Series(beats.y), subjects=pd.Series(beats.subjects)).transform(frame)
    assert isinstance(released, pd.DataFrame)
    assert released.columns.tolist() == frame.columns.tolist()
    assert released.index.tolist() == frame.index.tolist()
    plain = quick(max_epochs=1).fit(beats.X, beats.y, subjects=beats.subjects).transform(beats.X)
    np.testing.assert_array_equal(released.to_numpy(), plain)


def test_feature_names_pass_through(fitted):
    assert fitted.get_feature_names_out().tolist() == [f"x{i}" for i in range(48)]


# --- other representations and directions -----------------------------------------------------------------------------


@pytest.mark.parametrize("n_steps", [1, 4])
def test_smooth_keeps_below_40_hz_and_in_the_ball(varied, beats, n_steps):
    sampling_rate = 120.0  # 48 samples: cosines every 1.25 Hz
    change = _change(varied(smooth=True, sampling_rate=sampling_rate, n_steps=n_steps), beats.X.astype(np.float64))
    assert 0.3 < np.abs(change).max() <= 0.6 + 2e-6
    content = dct(change, norm="ortho", axis=1)
    above = np.arange(48) * sampling_rate / 96 > 40
    assert np.abs(content[:, above]).max() < 1e-5
    assert (content[:, ~above] ** 2).sum() > 10
    rough = dct(_change(varied(n_steps=n_steps), beats.X.astype(np.float64)), norm="ortho", axis=1)
    assert (rough[:, above] ** 2).sum() > 0.02 * (rough**2).sum()  # else there would be nothing to smooth


def test_smooth_still_hides(varied, beats, beat_maker):
    later = beat_maker(n_rows=100, seed=1)
    who = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1).fit(_z(beats.X), beats.subjects)
    released = varied(smooth=True, sampling_rate=120.0).transform(later.X)
    assert who.score(_z(later.X), later.subjects) > 0.85
    assert who.score(_z(released), later.subjects) < 0.6


def test_smooth_needs_the_rate_in_transform_too(varied, beats):
    with pytest.raises(ValueError, match=r"smooth=True with sampling_rate=None"):
        varied(smooth=True).transform(beats.X)


@pytest.mark.parametrize("params", [{"momentum": 0.9}, {"diversity": 2.0}])
def test_momentum_and_diversity_change_the_release(varied, beats, released, params):
    agile = varied(**params)
    got = agile.transform(beats.X)
    assert np.abs(got - released).max() > 0.05
    np.testing.assert_allclose(agile.transform(beats.X[:7]), got[:7], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(varied(n_steps=1, **params).transform(beats.X), varied(n_steps=1).transform(beats.X))


def test_diversity_holds_for_beats_cut_elsewhere(varied, fitted, beats):
    """The release shifted by a sample or two: the surrogates' own identity loss falls less with diversity."""
    codes = _codes(fitted, beats.X)

    def lost(agile):
        moved = np.stack([np.roll(agile.transform(beats.X), by, axis=1) for by in (-2, 2)])
        return np.mean([_losses(fitted, values, codes)[0].mean() for values in moved])

    options = {"epsilon": 0.3, "n_steps": 12}
    assert lost(varied(diversity=2.0, **options)) > lost(varied(**options))


def test_contrastive_weight_draws_a_diagnosis_together(quick, beats):
    def spread(weight):
        agile = quick(n_surrogates=1, contrastive_weight=weight, max_epochs=6, training="plain").fit(
            beats.X, beats.y, subjects=beats.subjects
        )
        with torch.no_grad():
            feature = agile.net_.module_.encoder(torch.from_numpy(_z(beats.X))[:, None]).numpy()
        unit = feature / np.linalg.norm(feature, axis=1, keepdims=True)
        return np.mean([1 - np.linalg.norm(unit[beats.y == label].mean(axis=0)) for label in ("N", "V")])

    assert spread(2.0) < 0.7 * spread(0.0)


@pytest.fixture(scope="module")
def imaged(beats):
    params = {"epsilon": 0.6, "max_epochs": 1, "n_steps": 2, "batch_size": 45, "random_state": 0, "device": "cpu"}
    agile = AgileAnonymizer(representation="image", n_surrogates=6, **params)
    return agile.fit(beats.X, beats.y, subjects=beats.subjects)


def test_image_surrogates_see_images(imaged):
    kinds = [net.encoder for net in imaged.surrogates_]
    assert [type(kind).__name__ for kind in kinds] == [
        *["RenderedEncoder"] * 3,
        "LinearEncoder",
        "Identity",
        "Identity",
    ]
    assert [type(kind.encoder).__name__ for kind in kinds[:3]] == ["CTHEncoder", "ImageCNNEncoder", "ImageCNNEncoder"]
    assert kinds[0].encoder.position.shape[0] == 25


def test_image_representation_returns_signals(imaged, beats):
    change = _change(imaged, beats.X)
    assert np.abs(change).max() <= 0.6 + 2e-6
    assert np.isclose(np.abs(change), 0.6, atol=2e-6).mean() > 0.2
    np.testing.assert_allclose(imaged.transform(beats.X[:3]), imaged.transform(beats.X)[:3], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layout", ["flat", "records"])
def test_images_are_those_of_the_release(imaged, fitted, beats, layout):
    X = beats.X[:12] if layout == "flat" else _records(beats.X)[:2]
    for agile in (imaged, fitted):
        images = agile.transform_images(X)
        assert images.shape == (*X.shape[:-1], 200, 200)
        assert images.dtype == np.float32
        released = agile.transform(X)
        np.testing.assert_array_equal(np.isnan(images).all(axis=(-2, -1)), np.isnan(released).all(axis=-1))
        # Read by the eye: the brightest row of a column is where the z-scored beat is.
        index = (0, 0) if layout == "records" else (0,)
        beat = released[index]
        z = np.interp(np.linspace(0, 1, 200), np.linspace(0, 1, 48), (beat - beat.mean()) / beat.std())
        bright = 8 * (1 - images[index].argmax(axis=0) / 99.5)
        assert np.median(np.abs(bright - z)) < 0.1


def test_summary_is_of_the_fitted_beats(fitted, released, beats):
    """90 beats are all looked at."""
    error = np.abs(released - beats.X).astype(np.float64)
    centred = beats.X - beats.X.mean(axis=1, keepdims=True)
    relative = np.linalg.norm(error, axis=1) / np.linalg.norm(centred, axis=1)
    assert fitted.summary_ == pytest.approx(
        {
            "prdn": 100 * np.median(relative),
            "snr": -20 * np.log10(np.median(relative)),
            "mean_change": error.mean(),
            "max_change": error.max(),
        },
        rel=1e-3,
    )
    assert fitted.summary_["max_change"] <= 0.6 * beats.X.std(axis=1).max() * (1 + 1e-5)
    assert fitted.summarize(beats.X) == pytest.approx(fitted.summary_)
    assert fitted.summarize(beats.X, beats.X)["max_change"] == 0
    records = _records(beats.X)
    assert np.isfinite(list(fitted.summarize(records).values())).all()


def test_memory_does_not_grow_with_the_rows(varied, beats):
    """Beside the released beats themselves, transform keeps one batch."""
    agile = varied(transform_batch_size=32, n_steps=1)

    def peak(n_rows):
        X = np.resize(beats.X, (n_rows, beats.X.shape[1]))
        tracemalloc.start()
        agile.transform(X)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found - X.nbytes

    assert peak(3200) - peak(800) < 0.5 * 2400 * beats.X[0].nbytes


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
def test_cuda_is_close_to_cpu(quick, beats):
    agile = quick(n_surrogates=6, device="cuda").fit(beats.X, beats.y, subjects=beats.subjects)
    released = agile.transform(beats.X)
    assert released.dtype == beats.X.dtype
    assert next(agile.net_.module_.parameters()).is_cuda
    change = np.abs(released - beats.X) / beats.X.std(axis=1, keepdims=True)
    assert change.max() <= 0.6 + 1e-5
