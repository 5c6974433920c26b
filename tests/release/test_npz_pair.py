"""Two files of beats, opened as if they were sent by an enemy."""

import io
import warnings
import zipfile

import numpy as np
import pytest

from skagile.release import ReleaseProblems, _npz_pair, read_release_pair


class _Evil:
    def __reduce__(self):
        return (print, ("this ran",))


@pytest.fixture
def arrays():
    """A sound original and a sound release."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 70)).astype(np.float32)
    original = {
        "X": X,
        "subjects": np.repeat(np.arange(4), 10),
        "y": np.tile(["N", "V"], 20),
        "sessions": np.tile(np.repeat([0, 1], 5), 4),
        "times": np.arange(40) * 0.8,
        "records": np.repeat(np.arange(8), 5),
        "sampling_rate": 100.0,
        "window": np.array([0.25, 0.45]),
        "attribute_sex": np.repeat(["F", "M"], 20),
        "task_rhythm": np.tile([0, 1, 2, 3], 10),
    }
    return original, {"X": X + 0.1}


@pytest.fixture
def read(tmp_path):
    """Return a function that writes two dicts and reads them as a pair."""

    def read(original, released, **options):
        np.savez_compressed(tmp_path / "original.npz", **original)
        np.savez(tmp_path / "released.npz", **released)
        return read_release_pair(tmp_path / "original.npz", tmp_path / "released.npz", **options)

    return read


def test_round_trip(arrays, read):
    original, released = arrays
    found = read(original, released)
    np.testing.assert_array_equal(found.original, original["X"])
    np.testing.assert_array_equal(found.released, released["X"])
    assert found.original.dtype == np.float32
    assert found.subjects.tolist() == original["subjects"].astype(str).tolist()
    for key in ("y", "sessions", "times", "records"):
        np.testing.assert_array_equal(found[key], original[key])
    assert found.released_times is None
    assert (found.sampling_rate, found.window) == (100.0, (0.25, 0.45))
    np.testing.assert_array_equal(found.attributes.pop("sex"), original["attribute_sex"])
    np.testing.assert_array_equal(found.tasks.pop("rhythm"), original["task_rhythm"])
    assert not found.attributes
    assert not found.tasks


def test_what_is_not_there_is_none(arrays, read):
    original, released = arrays
    found = read({"X": original["X"], "subjects": original["subjects"]}, released)
    for key in ("y", "sessions", "times", "records", "released_times", "sampling_rate", "window"):
        assert found[key] is None
    assert (found.attributes, found.tasks, found.skipped) == ({}, {}, [])


def test_arguments_fill_in_and_must_not_contradict(arrays, read):
    original, released = arrays
    bare = {"X": original["X"], "subjects": original["subjects"]}
    found = read(bare, released, sampling_rate=100)
    assert (found.sampling_rate, found.window) == (100.0, (0.25, 0.45))
    assert read(bare, released, sampling_rate=200).window is None  # 140 samples, and a beat has 70
    with pytest.raises(ReleaseProblems, match=r"sampling_rate: not one value \(sampling_rate=: 200.0, .*: 100.0\)"):
        read(original, released, sampling_rate=200)
    with pytest.raises(ReleaseProblems, match="sampling_rate: not one value"):
        read(original, released | {"sampling_rate": 99})


def test_times_of_the_release_labels_and_halves(arrays, read):
    original, released = arrays
    found = read(original, released | {"times": original["times"] + 1}, labels=None, sessions="half")
    np.testing.assert_array_equal(found.released_times, original["times"] + 1)
    assert found.y is None
    assert found.sessions is None


def test_max_beats(arrays, read):
    found = read(*arrays, max_beats=2)
    assert np.bincount(found.subjects.astype(int) * 2 + found.sessions).tolist() == [2] * 8
    row = [np.flatnonzero((arrays[0]["X"] == beat).all(axis=1))[0] for beat in found.original]
    np.testing.assert_array_equal(found.released, arrays[1]["X"][row])
    np.testing.assert_array_equal(found.attributes["sex"], arrays[0]["attribute_sex"][row])


def test_bad_rows_are_named_or_left_out_on_both_sides(arrays, read):
    original, released = arrays
    original["X"][3, 5] = np.nan
    released["X"][7] = 1.0
    released["X"][8, 0] = np.inf
    original["y"] = original["y"].astype("U4")
    original["y"][11] = " "
    with pytest.raises(ReleaseProblems) as caught:
        read(original, released)
    assert len(caught.value.problems) == 4
    for words in ("original.npz, key 'X': 1 of 40 rows have NaN", "the first is row 8", "(flat)", "key 'y': 1 of 40"):
        assert words in str(caught.value)
    found = read(original, released, on_error="skip")
    sound = np.delete(np.arange(40), [3, 7, 8, 11])
    np.testing.assert_array_equal(found.original, original["X"][sound])
    np.testing.assert_array_equal(found.attributes["sex"], original["attribute_sex"][sound])
    assert len(found.skipped) == 4


def _without(key):
    return lambda original, released: original.pop(key)


def _with(**values):
    return lambda original, released: original.update(values)


def _in_release(**values):
    return lambda original, released: released.update(values)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_without("X"), "original.npz: lacks the key(s) X (it has: subjects, y"),
        (_without("subjects"), "original.npz: lacks the key(s) subjects"),
        (_with(labels=np.arange(40)), "unknown key(s) 'labels'"),
        (_with(attribute_=np.arange(40)), "unknown key(s) 'attribute_'"),
        (_with(subjects=np.arange(39)), "original.npz, key 'subjects': has shape (39,); expected (40,)"),
        (_with(subjects=np.zeros(40)), "one person only (0.0)"),
        (_with(X=np.zeros((40, 2, 70))), "key 'X': has shape (40, 2, 70)"),
        (_with(X=np.full((40, 70), "a")), "key 'X': has shape (40, 70) and dtype <U1"),
        (_with(X=np.ones((40, 70), dtype=complex)), "key 'X': has dtype complex128"),
        (_with(window=np.arange(3.0)), "key 'window': has shape (3,); expected (2,)"),
        (_with(window=np.array([-1.0, 2.0])), "key 'window': window=[-1.0, 2.0]"),
        (_with(sampling_rate=np.nan), "key 'sampling_rate': is nan"),
        (_with(sampling_rate="fast"), "key 'sampling_rate': holds text"),
        (_with(times=np.full(40, "a")), "key 'times': holds text"),
        (_with(y=np.array(["x" * 300] * 40)), "expected numbers or text (of at most 256 characters)"),
        (_in_release(X=np.ones((39, 70))), "released.npz, key 'X': has shape (39, 70), the original (40, 70)"),
        (_in_release(subjects=np.arange(40)), "released.npz, key 'subjects': differs from the original in 39 of 40"),
        (_in_release(attribute_age=np.arange(40)), "original.npz, key 'attribute_age': is missing"),
        (_with(X=np.full((40, 70), np.nan)), "40 of 40 rows have NaN"),
    ],
)
@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_wrong_content(arrays, read, spoil, words, on_error):
    original, released = arrays
    spoil(original, released)
    with pytest.raises(ReleaseProblems) as caught:
        read(original, released, on_error=on_error)
    assert words in str(caught.value)
    assert "npz" in str(caught.value)


def test_pickled_objects_are_not_opened(arrays, read, capsys):
    original, released = arrays
    original["y"] = np.array([_Evil()] * 40, dtype=object)
    with pytest.raises(ReleaseProblems, match=r"original.npz, key 'y': holds pickled objects"):
        read(original, released)
    assert "this ran" not in capsys.readouterr().out


def _npy(header, body=b""):
    """Bytes of an array file whose header says what it likes."""
    text = repr(header).encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


def _zip(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, body in members:
            archive.writestr(name, body)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda whole: whole[: len(whole) // 2], "cannot be read (BadZipFile"),
        (lambda whole: b"", "cannot be read (BadZipFile"),
        (lambda whole: whole[30:] + whole[:30], "cannot be read"),
        (lambda whole: whole[:400] + bytes([whole[400] ^ 255]) + whole[401:], "cannot be read"),
    ],
)
def test_damaged_files(arrays, tmp_path, damage, words):
    original, released = arrays
    np.savez(tmp_path / "original.npz", **original)
    np.savez(tmp_path / "released.npz", **released)
    whole = (tmp_path / "released.npz").read_bytes()
    (tmp_path / "released.npz").write_bytes(damage(whole))
    with pytest.raises(ReleaseProblems) as caught:
        read_release_pair(tmp_path / "original.npz", tmp_path / "released.npz")
    assert "released.npz: " in str(caught.value)
    assert words in str(caught.value)


def _forged(tmp_path, members, **options):
    np.savez(tmp_path / "original.npz", X=np.random.default_rng(0).standard_normal((4, 5)), subjects=np.arange(4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a name twice
        _zip(tmp_path / "released.npz", members, **options)
    with pytest.raises(ReleaseProblems) as caught:
        read_release_pair(tmp_path / "original.npz", tmp_path / "released.npz")
    return str(caught.value)


def test_a_forged_shape_takes_no_memory(tmp_path):
    huge = _npy({"descr": "<f8", "fortran_order": False, "shape": (1 << 40, 1 << 10)}, b"\0" * 80)
    assert "promises 9007199254740992 bytes" in _forged(tmp_path, [("X.npy", huge)])
    negative = _npy({"descr": "<f8", "fortran_order": False, "shape": (-4, -5)}, b"\0" * 160)
    assert "key 'X'" in _forged(tmp_path, [("X.npy", negative)])


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(_npz_pair, "_SMALL", 1 << 20)
    opened = []
    monkeypatch.setattr(np.lib.format, "read_array", lambda *args, **kwargs: opened.append(args))
    body = io.BytesIO()
    np.save(body, np.zeros((1 << 10, 1 << 8)))
    words = _forged(tmp_path, [("X.npy", body.getvalue())], compression=zipfile.ZIP_DEFLATED)
    assert "it would only fill the memory" in words
    assert len(opened) == 2  # the original's two keys


def test_long_texts_are_no_way_round(tmp_path, monkeypatch):
    monkeypatch.setattr(_npz_pair, "_SMALL", 100)
    X, text = io.BytesIO(), io.BytesIO()
    np.save(X, np.random.default_rng(0).standard_normal((4, 5)))
    np.save(text, np.array(["a" * 250] * 4))
    assert "more than the beats" in _forged(tmp_path, [("X.npy", X.getvalue()), ("y.npy", text.getvalue())])


@pytest.mark.parametrize(
    ("members", "options", "words"),
    [
        ([("readme.txt", b"hello")], {}, "is no array"),
        ([("X.npy", b"hello")], {}, "does not start like an array"),
        ([("X.npy", b"")], {}, "does not start like an array"),
        ([("X.npy", b"\x93NUMPY\x01\x00\xff\xff{")], {}, "does not start like an array"),
        ([("X.npy", _npy("__import__('os').system('true')"))], {}, "does not start like an array"),
        ([("X.npy", b"x")], {"compression": zipfile.ZIP_BZIP2}, "is no array"),
        ([("X.npy", b"x")] * 2, {}, "one twice"),
        ([(f"{i}.npy", b"x") for i in range(100)], {}, "holds 100 entries"),
        ([], {}, "lacks the key(s) X (it has: none)"),
    ],
)
def test_forged_members(tmp_path, members, options, words):
    found = _forged(tmp_path, members, **options)
    assert words in found
    assert "released.npz" in found


def test_encrypted(tmp_path):
    np.savez(tmp_path / "original.npz", X=np.eye(4), subjects=np.arange(4))
    data = bytearray((tmp_path / "original.npz").read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(magic)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(magic, at + 4)
    (tmp_path / "released.npz").write_bytes(data)
    with pytest.raises(ReleaseProblems, match=r"released.npz, key 'X': is encrypted"):
        read_release_pair(tmp_path / "original.npz", tmp_path / "released.npz")
