"""What was fitted is fitted once, and anything that figures depend on is another fit."""

import functools
import importlib
import sys
import zipfile

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import Bunch

from skagile.audit import Estimators, Size, _keys, _provenance, audit_release
from skagile.audit._keys import Keys, tree_digest
from skagile.audit._measurement import Job

N_SUBJECTS, N_BEATS, N_SAMPLES = 12, 15, 40
SIZE = Size(n_resamples=200, galleries=())


@pytest.fixture(scope="module")
def people():
    """Two sessions of beats of people who have a shape each, and a release of them."""
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(N_SUBJECTS), 2 * N_BEATS)
    X = rng.normal(size=(N_SUBJECTS, N_SAMPLES))[subjects] + 0.5 * rng.normal(size=(len(subjects), N_SAMPLES))
    sessions = np.tile(np.repeat([0, 1], N_BEATS), N_SUBJECTS)
    return Bunch(X=X, released=X + rng.normal(size=X.shape), subjects=subjects, sessions=sessions)


class Counting(LinearDiscriminantAnalysis):
    """Counts its fits."""

    fits = 0

    def fit(self, X, y):
        Counting.fits += 1
        return super().fit(X, y)


def audit(people, released=None, **changes):
    """Report, and how many fits it took."""
    options = {
        "subjects": people.subjects,
        "sessions": people.sessions,
        "attackers": {"lda": Counting()},
        "knowledge": ("clean", "adaptive", "open_set"),
        "size": SIZE,
    }
    Counting.fits = 0
    released = people.released if released is None else released
    return audit_release(people.X, released, **{**options, **changes}), Counting.fits


def test_an_interrupted_audit_goes_on_where_it_stopped(people, tmp_path):
    def stop(done, total, what):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        audit(people, cache=tmp_path / "cache", progress=stop)
    first = Counting.fits
    report, second = audit(people, cache=tmp_path / "cache")
    assert 2 <= first < 4
    assert first + second == 4
    again, third = audit(people, cache=tmp_path / "cache")
    assert third == 0
    fresh, _ = audit(people)
    assert report.attacks == again.attacks == fresh.attacks
    # Anything else that figures depend on is another fit.
    assert audit(people, people.released + 1e-9, cache=tmp_path / "cache")[1] == 3  # all that is not "clean"
    assert audit(people, random_state=1, cache=tmp_path / "cache")[1] == 2  # the seed shares people out


def everything(people):
    """Keywords of an audit with every threat and use."""
    return {
        "y": np.where(np.arange(len(people.X)) % 3, "N", "V"),
        "members": people.subjects % 2 == 0,
        "attributes": {"sex": people.subjects % 4 < 2},
        "tasks": {"parity": np.arange(len(people.X)) % 2},
        "estimators": Estimators(diagnostic_estimator=Counting(), attribute_estimator=Counting()),
    }


@pytest.mark.parametrize(
    "size",
    [
        Size(n_resamples=200, galleries=(), confidence=0.6),
        Size(n_resamples=50, galleries=(1000,), fusion=(1, 2), confidence=0.95),
    ],
)
def test_another_interval_fits_nothing_anew(people, tmp_path, size):
    options = everything(people)
    first, n_fits = audit(people, cache=tmp_path, **options)
    assert n_fits > 10
    second, n_fits = audit(people, cache=tmp_path, size=size, **options)
    assert n_fits == 0
    fresh, n_fits = audit(people, size=size, **options)
    assert n_fits > 10
    kept, made = second.to_dict(), fresh.to_dict()
    for report in (kept, made):
        report["provenance"].pop("date")
    assert kept == made
    assert first.attacks[0]["rank1"] == second.attacks[0]["rank1"]
    assert first.attacks != second.attacks
    for first_rows, second_rows, low in (
        (first.presence_results, second.presence_results, "auroc_low"),
        (first.copies_results, second.copies_results, "share_low"),
    ):
        assert [row[low] for row in first_rows] != [row[low] for row in second_rows]


def test_other_beats_are_another_fit(people, tmp_path):
    audit(people, cache=tmp_path)
    assert audit(people, cache=tmp_path, size=Size(n_resamples=200, galleries=(), max_enrolment_beats=10))[1] == 4


def test_other_code_is_another_fit(people, tmp_path, monkeypatch):
    audit(people, cache=tmp_path)
    monkeypatch.setattr(_keys, "sources_digest", lambda: "of other code")
    assert audit(people, cache=tmp_path)[1] == 4
    monkeypatch.undo()
    assert audit(people, cache=tmp_path)[1] == 0


@pytest.mark.parametrize("package", ["skorch", "torch", "scikit-learn", "numpy", "skagile"])
def test_another_version_is_another_fit(people, tmp_path, monkeypatch, package):
    audit(people, cache=tmp_path, knowledge="clean")
    versions = _provenance.versions()
    assert package in versions
    monkeypatch.setattr(_provenance, "versions", lambda: versions | {package: "99"})
    assert audit(people, cache=tmp_path, knowledge="clean")[1] == 1


OWN = """
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

SCALE = {scale}


class Own(LinearDiscriminantAnalysis):
    def predict_log_proba(self, X):
        return super().predict_log_proba(X * SCALE)
"""


def test_an_own_attacker_with_other_code_is_another_fit(people, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    reports = []
    for scale in (1, -1):
        (tmp_path / "own_attacker.py").write_text(OWN.format(scale=scale))
        importlib.invalidate_caches()
        sys.modules.pop("own_attacker", None)
        own = importlib.import_module("own_attacker").Own
        reports.append(audit(people, cache=tmp_path / "cache", attackers=[own()], knowledge="clean")[0])
    sys.modules.pop("own_attacker")
    assert reports[0].attacks[0]["rank1"] > 0.9 > 0.5 > reports[1].attacks[0]["rank1"]


def test_the_digest_of_sources_is_of_every_module_that_figures_depend_on(tmp_path):
    for name in ("cli/_audit.py", "audit/report/_page.py", "audit/_cache.py", "attackers/_svd.py", "_arrays.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    before = tree_digest(tmp_path)
    for name, same in (("cli/_audit.py", True), ("audit/report/_page.py", True), ("attackers/_svd.py", False)):
        (tmp_path / name).write_text("2")
        assert (tree_digest(tmp_path) == before) == same, name
    after = tree_digest(tmp_path)
    (tmp_path / "_arrays.py").rename(tmp_path / "_other.py")
    assert tree_digest(tmp_path) != after
    assert _keys.sources_digest() == _keys.sources_digest() != after


# ----------------------------------------------------------------------------------------------------------- the keys


class Holder(BaseEstimator):
    """An estimator of one parameter."""

    def __init__(self, value=None):
        self.value = value


class Plain:
    """An object that prints its address."""

    def __init__(self, value):
        self.value = value


def key(value):
    return Keys(None).of(Job("what", min, {"estimator": Holder(value)}))[0]


def large(change=0.0):
    values = np.arange(5000.0)
    values[2500] += change
    return values


def adds(number):
    return lambda X: X + number


def looped():
    value = Plain(None)
    value.value = [value]
    return value


SAME_AND_OTHER = {
    "large arrays": lambda change: large(change),
    "arrays in lists": lambda change: [1, (large(change),)],
    "arrays of objects": lambda change: np.array(["a", change], dtype=object),
    "dtypes": lambda change: np.zeros(3, dtype=np.float64 if change else np.float32),
    "numbers and text": lambda change: 1 if change else "1",
    "numbers and bools": lambda change: 1 if change else True,
    "nested estimators": lambda change: make_pipeline(StandardScaler(), Holder(Holder(large(change)))),
    "objects": lambda change: Plain({"a": large(change)}),
    "classes": lambda change: Plain if change else Holder,
    "functions with a default": lambda change: functools.partial(adds, number=change),
    "closures": lambda change: adds(change),
    "lambdas": lambda change: (lambda X: X + 1) if change else (lambda X: X + 2),
    "methods": lambda change: Plain(change).__init__,
    "transformers of functions": lambda change: FunctionTransformer(adds(change)),
    "ufuncs": lambda change: np.exp if change else np.log,
    "generators": lambda change: np.random.default_rng(int(10 * change)),
    "random states": lambda change: np.random.RandomState(int(10 * change)),
    "sets": lambda change: {"a", "b", "c", change},
    "dicts": lambda change: {"a": 1, "b": change},
}


@pytest.mark.parametrize("make", SAME_AND_OTHER.values(), ids=SAME_AND_OTHER)
def test_keys_are_of_content_and_not_of_addresses(make):
    one = make(0.0)
    assert key(one) == key(make(0.0)) is not None
    assert key(one) != key(make(0.5))
    assert " at 0x" not in key(one)


def test_tensors_and_networks_are_told_by_content():
    torch = pytest.importorskip("torch")
    assert key(torch.arange(3.0)) == key(torch.arange(3.0)) != key(torch.arange(3.0) + 1)

    def network(seed):
        torch.manual_seed(seed)
        return torch.nn.Linear(3, 2)

    assert key(network(0)) == key(network(0)) != key(network(1))
    assert key(torch.nn.ReLU) != key(torch.nn.Tanh)


def test_what_holds_itself_has_a_key():
    assert key(looped()) == key(looped())


def test_what_cannot_be_told_apart_is_never_kept(people, tmp_path):
    class Opaque:
        def __reduce_ex__(self, protocol):
            raise TypeError("no")

    assert key(Opaque()) is None

    class Own(Counting):
        def __init__(self, opaque=None):
            super().__init__()
            self.opaque = opaque

    options = {"attackers": [Own(Opaque())], "knowledge": "clean", "cache": tmp_path}
    # scikit-learn's clone copies a parameter through pickle's way; this one is its own copy.
    Opaque.__deepcopy__ = lambda self, memo: self
    assert [audit(people, **options)[1] for _ in range(2)] == [1, 1]
    # Copies alone, which no attacker has a part in.
    assert len(list(tmp_path.iterdir())) == 2


# --------------------------------------------------------------------------------------------------------- the files


def truncate(body):
    return body[: len(body) // 2]


def scramble(body):
    return np.random.default_rng(0).bytes(len(body))


@pytest.mark.parametrize("damage", [truncate, scramble, lambda body: b""], ids=["truncated", "random", "empty"])
def test_a_damaged_file_counts_as_missing(people, tmp_path, damage):
    report, _ = audit(people, cache=tmp_path, knowledge="clean")
    files = list(tmp_path.iterdir())
    for file in files:
        file.write_bytes(damage(file.read_bytes()))
    again, n_fits = audit(people, cache=tmp_path, knowledge="clean")
    assert n_fits == 1
    assert again.attacks == report.attacks
    # Mended, and nothing beside it.
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert audit(people, cache=tmp_path, knowledge="clean")[1] == 0


@pytest.mark.parametrize(
    "content", ["[]", '{"dict": {}}', '{"dict": {"key": "another", "result": 3}}', "[" * 50_000 + "]" * 50_000]
)
def test_a_file_of_something_else_counts_as_missing(people, tmp_path, content):
    report, _ = audit(people, cache=tmp_path, knowledge="clean")
    for file in tmp_path.iterdir():
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("content.json", f'{{"format": "skagile/archive-1", "content": {content}}}')
    again, n_fits = audit(people, cache=tmp_path, knowledge="clean")
    assert n_fits == 1
    assert again.attacks == report.attacks
