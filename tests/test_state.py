"""Fitted state as arrays and JSON: the way through a file changes nothing, and a wrong state is refused."""

import importlib
import inspect
import io
import json
import pkgutil
import re

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skagile
from skagile import (
    AgileAnonymizer,
    BeatDenoiser,
    BeatImager,
    BeatSegmenter,
    BeatwiseClassifier,
    DeepECGIdentifier,
    FiducialIdentifier,
    KSameAnonymizer,
    LabelCountingIdentifier,
    LowOrderIdentifier,
    NoiseAnonymizer,
    ODEGANAnonymizer,
    PPVAEAnonymizer,
    PrivECGAnonymizer,
    REACTAnonymizer,
    RowOrderIdentifier,
    RRIdentifier,
    SiameseIdentifier,
    SVDIdentifier,
    TransECGIdentifier,
    WarpAnonymizer,
)
from skagile._state import Labels
from skagile.datasets import beats_from_records, make_cohort

RATE = 120.0
TINY = {"max_epochs": 2, "device": "cpu", "random_state": 0}
NET = {**TINY, "channels": (4, 8), "embedding_size": 8}
KSAME = {**TINY, "sampling_rate": RATE, "max_draws": 2, "max_epochs": 1}

# Name -> unfitted estimators: one for every kind of state that the class has.
CASES = {
    "agile": AgileAnonymizer(n_steps=2, **TINY),
    "agile-amortized": AgileAnonymizer(n_steps=2, inference="amortized", **TINY),
    "agile-images": AgileAnonymizer(n_steps=1, n_surrogates=1, representation="image", **{**TINY, "max_epochs": 1}),
    "warp": WarpAnonymizer(**TINY),
    "noise": NoiseAnonymizer(law="laplace", epsilon=4, unit="record", clip=2, n_beats=3),
    "ode-gan": ODEGANAnonymizer(channels=(8, 8), adversary_channels=(4, 8), **TINY),
    "privecg": PrivECGAnonymizer(channels=(8, 8), adversary_channels=(4, 8), **TINY),
    "privecg-frozen": PrivECGAnonymizer(
        adversary="frozen", noise=0, channels=(8, 8), adversary_channels=(4, 8), **TINY
    ),
    "react": REACTAnonymizer(explore=True, **TINY),
    "pp-vae": PPVAEAnonymizer(**TINY),
    "pp-vae-means": PPVAEAnonymizer(draw=False, branches="latent", n_latent=3, **TINY),
    "k-same": KSameAnonymizer(2, **KSAME),
    "k-same-groups": KSameAnonymizer(2, ("qrs_duration",), grouping="diverse", **KSAME),
    "band_pass": BeatDenoiser(sampling_rate=RATE),
    "low_rank": BeatDenoiser("low_rank"),
    "learned": BeatDenoiser("learned", **TINY, channels=4, n_blocks=1),
    "imager": BeatImager(size=32),
    "segmenter": BeatSegmenter(sampling_rate=RATE, n_beats=4),
    "beatwise": BeatwiseClassifier(make_pipeline(StandardScaler(), LogisticRegression())),
    "beatwise-lda": BeatwiseClassifier(LinearDiscriminantAnalysis()),
    "beatwise-attacker": BeatwiseClassifier(SVDIdentifier()),
    "deep_ecg": DeepECGIdentifier(**NET),
    "siamese": SiameseIdentifier(**NET),
    "siamese-contrastive": SiameseIdentifier(head="contrastive", **NET),
    "transecg": TransECGIdentifier(**TINY, d_model=8, n_heads=2, n_layers=1, embedding_size=8),
    "transecg-cls": TransECGIdentifier(**TINY, d_model=8, n_heads=2, n_layers=1, embedding_size=8, pool="cls", stem=0),
    "fiducial": FiducialIdentifier(RATE, n_estimators=8, random_state=0),
    "fiducial-boosting": FiducialIdentifier(RATE, window=None, classifier="boosting", n_estimators=4, random_state=0),
    "fiducial-levels": FiducialIdentifier(None, n_estimators=8, random_state=0),
    "counting-clusters": LabelCountingIdentifier(random_state=0),
    "counting": LabelCountingIdentifier(random_state=0),
    "counting-forest": LabelCountingIdentifier(RandomForestClassifier(4, random_state=0)),
    "low_order": LowOrderIdentifier(),
    "row_order": RowOrderIdentifier(5),
    "rr": RRIdentifier(n_estimators=8, random_state=0),
    "rr-lda": RRIdentifier(classifier="lda"),
    "svd": SVDIdentifier(20),
    "svd-neighbour": SVDIdentifier(20, classifier="neighbour"),
    "svd-mean": SVDIdentifier(20, classifier="mean"),
}
OUTPUTS = ("predict", "predict_proba", "transform")


def all_estimators():
    """Public estimator classes of skagile, by what its rooms export."""
    classes = set()
    for room in pkgutil.iter_modules(skagile.__path__, "skagile."):
        if room.ispkg:
            module = importlib.import_module(room.name)
            values = [getattr(module, name) for name in module.__all__]
            classes |= {value for value in values if inspect.isclass(value) and issubclass(value, BaseEstimator)}
    return classes


@pytest.fixture(scope="module")
def data():
    """Rows, subjects, diagnoses and fresh rows, by what an estimator takes."""
    records = make_cohort(5, 2, duration=16.0, sampling_rate=RATE, drift=0.1, random_state=0)
    beats = beats_from_records(records, sessions="date", max_beats=12, random_state=0)
    enrol = beats.sessions == 0
    y = np.where(np.arange(enrol.sum()) % 3 == 0, "N", "V")
    rng = np.random.default_rng(0)
    intervals = rng.normal(0.8, 0.05, (40, 12))
    subjects = np.arange(40) % 4
    place = np.arange(40.0)[:, None]
    return {
        "beats": (beats.X[enrol], beats.subjects[enrol], y, beats.X[~enrol]),
        "rr": (intervals + 0.05 * subjects[:, None], subjects, None, rng.normal(0.85, 0.05, (9, 12))),
        "place": (place, np.repeat(np.arange(4), 10), None, place[::3] + 0.4),
        "records": (np.squeeze(records.signals[:4]), None, None, np.squeeze(records.signals[4:])),
    }


def _data_of(estimator, data):
    kinds = {RRIdentifier: "rr", RowOrderIdentifier: "place", BeatSegmenter: "records"}
    return data[kinds.get(type(estimator), "beats")]


def _fit(name, data, dtype=np.float64):
    estimator = clone(CASES[name])
    X, subjects, y, _ = _data_of(estimator, data)
    X = X.astype(dtype)
    if isinstance(
        estimator,
        AgileAnonymizer
        | KSameAnonymizer
        | NoiseAnonymizer
        | PPVAEAnonymizer
        | PrivECGAnonymizer
        | REACTAnonymizer
        | WarpAnonymizer,
    ):
        return estimator.fit(X, y, subjects=subjects)
    if isinstance(estimator, LabelCountingIdentifier):
        return estimator.fit(X, subjects, diagnoses=None if name == "counting-clusters" else y)
    return estimator.fit(X, subjects)


@pytest.fixture(scope="module")
def fitted(data):
    """Fit an estimator of `CASES` once, for tests that only look at it."""
    cache = {}

    def get(name):
        if name not in cache:
            cache[name] = _fit(name, data)
        return cache[name]

    return get


def _outputs(estimator, X):
    return {name: np.asarray(getattr(estimator, name)(X)) for name in OUTPUTS if hasattr(estimator, name)}


def _through_file(state):
    """The state as a file would hold it: text of JSON, and arrays without objects."""
    arrays = []

    def skeleton(node):
        if isinstance(node, np.ndarray):
            arrays.append(node)
            return {"__array__": len(arrays) - 1}
        if isinstance(node, dict):
            return {key: skeleton(value) for key, value in node.items()}
        return [skeleton(value) for value in node] if isinstance(node, list) else node

    text = json.dumps(skeleton(state), allow_nan=False)
    file = io.BytesIO()
    np.savez(file, *[array.copy(order="C") for array in arrays])
    file.seek(0)
    with np.load(file, allow_pickle=False) as stored:
        arrays = [stored[f"arr_{i}"] for i in range(len(arrays))]

    def filled(node):
        if isinstance(node, dict):
            is_array = "__array__" in node
            return arrays[node["__array__"]] if is_array else {key: filled(value) for key, value in node.items()}
        return [filled(value) for value in node] if isinstance(node, list) else node

    return filled(json.loads(text))


def _same(first, second):
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(_same(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(_same, first, second))
    if isinstance(first, np.ndarray):
        return first.dtype == second.dtype and np.array_equal(first, second, equal_nan=first.dtype.kind == "f")
    return type(first) is type(second) and first == second


def test_every_estimator_has_a_case():
    names = {cls.__name__ for cls in all_estimators()}
    cases = {type(estimator).__name__ for estimator in CASES.values()}
    assert names == cases


@pytest.mark.parametrize("name", CASES)
def test_through_a_file_and_back(name, data, fitted):
    estimator = fitted(name)
    state = _through_file(estimator._get_state())
    drawn = torch.random.get_rng_state()
    again = clone(estimator)._set_state(state)
    assert torch.equal(torch.random.get_rng_state(), drawn)
    fresh = _data_of(estimator, data)[3]
    expected, got = _outputs(estimator, fresh), _outputs(again, fresh)
    assert expected
    for output, values in expected.items():
        assert got[output].dtype == values.dtype
        np.testing.assert_array_equal(got[output], values, err_msg=output)
    assert _same(again._get_state(), estimator._get_state())


@pytest.mark.parametrize("name", ["svd", "svd-neighbour", "low_order", "deep_ecg", "low_rank", "rr-lda", "fiducial"])
def test_float32_and_back(name, data):
    estimator = _fit(name, data, np.float32)
    fresh = _data_of(estimator, data)[3].astype(np.float32)
    again = clone(estimator)._set_state(_through_file(estimator._get_state()))
    for output, values in _outputs(estimator, fresh).items():
        np.testing.assert_array_equal(_outputs(again, fresh)[output], values)


@pytest.mark.parametrize("name", CASES)
def test_unfitted_has_no_state(name):
    with pytest.raises(NotFittedError):
        clone(CASES[name])._get_state()


def _paths(node, path=()):
    """Every place in a state."""
    yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in children:
        yield from _paths(value, (*path, key))


def _changed(node, path, change):
    """A state with one place changed, sharing the rest."""
    if not path:
        return change(node)
    copy = node.copy()
    copy[path[0]] = _changed(node[path[0]], path[1:], change)
    return copy


def _without(key):
    return lambda node: {name: value for name, value in node.items() if name != key}


def _first(value):
    def change(array):
        array = array.copy()
        array.flat[0] = value
        return array

    return change


def _wrong(node):
    """Changes of a place that must be refused, by name."""
    yield "none", lambda _: {"surely": "not this"}
    if isinstance(node, dict):
        yield from ((f"without {key}", _without(key)) for key in node)
        yield "surplus", lambda node: {**node, "surplus": 1}
        yield "list", lambda node: list(node)
    elif isinstance(node, np.ndarray):
        yield "objects", lambda array: array.astype(object)
        yield "complex", lambda array: array.astype(complex) if array.dtype.kind in "fib" else array.astype("S")
        yield "swapped bytes", lambda array: array.astype(array.dtype.newbyteorder()) if array.itemsize > 1 else None
        yield "one axis more", lambda array: array[None]
        yield "list", lambda array: array.tolist()
        if _is_float(node) and node.size:
            yield "nan", _first(np.nan)
    elif isinstance(node, str | int | float | None):
        yield "array", lambda _: np.zeros(3)
        yield "complex", lambda _: 1j


def _is_float(array):
    """Whether an array may hold NaN at all."""
    return array.dtype.kind == "f"


def _may_be_right(path, change):
    # What cannot be told from right: it is measured, and may be NaN; and a bool has no second byte.
    return change == "nan" and path[-1] in ("summary_", "explained_variance_ratio_")


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_state_is_refused(name, fitted):
    estimator = fitted(name)
    state = estimator._get_state()
    taker = clone(estimator)
    before = dict(vars(taker))
    places = [(path, _at(state, path)) for path in _paths(state)]
    changes = [(path, *change) for path, node in places for change in _wrong(node)]
    chosen = np.random.default_rng(0).permutation(len(changes))[: 60 if _has_nets(estimator) else 200]
    for path, change, make in (changes[i] for i in sorted(chosen)):
        if _may_be_right(path, change) or make(_at(state, path)) is None:
            continue
        message = _refusal(taker, _changed(state, path, make))
        assert re.search("Give what a fitted|release of skagile", message), f"{path}: {change}: {message}"
        assert vars(taker) == before
    taker._set_state(state)


def _has_nets(estimator):
    """Whether each try of a state builds networks, which takes its time."""
    return hasattr(estimator, "net_") or hasattr(estimator, "nets_")


def _refusal(taker, state):
    try:
        taker._set_state(state)
    except ValueError as error:
        return str(error)
    return "it was taken"


def _at(node, path):
    for key in path:
        node = node[key]
    return node


@pytest.mark.parametrize("name", CASES)
def test_other_numbers_raise_value_error_or_are_taken(name, data, fitted):
    """Whatever the numbers, nothing else than ValueError comes out, and what was taken answers."""
    estimator = fitted(name)
    state = estimator._get_state()
    fresh = _data_of(estimator, data)[3]
    rng = np.random.default_rng(1)
    paths = [path for path in _paths(state) if not isinstance(_at(state, path), dict | list)]
    changes = [
        lambda node: _shuffled(node, rng),
        lambda node: node[:-1] if isinstance(node, np.ndarray) and node.ndim else -1,
        lambda node: -node if isinstance(node, np.ndarray) and node.dtype.kind in "fi" else 10**30,
        lambda node: node * 2 if isinstance(node, np.ndarray | int | float) and _is_number(node) else "",
        lambda node: np.zeros_like(node) if isinstance(node, np.ndarray) else 0,
    ]
    # Each try builds the networks anew.
    for i in rng.permutation(len(paths))[: 2 if _has_nets(estimator) else 20]:
        for change in changes:
            wrong = _changed(state, paths[i], change)
            taker = clone(estimator)
            with np.errstate(all="ignore"):
                try:
                    _outputs(taker._set_state(wrong), fresh)
                except ValueError:
                    continue


def _is_number(node):
    return not isinstance(node, np.ndarray) or node.dtype.kind in "fi"


def _shuffled(node, rng):
    return rng.permuted(node) if isinstance(node, np.ndarray) and node.ndim else None


@pytest.mark.parametrize(
    ("name", "params", "problem"),
    [
        ("deep_ecg", {"channels": (8, 8)}, r"net_.*shape"),
        ("deep_ecg", {"embedding_size": 16}, r"net_.*shape"),
        ("transecg", {"n_layers": 2}, r"net_.*lacks"),
        # Numbers that would take all memory, and time without end, if they were followed.
        ("transecg", {"n_layers": 10**7}, r"net_.*the parameters ask for"),
        ("transecg", {"d_model": 10**6}, r"net_.*the parameters ask for"),
        ("deep_ecg", {"channels": (10**6, 10**6)}, r"net_.*the parameters ask for"),
        ("agile", {"n_surrogates": 10**12}, r"surrogates_.*no list of 1000000000000"),
        ("agile", {"n_surrogates": 2}, r"surrogates_.*no list of 2"),
        ("fiducial", {"n_estimators": 9}, "holds 8 trees; the parameters ask for 9"),
        ("fiducial", {"classifier": "boosting"}, "expected 'HistGradientBoostingClassifier'"),
        ("fiducial", {"sampling_rate": None}, "_used has shape"),
        ("low_rank", {"method": "learned"}, "lacks 'net_'"),
        ("svd", {"classifier": "mean"}, "_rule"),
    ],
)
def test_other_parameters_are_refused(name, params, problem, fitted):
    taker = clone(fitted(name)).set_params(**params)
    with pytest.raises(ValueError, match=problem):
        taker._set_state(fitted(name)._get_state())


def test_numbers_in_a_state_do_not_take_all_memory(fitted):
    boosting = fitted("fiducial-boosting")
    path = ("fitted", "classifier_", "fitted", "n_features_in_")
    with pytest.raises(ValueError, match="1000000 features; a state holds at most 10000"):
        clone(boosting)._set_state(_changed(boosting._get_state(), path, lambda _: 10**6))
    fiducial = fitted("fiducial-levels")
    state = _changed(fiducial._get_state(), ("fitted", "n_features_in_"), lambda _: 10**6)
    with pytest.raises(ValueError, match="n_leads_in_ is 500000; expected at most 1024"):
        clone(fiducial)._set_state(_changed(state, ("fitted", "n_leads_in_"), lambda _: 500_000))


def test_class_and_version(fitted):
    state = fitted("svd")._get_state()
    with pytest.raises(ValueError, match="of class 'SVDIdentifier'; expected 'LowOrderIdentifier'"):
        LowOrderIdentifier()._set_state(state)
    with pytest.raises(ValueError, match="of version 2; this skagile takes version 1"):
        SVDIdentifier(20)._set_state({**state, "version": 2})


def test_after_an_error_the_old_fit_is_still_there(data, fitted):
    fresh = data["beats"][3]
    attacker = _fit("svd", data)
    expected = attacker.predict_proba(fresh)
    state = fitted("svd")._get_state()
    # Another mean would be taken; that the last part is wrong shows later.
    wrong = _changed(state, ("fitted", "mean_"), lambda mean: mean + 1)
    wrong = _changed(wrong, ("fitted", "lda_", "fitted", "coef_"), _first(np.nan))
    with pytest.raises(ValueError, match="coef_ holds NaN"):
        attacker._set_state(wrong)
    np.testing.assert_array_equal(attacker.predict_proba(fresh), expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int32])
def test_weights_of_another_dtype_are_refused(dtype, fitted):
    state = fitted("deep_ecg")._get_state()
    wrong = _changed(state, ("fitted", "net_", "weight"), lambda weight: weight.astype(dtype))
    with pytest.raises(ValueError, match=f"has dtype {np.dtype(dtype)}; expected float32"):
        clone(fitted("deep_ecg"))._set_state(wrong)


def test_another_fit_is_replaced_whole(data, fitted):
    attacker = _fit("svd-mean", data).set_params(classifier="lda")
    attacker._set_state(fitted("svd")._get_state())
    assert not hasattr(attacker, "_templates")


def test_how_a_user_has_set_it_up_stays(data, fitted):
    state = fitted("segmenter")._get_state()
    segmenter = BeatSegmenter(sampling_rate=RATE, layout="flat", n_beats=4).set_output(transform="pandas")
    assert isinstance(segmenter._set_state(state).transform(data["records"][3]), pd.DataFrame)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["anna", "bert", "carl"], dtype=object),
        np.array(["anna", "bert", "carl"]),
        np.array([3, 5, 9], dtype=object),
        np.array([3, 5, 9], dtype=np.int32),
        np.array([0.5, 1.5, 2.5]),
        np.array([False, True]),
    ],
    ids=lambda labels: f"{labels.dtype}",
)
def test_labels_come_back_as_they_were(labels):
    field = Labels("classes_")
    again = field.value(_through_file(field.plain(labels, "classes_")), "classes_")
    assert again.dtype == labels.dtype
    assert again.tolist() == labels.tolist()


@pytest.mark.parametrize(
    "plain",
    [
        np.array([1, 1, 2]),
        np.array([2, 1]),
        np.array([1]),
        np.array([1, np.nan]),
        np.array([[1, 2]]),
        np.array(["a", "b"], dtype=object),
        {"objects": [1, "a"]},
        {"objects": [None, 1]},
        {"objects": [[1], [2]]},
        {"objects": np.array([1, 2])},
        ["a", "b"],
    ],
    ids=str,
)
def test_wrong_labels_are_refused(plain):
    with pytest.raises(ValueError, match="The state of classes_"):
        Labels("classes_").value(plain, "classes_")


def test_labels_that_no_file_holds_are_refused_with_the_way_out():
    with pytest.raises(ValueError, match="Use str, int, float or bool"):
        Labels("classes_").plain(np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[D]"), "classes_")


def test_names_of_columns_come_back():
    X = pd.DataFrame(np.random.default_rng(0).standard_normal((12, 4)), columns=list("abcd"))
    attacker = SVDIdentifier(2).fit(X, np.arange(12) % 3)
    again = SVDIdentifier(2)._set_state(_through_file(attacker._get_state()))
    assert again.feature_names_in_.dtype == object
    with pytest.raises(ValueError, match="feature names"):
        again.predict(X[list("bacd")])


def test_memory_order_comes_back():
    """Products of a matrix that lies column by column round otherwise."""
    X = np.random.default_rng(0).standard_normal((30, 12))
    classifier = BeatwiseClassifier(LogisticRegression()).fit(X, np.arange(30) % 3)
    classifier.estimator_.coef_ = np.asfortranarray(classifier.estimator_.coef_)
    again = clone(classifier)._set_state(_through_file(classifier._get_state()))
    assert again.estimator_.coef_.flags.f_contiguous
    np.testing.assert_array_equal(again.estimator_.coef_, classifier.estimator_.coef_)


def test_an_estimator_off_the_list_is_refused_with_the_way_out(data):
    X, subjects, y, _ = data["beats"]
    attacker = LabelCountingIdentifier(KNeighborsClassifier()).fit(X, subjects, diagnoses=y)
    with pytest.raises(ValueError, match=r"reader_ is a .*KNeighborsClassifier, .* Use one of .*LogisticRegression"):
        attacker._get_state()


@pytest.mark.parametrize(
    "estimator",
    [
        ExtraTreesClassifier(5, random_state=0),
        RandomForestClassifier(5, random_state=0, max_samples=0.5),
        HistGradientBoostingClassifier(max_iter=3, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.parametrize("n_classes", [2, 4])
def test_trees_answer_alike_also_of_what_is_missing(estimator, n_classes):
    from skagile._state_parts import Part

    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((120, 5)), np.array(list("abcd"))[np.arange(120) % n_classes]
    X[:, 2][rng.random(120) < 0.3] = np.nan
    X[:, 0] += np.arange(120) % n_classes
    estimator = clone(estimator).fit(X, y)
    part = Part("part", lambda: clone(estimator))
    again = part.value(_through_file(part.plain(estimator, "part")), "part")
    probe = rng.standard_normal((200, 5))
    probe[rng.random(probe.shape) < 0.2] = np.nan
    probe[0, 0] = np.inf if isinstance(estimator, HistGradientBoostingClassifier) else 0
    np.testing.assert_array_equal(again.predict_proba(probe), estimator.predict_proba(probe))
    np.testing.assert_array_equal(again.predict(probe), estimator.predict(probe))
    if hasattr(estimator, "feature_importances_"):
        np.testing.assert_array_equal(again.feature_importances_, estimator.feature_importances_)


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("left_child", 0, "do not lead down"),  # a circle: it would never end
        ("left_child", 10**9, "do not lead down"),  # outside: it would read other memory
        ("right_child", -1, "do not lead down"),
        ("right_child", 1, "no or two parents"),
        ("feature", 10**6, "feature there is not"),
        ("feature", -5, "feature there is not"),
    ],
)
def test_a_tree_that_leads_astray_is_refused(column, value, problem, fitted):
    state = fitted("rr")._get_state()
    path = ("fitted", "classifier_", "fitted", "estimators_", column)
    assert _at(state, path)[0] >= 0  # the first tree has a split
    with pytest.raises(ValueError, match=problem):
        clone(fitted("rr"))._set_state(_changed(state, path, _first(value)))
