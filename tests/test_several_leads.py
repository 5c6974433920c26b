"""The common contract on beats of several leads, for every anonymizer and attacker, found by themselves."""

import copy
import importlib.util
import inspect
import pickle
from pathlib import Path

import numpy as np
import pytest
import sklearn
from sklearn.base import ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.utils import Bunch

from skagile import AgileAnonymizer, BeatwiseClassifier, DeepECGIdentifier, KSameAnonymizer, SVDIdentifier
from skagile.anonymizers._base import BaseAnonymizer
from skagile.datasets import make_cohort
from skagile.leads import independent_leads, lead_residual

_SPEC = importlib.util.spec_from_file_location("common", Path(__file__).with_name("test_common.py"))
common = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(common)

RATE, WINDOW, N_BEATS = 100.0, (0.25, 0.45), 4
LEADS = ("I", "II", "V2")
# name -> why the class has no place here.
LEFT_OUT = {
    "RRIdentifier": "it takes intervals between beats, which have no leads",
    "RowOrderIdentifier": "it takes places of rows, and no beats",
}
# Beside the settings of the common checks.
SMALL = {
    "BeatDenoiser": {"sampling_rate": RATE},
    "KSameAnonymizer": {"random_state": 0, "max_draws": 2},
    "DeepECGIdentifier": {"random_state": 0},
    "LabelCountingIdentifier": {"random_state": 0},
    "SiameseIdentifier": {"random_state": 0},
    "TransECGIdentifier": {"random_state": 0},
}
QUICK = {"n_surrogates": 2, "max_epochs": 1, "n_steps": 2, "batch_size": 16, "random_state": 0, "device": "cpu"}


def _classes(room):
    """Public estimators of a room, but for those of `LEFT_OUT`."""
    classes = [cls for cls in common.all_estimators() if cls.__module__.startswith(f"skagile.{room}.")]
    return [cls for cls in classes if cls.__name__ not in LEFT_OUT]


def _made(cls, **params):
    settings = {**common.SMALL.get(cls.__name__, {}), **SMALL.get(cls.__name__, {}), **params}
    return cls(**{name: value for name, value in settings.items() if name in inspect.signature(cls).parameters})


def _cases():
    """Each class, and `BeatDenoiser` with each of its methods."""
    for cls in [*_classes("anonymizers"), *_classes("attackers")]:
        for method in ("band_pass", "low_rank", "learned") if cls.__name__ == "BeatDenoiser" else (None,):
            params = {"method": method, "max_epochs": 2, "random_state": 0} if method else {}
            yield pytest.param(_made(cls, **params), id=cls.__name__ + (f"-{method}" if method else ""))


CASES = list(_cases())
ANONYMIZERS = [_made(cls) for cls in _classes("anonymizers")]


def _name(estimator):
    return type(estimator).__name__


def _cut(cohort, names):
    """Beats of records, (n_records, N_BEATS, n_leads, n_samples), all leads cut at the same R peak, and where V is."""
    before, after = (round(side * RATE) for side in WINDOW)
    kept = [cohort.leads[0].index(name) for name in names]
    X, ectopic = [], []
    for signal, beats in zip(cohort.signals, cohort.annotations, strict=True):
        inside = (beats.sample >= before) & (beats.sample < signal.shape[1] - after)
        peaks = np.asarray(beats.sample)[inside][:N_BEATS]
        X.append([signal[kept, at - before : at + after] for at in peaks])
        ectopic.append((np.asarray(beats.symbol)[inside][:N_BEATS] == "V").any())
    return np.array(X), np.array(ectopic)


@pytest.fixture(scope="module")
def cohort():
    return make_cohort(8, 3, duration=8.0, sampling_rate=RATE, n_leads=12, drift=0.1, random_state=0)


@pytest.fixture(scope="module")
def records(cohort):
    """Records of three leads: some lack beats, others a lead of a beat or of all, one everything."""
    X, _ = _cut(cohort, LEADS)
    X[1, 2:] = np.nan
    X[2, 0, 1] = np.nan
    X[4, :, 0] = np.nan
    X[5, 1, 1:] = np.nan
    X[9, 3] = X[9, 0, 2] = np.nan
    X[13] = np.nan
    return Bunch(X=X, subjects=cohort.subjects, y=np.where(np.arange(len(X)) % 3 == 1, "N", "V"))


@pytest.fixture(scope="module")
def twelve(cohort):
    """Records of all twelve leads, whole."""
    X, _ = _cut(cohort, cohort.leads[0])
    return Bunch(X=X, names=cohort.leads[0], subjects=cohort.subjects, y=np.where(cohort.sex == "F", "N", "V"))


def _fit(estimator, X, records):
    if isinstance(estimator, BaseAnonymizer):
        return estimator.fit(X, records.y, subjects=records.subjects)
    return estimator.fit(X, records.subjects)


def _outputs(estimator, X):
    names = ("predict", "predict_proba", "predict_log_proba", "transform")
    return {name: np.asarray(getattr(estimator, name)(X)) for name in names if hasattr(estimator, name)}


@pytest.fixture(scope="module")
def fitted(records):
    """Fit an estimator of `CASES` once, for tests that only look at it: never change what it gives."""
    cache = {}

    def get(case):
        if id(case) not in cache:
            cache[id(case)] = _fit(clone(case), records.X, records)
        return cache[id(case)]

    return get


def test_every_anonymizer_and_attacker_is_here():
    rooms = {
        cls.__name__ for cls in common.all_estimators() if cls.__module__.split(".")[1] in ("anonymizers", "attackers")
    }
    tested = {type(case.values[0]).__name__ for case in CASES}
    assert tested | set(LEFT_OUT) == rooms
    assert not tested & set(LEFT_OUT)
    assert {"AgileAnonymizer", "KSameAnonymizer", "NoiseAnonymizer", "REACTAnonymizer", "DeepECGIdentifier"} <= tested


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES)
def test_fit_and_answer(case, dtype, records):
    X = records.X.astype(dtype)
    given = X.copy()
    estimator = _fit(clone(case), X, records)
    outputs = _outputs(estimator, X)
    np.testing.assert_array_equal(X, given)  # nothing is written into the data
    assert (estimator.n_leads_in_, estimator.n_features_in_) == (3, 3 * X.shape[-1])
    values = outputs["transform"]
    assert values.dtype == dtype
    if isinstance(estimator, ClassifierMixin):
        assert outputs["predict"].shape == (len(X),)
        assert set(outputs["predict"]) <= set(records.subjects)
        assert outputs["predict_proba"].shape == (len(X), len(set(records.subjects)))
        np.testing.assert_allclose(outputs["predict_proba"].sum(axis=1), 1, rtol=1e-4)
        np.testing.assert_allclose(outputs["predict_proba"][13], 1 / 8)  # of nothing, anybody
        assert values.shape[0] == len(X)
        assert values.ndim == 2
        assert np.isfinite(values).all()
        assert len(np.unique(outputs["predict_proba"], axis=0)) > 4
    else:
        assert values.shape == X.shape
        np.testing.assert_array_equal(np.isnan(values), np.isnan(X))
        assert not np.array_equal(values, X, equal_nan=True)
        # No lead is left as it was.
        there = ~np.isnan(X[..., 0])
        assert (np.abs(values - X).max(axis=-1)[there] > 1e-4).all()


@pytest.mark.parametrize("case", CASES)
def test_one_lead_is_as_without_leads(case, records):
    X = records.X[:, :, 1]
    three, four = (_outputs(_fit(clone(case), data, records), data) for data in (X, X[:, :, None]))
    for name, values in three.items():
        assert four[name].dtype == values.dtype
        np.testing.assert_array_equal(four[name].reshape(values.shape), values, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_the_order_of_leads_matters_to_the_fitted(case, fitted, records):
    """Leads are not averaged away: mixed up, they give another answer."""
    estimator = fitted(case)
    name = "predict_proba" if isinstance(estimator, ClassifierMixin) else "transform"
    straight = _outputs(estimator, records.X)[name]
    mixed = _outputs(estimator, records.X[:, :, [2, 0, 1]])[name]
    if name == "transform":
        if getattr(estimator, "method", None) == "band_pass":
            np.testing.assert_allclose(mixed, straight[:, :, [2, 0, 1]])  # each lead by itself
            return
        mixed = mixed[:, :, [1, 2, 0]]
    assert np.nanmax(np.abs(mixed - straight)) > 1e-3


@pytest.mark.parametrize("case", CASES)
def test_clone_pickle_and_state(case, fitted, records):
    estimator = fitted(case)
    expected = _outputs(estimator, records.X)
    state = copy.deepcopy(estimator._get_state())
    others = {
        "pickle": pickle.loads(pickle.dumps(estimator)),
        "state": clone(estimator)._set_state(state),
        "clone": _fit(clone(estimator), records.X, records),
    }
    for way, other in others.items():
        assert other.n_leads_in_ == 3
        for name, values in _outputs(other, records.X).items():
            np.testing.assert_array_equal(values, expected[name], err_msg=f"{way} {name}")


@pytest.mark.parametrize("case", CASES)
def test_state_of_other_leads_is_refused(case, fitted):
    state = copy.deepcopy(fitted(case)._get_state())
    state["fitted"]["n_leads_in_"] = 11
    with pytest.raises(ValueError, match="n_leads_in_ is 11"):
        clone(case)._set_state(state)


@pytest.mark.parametrize("case", CASES)
def test_other_leads_are_refused(case, fitted, records):
    estimator = fitted(case)
    for X in (records.X[:, :, :2], records.X[:, :, 0], np.concatenate([records.X, records.X], axis=2)):
        with pytest.raises(ValueError, match=r"fitted with 3"):
            estimator.transform(X)
    whole = records.X[3:4]
    with pytest.raises(ValueError, match="without leads"):
        estimator.transform(whole.reshape(4, -1))


# --- anonymizers: pipelines, searches, frames ----------------------------------------------------------------------


@pytest.fixture(params=["prefix", "routing"])
def giving(request):
    """Subjects given by the step's prefix, routing off, or as ``subjects=``, routing on."""
    with sklearn.config_context(enable_metadata_routing=request.param == "routing"):
        yield (
            (lambda step, ids: {f"{step}__subjects": ids})
            if request.param == "prefix"
            else (lambda step, ids: {"subjects": ids})
        )


def _log_likelihood(model, X, y):
    """Score that sees what an accuracy would round away."""
    return np.log(model.predict_proba(X)[np.arange(len(y)), np.searchsorted(model.classes_, y)]).mean()


def _search(anonymizer, records, giving):
    """Score of every cell of a small grid, and of the loop by hand."""
    step = _name(anonymizer).lower()
    grid = {
        "agileanonymizer": {"epsilon": [0.1, 2.0], "lambda_": [0.0, 2.0]},
        "ksameanonymizer": {"k": [2, 3]},
    }[step]
    model = BeatwiseClassifier(LogisticRegression(max_iter=300), on_empty="prior")
    folds = list(StratifiedKFold(2, shuffle=True, random_state=0).split(records.X, records.y))
    search = GridSearchCV(
        make_pipeline(anonymizer, model),
        {f"{step}__{name}": values for name, values in grid.items()},
        cv=folds,
        scoring=_log_likelihood,
        error_score="raise",
    ).fit(records.X, records.y, **giving(step, records.subjects))
    scores = []
    for params in search.cv_results_["params"]:
        of_folds = []
        for train, test in folds:
            pipe = make_pipeline(clone(anonymizer), clone(model)).set_params(**params)
            pipe[0].fit(records.X[train], records.y[train], subjects=records.subjects[train])
            pipe[1].fit(pipe[0].transform(records.X[train]), records.y[train])
            of_folds.append(_log_likelihood(pipe[1], pipe[0].transform(records.X[test]), records.y[test]))
        scores.append(np.mean(of_folds))
    return search, scores


@pytest.mark.parametrize(
    "anonymizer",
    [AgileAnonymizer(**QUICK), _made(KSameAnonymizer)],
    ids=_name,
)
def test_grid_search_is_the_loop_by_hand(anonymizer, records, giving):
    search, scores = _search(anonymizer, records, giving)
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], scores)
    assert len(set(scores)) == len(scores)
    assert search.best_estimator_[0].n_leads_in_ == 3
    assert search.best_estimator_[0].subjects_.tolist() == sorted(set(records.subjects))


@pytest.mark.parametrize("anonymizer", ANONYMIZERS, ids=_name)
def test_pipeline_is_its_steps(anonymizer, records, giving):
    pipe = make_pipeline(clone(anonymizer), SVDIdentifier(10))
    pipe.fit(records.X, records.subjects, **giving(_name(anonymizer).lower(), records.subjects))
    by_hand = clone(anonymizer).fit(records.X, records.subjects, subjects=records.subjects)
    attacker = SVDIdentifier(10).fit(by_hand.transform(records.X), records.subjects)
    expected = attacker.predict_proba(by_hand.transform(records.X))
    np.testing.assert_array_equal(pipe.predict_proba(records.X), expected)


@pytest.mark.parametrize("case", CASES)
def test_pandas_output_leaves_records_arrays(case, records):
    estimator = _fit(clone(case).set_output(transform="pandas"), records.X, records)
    released = estimator.transform(records.X)
    if isinstance(case, ClassifierMixin):  # embeddings, one a record
        assert released.shape[0] == len(records.X)
    else:
        assert type(released) is np.ndarray
        assert released.shape == records.X.shape


# --- anonymizers: limb leads ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("anonymizer", ANONYMIZERS, ids=_name)
def test_limb_leads_obey_einthoven(anonymizer, dtype, twelve):
    X = twelve.X.astype(dtype)
    anonymizer = clone(anonymizer).set_params(lead_names=twelve.names)
    released = anonymizer.fit_transform(X, twelve.y, subjects=twelve.subjects)
    assert released.shape == X.shape
    assert released.dtype == dtype
    residual = lead_residual(released, twelve.names)
    assert residual.n_compared == 4 * X[:, :, 0].size
    assert residual.max <= 8 * np.finfo(dtype).eps * np.abs(released).max()
    assert (np.abs(released - X).max(axis=-1) > 1e-4).all()  # the derived ones are new, too
    state = anonymizer._get_state()
    again = clone(anonymizer)._set_state(state)
    if "KSame" not in _name(anonymizer):  # whose rows are drawn
        np.testing.assert_array_equal(again.transform(X), released)


# How noise is turned off that hangs on a beat's last bit.
QUIETER = {
    "PPVAEAnonymizer": lambda vae: vae.set_params(draw=False),
    "ODEGANAnonymizer": lambda gan: setattr(gan.net_.module_.unet, "noise", 0.0),
    "PrivECGAnonymizer": lambda privecg: setattr(privecg.net_.module_, "noise", 0.0),
    "WarpAnonymizer": lambda warp: warp.set_params(noise=False),
}


@pytest.mark.parametrize("anonymizer", ANONYMIZERS, ids=_name)
def test_missing_limb_leads(anonymizer, twelve):
    """What is missing stays so; an independent lead that others make is no loss for them."""
    names, whole = list(twelve.names), twelve.X.astype(np.float64)
    X = whole.copy()
    at = {name: names.index(name) for name in names}
    X[0, :, at["I"]] = np.nan  # II, III and the others are there
    X[1, 1, [at["I"], at["II"]]] = np.nan  # III and aVF make them
    X[2, :, at["aVR"]] = np.nan
    X[3, 0, at["V3"]] = np.nan
    X[4, 2] = np.nan
    anonymizer = clone(anonymizer).set_params(lead_names=names)
    released = anonymizer.fit_transform(X, twelve.y, subjects=twelve.subjects)
    np.testing.assert_array_equal(np.isnan(released), np.isnan(X))
    assert lead_residual(released, names).max <= 1e-12
    # A lead that others make: as if it were there.
    heights = np.ptp(released, axis=-1)
    there = ~np.isnan(X[..., 0])
    assert (heights[there] > 0.02).all()
    # Plain noise and REACT's are drawn anew for a beat's last bit, and cannot be left out.
    if _name(anonymizer) not in ("KSameAnonymizer", "NoiseAnonymizer", "REACTAnonymizer"):
        if _name(anonymizer) in QUIETER:
            QUIETER[_name(anonymizer)](anonymizer)
            released = anonymizer.transform(X)
        whole = anonymizer.transform(whole)
        kept = [at[name] for name in names if name != "I"]
        np.testing.assert_allclose(released[0][:, kept], whole[0][:, kept], atol=1e-4)
        kept = [at[name] for name in names if name not in ("I", "II")]
        np.testing.assert_allclose(released[1, 1, kept], whole[1, 1, kept], atol=1e-4)


@pytest.mark.parametrize("lead", ["III", "aVF", "aVR", "II"])
@pytest.mark.parametrize("anonymizer", ANONYMIZERS, ids=_name)
def test_the_only_limb_lead_is_not_lost(anonymizer, lead, twelve):
    names, X = list(twelve.names), twelve.X.copy()
    X[:3, :, [at for at in range(6) if names[at] != lead]] = np.nan
    anonymizer = clone(anonymizer).set_params(lead_names=names)
    released = anonymizer.fit_transform(X, twelve.y, subjects=twelve.subjects)
    np.testing.assert_array_equal(np.isnan(released), np.isnan(X))
    only = released[:3, :, names.index(lead)]
    assert (np.ptp(only, axis=-1) > 0.02).all()
    assert (np.abs(only - X[:3, :, names.index(lead)]).max(axis=-1) > 1e-4).all()


@pytest.mark.parametrize("anonymizer", ANONYMIZERS, ids=_name)
def test_derived_leads_are_not_looked_at(anonymizer, twelve):
    """What goes in of them changes nothing: they are made of the others."""
    names = list(twelve.names)
    derived = [names.index(name) for name in names if name not in independent_leads(names)]
    assert len(derived) == 4
    spoiled = twelve.X.copy()
    spoiled[:, :, derived] += np.random.default_rng(0).standard_normal(spoiled[:, :, derived].shape)
    results = []
    for X in (twelve.X, spoiled):
        made = clone(anonymizer).set_params(lead_names=names)
        results.append(made.fit(X, twelve.y, subjects=twelve.subjects).transform(X))
    np.testing.assert_array_equal(*results)


# --- attackers: more leads, more to go by ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attacker", "singles"),
    [
        (SVDIdentifier(20), range(8)),
        # The best of its leads, and two others.
        (DeepECGIdentifier(channels=(16, 32), batch_size=16, random_state=0, device="cpu"), (6, 3, 1)),
    ],
    ids=_name,
)
def test_leads_together_identify_better_than_the_best_alone(attacker, singles):
    cohort = make_cohort(16, 2, duration=10.0, sampling_rate=RATE, n_leads=12, drift=0.5, random_state=3)
    X, _ = _cut(cohort, independent_leads(cohort.leads[0]))
    assert X.shape[2] == 8
    known = np.arange(len(X)) % 2 == 0  # the first of each person's two records

    def share(leads):
        fitted = clone(attacker).fit(X[known][:, :, leads], cohort.subjects[known])
        single = X[~known][:, :, leads].reshape(-1, 1, len(leads), X.shape[-1])
        return fitted.score(single, np.repeat(cohort.subjects[~known], N_BEATS))

    alone = [share([lead]) for lead in singles]
    assert share(list(range(8))) > max(alone)
    assert 0.3 < max(alone) < 0.9
