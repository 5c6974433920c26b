"""Loaders of beats: own defaults, and keywords that reach `beats_from_records`."""

import inspect
import shutil

import numpy as np
import pytest
from sklearn.utils import Bunch

from skagile.datasets import (
    beats_from_records,
    fetch_ecgid,
    fetch_mitdb,
    load_ecgid_beats,
    load_heartprint_beats,
    load_ludb_beats,
    load_mitdb_beats,
    load_ptbdb_beats,
    make_cohort,
)

MODULES = {
    load_mitdb_beats: "_mitdb",
    load_ecgid_beats: "_ecgid",
    load_ptbdb_beats: "_ptbdb",
    load_ludb_beats: "_ludb",
    load_heartprint_beats: "_heartprint",
}
DEFAULTS = {
    load_mitdb_beats: {},
    load_ecgid_beats: {"labels": "sex", "r_peaks": "detected", "sessions": "date"},
    load_ptbdb_beats: {"labels": "diagnosis", "r_peaks": "detected", "sessions": "date"},
    load_ludb_beats: {"labels": "diagnosis"},
    load_heartprint_beats: {"labels": None, "r_peaks": "detected", "sessions": "date"},
}
CUTTING = {
    name
    for name, parameter in inspect.signature(beats_from_records).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY and name != "lead"
}
loaders = pytest.mark.parametrize("load", DEFAULTS, ids=lambda load: load.__name__)


@pytest.fixture
def tiny_ecgid(tmp_path, write_record):
    """A folder with ``ecgiddb``: two people, two dates each."""
    home = tmp_path / "recordings"
    for person in ("Person_01", "Person_02"):
        for number, date in ((1, "07.12.2004"), (2, "15.03.2005")):
            write_record(
                home / "ecgiddb" / person,
                f"rec_{number}",
                fs=500,
                n_times=5000,
                leads=("ECG I", "ECG I filtered"),
                beats=[1000, 2000, 3000, 4000],
                comments=["Age: 25", "Sex: male", f"ECG date: {date}"],
            )
    return home


@loaders
def test_defaults_are_those_of_beats_from_records_but_for_the_ones_said(load, monkeypatch):
    """What reaches `beats_from_records`, by default and when everything is given."""
    module = f"skagile.datasets.{MODULES[load]}"
    records = Bunch(visits=np.array(["1"]), unit="arbitrary", skipped=[])
    passed_on = []

    def cut(records, **given):
        del given["lead"]
        passed_on.append(given)
        return Bunch(records=np.array([0]), skipped=[])

    if load in (load_ludb_beats, load_heartprint_beats):
        monkeypatch.setattr(f"{module}.fetch{MODULES[load]}", lambda *args, **kwargs: records)
    else:
        monkeypatch.setattr(f"{module}.locate", lambda *args: (None, []))
        monkeypatch.setattr(f"{module}.records_bunch", lambda *args, **extra: records)
    monkeypatch.setattr(f"{module}.beats_from_records", cut)
    every = {name: object() for name in CUTTING}
    load()
    load(**every)
    assert passed_on == [DEFAULTS[load], every]


@loaders
def test_every_keyword_is_in_the_docstring(load):
    words = load.__doc__.partition("**cutting")[2].partition("Returns")[0]
    assert all(f"``{name}``" in words for name in CUTTING)
    for name, value in DEFAULTS[load].items():
        assert (f'``{name}="{value}"``' if value else f"``{name}={value}``") in words


@loaders
def test_a_wrong_keyword_is_named_before_anything_is_read(load):
    with pytest.raises(TypeError) as caught:
        load("/nowhere", max_beat=3)
    message = str(caught.value)
    assert f"{load.__name__}() got an unexpected keyword argument 'max_beat'" in message
    own = set(inspect.signature(load).parameters) - {"data_home", "cutting"}
    for name in CUTTING | own:
        assert name in message


def test_a_wrong_value_is_the_error_of_beats_from_records(tiny_mitdb):
    with pytest.raises(ValueError, match="'sessions' parameter of beats_from_records must be a str among"):
        load_mitdb_beats(tiny_mitdb, sessions="thirds")


def test_mitdb_is_what_the_two_steps_give(tiny_mitdb):
    options = {"window": (0.1, 0.2), "labels": "fine", "sampling_rate": 180, "band": None, "classes": ["N", "V"]}
    beats = load_mitdb_beats(tiny_mitdb, **options)
    known = beats_from_records(fetch_mitdb(tiny_mitdb), lead=("MLII", 0), **options)
    for key in ("X", "y", "subjects", "sessions", "r_peak"):
        np.testing.assert_array_equal(beats[key], known[key])


def test_sessions_of_the_loaders(tiny_mitdb, tiny_ecgid):
    """By default mitdb's are halves and ecgid's are dates; "auto" finds that out."""
    quiet = {"r_peaks": "annotated", "labels": None}
    halves = load_mitdb_beats(tiny_mitdb)
    auto = load_mitdb_beats(tiny_mitdb, sessions="auto")
    assert "sessions by half" in auto.DESCR
    np.testing.assert_array_equal(auto.sessions, halves.sessions)
    dates = load_ecgid_beats(tiny_ecgid, **quiet)
    assert "sessions by date" in dates.DESCR
    auto = load_ecgid_beats(tiny_ecgid, sessions="auto", **quiet)
    np.testing.assert_array_equal(auto.sessions, dates.sessions)
    np.testing.assert_array_equal(auto.sessions, auto.records % 2)
    records = fetch_ecgid(tiny_ecgid)
    assert records.sessions.tolist() == ["2004-12-07", "2005-03-15"] * 2
    shutil.rmtree(tiny_ecgid / "ecgiddb" / "Person_02")
    assert "sessions by half" in load_ecgid_beats(tiny_ecgid, sessions="auto", **quiet).DESCR


def test_a_cohort_is_split_by_date():
    beats = beats_from_records(make_cohort(2, 2, duration=20.0, random_state=0), sessions="auto")
    assert "sessions by date" in beats.DESCR
