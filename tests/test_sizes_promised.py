"""What a file promises is checked before memory is taken for it: npz, HDF5, WFDB, archives, JSON and tables."""

import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from skagile._archive import DamagedArchiveError, read_archive, write_archive
from skagile._files import FREE_BYTES, check_size, npy_header
from skagile.audit import AuditReport
from skagile.records import read_record
from skagile.release import read_release_pair

# Runs code and prints the largest resident memory of the process, MiB, above that before.
_PEAK = """
import resource
{imports}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    {code}
except ValueError as error:
    print(" ".join(str(error).split()))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def peak(imports, code):
    done = subprocess.run(
        [sys.executable, "-c", _PEAK.format(imports=imports, code=code)], capture_output=True, text=True, check=True
    )
    *said, size = done.stdout.splitlines()
    return " ".join(said), float(size)


def test_one_function_for_all():
    check_size("it", FREE_BYTES, stored=1)
    check_size("it", 50 << 24, stored=1 << 24)
    with pytest.raises(ValueError, match=r"it: unpacks 16777216 bytes to 838860801; expected at most 50 times as many"):
        check_size("it", (50 << 24) + 1, stored=1 << 24)
    with pytest.raises(ValueError, match="it: has 11 bytes; expected at most 10"):
        check_size("it", 11, most=10)


@pytest.mark.parametrize(
    "head", [b"", b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f8', ", b"\x93NUMPY\x03\x00\x00\x00\x00\x00"]
)
def test_what_is_no_array_is_said(head):
    with pytest.raises(ValueError, match="does not start like an array of numpy"):
        npy_header(io.BytesIO(head))


def header(folder, line, signal="r.dat 16{} 200 16 0 0 0 0 II", extra="", n_bytes=80):
    (folder / "r.hea").write_text(f"{line}\n{signal.format(extra)}\n")
    (folder / "r.dat").write_bytes(bytes(n_bytes))


@pytest.mark.parametrize(
    ("line", "extra", "words"),
    [
        ("r 1 360 40", ":500000000", "a skew of 500000000 samples, more than the 40 of the recording"),
        ("r 1 360", ":500000000", "a skew of 500000000 samples"),
        ("r 1 360 40", "x100000000", "sampling rate 3.6e+10 Hz"),
        ("r 1 360", "x100000000", "sampling rate 3.6e+10 Hz"),
        ("r 1 360 40", "x200", "promises 8000 samples"),
        ("r 500000000 360 40", "", "promises 500000000 signals, and describes 1"),
        ("r 1 360 500000000", "", "promises 500000000 samples"),
        ("r", "", "promises no number of signals"),
    ],
)
def test_a_header_takes_no_memory(tmp_path, line, extra, words):
    """A skew of 500,000,000 in a header of 80 bytes took 1.07 GB, and was accepted."""
    header(tmp_path, line, extra=extra)
    with pytest.raises(ValueError, match=r"r\.hea: ") as caught:
        read_record(tmp_path / "r")
    assert words in str(caught.value)


def test_a_small_skew_is_read(tmp_path):
    (tmp_path / "r.hea").write_text("r 2 360 40\nr.dat 16:3 200 16 0 0 0 0 II\nr.dat 16 200 16 0 0 0 0 V1\n")
    np.arange(80, dtype="<i2").tofile(tmp_path / "r.dat")
    assert read_record(tmp_path / "r").signal.shape == (2, 40)


def test_many_labels_take_no_memory(tmp_path):
    """A 4 MB file with `attribute_` keys took 7.5 GB."""
    n_rows = 200_000
    X = np.random.default_rng(0).standard_normal((n_rows, 2)).astype(np.float16)
    labels = {f"attribute_{number}": np.full(n_rows, "a" * 20) for number in range(60)}
    np.savez_compressed(tmp_path / "original.npz", X=X, subjects=np.arange(n_rows) % 7, **labels)
    assert (tmp_path / "original.npz").stat().st_size < 4 << 20
    pair = str(tmp_path / "original.npz")
    said, size = peak("from skagile.release import read_release_pair", f"read_release_pair({pair!r}, {pair!r})")
    assert "bytes to 10" in said
    assert "It would only fill the memory" in said or "it would only fill the memory" in said
    assert size < 200


def test_a_large_sound_file_is_read(tmp_path):
    rng = np.random.default_rng(0)
    X = np.round(rng.standard_normal((20_000, 250)), 3)
    rest = {
        "subjects": np.repeat(np.arange(20), 1000),
        "y": np.tile(["N", "V"], 10_000),
        "attribute_sex": ["F"] * 20_000,
    }
    np.savez_compressed(tmp_path / "original.npz", X=X, **rest)
    np.savez(tmp_path / "released.npz", X=X)
    assert read_release_pair(tmp_path / "original.npz", tmp_path / "released.npz").original.shape == X.shape


def archive(path, content, members=()):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        file.writestr("content.json", json.dumps({"format": "skagile/archive-1", "content": content}))
        for number, body in enumerate(members):
            file.writestr(f"arrays/{number}.npy", body)


def npy(array):
    body = io.BytesIO()
    np.save(body, array)
    return body.getvalue()


def test_an_archive_costs_no_more_than_its_size(tmp_path):
    path = tmp_path / "kept.zip"
    archive(path, [{"array": 0}] * 1000, [npy(np.zeros(1 << 16))])
    with pytest.raises(DamagedArchiveError, match=r"arrays/0\.npy: has \d+ bytes; expected at most"):
        read_archive(path)
    huge = npy(np.zeros(2)).replace(b"(2,), }", b"(2000000000000,), }")[: -len(b"0" * 12) or None]
    archive(path, {"array": 0}, [huge])
    with pytest.raises(DamagedArchiveError, match="cannot be read as an archive"):
        read_archive(path)
    write_archive(path, {"a": [np.zeros(3), np.ones(1000)], "b": (1, "x")})
    assert read_archive(path)["b"] == (1, "x")


def test_deep_json_in_an_archive_and_a_report(tmp_path):
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="no audit report"):
        AuditReport.from_json(tmp_path / "a.json")
    with (tmp_path / "b.json").open("wb") as file:
        file.truncate(17 << 20)
    with pytest.raises(ValueError, match="no audit report: has 17825792 bytes; expected at most"):
        AuditReport.from_json(tmp_path / "b.json")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("record,subject\n" + "," * 200_000 + "\n", "line 2"),
        ("record,subjekt,subject\na,b,c\n", "has a column 'subjekt', which is not read; did you mean 'subject'?"),
        ("record,subject,sesion\na,b,1\n", "did you mean 'session'?"),
        ("record,subject,subject\na,b,1\n", "has the column 'subject' 2 times"),
    ],
)
def test_tables(tmp_path, text, words):
    for side in ("original", "released"):
        (tmp_path / side).mkdir()
        header(tmp_path / side, "r 1 360 40")
    (tmp_path / "people.csv").write_text(text)
    with pytest.raises(ValueError, match=r"people\.csv") as caught:
        read_release_pair(tmp_path / "original", tmp_path / "released", subjects=tmp_path / "people.csv")
    assert words in str(caught.value)
