"""Two files of beats of several leads: attacked together and one by one, as arrays are."""

import numpy as np
import pytest

from skagile.attackers import SVDIdentifier
from skagile.audit import Estimators, Size, audit_release
from skagile.cli import _audit_job
from skagile.release import ReleaseProblems, read_release_pair, read_release_views
from skagile.release._cuts import AT_ORIGINAL, AT_RELEASE

TOGETHER = "all leads together"
N_PEOPLE, N_BEATS, N_SAMPLES = 12, 20, 40
AUDIT = {
    "attackers": {"svd": SVDIdentifier(n_components=2 * N_SAMPLES)},
    "knowledge": ("adaptive",),
    "estimators": Estimators(diagnostic_estimator=None),
    "size": Size(n_resamples=200, galleries=()),
}


@pytest.fixture(autouse=True)
def _cheap(monkeypatch, tmp_path):
    monkeypatch.setattr(_audit_job, "SIZES", {"quick": _audit_job.AuditSize(audit=AUDIT)})
    monkeypatch.setenv("SKAGILE_HOME", str(tmp_path / "home"))


@pytest.fixture
def arrays():
    """Beats of two leads of people who differ, and a release whose leads are one noise but for a wave of the person."""
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(N_PEOPLE), N_BEATS)
    own = np.cumsum(rng.standard_normal((N_PEOPLE, 2, N_SAMPLES)), axis=-1) / 6
    X = own[subjects] + 0.05 * np.cumsum(rng.standard_normal((len(subjects), 2, N_SAMPLES)), axis=-1)
    noise = 3 * rng.standard_normal((len(X), N_SAMPLES))
    released = np.stack([noise, noise + 0.3 * rng.standard_normal((N_PEOPLE, N_SAMPLES))[subjects]], axis=1)
    known = {"subjects": subjects, "sessions": np.tile(np.arange(N_BEATS) // (N_BEATS // 2), N_PEOPLE)}
    return {"X": X[:, None], **known}, {"X": released[:, None]}


@pytest.fixture
def write(tmp_path):
    def write(original, released):
        np.savez(tmp_path / "original.npz", **original)
        np.savez(tmp_path / "released.npz", **released)
        return tmp_path / "original.npz", tmp_path / "released.npz"

    return write


def test_a_release_that_is_safe_lead_by_lead_and_not_together_is_red(arrays, write, run):
    original, released = arrays
    pair = write(original | {"lead_names": np.array(["I", "V1"])}, released)
    report, result, page = run(pair, "--max-reidentification", 0.9, codes=(3,))
    views = {view["lead"]: view["threats"][0] for view in report.lead_results if view["cut"] == AT_ORIGINAL}
    assert list(views) == [TOGETHER, "I", "V1"]
    assert [view["level"] for view in views.values()] == ["red", "green", "green"]
    for text in (result.stdout, page, result.stderr):
        assert f"{TOGETHER}, cut at the R peaks of the original" in text
    # The figures are those of the audit of arrays.
    known = {key: original[key] for key in ("subjects", "sessions")}
    of_arrays = audit_release(original["X"], released["X"], **known, **AUDIT).lead_results
    for mine, theirs in zip(views.values(), of_arrays, strict=True):
        assert mine["value"] == pytest.approx(theirs["threats"][0]["value"], rel=1e-6)
    assert "prdn of lead V1" in report.fidelity().index


def test_rows_of_several_beats_are_one_beat_a_row(arrays, write):
    original, released = arrays
    by_row = {key: original[key][:: N_BEATS // 2] for key in ("subjects", "sessions")}
    shape = (2 * N_PEOPLE, N_BEATS // 2, 2, N_SAMPLES)
    before, after = original["X"].reshape(shape).copy(), released["X"].reshape(shape).copy()
    before[3, 4], after[3, 4] = np.nan, np.nan
    before[5, 6, 1], after[5, 6, 1] = np.nan, np.nan
    times = np.tile(0.8 * np.arange(N_BEATS // 2), (2 * N_PEOPLE, 1))
    pair = read_release_pair(*write({"X": before, **by_row, "times": times}, {"X": after, "times": times + 1}))
    kept = np.delete(np.arange(len(original["X"])), 3 * (N_BEATS // 2) + 4)
    assert pair.original.shape == (len(kept), 1, 2, N_SAMPLES)
    lacks = np.isnan(pair.original).any(axis=3)[:, 0]
    assert np.argwhere(lacks).tolist() == [[5 * (N_BEATS // 2) + 6 - 1, 1]]
    for mine, theirs in ((pair.original, original["X"]), (pair.released, released["X"])):
        np.testing.assert_array_equal(mine[:, 0][~lacks], theirs[kept][:, 0][~lacks])
    assert pair.subjects.tolist() == original["subjects"][kept].astype(str).tolist()
    np.testing.assert_array_equal(pair.sessions, original["sessions"][kept])
    np.testing.assert_allclose(pair.released_times, times.reshape(-1)[kept] + 1)
    np.testing.assert_array_equal(pair.records, kept // (N_BEATS // 2))
    alone = read_release_views(*write({"X": before, **by_row, "times": times}, {"X": after})).views
    assert [(view.lead, len(view.original)) for view in alone if view.cut == AT_ORIGINAL] == [
        (TOGETHER, len(kept)),
        ("0", len(kept)),
        ("1", len(kept) - 1),
    ]


def test_one_lead_is_read_as_without_leads(arrays, write, run):
    original, released = arrays
    of_one = [side | {"X": side["X"][:, :, :1]} for side in (original, released)]
    flat = [side | {"X": side["X"][:, 0, 0]} for side in (original, released)]
    one, _, _ = run(write(*of_one))
    other, _, _ = run(write(*flat))
    assert one.lead_results == other.lead_results
    assert TOGETHER not in str(one)
    [view, *_] = read_release_views(*write(of_one[0] | {"lead_names": ["V1"]}, of_one[1])).views
    assert (view.lead, view.lead_names, view.original.ndim) == ("V1", None, 2)


def test_beats_that_are_moved_in_their_window(write):
    """All leads of a beat are moved by the same samples; they are moved back together, and each alone."""
    rng = np.random.default_rng(0)
    time = (np.arange(126) - 45) / 180
    shape = np.exp(-((time / 0.012) ** 2)) * np.array([[1.5], [0.8]]) + 0.1 * np.exp(-(((time - 0.2) / 0.04) ** 2))
    X = (shape + 0.01 * rng.standard_normal((80, 2, 126)))[:, None]
    by = rng.choice([-15, 12, 18], 80)
    moved = np.stack([np.roll(beat, n, axis=-1) for beat, n in zip(X, by, strict=True)])
    known = {"subjects": np.repeat(np.arange(8), 10), "sampling_rate": 180.0, "window": [0.25, 0.45]}
    views = read_release_views(*write({"X": X, **known}, {"X": moved})).views
    assert [(view.lead, view.cut) for view in views] == [
        (lead, cut) for lead in (TOGETHER, "0", "1") for cut in (AT_ORIGINAL, AT_RELEASE)
    ]
    np.testing.assert_allclose(views[1].released[..., 25:100], X[..., 25:100])
    np.testing.assert_allclose(views[5].released[:, 25:100], X[:, 0, 1, 25:100])
    assert "80 of 80 released beats have their R peak elsewhere" in views[0].remarks[0]
    assert len(read_release_views(*write({"X": X, **known}, {"X": X})).views) == 3


def test_bad_rows_are_named_or_left_out(arrays, write):
    original, released = arrays
    X = original["X"]
    X[3, 0, 1, 5] = np.nan
    released["X"][7, 0, 0] = 1.0
    released["X"][8, 0, 1, 0] = np.inf
    released["X"][9, 0, 1, 0] = 21.0
    X[11, 0, 0] = np.nan
    pair = write(original, released)
    with pytest.raises(ReleaseProblems) as caught:
        read_release_pair(*pair)
    assert len(caught.value.problems) == 5
    for words in (
        "the first is row 3",
        "row 7; expected a signal",
        "the first is row 8",
        "row 9",
        "other leads missing",
    ):
        assert words in str(caught.value)
    assert len(read_release_pair(*pair, on_error="skip").original) == len(X) - 5


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ({"lead_names": np.array(["I"])}, "key 'lead_names': has shape (1,)"),
        ({"lead_names": np.array([1, 2])}, "key 'lead_names': has shape (2,) and dtype int64; expected a text"),
        ({"lead_names": np.array(["I", "I"])}, "key 'lead_names': is 'I', 'I'; expected a different name"),
        ({"lead_names": np.array(["I", " "])}, "expected a different name for each lead, of printable"),
        ({"lead_names": np.array(["I", "a\x1b[2J"])}, "of printable characters"),
        ({"lead_names": np.array(["I", TOGETHER])}, "expected a different name"),
        ({"lead_names": np.array(["I", None], dtype=object)}, "pickled objects"),
        ({"X": np.zeros((240, 1, 300, 40))}, "which is 300 leads; expected"),
        ({"X": np.zeros((240, 1, 0, 40))}, "has shape (240, 1, 0, 40)"),
        ({"X": np.zeros((240, 0, 2, 40))}, "has shape (240, 0, 2, 40)"),
        ({"X": np.zeros((240, 1, 2, 1))}, "at least 2 samples"),
        ({"X": np.zeros((240, 1, 40))}, "has shape (240, 1, 40)"),
        ({"times": np.zeros((240, 2))}, "key 'times': has shape (240, 2); expected (240, 1)"),
        ({"times": np.zeros(239)}, "key 'times': has shape (239,); expected (240,)"),
        ({"subjects": np.zeros((240, 1))}, "key 'subjects': has shape (240, 1); expected (240,)"),
    ],
)
def test_hostile_files_are_refused(arrays, write, spoil, words):
    original, released = arrays
    with pytest.raises(ReleaseProblems) as caught:
        read_release_views(*write(original | spoil, released))
    assert words in str(caught.value)


def test_lead_names_are_one_on_both_sides(arrays, write):
    original, released = arrays
    names = {"lead_names": np.array(["I", "V1"])}
    with pytest.raises(ReleaseProblems, match=r"'lead_names': differs from the original in 2 of 2 leads"):
        read_release_views(*write(original | names, released | {"lead_names": np.array(["V1", "I"])}))
    with pytest.raises(ReleaseProblems, match=r"'lead_names': is missing, though the release has it"):
        read_release_views(*write(original, released | names))
    flat = {**original, "X": original["X"][:, 0, 0], "lead_names": np.array(["I"])}
    with pytest.raises(ReleaseProblems, match="has no leads by name"):
        read_release_views(*write(flat, {"X": released["X"][:, 0, 0]}))
    assert read_release_views(*write(original | names, released | names)).views[0].lead_names == ["I", "V1"]
