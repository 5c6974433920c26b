"""Mutations of every kind of file that may come from a stranger: documented errors only, under 1 GB and 20 s each.

``python tests/mutations.py`` runs 5,000 of them, ``python tests/mutations.py 200 7`` 200 with seed 7.
``test_mutations.py`` runs some hundred with a fixed seed, as many as ``SKAGILE_MUTATIONS`` says.
"""

import importlib.util
import io
import json
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import h5py
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skagile import (
    BeatwiseClassifier,
    DeepECGIdentifier,
    FiducialIdentifier,
    KSameAnonymizer,
    SVDIdentifier,
    load,
    save,
)
from skagile._archive import DamagedArchiveError, read_archive, write_archive
from skagile._model_file import seal
from skagile.audit import AuditReport, audit_release
from skagile.audit._cache import Cache
from skagile.datasets import make_cohort
from skagile.datasets._hdf5 import open_part, read_part
from skagile.records import read_annotation, read_any, read_record, write_record
from skagile.release import ReleaseProblems, fit_recordings, read_release_pair
from skagile.release._folders._model_file import read_recording_model
from skagile.release._subjects import people_of

_SPEC = importlib.util.spec_from_file_location("ecg_files", Path(__file__).with_name("ecg_files.py"))
ecg_files = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(ecg_files)

SECONDS, MIB = 20, 1024
N_TIMES, N_LEADS = 64, 2
STRANGE_NUMBERS = (
    b"0",
    b"-1",
    b"1",
    b"65536",
    b"500000000",
    b"99999999999999999999",
    b"1e400",
    b"nan",
    b"-0",
    b"0x7f",
    b"",
)
STRANGE_VALUES = (
    None,
    True,
    0,
    -1,
    2**70,
    1e308,
    -1e-300,
    "",
    "\x1b[2J",
    "x" * 5000,
    [],
    {},
    [[]],
    {"a": None},
    "9999-12-31",
)


# No Exception: what reads files turns any of these into its own.
class TooSlowError(BaseException):
    """A mutation that took too long."""


# --------------------------------------------------------------------------------------------------- what is changed


def change_bytes(rng, body):
    """Change some bytes at random: flipped, cut, doubled, moved, put in, or a number replaced."""
    body = bytearray(body)
    for _ in range(int(rng.integers(1, 4))):
        start = int(rng.integers(0, len(body) + 1))
        stop = min(len(body), start + int(rng.integers(1, 40)))
        kind = rng.integers(0, 7)
        if kind == 0 and start < len(body):
            body[start] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            del body[start:stop]
        elif kind == 2:
            body[start:start] = body[start:stop] * int(rng.integers(1, 50))
        elif kind == 3:
            body[start:start] = rng.integers(0, 256, int(rng.integers(1, 20)), dtype=np.uint8).tobytes()
        elif kind == 4:
            del body[start:]
        elif kind == 5:
            body[start:stop] = bytes(stop - start)
        else:
            replace_number(rng, body)
    return bytes(body)


def replace_number(rng, body):
    """Put another number in the place of a run of digits."""
    digits = [place for place, byte in enumerate(body) if 48 <= byte <= 57]
    if not digits:
        return
    start = stop = digits[int(rng.integers(len(digits)))]
    while stop < len(body) and 48 <= body[stop] <= 57:
        stop += 1
    body[start:stop] = STRANGE_NUMBERS[int(rng.integers(len(STRANGE_NUMBERS)))]


def change_zip(rng, body):
    """Change a file of a zip and pack it again, so that its checksum is right; or the bytes of the zip."""
    if rng.random() < 0.4:
        return change_bytes(rng, body)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(body)) as old, zipfile.ZipFile(out, "w") as new:
        names = old.namelist()
        chosen = names[int(rng.integers(len(names)))]
        for name in names:
            inner = old.read(name)
            if name == chosen:
                # The header of an array is where it hurts.
                head = inner[:128]
                inner = change_bytes(rng, head) + inner[128:] if rng.random() < 0.7 else change_bytes(rng, inner)
            new.writestr(name, inner, zipfile.ZIP_DEFLATED if rng.random() < 0.3 else zipfile.ZIP_STORED)
    return out.getvalue()


def change_json(rng, body):
    """Put a strange value somewhere into a document, or change its bytes."""
    if rng.random() < 0.3:
        return change_bytes(rng, body)
    document = json.loads(body)
    change_document(rng, document)
    return json.dumps(document).encode()


def change_document(rng, document):
    """Put a strange value somewhere into a document, or take something out."""
    node = document
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = keys[int(rng.integers(len(keys)))]
        deeper = node[key]
        if not isinstance(deeper, dict | list) or not deeper or rng.random() < 0.2:
            break
        node = deeper
    if rng.random() < 0.2:
        del node[key]
    else:
        node[key] = deepcopy(STRANGE_VALUES[int(rng.integers(len(STRANGE_VALUES)))])


def change_model(rng, body, part="estimator"):
    """Change the document, the header or the numbers of a model, and seal it again, so that its SHA-256 is right."""
    end = 8 + int.from_bytes(body[:8], "little")
    header, numbers = json.loads(body[8:end]), body[end:]
    document = json.loads(header["__metadata__"]["skagile"])
    document["sha256"] = "0" * 64
    kind = rng.random()
    if kind < 0.7:
        for _ in range(int(rng.integers(1, 3))):
            change_document(rng, document[part if rng.random() < 0.5 else "state"])
    elif kind < 0.8:
        change_document(rng, document)
    header["__metadata__"]["skagile"] = json.dumps(document)
    if 0.8 <= kind < 0.9:
        change_document(rng, header)
    elif kind >= 0.9:
        numbers = change_bytes(rng, numbers)
    text = json.dumps(header).encode()
    return seal(len(text).to_bytes(8, "little") + text + numbers)


# ------------------------------------------------------------------------------------------------------ what is read


class Target:
    """A kind of file: a sound one, how it is changed, how it is read, and the errors that reading it documents."""

    name: str
    errors: tuple = (ValueError,)
    change = staticmethod(change_bytes)

    def __init__(self, folder):
        self.folder = folder
        self.path = self.make()
        self.sound = self.path.read_bytes()
        self.read()

    def make(self):
        raise NotImplementedError

    def read(self):
        raise NotImplementedError


class CacheEntry(Target):
    name, errors, change = "cache", (DamagedArchiveError,), staticmethod(change_zip)

    def make(self):
        self.cache = Cache(self.folder)
        self.cache.fetch("key", self.result)
        [path] = [path for path in self.folder.iterdir() if path.is_file()]
        return path

    def result(self):
        return {"scores": np.arange(12.0).reshape(3, 4), "names": ["a", "b"], "nested": ({"low": None}, 1.5)}

    def read(self):
        # Whatever stands in the entry, the run goes on.
        assert isinstance(self.cache.fetch("key", self.result), object)


class Archive(Target):
    name, errors, change = "archive", (DamagedArchiveError,), staticmethod(change_zip)

    def make(self):
        path = self.folder / "kept.zip"
        write_archive(path, {"a": [np.arange(50.0), np.ones((2, 3), dtype=bool)], "b": (1, "x", None), "c": {"d": 0.5}})
        return path

    def read(self):
        read_archive(self.path)


class Npz(Target):
    name, errors, change = "npz", (ReleaseProblems,), staticmethod(change_zip)

    def make(self):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((24, 30)).astype(np.float32)
        self.other = self.folder / "original.npz"
        rest = {
            "y": np.tile(["N", "V"], 12),
            "sessions": np.tile([0, 1], 12),
            "attribute_sex": np.repeat(["F", "M"], 12),
        }
        subjects = np.repeat(np.arange(4), 6)
        np.savez(
            self.other, X=X, subjects=subjects, times=np.arange(24.0), sampling_rate=50.0, window=[0.2, 0.4], **rest
        )
        path = self.folder / "released.npz"
        np.savez_compressed(path, X=X, subjects=subjects, times=np.arange(24.0), sampling_rate=50.0, **rest)
        return path

    def read(self):
        read_release_pair(self.other, self.path)
        read_release_pair(self.path, self.other)


class Hdf5(Target):
    name = "hdf5"

    def make(self):
        path = self.folder / "exams_part0.hdf5"
        rng = np.random.default_rng(0)
        with h5py.File(path, "w") as file:
            file["exam_id"] = np.arange(1, 9)
            tracings = rng.standard_normal((8, N_TIMES, N_LEADS)).astype(np.float32)
            file.create_dataset("tracings", data=tracings, chunks=(2, N_TIMES, N_LEADS), compression="gzip")
        return path

    def read(self):
        with open_part(self.path, N_LEADS, N_TIMES) as part:
            n_rows = len(read_part(part, self.path, "exam_id", slice(None)))
            read_part(part, self.path, "tracings", slice(0, min(n_rows, 8)))


class Header(Target):
    name, errors = "header", (ValueError, FileNotFoundError)

    def make(self):
        (self.folder / "r.dat").write_bytes(np.arange(400, dtype="<i2").tobytes())
        lines = [
            "r 2 250 200 10:20:30 01/02/2020",
            "r.dat 16 200(0)/mV 16 0 0 19900 0 II",
            "r.dat 16:2 200/mV 16 0 0 0 0 V1",
        ]
        path = self.folder / "r.hea"
        path.write_text("\n".join([*lines, "# age: 40", "# sex: F", "# ECG date: 01.02.2020"]) + "\n")
        return path

    def read(self):
        read_record(self.folder / "r")


class Annotation(Target):
    name = "annotation"

    def make(self):
        cohort = make_cohort(1, 1, duration=20.0, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import wfdb

            marks = cohort.annotations[0]
            wfdb.wrann("r", "atr", marks.sample, list(marks.symbol), fs=250, write_dir=str(self.folder))
        return self.folder / "r.atr"

    def read(self):
        read_annotation(self.folder / "r", "atr")


class Table(Target):
    name = "table"

    def make(self):
        path = self.folder / "people.csv"
        rows = [f"{folder}/s{i},{folder},2020-01-0{i + 1},F,{40 + i},normal" for folder in ("a", "b") for i in range(2)]
        path.write_text("record,subject,session,sex,age,diagnosis\n" + "\n".join(rows) + "\n")
        return path

    def read(self):
        people_of(self.path, [f"{folder}/s{i}" for folder in ("a", "b") for i in range(2)])


class Model(Target):
    """Files of fitted estimators, of which each is changed in turn."""

    name = "model"

    def make(self):
        rng = np.random.default_rng(0)
        subjects, y = np.repeat(np.arange(6), 8), np.tile(["N", "V"], 24)
        X = rng.normal(size=(6, 36))[subjects] + 0.3 * rng.normal(size=(48, 36)) + np.sin(np.arange(36) / 4)
        ksame = KSameAnonymizer(2, max_epochs=1, max_draws=2, grouping="diverse", device="cpu", random_state=0)
        cnn = DeepECGIdentifier(channels=(4, 8), embedding_size=8, max_epochs=1, device="cpu", random_state=0)
        trees = BeatwiseClassifier(make_pipeline(StandardScaler(), RandomForestClassifier(3, random_state=0)))
        boosting = FiducialIdentifier(None, classifier="boosting", n_estimators=2, random_state=0)
        fitted = [
            make_pipeline(ksame, trees).fit(X, y),
            ksame.fit(X, y, subjects=subjects),
            cnn.fit(X, subjects),
            boosting.fit(X, subjects),
            SVDIdentifier(5).fit(X, np.array(list("abcdef"))[subjects]),
        ]
        self.bodies = [
            save(estimator, self.folder / "m.safetensors", with_people=True).read_bytes() for estimator in fitted
        ]
        return self.folder / "m.safetensors"

    def change(self, rng, _):
        body = self.bodies[int(rng.integers(len(self.bodies)))]
        return change_bytes(rng, body) if rng.random() < 0.3 else change_model(rng, body)

    def read(self):
        load(self.path)


class RecordingsModel(Target):
    """A model of recordings: an anonymizer, and what lies between beats."""

    name = "model of recordings"

    def make(self):
        made = make_cohort(4, 1, duration=10.0, class_mix={"N": 1.0}, random_state=0)
        for number, lead in enumerate(made.signals):
            folder = self.folder / "data" / f"patient_{number}"
            folder.mkdir(parents=True)
            write_record(folder / "r", np.asarray(lead), 250, ["II"])
        tiny = KSameAnonymizer(2, max_epochs=1, max_draws=1, device="cpu")
        fit_recordings(self.folder / "data", self.folder / "m", anonymizer=tiny, k=2, random_state=0)
        return self.folder / "m"

    def change(self, rng, body):
        return change_bytes(rng, body) if rng.random() < 0.2 else change_model(rng, body, "recordings")

    def read(self):
        read_recording_model(self.path)


class EcgFile(Target):
    """A recording of another kind than WFDB's."""

    kind: str

    def make(self):
        path = self.folder / f"r.{self.kind}"
        signal = np.random.default_rng(0).normal(size=(N_LEADS, N_TIMES))
        ecg_files.WRITERS[self.kind](path, signal, N_TIMES, ("I", "V1"), ecg_files.Person())
        return path

    def read(self):
        # One that cannot be read at all is none; what it says is looked at without its signals, too.
        for with_signals in (True, False):
            read_any(self.path, with_signals=with_signals)


ECG_FILES = tuple(
    type(
        f"{kind.title()}File",
        (EcgFile,),
        {"kind": kind, "name": f"file-{kind}", "change": staticmethod(change_zip if kind == "npz" else change_bytes)},
    )
    for kind in ecg_files.WRITERS
)


class Report(Target):
    name, change = "report", staticmethod(change_json)

    def make(self):
        rng = np.random.default_rng(0)
        subjects = np.repeat(np.arange(10), 8)
        X = rng.normal(size=(10, 30))[subjects] + 0.1 * rng.normal(size=(80, 30))
        y = np.tile(["N", "V"], 40)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report = audit_release(
                X, X, y, subjects=subjects, attackers=["svd"], knowledge=["clean", "adaptive"], members=subjects < 5
            )
        return report.to_json(self.folder / "audit.json")

    def read(self):
        report = AuditReport.from_json(self.path)
        str(report)
        report.verdict()
        report.to_dict()


TARGETS = (CacheEntry, Archive, Npz, Hdf5, Header, Annotation, Table, Report, Model, RecordingsModel, *ECG_FILES)


@contextmanager
def deadline(seconds):
    def stop(*_):
        raise TooSlowError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def peak():
    """Largest resident memory of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def mutate(n_mutations, seed, folder, targets=TARGETS):
    """Read `n_mutations` changed files, as many of each kind; give the faults, and how many of each were refused."""
    faults, refused, longest = [], Counter(), 0.0
    of_each = -(-n_mutations // len(targets))
    for kind in targets:
        (folder / kind.name).mkdir()
        target = kind(folder / kind.name)
        before = peak()
        for number in range(of_each):
            rng = np.random.default_rng([seed, number])
            body = target.change(rng, target.sound)
            target.path.write_bytes(body)
            start = time.monotonic()
            try:
                with warnings.catch_warnings(), deadline(SECONDS):
                    warnings.simplefilter("ignore")
                    target.read()
            except target.errors:
                refused[kind.name] += 1
            except (Exception, TooSlowError) as error:
                faults.append((kind.name, number, f"{type(error).__name__}: {error}", traceback.format_exc()))
            longest = max(longest, time.monotonic() - start)
            if peak() - before > MIB:
                faults.append((kind.name, number, f"{peak() - before:.0f} MiB", ""))
                before = peak()
        target.path.write_bytes(target.sound)
    return faults, refused, longest


def main():
    n_mutations, seed = (int(word) for word in (*sys.argv[1:], *("5000", "0")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        faults, refused, longest = mutate(n_mutations, seed, Path(folder))
    for name, number, what, trace in faults:
        print(f"{name} {number}: {what}\n{trace}")
    print(f"{n_mutations} mutations, seed {seed}: {len(faults)} faults; refused: {dict(refused)}")
    print(f"longest {longest:.1f} s; largest memory {peak():.0f} MiB")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
