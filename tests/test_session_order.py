"""Sessions are put in order by what they say, against dates made here and written in every notation."""

import datetime

import numpy as np
import pytest
from sklearn.utils import Bunch

from skagile._session_order import iso_dates, session_order
from skagile.audit import split_beats
from skagile.datasets import record_sessions
from skagile.model_selection._released import earliest

NOTATIONS = [
    "%d.%m.%Y", "%d. %m. %Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%d %m %Y", "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d",
    "%Y%m%d", "%d%m%Y", "%m%d%Y", "%d-%b-%Y", "%d%b%Y", "%d %B %Y", "%b %d, %Y", "%B %d %Y", "%Y-%b-%d", "%d.%m.%y",
    "%a %d.%m.%Y", "%A, %d %B %Y", "visit of %d.%m.%Y", "session_%Y%m%d", "ecg-%d-%m-%Y.dat",
]  # fmt: skip
TIMES = ["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M %p", "%Y%m%dT%H%M%S", "%Y%m%d%H%M%S",
         "%d-%b-%Y %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S+02:00"]  # fmt: skip
RNG = np.random.default_rng(0)
# A 31st is among them, so that no notation of numbers is ambiguous; every other day is random.
MOMENTS = [datetime.datetime(2019, 12, 31, 23, 59, 58), datetime.datetime(2020, 1, 1, 0, 0, 1)] + [
    datetime.datetime(1999, 1, 1) + datetime.timedelta(seconds=int(second)) for second in RNG.integers(7e8, size=60)
]


def ranks(values):
    return np.unique(values, return_inverse=True)[1].tolist()


@pytest.mark.parametrize("notation", NOTATIONS)
def test_dates(notation):
    texts = [moment.strftime(notation) for moment in MOMENTS]
    assert session_order(texts).tolist() == ranks([moment.date() for moment in MOMENTS])


@pytest.mark.parametrize("notation", TIMES)
def test_dates_with_times(notation):
    moments = [moment.replace(second=0) for moment in MOMENTS] if "%S" not in notation else MOMENTS
    moments += [moments[0] + datetime.timedelta(hours=hour) for hour in (-9, -4, 13)]  # 9 p.m. comes after 11 a.m.
    assert session_order([moment.strftime(notation) for moment in moments]).tolist() == ranks(moments)


@pytest.mark.parametrize(
    "texts",
    [
        ["visit 9", "visit 10"],
        ["Visit 2", "visit_9", "VISIT-10"],
        ["V9b", "V10b"],
        ["9", "10", "0100"],
        ["9.5", "10.5"],
        ["day -3", "day 0", "day 12"],
        ["1st visit", "2nd visit", "3rd visit", "10th visit"],
        ["week 9 day 10", "week 10 day 9"],
        ["12/2019", "01/2020"],
        ["2019-9", "2019-10", "2020-1"],
        ["pre", "post"],
        ["before", "after"],
        ["Baseline", "Follow-up"],
        ["first", "second", "third", "fourth", "tenth"],
        ["2019-12-31T08:30+01:00", "2019-12-31T08:00Z"],
        ["31. Dezember 2019", "1. März 2020"],
        ["visit \uff19", "visit \uff11\uff10"],
        [9, 10, 101],
        [31122019, 1012020],  # as a table of numbers gives 31122019 and 01012020
        [datetime.date(2019, 12, 31), datetime.date(2020, 1, 1)],
        [np.datetime64("2019-12-31"), np.datetime64("2020-01-01")],
        [9, 10.5],
        [b"31.12.2019", b"01.01.2020"],
    ],
)
def test_texts_in_the_order_they_are_listed(texts):
    assert session_order(texts).tolist() == list(range(len(texts)))
    assert session_order(texts[::-1]).tolist() == list(range(len(texts)))[::-1]


@pytest.mark.parametrize(
    ("sessions", "words"),
    [
        (["01/02/2019", "02/01/2019"], ["2019-02-01", "2019-01-02", "day, month, year", "month, day, year"]),
        (["01-02-2019", "02-01-2019"], ["2019-02-01", "2019-01-02"]),
        (["01/02/03", "03/02/01"], ["read in two ways"]),
        (["31/12/2019", "12/31/2019"], ["is no date"]),
        (["31.12.2019", "12/31/2019"], ["'31.12.2019'", "'12/31/2019'", "two notations"]),
        (["2019-12-31", "05.01.2020"], ["'05.01.2020' is no date in ISO form"]),
        (["2019-12-31", "2020-02-30"], ["'2020-02-30' is no date"]),
        (["2019-12-31", "unknown"], ["'unknown' is no date"]),
        (["2019-12-31", "2019-12-31T08:00"], ["say a time and others do not"]),
        (["2019-12-31T08:00Z", "2019-12-31T08:00"], ["zone"]),
        (["05.02", "10.01"], ["read in two ways", "month 2, day 5"]),
        (["12/19", "01/20"], ["read in two ways"]),
        (["1.2", "1.10"], ["read in two ways"]),
        (["day -3", "day -1"], ["read in two ways"]),
        (["311219", "010120"], ["read in two ways"]),
        (["31 déc 2019", "1 déc 2020"], ["read in two ways"]),
        (["31.01.2019 08.00", "01.02.2019 08.00"], ["read in two ways"]),
        (["foo", "bar"], ["'foo'", "say no order"]),
        (["baseline", "month 3"], ["say no order"]),
        (["Dec 2019", "Jan 2020"], ["say no order"]),
        (["visit 1", ""], ["empty for 1 row(s), the first is row 1"]),
        (["visit 1", None], ["misses 1 value(s)"]),
        ([1.0, float("nan")], ["misses 1 value(s)"]),
        ([datetime.date(2019, 12, 31), "2020-01-01"], ["several types (date, str)"]),
        ([float("inf"), 1.0], ["infinite"]),
    ],
)
def test_what_is_not_guessed(sessions, words):
    with pytest.raises(ValueError, match="sessions") as caught:
        session_order(sessions)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    if "read in two ways" in str(caught.value):
        assert "Write them in ISO form" in str(caught.value)


def test_only_the_order_within_a_person_counts():
    dates = ["01/02/2019", "05/03/2020", "02/01/2019", "06/03/2020"]
    order = session_order(dates, [0, 0, 1, 1])
    assert order[0] < order[1]
    assert order[2] < order[3]
    with pytest.raises(ValueError, match="read in two ways"):
        session_order(dates, [0, 1, 0, 1])
    # Another person's date tells how all are written.
    assert session_order([*dates, "12/31/2019"], [0, 1, 0, 1, 2])[0] < session_order([*dates, "12/31/2019"])[2]
    assert len(set(session_order(["foo", "bar"], [0, 1]).tolist())) == 2  # one session each: there is no order


def test_many_sessions_at_once():
    days = np.datetime64("1990-01-01") + np.arange(9000)
    texts = [day.strftime("%d.%m.%Y") for day in days.astype(datetime.date)]
    assert (session_order(np.repeat(texts, 3)) == np.repeat(np.arange(9000), 3)).all()


@pytest.mark.parametrize("hostile", ["9" * 50_000, "1." * 30_000, "\x00" * 99, "1-" * 40, "T" * 1000, "٣/٣/٢٠١٩"])
def test_hostile_texts(hostile):
    """A word, at once; nothing else."""
    with pytest.raises(ValueError, match="sessions") as caught:
        session_order([hostile, "1", "2"])
    assert len(str(caught.value)) < 2000


# Everything that takes sessions

SESSIONS = ["31.12.2019", "05.01.2020"]  # as text, the later one comes first


def test_audit_and_scorers_enrol_the_earlier():
    subjects = np.repeat(["anna", "ben"], 4)
    sessions = np.tile(np.repeat(SESSIONS, 2), 2)
    assert earliest(subjects, sessions).tolist() == [True, True, False, False] * 2
    code = np.repeat([0, 1], 4)
    assert split_beats(code, np.arange(8), sessions, 8)[0].tolist() == [True, True, False, False] * 2
    with pytest.raises(ValueError, match="2019-02-01"):
        split_beats(code, np.arange(8), np.tile(np.repeat(["01/02/2019", "02/01/2019"], 2), 2), 8)


def test_records():
    records = Bunch(subjects=["a", "a", "b", "b", "b"], sessions=[*SESSIONS[::-1], "visit", "", ""][:2] + [""] * 3)
    assert record_sessions(records, "date").tolist() == [1, 0, 0, 0, 0]
    assert record_sessions(records, "record")[:2].tolist() == [1, 0]
    records = Bunch(subjects=["a"] * 3, sessions=[""] * 3, record_names=["p/rec_10", "p/rec_2", "p/rec_1"])
    assert record_sessions(records, "record").tolist() == [2, 1, 0]
    records = Bunch(subjects=["a", "a"], sessions=["01/02/2019", "02/01/2019"])
    with pytest.raises(ValueError, match="2019-02-01"):
        record_sessions(records, "date")


def test_dates_of_headers():
    assert iso_dates(["31.12.2019", "", "01.02.2020"], list("aab")) == ["2019-12-31", "", "2020-02-01"]
    assert iso_dates(["12/31/2019", "01/02/2020"], list("aa")) == ["2019-12-31", "2020-01-02"]
    assert iso_dates(["01/02/2020", "05/03/2020"], list("aa")) == ["2020-02-01", "2020-03-05"]
    assert iso_dates(["01/02/2020", "02/01/2020"], list("ab")) == ["2020-02-01", "2020-01-02"]
    assert iso_dates(["01/02/2020", "02/01/2020"], list("aa")) == ["01/02/2020", "02/01/2020"]
    assert iso_dates(["2019-12-31T08:00", "31.12.2019 09:00"], list("ab")) == [
        "2019-12-31T08:00",
        "2019-12-31T09:00:00",
    ]
