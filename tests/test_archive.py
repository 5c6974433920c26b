"""Arrays and JSON in one file: what goes in comes out, and whatever is broken is one error."""

import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from skagile._archive import DamagedArchiveError, read_archive, write_archive

PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.floats(),
    st.text(st.characters(codec=None)),  # half surrogate pairs too
)
ARRAYS = st_numpy.arrays(
    dtype=st.one_of(
        st_numpy.floating_dtypes(),
        st_numpy.integer_dtypes(),
        st_numpy.boolean_dtypes(),
        st_numpy.unicode_string_dtypes(),
        st_numpy.datetime64_dtypes(),
    ),
    shape=st_numpy.array_shapes(min_dims=0, min_side=0, max_side=3),
)
CONTENT = st.recursive(
    PLAIN | ARRAYS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=5), inner, max_size=3),
    ),
    max_leaves=8,
)
EXAMPLE = {"name": "a", "nested": [1, (2.5, None)], "X": np.arange(6.0).reshape(2, 3), "y": np.array(["N", "V"])}


def assert_same(one, two):
    assert type(one) is type(two)
    if isinstance(one, np.ndarray):
        assert (one.dtype, one.shape) == (two.dtype, two.shape)
        np.testing.assert_array_equal(one, two)
    elif isinstance(one, dict):
        assert list(one) == list(two)
        for key in one:
            assert_same(one[key], two[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(two)
        for entry, other in zip(one, two, strict=True):
            assert_same(entry, other)
    else:
        assert one == two or (one != one and two != two)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(content=CONTENT)
def test_what_goes_in_comes_out(tmp_path, content):
    write_archive(tmp_path / "kept", content)
    assert_same(read_archive(tmp_path / "kept"), content)


def test_the_same_content_gives_the_same_bytes(tmp_path):
    for name in "ab":
        write_archive(tmp_path / name, EXAMPLE)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with zipfile.ZipFile(tmp_path / "a") as archive:
        assert archive.namelist() == ["content.json", "arrays/0.npy", "arrays/1.npy"]


def test_numpy_s_scalars_come_back_as_python_s(tmp_path):
    write_archive(tmp_path / "kept", [np.float32(0.5), np.int64(3), np.bool_(True), np.str_("x")])
    assert_same(read_archive(tmp_path / "kept"), [0.5, 3, True, "x"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"a": [object()]}, r"content\['a'\]\[0\] is a object"),
        ({"a": np.array([1, "x"], dtype=object)}, r"content\['a'\] is an array of objects"),
        ({1: 2}, "has the key 1"),
        ({"a": {2, 3}}, "is a set"),
    ],
)
def test_what_an_archive_does_not_hold(tmp_path, content, words):
    write_archive(tmp_path / "kept", EXAMPLE)
    with pytest.raises(TypeError, match=words):
        write_archive(tmp_path / "kept", content)
    # What stood there before still does, and nothing beside it.
    assert_same(read_archive(tmp_path / "kept"), EXAMPLE)
    assert [file.name for file in tmp_path.iterdir()] == ["kept"]


def test_a_missing_file_is_missing_and_not_damaged(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_archive(tmp_path / "none")


def zipped(document, *, compression=zipfile.ZIP_STORED, **members):
    """Bytes of a zip with that JSON, or that text, and those members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("content.json", document if isinstance(document, str | bytes) else json.dumps(document))
        for name, body in members.items():
            archive.writestr(f"arrays/{name.removeprefix('n')}.npy", body)
    return stream.getvalue()


def saved(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def of_content(content):
    return {"format": "skagile/archive-1", "content": content}


def header(text):
    """A .npy that says of itself what the text says, and holds nothing."""
    body = text.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body


DAMAGED = {
    "empty": b"",
    "random": np.random.default_rng(0).bytes(5000),
    "a lone .npy": saved(np.arange(3)),
    "no content": zipped(of_content(1)).replace(b"content.json", b"contend.json"),
    "no JSON": zipped("{"),
    "no text": zipped(b"\xff\xfe\xfd"),
    "no document": zipped([1, 2]),
    "no format": zipped({"content": 1}),
    "another format": zipped({"format": "skagile/archive-2", "content": 1}),
    "no such array": zipped(of_content({"array": 0})),
    "an array by text": zipped(of_content({"array": "../../etc/passwd"})),
    "no such kind": zipped(of_content({"object": 1})),
    "two kinds": zipped(of_content({"dict": {}, "tuple": []})),
    "no kind": zipped(of_content({})),
    "a list for a dict": zipped(of_content({"dict": [1]})),
    "a number for a tuple": zipped(of_content({"tuple": 3})),
    "deep JSON": zipped('{"format": "skagile/archive-1", "content": ' + "[" * 100_000 + "]" * 100_000 + "}"),
    "deep tuples": zipped('{"format": "skagile/archive-1", "content": ' + '{"tuple": [' * 3000 + "]}" * 3000 + "}"),
    "pickled": zipped(of_content({"array": 0}), n0=saved(np.array([{}], dtype=object), allow_pickle=True)),
    "a huge claim": zipped(
        of_content({"array": 0}),
        n0=header("{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904,), }"),
    ),
    "a wrong header": zipped(of_content({"array": 0}), n0=header("{'descr': __import__('os'), }")),
    "compressed": zipped(of_content([0] * 1000), compression=zipfile.ZIP_DEFLATED),
}


@pytest.mark.parametrize("body", DAMAGED.values(), ids=DAMAGED)
def test_what_is_damaged_is_one_error(tmp_path, body):
    (tmp_path / "kept").write_bytes(body)
    with pytest.raises(DamagedArchiveError, match="kept cannot be read as an archive of skagile"):
        read_archive(tmp_path / "kept")


def test_a_truncated_file_is_damaged_wherever_it_ends(tmp_path):
    write_archive(tmp_path / "kept", EXAMPLE)
    body = (tmp_path / "kept").read_bytes()
    for end in range(0, len(body), 37):
        (tmp_path / "kept").write_bytes(body[:end])
        with pytest.raises(DamagedArchiveError):
            read_archive(tmp_path / "kept")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(data=st.data())
def test_a_changed_byte_gives_the_content_or_the_error(tmp_path, data):
    write_archive(tmp_path / "kept", EXAMPLE)
    body = bytearray((tmp_path / "kept").read_bytes())
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    (tmp_path / "kept").write_bytes(bytes(body))
    try:
        content = read_archive(tmp_path / "kept")
    except DamagedArchiveError:
        return
    assert_same(content, EXAMPLE)  # in a field of the zip that says nothing of the content
