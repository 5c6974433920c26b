"""What a session is: one rule, the same for everything that reads records."""

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skagile.datasets import beats_from_records, choose_sessions, fetch_directory, make_cohort, record_sessions
from skagile.release import read_release_pair

DAYS = ["2004-12-07", "2005-03-15", ""]


@pytest.mark.parametrize(
    ("subjects", "dates", "chosen"),
    [
        ("aabb", ["2004", "2005", "2004", "2006"], "date"),
        ("aabbc", ["2004", "2005", "2004", "2006", ""], "date"),
        ("aab", ["2004", "2005", "2004"], "half"),  # one person alone is no test
        ("aabb", ["2004", "2005", "2004", "2004"], "record"),
        ("aabb", ["2004", "2004", "2006", "2006"], "record"),
        ("aabb", ["", "", "", ""], "record"),
        ("aabb", ["2004", "", "2004", ""], "record"),  # an unknown date is no second one
        ("aabc", ["", "", "", ""], "half"),
        ("abcd", ["2004", "2005", "2006", "2007"], "half"),
        ("", [], "half"),
    ],
)
def test_auto_takes_the_first_way_that_gives_two_people_several_sessions(subjects, dates, chosen):
    assert choose_sessions("auto", list(subjects), dates) == chosen
    for given_way in ("half", "record", "date"):
        assert choose_sessions(given_way, list(subjects), dates) == given_way


@given(rows=st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(DAYS)), max_size=12), data=st.data())
def test_auto_by_counting(rows, data):
    def people_with_several(kept):
        return sum(len({way for who, way in kept if who == person}) > 1 for person in "abcd")

    numbered = [(who, i) for i, (who, _) in enumerate(rows)]
    ways = {"date": people_with_several([row for row in rows if row[1]]), "record": people_with_several(numbered)}
    expected = next((way for way, n_people in ways.items() if n_people > 1), "half")
    for order in (rows, data.draw(st.permutations(rows))):
        assert choose_sessions("auto", [who for who, _ in order], [day for _, day in order]) == expected


@given(rows=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(DAYS)), min_size=1, max_size=12))
def test_the_way_chosen_gives_what_it_was_chosen_for(rows):
    """Where dates or records are chosen, two people at least have a session 0 and a session 1."""
    records = _Records([who for who, _ in rows], [day for _, day in rows])
    how = choose_sessions("auto", records.subjects, records.sessions)
    if how != "half":
        sessions = record_sessions(records, how)
        both = [{0, 1} <= set(sessions[np.array(records.subjects) == person]) for person in "abc"]
        assert sum(both) > 1


class _Records:
    def __init__(self, subjects, sessions):
        self.subjects, self.sessions = np.array(subjects), np.array(sessions)


def _folder(root, write_record, dates, n_times=3000):
    """Three records of each of three people; `dates` are the days of a person's records from an arbitrary one."""
    cohort = make_cohort(3, 1, duration=n_times / 250, random_state=0)
    for subject in range(3):
        for record, date in enumerate(dates):
            comments = []
            if date is not None:
                day = datetime.date(2004, 12, 7) + datetime.timedelta(days=date + subject)
                comments = [f"ECG date: {day.day:02d}.{day.month:02d}.{day.year}"]
            marks = cohort.annotations[subject]
            write_record(
                root / f"p{subject}",
                f"r{record}",
                n_times=n_times,
                fs=250,
                leads=("II",),
                beats=marks.sample,
                symbols=marks.symbol,
                comments=comments,
            )
    return root


@pytest.mark.parametrize(
    ("dates", "chosen"), [((0, 5, 9), "date"), ((3, 3, 3), "record"), ((None, None), "record"), ((4,), "half")]
)
def test_records_and_release_are_split_alike(tmp_path, write_record, dates, chosen):
    root = _folder(tmp_path / "folder", write_record, dates)
    records = fetch_directory(root)
    assert choose_sessions("auto", records.subjects, records.sessions) == chosen
    beats = beats_from_records(records, sessions="auto", r_peaks="annotated", labels=None)
    pair = read_release_pair(root, root, sessions="auto", r_peaks="annotated", labels=None)
    assert pair.protocol["sessions"] == chosen
    assert f"sessions by {chosen}" in beats.DESCR
    np.testing.assert_array_equal(pair.sessions, beats.sessions)
    np.testing.assert_array_equal(pair.records, beats.records)
    by_hand = beats_from_records(records, sessions=chosen, r_peaks="annotated", labels=None)
    np.testing.assert_array_equal(beats.sessions, by_hand.sessions)
    assert set(beats.sessions.tolist()) == (set(range(len(dates))) if chosen != "half" else {0, 1})
