"""Fitted estimators through files: nothing changes, nobody is carried along, and a wrong file is refused."""

import importlib.util
import json
import os
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skagile
from skagile import (
    AgileAnonymizer,
    BeatSegmenter,
    BeatwiseClassifier,
    DeepECGIdentifier,
    KSameAnonymizer,
    ODEGANAnonymizer,
    PrivECGAnonymizer,
    SVDIdentifier,
    WarpAnonymizer,
    load,
    save,
)
from skagile._model_file import seal
from skagile.datasets import beats_from_records, make_cohort


def _sibling(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


states, mutations = _sibling("test_state"), _sibling("mutations")
CASES, data, fitted = states.CASES, states.data, states.fitted
ANONYMIZERS = AgileAnonymizer | KSameAnonymizer | ODEGANAnonymizer | PrivECGAnonymizer | WarpAnonymizer


def _same_answers(first, second, X):
    expected, got = states._outputs(first, X), states._outputs(second, X)
    assert expected
    for name, values in expected.items():
        assert got[name].dtype == values.dtype
        np.testing.assert_array_equal(got[name], values, err_msg=name)


# ------------------------------------------------------------------------------------------------- there and back


@pytest.mark.parametrize("with_people", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_there_and_back(name, with_people, data, fitted, tmp_path):
    estimator = fitted(name)
    before = states._through_file(estimator._get_state())
    path = save(estimator, tmp_path / "model.safetensors", with_people=with_people)
    drawn = torch.random.get_rng_state()
    again = load(path)
    assert torch.equal(torch.random.get_rng_state(), drawn)
    assert type(again) is type(estimator)
    _same_answers(estimator, again, states._data_of(estimator, data)[3])
    assert repr(again) == repr(estimator)
    if with_people or not isinstance(estimator, ANONYMIZERS):
        assert states._same(again._get_state(), estimator._get_state())
    assert states._same(estimator._get_state(), before)  # saving leaves it as it was
    # The same content, the same bytes; and so once more through a file.
    assert save(estimator, tmp_path / "again", with_people=with_people).read_bytes() == path.read_bytes()
    assert save(again, tmp_path / "third", with_people=with_people).read_bytes() == path.read_bytes()


def test_the_list_of_classes_is_that_of_the_package():
    from skagile import persistence
    from skagile._state_parts import _FIELDS

    own = {name for name, home in persistence._HOME_OF.items() if home.startswith("skagile.")}
    assert own == {cls.__name__ for cls in states.all_estimators()}
    assert set(persistence._HOME_OF) - own == set(_FIELDS)
    for name in persistence._HOME_OF:
        assert persistence._class_of(name).__name__ == name


def test_pipelines(data, tmp_path):
    X, subjects, y, fresh = data["beats"]
    ksame = KSameAnonymizer(2, **states.KSAME)
    steps = make_pipeline(ksame, BeatwiseClassifier(make_pipeline(StandardScaler(), LogisticRegression(C=np.inf))))
    pipeline = steps.fit(X, y, ksameanonymizer__subjects=subjects)
    again = load(save(pipeline, tmp_path / "p"))
    _same_answers(pipeline, again, fresh)
    assert np.inf == again[-1].estimator[-1].C


def test_plain_scikit_learn(data, tmp_path):
    X, subjects, _, fresh = data["beats"]
    classifier = LogisticRegression(class_weight={0: 1.0, np.int64(1): 2.0}, max_iter=500)
    model = make_pipeline(StandardScaler(), "passthrough", classifier).fit(X, subjects == subjects[0])
    again = load(save(model, tmp_path / "p"))
    np.testing.assert_array_equal(again.predict_proba(fresh), model.predict_proba(fresh))
    assert again[-1].class_weight == {0: 1.0, 1: 2.0}


@pytest.mark.parametrize(
    "params",
    [
        {"n_components": np.int64(7)},
        {"n_components": 7, "standardize": np.True_},
    ],
)
def test_scalars_of_numpy_come_back_as_they_were(params, data, tmp_path):
    X, subjects, *_ = data["beats"]
    again = load(save(SVDIdentifier(**params).fit(X, subjects), tmp_path / "m"))
    assert {key: type(again.get_params()[key]) for key in params} == {key: type(params[key]) for key in params}


@pytest.mark.parametrize("names", [("I", "V1"), ["I", "V1"], np.array(["I", "V1"]), np.array(["I", "V1"], object)])
def test_sequences_come_back_as_they_were(names, tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((24, 1, 2, 30)), np.arange(24) % 2
    ksame = KSameAnonymizer(2, {"sex": None}, lead_names=names, max_draws=1, max_epochs=1, device="cpu")
    facts = {"sex": np.tile(["F", "M", "F"], 8)}
    again = load(save(ksame.fit(X, y, facts=facts), tmp_path / "m"))
    assert type(again.lead_names) is type(names)
    assert getattr(again.lead_names, "dtype", None) == getattr(names, "dtype", None)
    assert list(again.lead_names) == ["I", "V1"]
    assert again.keep == {"sex": None}


def test_how_a_user_has_set_it_up_comes_back(data, tmp_path):
    X, subjects, y, fresh = data["beats"]
    tables = KSameAnonymizer(2, **states.KSAME).set_output(transform="pandas").fit(X, y, subjects=subjects)
    again = load(save(make_pipeline(tables), tmp_path / "m"))
    assert isinstance(again.transform(fresh), pd.DataFrame)
    with sklearn.config_context(enable_metadata_routing=True):
        ksame = KSameAnonymizer(2, **states.KSAME).set_fit_request(subjects="people", facts=False)
    again = load(save(ksame.fit(X, y, subjects=subjects), tmp_path / "m"))
    for method in ("fit", "transform"):
        own, other = (getattr(each._get_metadata_request(), method).requests for each in (ksame, again))
        assert own == other
    assert again._get_metadata_request().fit.requests["subjects"] == "people"


# ------------------------------------------------------------------------------------------------------ who is in it


def _people(per_person, n_people=40, seed=0):
    """Beats of people with names, and nothing in common but the wave: no mean of them is anybody's beat."""
    rng = np.random.default_rng(seed)
    at = np.arange(60) / 60
    own = np.repeat(np.arange(n_people), per_person)
    shape = rng.normal(size=(n_people, 12)) @ np.array([np.sin(np.pi * i * at) for i in range(1, 13)])
    X = np.exp(-(((at - 0.4) / 0.05) ** 2)) + 0.4 * shape[own] + 0.2 * rng.normal(size=(len(own), 60))
    names = np.array([f"Jürgen Patient-{1000 + i}" for i in range(n_people)])
    return X, np.where(np.arange(len(own)) % 3 == 0, "N", "V"), names[own]


def _names_in(path, names):
    body = path.read_bytes()
    # As they are, and as JSON writes them, once and within another JSON.
    spelt = [(name.encode(), json.dumps(name)[1:-1].encode(), json.dumps(json.dumps(name)[1:-1])[1:-1].encode())
             for name in names]  # fmt: skip
    return [each[0].decode() for each in spelt if any(way in body for way in each)]


def _largest_correlation(path, X):
    """Of any row of any array in the file, every axis and every stretch of it, with any beat."""
    Z = X - X.mean(axis=1, keepdims=True)
    Z /= np.linalg.norm(Z, axis=1, keepdims=True)
    largest, n = 0.0, X.shape[1]
    for array in load_file(path).values():
        numbers = array.astype(np.float64)
        for axis in range(numbers.ndim if numbers.size else 0):
            rows = np.moveaxis(numbers, axis, -1).reshape(-1, numbers.shape[axis])
            if rows.shape[1] < n:
                continue
            rows = np.lib.stride_tricks.sliding_window_view(rows, n, axis=1)[:, :: n // 4].reshape(-1, n)
            rows = rows - rows.mean(axis=1, keepdims=True)
            size = np.linalg.norm(rows, axis=1, keepdims=True)
            rows = rows[size[:, 0] > 1e-9] / size[size[:, 0] > 1e-9]
            if len(rows):
                largest = max(largest, float((rows @ Z.T).max()))
    return largest


KSAMES = {
    "one": {},
    "diverse": {"grouping": "diverse"},
    "morphology": {"grouping": "morphology", "coherence": "subject"},
    "suppress": {"grouping": "class_mix", "on_small_key": "suppress"},
}


@pytest.mark.parametrize("params", KSAMES.values(), ids=KSAMES)
def test_k_same_holds_statistics_only(params, tmp_path):
    paths, n_rows = [], []
    for per_person in (36, 72):  # so many that a law has all axes: at most as many as a beat has samples
        X, y, subjects = _people(per_person)
        ksame = KSameAnonymizer(10, max_epochs=1, max_draws=2, device="cpu", random_state=0, **params)
        ksame.fit(X, y, subjects=subjects)
        paths.append(save(ksame, tmp_path / f"{per_person}"))
        n_rows.append(len(X))
        whole = save(ksame, tmp_path / "whole", with_people=True)
        assert not _names_in(paths[-1], set(subjects))
        assert len(_names_in(whole, set(subjects))) == 40  # they would be seen
        assert _largest_correlation(paths[-1], X) < 0.999
        again = load(paths[-1])
        assert again.subjects_.tolist() == list(range(40))
        assert again.groups_.tolist() == sorted(ksame.groups_)
    shapes = [{name: array.shape for name, array in load_file(path).items()} for path in paths]
    for held, rows in zip(shapes, n_rows, strict=True):
        assert not [name for name, shape in held.items() if rows in shape]
    assert abs(paths[1].stat().st_size - paths[0].stat().st_size) < 0.01 * paths[0].stat().st_size


def test_a_beat_in_the_file_would_be_seen(tmp_path):
    X, y, subjects = _people(6)
    agile = AgileAnonymizer(n_steps=1, max_epochs=1, device="cpu", random_state=0).fit(X, y, subjects=subjects)
    path = save(agile, tmp_path / "agile")
    assert _largest_correlation(path, X) > 0.999
    assert not _names_in(path, set(subjects))


@pytest.mark.parametrize(
    ("name", "nested"), [("agile", False), ("warp", False), ("warp", True), ("k-same", True), ("k-same-groups", False)]
)
def test_no_name_leaves_with_an_anonymizer(name, nested, data, tmp_path):
    X, subjects, y, _ = data["beats"]
    names = np.array([f"Åsa No. {i}" for i in subjects])
    anonymizer = clone(CASES[name])
    if nested:  # as deep as it may be
        inner = make_pipeline(make_pipeline(anonymizer, StandardScaler()), LogisticRegression())
        model = BeatwiseClassifier(inner).fit(X, names)
        assert _names_in(save(model, tmp_path / "m"), set(names))  # those that it predicts
        model = BeatwiseClassifier(inner).fit(X, y)
        assert len(model.estimator_[0][0].subjects_) == len(X)
        model.estimator_[0][0].fit(X, y, subjects=names)
    else:
        model = anonymizer.fit(X, y, subjects=names)
    assert not _names_in(save(model, tmp_path / "m"), set(names))
    assert _names_in(save(model, tmp_path / "m", with_people=True), set(names))


def test_to_a_loaded_k_same_everybody_is_new(tmp_path):
    X, y, subjects = _people(6)
    ksame = KSameAnonymizer(10, grouping="diverse", max_epochs=1, max_draws=1, device="cpu", random_state=0)
    ksame.fit(X, y, subjects=subjects)
    again = load(save(ksame, tmp_path / "m"))
    expected = again.transform(X, subjects=[f"unheard of {name}" for name in subjects])
    for names in (subjects, np.unique(subjects, return_inverse=True)[1]):  # their names, and their places
        np.testing.assert_array_equal(again.transform(X, subjects=names), expected)
    # Their own groups, and their diagnoses, are what is lost; with people nothing is.
    assert (ksame.transform(X, subjects=subjects) != expected).any()
    whole = load(save(ksame, tmp_path / "m", with_people=True))
    np.testing.assert_array_equal(whole.transform(X, subjects=subjects), ksame.transform(X, subjects=subjects))


def test_rhythms_are_people(tmp_path):
    records = make_cohort(6, 1, duration=30.0, random_state=0)
    beats = beats_from_records(records)
    ksame = KSameAnonymizer(3, rhythm="resample", max_epochs=1, max_draws=1, device="cpu", random_state=0)
    ksame.fit(beats.X, beats.y, subjects=beats.subjects, times=beats.times)
    with pytest.raises(ValueError, match=r'rhythm="resample".*with_people=True.*rhythm="keep"'):
        save(ksame, tmp_path / "m")
    assert not (tmp_path / "m").exists()
    again = load(save(ksame, tmp_path / "m", with_people=True))
    expected = ksame.resample_times(beats.times, subjects=beats.subjects)
    np.testing.assert_array_equal(again.resample_times(beats.times, subjects=beats.subjects), expected)


def test_the_prior_is_left_out_and_said(tmp_path):
    X, y, subjects = _people(6)
    other = _people(4, 12, seed=1)
    other = (other[0], other[1], np.array([f"Prior Person {name}" for name in other[2]]))
    ksame = KSameAnonymizer(10, prior=other, max_epochs=1, max_draws=1, device="cpu", random_state=0)
    ksame.fit(X, y, subjects=subjects)
    with pytest.warns(UserWarning, match=r"prior holds beats of people .* with_people=True"):
        path = save(ksame, tmp_path / "m")
    assert _largest_correlation(path, other[0]) < 0.999
    assert not _names_in(path, set(other[2]))
    again = load(path)
    assert again.prior is None
    _same_answers(ksame, again, _people(2, seed=3)[0])
    whole = load(save(ksame, tmp_path / "m", with_people=True)).prior
    assert all(np.array_equal(*both) for both in zip(whole, other, strict=True))


# --------------------------------------------------------------------------------------------------- what is refused


def test_not_fitted(tmp_path):
    for estimator in (SVDIdentifier(), KSameAnonymizer(), LogisticRegression(), make_pipeline(StandardScaler())):
        with pytest.raises(NotFittedError):
            save(estimator, tmp_path / "m")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"random_state": np.random.RandomState(0)}, r"estimator\.random_state is a RandomState.*set_params"),
        ({"device": Path("cpu")}, r"estimator\.device is a pathlib.*set_params"),
        ({"channels": (4, lambda: 8)}, r"estimator\.channels\[1\] is a builtins\.function.*set_params"),
        ({"lr": float("nan")}, r"estimator\.lr is or holds NaN"),
        ({"channels": (4, 10**30)}, r"estimator\.channels\[1\] is an int of more than 64 bits"),
    ],
)
def test_what_no_file_holds_is_named(change, message, fitted, tmp_path):
    estimator = fitted("deep_ecg")
    kept = estimator.get_params()
    try:
        with pytest.raises(ValueError, match=message):
            save(estimator.set_params(**change), tmp_path / "m")
    finally:
        estimator.set_params(**kept)


def test_parameters_that_no_longer_fit_are_refused_before_the_original_is_gone(data, fitted, tmp_path):
    X, subjects, *_ = data["beats"]
    attacker = DeepECGIdentifier(**states.NET).fit(X, subjects)
    with pytest.raises(ValueError, match=r"would not come back .*shape .* Set them back, or fit again"):
        save(attacker.set_params(embedding_size=16), tmp_path / "m")
    assert not list(tmp_path.iterdir())
    save(attacker.set_params(embedding_size=8), tmp_path / "m")


class _Mine(SVDIdentifier):
    pass


def test_classes_off_the_list_are_named(data, tmp_path):
    X, subjects, *_ = data["beats"]
    attackers = BeatwiseClassifier(KNeighborsClassifier()), make_pipeline(StandardScaler(), KNeighborsClassifier())
    for estimator, where in zip(attackers, (r"estimator\.estimator", r"estimator\.steps\[1\]\[1\]"), strict=True):
        with pytest.raises(ValueError, match=where + r" is a .*KNeighborsClassifier, .* Use one of .*keep the estim"):
            save(estimator.fit(X, subjects), tmp_path / "m")
    with pytest.raises(ValueError, match=r"_Mine, which cannot be saved"):
        save(_Mine(5).fit(X, subjects), tmp_path / "m")
    pipeline = make_pipeline(StandardScaler(), memory=str(tmp_path / "pickles")).fit(X)
    with pytest.raises(ValueError, match=r"memory is set: .*set_params\(memory=None\)"):
        save(pipeline, tmp_path / "m")


def test_paths(fitted, tmp_path):
    path = save(fitted("svd"), str(tmp_path / "m"))
    assert isinstance(path, Path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        load(tmp_path)
    with pytest.raises(OSError, match=r"No such file|Not a directory"):
        save(fitted("svd"), path / "inside")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe or a device"):
        load(tmp_path / "pipe")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["m", "pipe"]


def test_nothing_heavy_is_imported():
    code = (
        "import sys, skagile, skagile.persistence\n"
        "print(*({'torch', 'safetensors', 'skagile.anonymizers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == ""


def _opened(path):
    body = path.read_bytes()
    end = 8 + int.from_bytes(body[:8], "little")
    header = json.loads(body[8:end])
    return header, json.loads(header["__metadata__"]["skagile"]), body[end:]


def _closed(header, document, numbers):
    """Bytes of a file with the right seal, as somebody would make who means harm."""
    header = {**header, "__metadata__": {"skagile": json.dumps({**document, "sha256": "0" * 64})}}
    text = json.dumps(header).encode()
    return seal(len(text).to_bytes(8, "little") + text + numbers)


@pytest.fixture
def opened(fitted, tmp_path):
    """A model's path, and its header, document and numbers."""
    path = save(fitted("deep_ecg"), tmp_path / "model.safetensors")
    return path, *_opened(path)


def _refused(path, body, message):
    path.write_bytes(body)
    with pytest.raises(ValueError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "skagile" in str(caught.value)
    assert caught.value.args[0].count("\n") < 3


def test_the_right_seal_is_taken(opened):
    path, *parts = opened
    path.write_bytes(_closed(*parts))
    load(path)


@pytest.mark.parametrize(
    "cut", [lambda body: b"", lambda body: body[:7], lambda body: body[:100], lambda body: body[:-1],
            lambda body: body + b"\0", lambda body: b"PK\3\4" + body, lambda body: b"\xff" * 8 + body[8:],
            lambda body: (2**31).to_bytes(8, "little") + body[8:], lambda body: bytes(len(body)),
            lambda body: np.random.default_rng(0).bytes(5000)])  # fmt: skip
def test_what_is_no_model(cut, opened):
    path = opened[0]
    _refused(path, cut(path.read_bytes()), "Save the model again|copy the file again")


def test_any_changed_byte_is_seen(opened):
    path = opened[0]
    body = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(body), 100):
        changed = bytearray(body)
        changed[place] ^= 1 << int(rng.integers(0, 8))
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"cannot be loaded as a model of skagile"):
            load(path)


def test_a_file_of_another_kind(opened, tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "other.safetensors"
    for metadata in (None, {"format": "pt"}, {"skagile": "[]"}, {"skagile": "{}"}):
        save_file({"a": np.zeros(3)}, path, metadata=metadata)
        _refused(path, path.read_bytes(), "copy the file again")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 2}, "format is of version 2; this skagile reads version 1. Load it with the release"),
        ({"format_version": True}, "format is of version True"),
        ({"format": "other"}, "format is 'other'"),
        ({"estimator": None}, "does not hold versions, an estimator"),
        ({"surplus": 1}, "does not hold versions, an estimator"),
        ({"state": [[]] * 2}, "arrays that nothing asks for"),
    ],
)
def test_wrong_documents(changes, message, opened):
    path, header, document, numbers = opened
    _refused(path, _closed(header, {**document, **changes}, numbers), message)


def _with_params(document, **params):
    name, old, settings = document["estimator"]["estimator"]
    return {**document, "estimator": {"estimator": [name, {"dict": {**old["dict"], **params}}, settings]}}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"surplus": 1}, "parameters .'surplus'., which DeepECGIdentifier does not have"),
        ({"max_epochs": "3"}, "max_epochs"),
        ({"channels": {"tuple": [4, "8"]}}, r"estimator\.channels is \(4, '8'\); expected numbers"),
        ({"channels": [4, True]}, r"estimator\.channels is .*; expected numbers"),
        ({"channels": {"dict": {"a": 4}}}, "channels"),
        ({"device": "cpu; rm -rf"}, "not a torch device"),
        ({"embedding_size": 10**9}, "the parameters ask for"),
        ({"channels": {"tuple": [10**6, 10**6]}}, "the parameters ask for"),
        ({"channels": {"tuple": [4] * 10**5}}, "the parameters ask for"),
        ({"embedding_size": 2**70}, "more than 64 bits"),
        ({"lr": {"scalar": "state.fitted.net_.weight"}}, "net_|weight"),
        ({"lr": {"infinite": True}}, "lr.* Got inf"),
        ({"random_state": {"estimator": ["os.system", {"dict": {}}, {"dict": {}}]}}, "class 'os.system', which is not"),
        ({"random_state": {"estimator": ["load", {"dict": {}}, {"dict": {}}]}}, "class 'load', which is not one"),
        ({"random_state": {"pickle": "gASVAA=="}}, "a 'pickle', which is no kind"),
        ({"random_state": {"strings": ["a"], "shape": [1], "width": 10**9}}, "only fill the memory"),
        ({"random_state": {"strings": ["a"], "shape": [-1, 5], "width": 1}}, "array of strings"),
    ],
)
def test_wrong_parameters(params, message, opened):
    path, header, document, numbers = opened
    _refused(path, _closed(header, _with_params(document, **params), numbers), message)


def test_a_lacking_parameter_and_an_unknown_class(opened):
    path, header, document, numbers = opened
    _, params, asked = document["estimator"]["estimator"]
    del params["dict"]["lr"]
    _refused(path, _closed(header, document, numbers), r"lacks parameters \['lr'\]")
    for other in ("KNeighborsClassifier", "builtins.eval", "../../x", "", "__class__"):
        wrong = {**document, "estimator": {"estimator": [other, params, asked]}}
        _refused(path, _closed(header, wrong, numbers), "which is not one of AgileAnonymizer")
    wrong = {**document, "estimator": {"estimator": ["SVDIdentifier", params, asked]}}
    _refused(path, _closed(header, wrong, numbers), "does not have here")


def test_another_version_of_a_state_and_of_libraries(opened):
    path, header, document, numbers = opened
    document["state"]["dict"]["version"] = 7
    _refused(path, _closed(header, document, numbers), "is of version 7; this skagile takes version 1. Use the release")
    document["versions"]["dict"]["scikit-learn"] = "0.1"
    _refused(path, _closed(header, document, numbers), r"saved with .*scikit-learn 0\.1 \(here 1\.")


def test_a_hostile_pipeline(data, tmp_path):
    path = save(make_pipeline(StandardScaler()).fit(data["beats"][0]), tmp_path / "m")
    header, document, numbers = _opened(path)
    _refused(path, _closed(header, _with_params(document, memory=str(tmp_path)), numbers), "cache of pickled fits")
    for steps in (5, [], [1], [{"tuple": ["a", "b"]}], [{"tuple": [1, None]}], {"dict": {"a": None}}):
        _refused(path, _closed(header, _with_params(document, steps=steps), numbers), r"estimator\.steps")


def test_names_of_paths_are_only_names(opened, tmp_path):
    """A tensor's name is a name and no place in a file system."""
    path, header, document, numbers = opened
    name = next(key for key in header if key != "__metadata__")
    header["../../../tmp/evil"] = header.pop(name)
    text = json.dumps(document).replace(json.dumps(name), json.dumps("../../../tmp/evil"))
    path.write_bytes(_closed(header, json.loads(text), numbers))
    load(path)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [10**9, 10**9]},
        {"shape": [-1]},
        {"shape": [2**63, 2]},
        {"shape": "x"},
        {"dtype": "F64"},
        {"dtype": "BF16"},
        {"dtype": "object"},
        {"data_offsets": [0, 2**62]},
        {"data_offsets": [8, 0]},
        {"data_offsets": [-8, 8]},
        {"data_offsets": [4, 36]},
    ],
    ids=str,
)
def test_wrong_tensors(change, opened):
    path, header, document, numbers = opened
    name = next(key for key, tensor in header.items() if tensor.get("data_offsets", [1])[0] == 0)
    header[name] = {**header[name], **change}
    _refused(path, _closed(header, document, numbers), "model of skagile")


def test_tensors_that_overlap_or_are_taken_twice(opened):
    path, header, document, numbers = opened
    first, second = [key for key in header if key != "__metadata__"][:2]
    _refused(path, _closed({**header, second: header[first]}, document, numbers), "model of skagile")
    text = json.dumps(document).replace(json.dumps(second), json.dumps(first))
    _refused(path, _closed(header, json.loads(text), numbers), "not there, or twice")


def test_deep_and_huge_documents(opened):
    path, header, document, numbers = opened
    deep = json.dumps({**document, "state": "HERE"}).replace('"HERE"', "[" * 50_000 + "]" * 50_000)
    text = json.dumps({**header, "__metadata__": {"skagile": deep}}).encode()
    _refused(path, len(text).to_bytes(8, "little") + text + numbers, "deep|recursion|Recursion")
    wrong = {**document, "state": json.loads("[" * 200 + "]" * 200)}
    _refused(path, _closed(header, wrong, numbers), "nested deeper than")
    huge = json.dumps({"__metadata__": {"skagile": " " * (17 << 20)}}).encode()
    _refused(path, len(huge).to_bytes(8, "little") + huge, "header promises")
    for word in ("NaN", "Infinity", "1e999", "9" * 5000):
        body = json.dumps(_with_params(document, lr="HERE"))
        text = json.dumps({**header, "__metadata__": {"skagile": body.replace('"HERE"', word)}}).encode()
        _refused(path, seal(len(text).to_bytes(8, "little") + text + numbers), "model of skagile")
    twice = json.dumps(document).replace('"versions"', '"format_version": 1, "versions"', 1)
    text = json.dumps({**header, "__metadata__": {"skagile": twice}}).encode()
    _refused(path, len(text).to_bytes(8, "little") + text + numbers, "key twice")


# ------------------------------------------------------------------------------------------------------------- devices


def test_what_cuda_saved_is_loaded_without(fitted, data, tmp_path):
    estimator = fitted("deep_ecg")
    try:
        path = save(estimator.set_params(device="cuda"), tmp_path / "m")
    finally:
        estimator.set_params(device="cpu")
    again = load(path)
    assert again.device == ("cuda" if torch.cuda.is_available() else "cpu")
    moved = load(path, device="cpu")
    assert moved.device == "cpu"
    _same_answers(estimator, moved, data["beats"][3])
    assert load(path, device="auto").device == "auto"
    with pytest.raises(ValueError, match=r"device='gpu' is not a torch device"):
        load(path, device="gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for what is not there")
def test_a_device_that_is_not_there(fitted, tmp_path):
    path = save(fitted("deep_ecg"), tmp_path / "m")
    with pytest.raises(ValueError, match=r'torch sees no CUDA device\. Use device="auto" or "cpu"'):
        load(path, device="cuda")


def test_devices_of_nested_ones(data, tmp_path):
    X, subjects, _, fresh = data["beats"]
    model = make_pipeline(BeatwiseClassifier(DeepECGIdentifier(**states.NET))).fit(X, subjects)
    inner = model[-1]
    for one in (inner.estimator, inner.estimator_):
        one.set_params(device="cuda")
    again = load(save(model, tmp_path / "m"), device="cpu")
    assert again[-1].estimator.device == again[-1].estimator_.device == "cpu"
    for one in (inner.estimator, inner.estimator_):
        one.set_params(device="cpu")
    _same_answers(model, again, fresh)
    assert load(save(model, tmp_path / "m"), device="auto")[-1].estimator_.device == "auto"
    segmenter = BeatSegmenter(sampling_rate=states.RATE, n_beats=4).fit(data["records"][0])
    load(save(segmenter, tmp_path / "m"), device="cuda")  # nothing in it has one


# ------------------------------------------------------------------------------------------------------------- fuzzing

_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["dict", "tuple", "array", "scalar", "estimator", "pairs", "objects", "strings", "infinite"]
            )
            | st.text(max_size=4),
            inner,
            max_size=2,
        )
    ),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_anything_anywhere_is_refused_or_taken(fitted, tmp_path, data):
    """Whatever stands in a file whose seal is right: ValueError, or an estimator that can be saved again."""
    name = data.draw(st.sampled_from(["deep_ecg", "k-same-groups", "fiducial-boosting", "rr", "beatwise", "counting"]))
    path = tmp_path / name
    if not (tmp_path / f"{name}.sound").exists():
        save(fitted(name), tmp_path / f"{name}.sound", with_people=True)
    header, document, numbers = _opened(tmp_path / f"{name}.sound")
    node, places = document[data.draw(st.sampled_from(["estimator", "state"]))], 0
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        places += 1
        if not isinstance(node[key], dict | list) or not node[key] or (places > 2 and data.draw(st.booleans())):
            break
        node = node[key]
    node[key] = data.draw(_ANYTHING)
    path.write_bytes(_closed(header, document, numbers))
    with suppress(ValueError):
        save(load(path), tmp_path / "again", with_people=True)
    assert {each.name for each in tmp_path.iterdir()} <= {name, f"{name}.sound", "again"} | {
        f"{case}{end}" for case in CASES for end in ("", ".sound")
    }


def test_public_names():
    assert skagile.save is save
    assert skagile.load is load
