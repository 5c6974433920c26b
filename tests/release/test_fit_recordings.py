"""Fitting to a folder of recordings: labels, leads, people; and the model's file."""

import csv
import shutil
from copy import deepcopy

import numpy as np
import pytest

from skagile import AgileAnonymizer, KSameAnonymizer, SVDIdentifier, WarpAnonymizer
from skagile._model_file import read_model, write_model
from skagile.persistence import contents_of
from skagile.records import read_record
from skagile.release import anonymize_recordings, fit_recordings
from skagile.release._folders import _fit
from skagile.release._folders._model_file import read_recording_model, write_recording_model

TINY = KSameAnonymizer(3, max_epochs=1, max_draws=1, device="cpu")


def _fitted(data, model, **options):
    return fit_recordings(data, model, **{"anonymizer": TINY, "k": 3, "random_state": 0, "max_beats": 8, **options})


def _names(folder):
    return sorted(file.relative_to(folder).with_suffix("").as_posix() for file in folder.rglob("*.hea"))


def _table(job, diagnosis):
    path = job.home / "people.csv"
    with path.open("w", newline="") as stream:
        rows = [(name, name.partition("/")[0], diagnosis(number)) for number, name in enumerate(_names(job.data))]
        csv.writer(stream).writerows([("record", "subject", "diagnosis"), *rows])
    return path


@pytest.fixture
def seen(monkeypatch):
    """Collect what anonymizers are fitted on, in place of fitting one."""

    class SeenError(Exception):
        pass

    told = {}

    def fit_model(collected, anonymizer, *, k, labels, leads, random_state):
        told.update(collected.arrays(k, labels, leads), notes=collected.notes)
        raise SeenError

    monkeypatch.setattr(_fit, "fit_model", fit_model)

    def ask(data, **options):
        with pytest.raises(SeenError):
            _fitted(data, data.parent / "none", **options)
        return told

    return ask


# ------------------------------------------------------------------------------------------------------------ diagnoses


def test_labels_of_annotations(job, seen):
    """By themselves, as every recording is annotated: classes of beats."""
    told = seen(job.data, k=1, max_beats=100)
    assert told["notes"].labels == "aami"
    assert set(told["y"]) == {"N", "V"}
    assert told["notes"].merged == []


def test_labels_of_a_table_come_first(job, seen):
    """Two of three diagnoses are of too few people: taken together they are of enough."""
    names = _names(job.data)
    table = _table(job, lambda number: "healthy" if number < 6 else "a" if number < 8 else "b")
    told = seen(job.data, subjects=table)
    assert told["notes"].labels == "table"
    assert told["notes"].merged == ["a", "b"]
    labels = {subject: set(told["y"][told["subjects"] == subject]) for subject in set(told["subjects"])}
    people = list(dict.fromkeys(name.partition("/")[0] for name in names))
    assert labels == {person: {"healthy"} if number < 3 else {"other"} for number, person in enumerate(people)}


def test_labels_of_headers_and_none(job, seen):
    """Without annotations the headers' diagnosis is taken, and where one has none, one class."""
    for marks in job.data.rglob("*.atr"):
        marks.unlink()
    assert (seen(job.data)["notes"].labels, set(seen(job.data)["y"])) == ("none", {"all"})
    with pytest.raises(ValueError, match=r"labels='diagnosis', and 12 of 12 .* no diagnosis.*--labels none"):
        _fitted(job.data, job.home / "model", labels="diagnosis")
    with pytest.raises(ValueError, match=r"labels='aami', and 12 of 12 recordings have no annotated beats"):
        _fitted(job.data, job.home / "model", labels="aami")
    for number, header in enumerate(sorted(job.data.rglob("*.hea"))):
        header.write_text(header.read_text() + f"# diagnosis: {'healthy' if number < 6 else 'infarction'}\n")
    told = seen(job.data)
    assert told["notes"].labels == "diagnosis"
    assert set(told["y"]) == {"healthy", "infarction"}
    assert set(seen(job.data, labels="none")["y"]) == {"all"}


# ---------------------------------------------------------------------------------------------------- people and leads


def test_no_person_has_more_beats_than_wanted(job, seen):
    told = seen(job.data, max_beats=5)
    _, counts = np.unique(told["subjects"], return_counts=True)
    assert counts.tolist() == [5] * 6
    assert told["notes"].n_beats == 30
    everything = seen(job.data, max_beats=1000)
    assert len(everything["y"]) > 12 * 8


def test_too_few_people(job):
    """It is said how many are needed, and why some do not count; nothing is written."""
    model = job.home / "model"
    with pytest.raises(ValueError, match=r"12 recordings of 6 people can be used; expected at least 10 people"):
        fit_recordings(job.data, model)
    first = sorted(job.data.rglob("*.dat"))[0]
    first.write_bytes(b"")
    with pytest.raises(ValueError, match=r"expected at least 7 people.* 1 recordings were left out, the first: Gruber"):
        fit_recordings(job.data, model, k=7)
    assert not model.exists()


def _rename_leads(job, people, leads):
    for person in people:
        for header in person.glob("*.hea"):
            lines = header.read_text()
            for lead, name in leads.items():
                lines = lines.replace(f" {lead}\n", f" {name}\n")
            header.write_text(lines)


def test_leads_of_too_few_people_are_not_released(job):
    """Two of six have V6 in place of V1: the model does not know it, and it comes out without a signal."""
    people = sorted(job.data.iterdir())
    _rename_leads(job, people[:2], {"V1": "V6"})
    _rename_leads(job, people[2:3], {"II": "Lead II"})
    notes = _fitted(job.data, job.home / "model")
    assert notes.leads == {"I": 6, "II": 6, "III": 6, "V1": 4}
    assert notes.rare_leads == ["V6"]
    done = anonymize_recordings(job.data, job.home / "model", job.out, job.key)
    assert (done.n_records, done.left_out) == (12, [])
    empty = [
        read_record(header.with_suffix("")).leads[row]
        for header in job.out.rglob("*.hea")
        for row, lead in enumerate(read_record(header.with_suffix("")).signal)
        if np.isnan(lead).all()
    ]
    assert empty == ["V6"] * 4
    assert "leads without a model, released as missing: V6" in job.out.with_name("out.log").read_text()


def test_leads_that_nobody_has(job):
    with pytest.raises(ValueError, match=r"no recording has V9; they have I, II, III, V1"):
        _fitted(job.data, job.home / "model", leads=["II", "V9"])
    for number, person in enumerate(sorted(job.data.iterdir())):
        _rename_leads(job, [person], {lead: f"X{number}{lead}" for lead in ("I", "II", "III", "V1")})
    with pytest.raises(ValueError, match=r"no lead is one of 3 people or more; X0I is of 1"):
        _fitted(job.data, job.home / "model")


def test_records_that_cannot_be_used_are_told(job):
    names = _names(job.data)
    (job.data / f"{names[0]}.dat").write_bytes(b"")
    shutil.move(job.data / f"{names[3]}.dat", job.home / "elsewhere.dat")
    (job.data / f"{names[3]}.dat").symlink_to(job.home / "elsewhere.dat")
    notes = _fitted(job.data, job.home / "model")
    assert [name for name, _ in notes.left_out] == [names[0], names[3]]
    assert "is a link" in notes.left_out[1][1]
    assert (notes.n_records, notes.n_people) == (10, 6)


# ---------------------------------------------------------------------------------------------------------- anonymizers


def test_a_seed_gives_the_same_file(job, night):
    """Byte for byte; and another seed another one. Its owner alone may read it."""
    first, again, other = (job.home / name for name in ("first", "again", "other"))
    for path, seed in ((first, 0), (again, 0), (other, 1)):
        _fitted(job.data, path, random_state=seed)
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes() != other.read_bytes()
    assert first.stat().st_mode & 0o777 == 0o600


def test_the_file_names_nobody(night):
    content = night.model.read_bytes()
    for word in ("Gruber", "Wieczorek", "Agatha", "visit", "Nightingale"):
        assert word.encode() not in content


@pytest.mark.parametrize(
    "anonymizer",
    [AgileAnonymizer(n_surrogates=1, n_steps=1, max_epochs=1, device="cpu"), WarpAnonymizer(random_state=0)],
    ids=["agile", "warp"],
)
def test_other_anonymizers(job, anonymizer):
    """From end to end: fitted, saved, read, and applied to what they were fitted on."""
    for person in sorted(job.data.iterdir())[4:]:
        shutil.rmtree(person)
    notes = fit_recordings(job.data, job.home / "model", anonymizer=anonymizer, k=3, random_state=0, max_beats=8)
    assert notes.n_people == 4
    done = anonymize_recordings(job.data, job.home / "model", job.out, job.key)
    assert (done.n_records, done.left_out) == (8, [])
    for header in job.out.rglob("*.hea"):
        assert np.isfinite(read_record(header.with_suffix("")).signal[1]).all()


# ------------------------------------------------------------------------------------------------------------- the file


def test_a_model_comes_back_bit_for_bit(night, tmp_path):
    """Written again it has the same bytes, and it makes the same recordings."""
    model = read_recording_model(night.model)
    again = write_recording_model(tmp_path / "again", model)
    assert again.read_bytes() == night.model.read_bytes()
    header = next(night.data.rglob("*.hea"))
    recording = read_record(header.with_suffix(""))
    first, second = (own.anonymize(recording, 5).signal for own in (model, read_recording_model(again)))
    np.testing.assert_array_equal(first, second)


def test_a_rate_that_is_no_whole_number_comes_back(night, tmp_path):
    model = read_recording_model(night.model)
    model.background.sampling_rate = 257.3
    again = read_recording_model(write_recording_model(tmp_path / "odd", model))
    assert again.background.sampling_rate == 257.3
    np.testing.assert_array_equal(again.background.level, model.background.level)


def _set(name, value):
    def change(content):
        content["recordings"][name] = value

    return change


def _level(change):
    def changed(content):
        change(content["recordings"]["background"]["fitted"])

    return changed


def _drop(content):
    del content["recordings"]["band"]


def _attacker(content):
    X = np.random.default_rng(0).normal(size=(24, 40))
    recordings = content["recordings"]
    content.clear()
    content.update(contents_of(SVDIdentifier(3).fit(X, np.repeat(np.arange(6), 4))), recordings=recordings)


def _put_level(value):
    def change(background):
        level = np.array(background["level"])
        level[0, 0] = value
        background["level"] = level

    return _level(change)


HOSTILE = {
    "no recordings": lambda content: content.pop("recordings"),
    "a key missing": _drop,
    "a key too many": _set("more", 1),
    "something else beside": lambda content: content.update(more=1),
    "leads of no list": _set("leads", "II"),
    "leads of numbers": _set("leads", [1, 2, 3, 4]),
    "no leads": _set("leads", []),
    "other leads": _set("leads", ["I", "II"]),
    "thousands of leads": _set("leads", ["II"] * 5000),
    "one lead twice": _set("leads", ["II", "II", "III", "V1"]),
    "rate of a text": _set("sampling_rate", "250"),
    "rate of a bool": _set("sampling_rate", True),
    "negative rate": _set("sampling_rate", -250.0),
    "another rate": _set("sampling_rate", 500.0),
    "infinite rate": _set("sampling_rate", float("inf")),
    "window of one": _set("window", (0.3,)),
    "negative window": _set("window", (-0.3, 1.1)),
    "band upside down": _set("band", (40.0, 0.5)),
    "background of nothing": _set("background", None),
    "background with more": _level(lambda background: background.update(more=1)),
    "level of another shape": _level(lambda background: background.update(level=background["level"][:, :2])),
    "level of fewer leads": _level(lambda background: background.update(level=background["level"][:2])),
    "level of NaN": _put_level(np.nan),
    "negative level": _put_level(-1.0),
    "infinite level": _put_level(np.inf),
    "absurd level": _put_level(1e9),
    "background rate": _level(lambda background: background.update(sampling_rate=-1.0)),
    "an attacker": _attacker,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_models(night, job, kind):
    """A file that fits together in every other way, and has the right SHA-256."""
    content = deepcopy(read_model(night.model))
    HOSTILE[kind](content)
    path = write_model(job.home / "hostile", content)
    with pytest.raises(ValueError, match="hostile"):
        read_recording_model(path)
    with pytest.raises(ValueError, match="hostile"):
        anonymize_recordings(job.data, path, job.out, job.key)
    assert not job.out.with_name("out.partial").exists()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.9999])
def test_a_model_that_is_cut(night, tmp_path, share):
    content = night.model.read_bytes()
    path = tmp_path / "cut"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="cut"):
        read_recording_model(path)


def test_a_model_of_beats_is_none_of_recordings(night, tmp_path):
    model = read_recording_model(night.model)
    path = write_model(tmp_path / "beats", contents_of(model.anonymizer))
    with pytest.raises(ValueError, match=r"beats.*no model of recordings"):
        read_recording_model(path)
