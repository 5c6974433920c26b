"""The cache: what it holds, who may read it, and that nothing in it is believed that was not written by an audit."""

import errno
import os
import re
import shutil
import stat

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.frozen import FrozenEstimator

from skagile._archive import content_digest, read_archive, write_archive
from skagile.audit import Size, _cache, audit_release
from skagile.audit._cache import Cache
from skagile.audit._keys import Keys
from skagile.audit._measurement import Job

N_SAMPLES = 48
RESULT = {"scores": np.linspace(0, 1, 30).reshape(5, 6), "named": ["a", ("b", None)], "rank1": 0.25}


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def same(result):
    return content_digest(result) == content_digest(RESULT)


@pytest.fixture
def lax():
    """A process whose files everybody may read and write."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def kept(tmp_path):
    """A cache with two entries, and the files of both."""
    cache = Cache(tmp_path / "cache")
    cache.fetch("one", lambda: RESULT)
    (one,) = cache.folder.iterdir()
    cache.fetch("other", lambda: {**RESULT, "rank1": 0.75})
    (other,) = set(cache.folder.iterdir()) - {one}
    return cache, one, other


def release(seed=0):
    """Beats of people, two sessions, and a release with noise that a denoiser takes off again."""
    rng = np.random.default_rng(seed)
    subjects, sessions = np.repeat(np.arange(6), 40), np.tile(np.repeat([0, 1], 20), 6)
    shapes = np.cumsum(rng.normal(size=(6, N_SAMPLES)), axis=1)
    X = shapes[subjects] + 0.1 * rng.normal(size=(240, N_SAMPLES))
    return X, X + 0.8 * rng.normal(size=X.shape), subjects, sessions


def arrays_of(value):
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, dict | list | tuple):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from arrays_of(entry)


def share_recovered(array, X):
    """Share of an array's rows of a beat's length that are a beat but for scale."""
    if array.dtype.kind != "f" or array.size % N_SAMPLES or array.size < N_SAMPLES:
        return 0.0
    rows = np.nan_to_num(array.reshape(-1, N_SAMPLES), posinf=0, neginf=0)
    rows, beats = (entry - entry.mean(axis=1, keepdims=True) for entry in (rows, X))
    norms = np.linalg.norm(rows, axis=1)[:, None] * np.linalg.norm(beats, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return float((np.abs(rows @ beats.T / norms).max(axis=1) > 0.9).mean())


def test_no_entry_holds_anybody_s_beats(tmp_path):
    X, released, subjects, sessions = release()
    report = audit_release(
        X,
        released,
        np.arange(240) % 2,
        subjects=subjects,
        sessions=sessions,
        attackers=["svd"],
        attributes={"sex": subjects % 2},
        sampling_rate=100.0,
        estimators=None,
        size=Size(n_resamples=20, galleries=()),
        cache=tmp_path / "cache",
    )
    assert any("learned" in attack["attacker"] for attack in report.attacks)
    entries = list((tmp_path / "cache").iterdir())
    arrays = [array for entry in entries for array in arrays_of(read_archive(entry))]
    assert len(arrays) > 10
    # The measure itself sees beats where there are some.
    assert share_recovered(X * 3 + 1, X) == 1
    assert max(share_recovered(array, X) for array in arrays) < 0.1


# ------------------------------------------------------------------------------------------------- who may enter


def test_folder_and_files_are_the_owner_s_alone_under_a_lax_umask(tmp_path, lax):
    cache = Cache(tmp_path / "deep" / "cache")
    cache.fetch("key", lambda: RESULT)
    assert mode(cache.folder) == 0o700
    assert [mode(file) for file in cache.folder.iterdir()] == [0o600]


@pytest.mark.parametrize("lax_mode", [0o755, 0o777, 0o750, 0o1777])
def test_an_empty_folder_is_closed(tmp_path, lax_mode):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(lax_mode)
    Cache(tmp_path / "cache")
    assert mode(tmp_path / "cache") == 0o700


def test_a_folder_that_others_could_read_is_closed_with_a_word(kept, caplog):
    cache, *files = kept
    cache.folder.chmod(0o755)
    for file in files:
        file.chmod(0o644)
    assert same(Cache(cache.folder).fetch("one", pytest.fail))
    assert mode(cache.folder) == 0o700
    assert [mode(file) for file in files] == [0o600, 0o600]
    assert "could be read by others" in caplog.text


@pytest.mark.parametrize("lax_mode", [0o777, 0o775, 0o722])
def test_a_folder_that_others_could_write_to_is_refused(kept, lax_mode):
    cache, *_ = kept
    cache.folder.chmod(lax_mode)
    with pytest.raises(ValueError, match=r"cache=.* can be written to by others \(mode 07.*expected mode 0700"):
        Cache(cache.folder)


def test_a_folder_of_other_things_is_left_as_it_is(tmp_path):
    (tmp_path / "project").mkdir(mode=0o755)
    (tmp_path / "project" / "thesis.txt").write_text("x")
    with pytest.raises(ValueError, match=r"holds other files than a cache's.*a folder of its own"):
        Cache(tmp_path / "project")
    assert mode(tmp_path / "project") == 0o755


def test_a_folder_of_another_user_is_refused(kept, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.stat(kept[0].folder).st_uid + 1)
    with pytest.raises(ValueError, match="belongs to user"):
        Cache(kept[0].folder)


def test_a_folder_that_cannot_be_closed_is_refused(tmp_path, monkeypatch):
    (tmp_path / "cache").mkdir(mode=0o755)
    monkeypatch.setattr(type(tmp_path), "chmod", lambda self, mode: None)  # as on a drive without modes
    with pytest.raises(ValueError, match="cannot be closed to others"):
        Cache(tmp_path / "cache")


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="is a file; expected a folder"):
        Cache(tmp_path / "file")


def test_entries_of_an_earlier_version_go(tmp_path, caplog):
    (tmp_path / "cache").mkdir(mode=0o700)
    (tmp_path / "cache" / f"{'a' * 32}.zip").write_bytes(b"somebody's beats")
    (tmp_path / "cache" / "mine.zip").write_bytes(b"x")
    Cache(tmp_path / "cache")
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["mine.zip"]
    assert "Removed 1 entries of an earlier version" in caplog.text


# --------------------------------------------------------------------------------------------- what is believed


def test_what_was_kept_comes_back(kept, caplog):
    cache, *_ = kept
    assert same(cache.fetch("one", pytest.fail))
    assert not caplog.records


def test_a_result_that_was_changed_is_made_anew(kept, caplog):
    cache, one, _ = kept
    entry = read_archive(one)
    entry["result"]["rank1"] = 0.0  # as good as no attack
    write_archive(one, entry)
    assert same(cache.fetch("one", lambda: RESULT))
    assert re.search(f"{one.name} in the cache is damaged .*; it is made anew", caplog.text)
    caplog.clear()
    assert same(cache.fetch("one", pytest.fail))
    assert not caplog.records


@pytest.mark.parametrize("change", ["array", "dropped", "order", "type"])
def test_any_change_of_a_result_is_seen(kept, change):
    cache, one, _ = kept
    entry = read_archive(one)
    if change == "array":
        entry["result"]["scores"][2, 3] = np.nextafter(entry["result"]["scores"][2, 3], 9)
    elif change == "dropped":
        del entry["result"]["named"]
    elif change == "order":
        entry["result"]["scores"] = entry["result"]["scores"].reshape(6, 5)
    else:
        entry["result"]["scores"] = entry["result"]["scores"].astype(np.float32)
    write_archive(one, entry)
    made = []
    assert same(cache.fetch("one", lambda: made.append(1) or RESULT))
    assert made


def test_an_entry_under_the_name_of_another_is_made_anew(kept):
    cache, one, other = kept
    shutil.copy(other, one)
    assert same(cache.fetch("one", lambda: RESULT))
    assert cache.fetch("other", pytest.fail)["rank1"] == 0.75


def test_whatever_happens_to_an_entry_is_never_fatal(kept):
    cache, one, _ = kept
    body, rng = one.read_bytes(), np.random.default_rng(0)
    n_made = 0

    def make():
        nonlocal n_made
        n_made += 1
        return RESULT

    for _ in range(400):
        changed = bytearray(body)
        for at in rng.integers(len(body), size=rng.integers(1, 6)):
            changed[at] = rng.integers(256)
        start, stop = np.sort(rng.integers(len(body), size=2))
        what = rng.integers(4)
        if what == 0:
            changed = changed[:start]
        elif what == 1:
            changed[start:stop] = changed[start:stop][::-1]
        elif what == 2:
            changed = changed[:stop] + changed[start:]
        one.write_bytes(changed)
        assert same(cache.fetch("one", make))
    assert n_made > 300


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to nothing", "link to another"])
def test_what_is_no_file_is_made_anew(kept, kind, caplog):
    cache, one, other = kept
    one.unlink()
    if kind == "folder":
        one.mkdir()
    elif kind == "pipe":
        os.mkfifo(one)
    else:
        one.symlink_to(other if kind.endswith("another") else "nothing")
    assert same(cache.fetch("one", lambda: RESULT))
    assert "made anew" in caplog.text
    assert cache.fetch("other", pytest.fail)["rank1"] == 0.75


def test_a_full_disk_costs_no_result(tmp_path, monkeypatch, caplog):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    cache = Cache(tmp_path / "cache")
    monkeypatch.setattr(_cache, "write_archive", full)
    assert same(cache.fetch("one", lambda: RESULT))
    assert "cannot be kept in the cache" in caplog.text


# ----------------------------------------------------------------------------------------------------- the keys


class Holder(BaseEstimator):
    """An estimator of one parameter."""

    def __init__(self, value=None):
        self.value = value


def key(value):
    return Keys(None).of(Job("what", min, {"estimator": Holder(value)}))[0]


def fitted(scale):
    X = np.random.default_rng(0).normal(size=(40, 3)) * scale
    return LinearDiscriminantAnalysis().fit(X, np.arange(40) % 2)


LARGE = np.dtype([("weights", np.float64, 2000)])
ALIKE_IN_TEXT = {
    "scalars of a structure": lambda at: (
        np.zeros(1, LARGE)[0] if not at else np.array([(np.eye(1, 2000, at),)], LARGE)[0]
    ),
    "arrays of a structure": lambda at: np.array([(np.eye(1, 2000, at or 999),)], LARGE),
    "texts with a gap": lambda at: np.array(["a\0b", "c"] if at else ["a", "b\0c"]),
    "texts of half a character": lambda at: np.array([chr(0xD800 + (at > 0))]),
    "complex numbers": lambda at: np.where(np.arange(3000) == 1500, 1j * at, 0),
    "numbers of many digits": lambda at: 10**5000 + at,
    "other widths of a float": lambda at: np.float32(0.1) if at else np.float64(np.float32(0.1)),
    "memory in another order": lambda at: np.arange(6.0).reshape(2, 3) if at else np.arange(6.0).reshape(3, 2),
    "frozen ones that were fitted": lambda at: FrozenEstimator(fitted(1 + at)),
    "fitted ones in a dict": lambda at: {"a": fitted(1 + at)},
}


@pytest.mark.parametrize("make", ALIKE_IN_TEXT.values(), ids=ALIKE_IN_TEXT)
def test_what_looks_alike_has_keys_of_its_own(make):
    assert key(make(0)) == key(make(0)) is not None
    assert key(make(0)) != key(make(1500))
    with np.printoptions(threshold=5, precision=1):
        assert key(make(1500)) == key(make(1500))


def test_a_function_of_a_notebook_is_told_by_what_it_refers_to():
    keys = []
    for limit in (np.arange(3000.0), np.arange(3000.0) + (np.arange(3000) == 1500)):
        notebook = {"__name__": "of_no_file", "LIMIT": limit}
        exec("def scaled(X):\n    return [x * LIMIT for x in X]", notebook)
        keys.append(key(notebook["scaled"]))
    assert keys[0] != keys[1]
