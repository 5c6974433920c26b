"""Fitted estimators to files and back, without pickle."""

import os
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from importlib.metadata import version
from inspect import signature
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skagile import __version__
from skagile._model_file import Described, UnreadableError, read_model, write_model
from skagile._state import Stateful, without_people
from skagile._state_parts import HOME_OF_PARTS, Part

__all__ = ["load", "save"]

# The classes that a file may name, and where they are: a file never says what to import.
_HOME_OF = {
    **{
        name: "skagile.anonymizers"
        for name in ("AgileAnonymizer", "KSameAnonymizer", "PPVAEAnonymizer", "WarpAnonymizer")
    },
    **{
        name: "skagile.attackers"
        for name in (
            "BeatDenoiser",
            "DeepECGIdentifier",
            "FiducialIdentifier",
            "LabelCountingIdentifier",
            "LowOrderIdentifier",
            "RRIdentifier",
            "RowOrderIdentifier",
            "SVDIdentifier",
            "SiameseIdentifier",
            "TransECGIdentifier",
        )
    },
    **{name: "skagile.segmentation" for name in ("BeatImager", "BeatSegmenter", "BeatwiseClassifier")},
    **HOME_OF_PARTS,
}
_LIBRARIES = ("numpy", "scikit-learn", "torch")
_PLAIN = "None, bool, int, float, str, lists, tuples, dicts, arrays and estimators that can be saved"
_LEAST_INT, _MOST_INT = -(2**63), 2**64 - 1
_REQUESTS = (
    "fit",
    "predict",
    "predict_proba",
    "score",
    "transform",
    "inverse_transform",
)  # methods with `subjects` etc.
_CONTAINERS = ("default", "pandas", "polars", None)


def save(estimator: BaseEstimator, path: str | os.PathLike, *, with_people: bool = False) -> Path:
    """Write a fitted estimator to a file that runs nothing when it is loaded.

    The file is a safetensors one: arrays as tensors, and as JSON the class, the parameters, the versions of skagile and
    the libraries, what else the fit is made of, and a SHA-256 of all. The same estimator gives the same bytes.

    Parameters
    ----------
    estimator : estimator
        A fitted one of skagile, or of scikit-learn's :class:`~sklearn.pipeline.Pipeline`,
        :class:`~sklearn.linear_model.LogisticRegression`, `LinearDiscriminantAnalysis`, `StandardScaler`, `PCA`,
        `TruncatedSVD`, `KMeans`, `MiniBatchKMeans`, `RandomForestClassifier`, `ExtraTreesClassifier` and
        `HistGradientBoostingClassifier`; nested as you like.
    path : path-like
        The file; replaced where it exists. It is there whole or not at all, and its owner alone may read it (mode
        0600), whatever the umask: widen that by hand once you know who may have it.
    with_people : bool, default=False
        Keep what an anonymizer knows of the people it was fitted on and does not need for others, see Notes. The file
        is then personal data as the recordings are.

    Returns
    -------
    path : Path
        The file.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        For an estimator that is not fitted.
    ValueError
        For a class that is not on the list or a parameter that a file does not hold, such as a function or a
        `RandomState`, named by its place; for parameters that were changed after ``fit`` and no longer go with it; for
        k-same with ``rhythm="resample"``, unless `with_people`: it draws from R-R intervals of people.
    OSError
        Where the file cannot be written.

    Warns
    -----
    UserWarning
        Where the parameter `prior` of k-same, beats of people, is left out. The loaded one transforms alike.

    See Also
    --------
    load : Reads the file.

    Notes
    -----
    Without people,

    - a k-same holds statistics only: no beat, no hash of one, no R-R interval, no name, nobody's group. Nothing in it
      grows with the number of rows; of each person a running number is left. To the loaded one everybody is new: people
      go to the nearest group, and the networks read all diagnoses. So release the fitted beats themselves, whose
      diagnoses it knows, before you save it, or save `with_people`. Its `prior` is left out.
    - AGILE, PP-VAE and the warp hold no names. One surrogate of AGILE, the nearest neighbour, is made of **fitted
      beats**, and another of people's mean beats: its file is personal data all the same.
    - ``subjects_`` of a loaded anonymizer are numbers.

    Attackers are made to know people: theirs hold names and templates, always.

    **What this does not guarantee.** The SHA-256 shows damage, not who wrote the file: whoever changes a file can
    change that, too. Load models of people you trust; a stranger's can run nothing, and can still answer as they like.
    The file is not encrypted. What a law of few people, or the weights of a network, say of somebody who was in the
    fit, they say from the file as well; so does ``summary_``, with counts of rare keys. The secret seeds of AGILE's
    views and the warp's noise are in it, and of k-same's draws where `random_state` was an int: they help to undo a
    release.

    Examples
    --------
    >>> import tempfile
    >>> import skagile
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> beats = beats_from_records(make_cohort(4, 1, duration=20.0, random_state=0))
    >>> attacker = skagile.SVDIdentifier(n_components=5).fit(beats.X, beats.subjects)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = skagile.save(attacker, f"{folder}/svd.safetensors")
    ...     again = skagile.load(path)
    >>> bool((again.predict_proba(beats.X) == attacker.predict_proba(beats.X)).all())
    True
    """
    return write_model(path, contents_of(estimator, with_people=with_people))


def contents_of(estimator: BaseEstimator, *, with_people: bool = False) -> dict:
    """Give what :func:`save` writes of an estimator: for rooms above, which write more beside it."""
    described = _describe(estimator, "estimator", with_people)
    if not isinstance(estimator, Stateful):
        check_is_fitted(estimator)
    with nullcontext() if with_people else without_people():
        state = Part("state").plain(estimator, type(estimator).__name__)
    try:
        _restore(described, state, "cpu")
    except Exception as error:
        raise ValueError(
            f"{type(estimator).__name__} would not come back from a file: {error} Are its parameters those that it was "
            "fitted with? Set them back, or fit again."
        ) from error
    return {"versions": _versions(), "estimator": described, "state": state}


def load(path: str | os.PathLike, *, device: str | None = None) -> BaseEstimator:
    """Read an estimator that :func:`save` has written.

    Parameters
    ----------
    path : path-like
        The file. It may come from anybody: nothing in it is run, classes are taken from a list, every parameter and
        every array is checked, and it takes a few times its size in memory, whatever it promises.
    device : str, default=None
        ``"auto"``, ``"cpu"`` or ``"cuda"``, for the parameter `device` of whatever in it has one. None: as it was
        saved, but "cpu" in place of a CUDA device where there is none.

    Returns
    -------
    estimator : estimator
        Fitted. On the same device and with the same versions it answers bit for bit as the saved one did.

    Raises
    ------
    ValueError
        For a file that is damaged, no model, of a later format or another version of an estimator's state, or that
        does not fit together. The message names the file and the way out.
    OSError
        For a file that is missing, a folder, or may not be read.

    See Also
    --------
    save : Writes the file, and says what a loaded anonymizer knows of people, and what a file does not guarantee.

    Examples
    --------
    >>> import skagile
    >>> skagile.load("nowhere.safetensors")
    Traceback (most recent call last):
        ...
    FileNotFoundError: [Errno 2] No such file or directory: 'nowhere.safetensors'
    """
    return read_contents(path, lambda content: estimator_of(content, device))


def estimator_of(content: dict, device: str | None = None) -> BaseEstimator:
    """Make the estimator of what :func:`contents_of` gave."""
    right = list(content) == ["versions", "estimator", "state"] and type(content["estimator"]) is Described
    _require(right, "it does not hold versions, an estimator and its state, and nothing else")
    return _restore(content["estimator"], content["state"], device)


def read_contents(path: str | os.PathLike, make: Callable[[dict], Any]) -> Any:
    """Read a file, and `make` what it holds; whatever is wrong with it is a ValueError that names the file."""
    try:
        content = read_model(path)
    except UnreadableError as error:
        raise ValueError(f"{path} cannot be loaded as a model of skagile: {error}") from error
    try:
        return make(content)
    # Values that are right one by one may not go together, which any library may say in its own way.
    except Exception as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        problem = f"{kind}{error}".rstrip(".")
        raise ValueError(
            f"{path} cannot be loaded as a model of skagile: {problem}.{_other_versions(content)} Load it with the "
            "versions that saved it, or save the model again with skagile.save."
        ) from error


def _restore(described, state, device):
    """Make the fitted estimator."""
    unfitted = _build(described, "estimator")
    _place(unfitted, device)
    return Part("state", lambda: unfitted).value(state, described.name)


def _versions():
    return {"skagile": __version__, **{name: version(name) for name in _LIBRARIES}}


def _other_versions(content):
    """Say which versions a file is of, where they are others than here."""
    saved = content.get("versions")
    if type(saved) is not dict or saved == _versions():
        return ""
    told = [f"{name} {saved.get(name)!s:.20} (here {here})" for name, here in _versions().items()]
    return f" It was saved with {', '.join(told)}."


def _require(right, problem):
    if not right:
        raise ValueError(problem)


# ----------------------------------------------------------------------------------------------------------- parameters


def _describe(estimator, where, with_people):
    """Say an estimator's class, parameters and settings, without its fit."""
    cls = type(estimator)
    name = cls.__name__
    if _HOME_OF.get(name) is None or cls is not _class_of(name):
        raise ValueError(
            f"{where} is a {cls.__module__}.{name}, which cannot be saved. Use one of {', '.join(_HOME_OF)}, or keep "
            "the estimator in memory."
        )
    params = estimator.get_params(deep=False)
    _check_pipeline(name, params, where)
    for param in getattr(cls, "_params_of_people", ()):
        if not with_people and params.get(param) is not None:
            warnings.warn(
                f"{where}.{param} holds beats of people and is left out of the file: the loaded {name} transforms "
                f"alike, and has {param}=None. Set it to None before, or save with_people=True.",
                stacklevel=3,
            )
            params[param] = None
    params = {key: _described(value, f"{where}.{key}", with_people) for key, value in params.items()}
    return Described(name, params, _settings_of(estimator))


def _described(value, where, with_people):
    """Parameter as a file holds it: estimators described, all else checked."""
    if isinstance(value, BaseEstimator):
        return _describe(value, where, with_people)
    if type(value) in (list, tuple):
        return type(value)(_described(entry, f"{where}[{i}]", with_people) for i, entry in enumerate(value))
    if type(value) is dict:
        return {key: _described(entry, f"{where}[{key!r}]", with_people) for key, entry in value.items()}
    _check_plain(value, where)
    return value


def _check_plain(value, where):
    """Refuse a parameter that a file does not hold; the same when it is saved and when it is loaded."""
    if isinstance(value, np.random.RandomState | np.random.Generator):
        raise ValueError(
            f"{where} is a {type(value).__name__}, which changes with each use and cannot be saved. Give "
            "set_params(random_state=None) or an int first; what is fitted stays."
        )
    right = value is None or type(value) in (bool, int, float, str, np.ndarray)
    right = right or isinstance(value, np.bool_ | np.integer | np.floating)
    _require(right, f"{where} is a {type(value).__module__}.{type(value).__name__}; a file holds {_PLAIN}. Change it "
             "with set_params before saving; what is fitted stays")  # fmt: skip
    if type(value) is int:
        _require(_LEAST_INT <= value <= _MOST_INT, f"{where} is an int of more than 64 bits. Give a smaller one")
    # Beats may lack some of a record, and have two axes or more.
    numbers = np.asarray(value) if isinstance(value, float | np.floating | np.ndarray) else None
    if numbers is not None and numbers.dtype.kind == "f" and numbers.ndim < 2:
        _require(not np.isnan(numbers).any(), f"{where} is or holds NaN; a number was expected")


def _check_pipeline(name, params, where):
    if name != "Pipeline":
        return
    # A cache is a folder of pickles, which a `fit` would read.
    _require(
        params.get("memory") is None,
        f"{where}.memory is set: a cache of pickled fits does not go into a file. Give set_params(memory=None) first",
    )
    steps = params.get("steps")
    right = type(steps) in (list, tuple) and all(type(step) in (list, tuple) and len(step) == 2 for step in steps)
    right = right and all(type(key) is str for key, _ in steps)
    _require(right and len(steps) > 0, f"{where}.steps is no list of names and estimators")
    odd = [
        step for _, step in steps if not (isinstance(step, BaseEstimator | Described) or step in (None, "passthrough"))
    ]
    _require(not odd, f"{where}.steps holds a {type(odd[0]).__name__ if odd else ''}; expected estimators")


def _build(described, where):
    """Make an unfitted estimator."""
    name, params = described.name, described.params
    _require(name in _HOME_OF, f"{where} is of class {name!r:.60}, which is not one of {', '.join(_HOME_OF)}")
    cls = _class_of(name)
    known = cls._get_param_names()
    unknown, lacking = sorted(set(params) - set(known)), sorted(set(known) - set(params))
    _require(not unknown, f"{where} has parameters {unknown!r:.80}, which {name} does not have here")
    _require(not lacking, f"{where} lacks parameters {lacking!r:.80} of {name}")
    _check_pipeline(name, params, where)
    for key, param in signature(cls).parameters.items():
        _check_entries(params[key], param.default, f"{where}.{key}")
    estimator = cls(**{key: _built(value, f"{where}.{key}") for key, value in params.items()})
    estimator._validate_params()
    _set_up(estimator, described.settings, where)
    return estimator


def _check_entries(value, default, where):
    """Refuse a sequence of other things than the default's numbers or names: constraints do not look into sequences."""
    if type(default) is tuple and default and type(value) in (list, tuple):
        if all(type(entry) is str for entry in default):
            _require(all(type(entry) is str for entry in value), f"{where} is {value!r:.60}; expected names")
            return
        right = all(isinstance(entry, Real) and type(entry) is not bool for entry in value)
        _require(right, f"{where} is {value!r:.60}; expected numbers")


def _built(value, where):
    """Parameter of what a file holds: the way back from `_described`."""
    if type(value) is Described:
        return _build(value, where)
    if type(value) in (list, tuple):
        return type(value)(_built(entry, f"{where}[{i}]") for i, entry in enumerate(value))
    if type(value) is dict:
        return {key: _built(entry, f"{where}[{key!r:.40}]") for key, entry in value.items()}
    _check_plain(value, where)
    return value


def _class_of(name):
    return getattr(import_module(_HOME_OF[name]), name)


def _settings_of(estimator):
    """Tell what a user has set beside parameters: `set_output`, and `set_..._request`."""
    settings = {}
    output = vars(estimator).get("_sklearn_output_config")
    if output:
        settings["output"] = dict(output)
    requests = vars(estimator).get("_metadata_request")
    if requests is not None:
        asked = {method: dict(getattr(requests, method).requests) for method in _REQUESTS if hasattr(requests, method)}
        settings["requests"] = {method: names for method, names in asked.items() if names}
    return settings


def _set_up(estimator, settings, where):
    odd = sorted(set(settings) - {"output", "requests"})
    _require(not odd, f"{where} has settings {odd!r:.80}, which are unknown")
    if "output" in settings:
        output = settings["output"]
        right = type(output) is dict and set(output) == {"transform"} and hasattr(estimator, "set_output")
        _require(right and _is_one_of(output["transform"], _CONTAINERS), f"{where} has a wrong kind of output")
        estimator.set_output(transform=output["transform"])
    for method, asked in settings.get("requests", {}).items():
        setter = f"set_{method}_request"
        with sklearn.config_context(enable_metadata_routing=True):
            right = method in _REQUESTS and hasattr(estimator, setter) and type(asked) is dict
            right = right and all(value is None or type(value) in (bool, str) for value in asked.values())
            _require(right, f"{where} has wrong requests of metadata")
            getattr(estimator, setter)(**asked)


def _is_one_of(value, known):
    return (value is None or type(value) is str) and value in known


def _place(estimator, device):
    """Set every parameter `device`, to one that this machine has."""
    params = estimator.get_params(deep=True)
    own = {key: value for key, value in params.items() if key.split("__")[-1] == "device"}
    if not own:
        return
    from skagile._training import resolve_device

    if device is not None:
        resolve_device(device)
        estimator.set_params(**dict.fromkeys(own, device))
        return
    import torch

    if not torch.cuda.is_available():
        lost = [key for key, value in own.items() if type(value) is str and value.startswith("cuda")]
        estimator.set_params(**dict.fromkeys(lost, "cpu"))
