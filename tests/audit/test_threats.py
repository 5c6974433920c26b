"""Presence, copies, disclosure and new patients: what was planted is found, and nothing where there is nothing."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.utils import Bunch

from skagile.audit import Estimators, Size, audit_release
from skagile.audit._settings import Settings
from skagile.audit.threats import _copies, _disclosure, _people, _presence

N_SUBJECTS, N_BEATS, N_SAMPLES = 24, 24, 40
SETTINGS = Settings(0, 0.95, 400, (1,), (), None, (0.25, 0.45))
LDA = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5)


def make_people(seed=0, *, n_subjects=N_SUBJECTS, n_beats=N_BEATS):
    """Beats of people with a shape each, of two diagnoses that hearts show; the first half of each person enrols."""
    rng = np.random.default_rng(seed)
    subjects = np.repeat(np.arange(n_subjects), n_beats)
    label = rng.integers(0, 2, len(subjects))
    wave = np.sin(np.linspace(0, 6, N_SAMPLES))
    X = wave + 0.7 * rng.normal(size=(n_subjects, N_SAMPLES))[subjects] + 0.3 * rng.normal(size=(len(label), N_SAMPLES))
    X += label[:, None] * np.cos(np.linspace(0, 6, N_SAMPLES))
    return Bunch(X=X, y=np.array(["N", "V"])[label], subjects=subjects, members=subjects % 2 == 0)


@pytest.fixture(scope="module")
def people():
    return make_people()


def noise_of(people, seed=5):
    return np.random.default_rng(seed).normal(size=people.X.shape)


def audit(people, released, **changes):
    options = {
        "y": people.y,
        "subjects": people.subjects,
        "members": people.members,
        "attackers": {"lda": LinearDiscriminantAnalysis()},
        "knowledge": ("clean", "adaptive"),
        "estimators": Estimators(diagnostic_estimator=LDA),
        "size": Size(n_resamples=400, galleries=()),
    }
    return audit_release(people.X, released, **{**options, **changes})


# ------------------------------------------------------------------------------------------------------ the verdict


def test_identity_is_red_and_noise_is_green(people):
    caught = audit(people, people.X.copy())
    assert caught.verdict()["level"] == "red"
    assert caught.threats()["level"].to_dict() | {"disclosure": "any"} == {
        **dict.fromkeys(("sources", "presence", "copies"), "red"),
        "disclosure": "any",
    }
    calm = audit(people, noise_of(people))
    assert calm.threats()["level"].tolist() == ["green"] * 4
    assert calm.verdict()["level"] == "green"
    for limit in ("max_presence_auroc", "max_copies", "max_disclosure"):
        assert calm.check(**{limit: 1.0})[0]["passed"]
        assert not calm.check(**{limit: 0.0})[0]["passed"]
    # The same noise, but nobody outside is named: half of the threats are untested.
    untested = audit(people, noise_of(people), members=None)
    assert untested.verdict()["level"] == "amber"
    assert untested.verdict()["headline"] == "Not all threats were tested: presence, disclosure."
    assert any("who is in the release (presence) (nobody outside" in gap for gap in untested.not_tested())


def test_a_mixture_of_real_beats_is_red_whoever_s_rows_they_are(people):
    """.95 of a member's beat and .05 of another's, of the same diagnosis: as k-same was until November 2026."""
    rng = np.random.default_rng(0)
    enrols = np.tile(np.arange(N_BEATS) < N_BEATS // 2, N_SUBJECTS)
    released = np.empty_like(people.X)
    for kind in np.unique(people.y):
        rows, donors = np.flatnonzero(people.y == kind), np.flatnonzero(people.members & enrols & (people.y == kind))
        first, second = rng.choice(donors, (2, len(rows)))
        released[rows] = 0.95 * people.X[first] + 0.05 * people.X[second]
    report = audit(people, released)
    found = report.threats()
    assert found.loc[["presence", "copies"], "level"].tolist() == ["red", "red"]
    assert found.loc["presence", "value"] > 0.9
    assert found.loc["copies", "value"] > 0.9
    assert report.verdict()["level"] == "red"
    assert "Who is in this release can be told." in report.verdict()["headline"]


# --------------------------------------------------------------------------------------------------------- presence


def test_presence_is_half_where_the_release_knows_nobody():
    """Mean over many ways of picking members, of a release that is fixed: no attack is biased to either side."""
    people, areas = make_people(1, n_subjects=16, n_beats=6), []
    released = make_people(2, n_subjects=16, n_beats=6).X
    enrols = np.tile(np.arange(6) < 3, 16)
    rng = np.random.default_rng(0)
    for _ in range(60):
        inside = np.isin(np.arange(16), rng.permutation(16)[:8])
        of_row = inside[people.subjects]
        found = _presence.find_presence(
            "",
            members=inside,
            original=people.X,
            released=released,
            subject=people.subjects,
            published=np.arange(len(released)),
            reference=np.flatnonzero(enrols & ~of_row),
            held=np.flatnonzero(~enrols),
            seed=0,
        )
        areas.append([np.mean(scores["against"] > scores["alone"][~inside]) for scores in found.values()])
    mean, error = np.mean(areas, axis=0), np.std(areas, axis=0) / np.sqrt(len(areas))
    assert (np.abs(mean - 0.5) < 4 * error + 1e-9).all()
    assert (error < 0.03).all()


def test_presence_is_seen_through_what_is_common(people):
    """Beats near to released ones because they are common say nothing; the calibrated attack knows it."""
    rng = np.random.default_rng(0)
    enrols = np.tile(np.arange(N_BEATS) < N_BEATS // 2, N_SUBJECTS)
    # Each released beat is one member's, with noise: found from other recordings, too.
    blurred = people.X + 0.3 * rng.normal(size=people.X.shape)
    found = audit(people, blurred, knowledge="clean").presence().set_index(["attacker", "knowledge"])
    assert found.loc[("nearest, mean", "own beats"), "auroc_low"] > 0.8
    assert found.loc[("nearest, mean", "other recordings"), "auroc_low"] > 0.8
    assert found.loc[("nearest, mean", "own beats"), "tpr_fpr_1e2"] == 1
    assert (found["control"] <= found["worst_control"]).all()
    assert set(found["n_members"]) == set(found["n_others"]) == {12}
    # Rows of people outside are not published: what stands there changes nothing for who attacks the release.
    other = np.where((people.members & enrols)[:, None], blurred, rng.normal(size=people.X.shape))
    again = audit(people, other, knowledge="clean").presence().set_index(["attacker", "knowledge"])
    # The features' rows are others, and with them the area that the worst of all attacks has by luck.
    calibrated = [table.iloc[:-1].drop(columns="worst_control") for table in (again, found)]
    assert calibrated[0].equals(calibrated[1])


def test_scores_are_log_ratios_of_densities():
    """Against the definition, written out for one beat and one person left out."""
    rng = np.random.default_rng(0)
    far, near, beat = rng.normal(size=(12, 3)), rng.normal(size=(9, 3)), rng.normal(size=(1, 3))
    starts, width = np.array([0, 4, 7, 10]), 0.7
    owner = np.repeat(np.arange(4), [4, 3, 3, 2])

    def kernel(others):
        return np.exp(-((beat - others) ** 2).sum(axis=1) / (2 * width**2))

    def distance(others):
        return np.sqrt(((beat - others) ** 2).sum(axis=1)).min()

    for own in (None, 2):
        scores = _presence._score(beat, near, far, starts, own, width)
        for left_out in range(4):
            kept = [person for person in range(4) if person not in (left_out, own)]
            reference = np.mean([kernel(far[owner == person]).mean() for person in kept])
            by_kernel = np.log(kernel(near).mean()) - np.log(reference)
            by_nearest = np.log(distance(far[np.isin(owner, kept)])) - np.log(distance(near))
            assert scores["kernel, mean"][left_out] == pytest.approx(by_kernel)
            assert scores["nearest, mean"][left_out] == pytest.approx(by_nearest)
            assert scores["nearest, best"][left_out] == pytest.approx(by_nearest)


def test_shuffled_people_give_the_null_of_mann_and_whitney():
    rng = np.random.default_rng(0)
    inside = np.arange(40) < 20
    one, worst = _presence.shuffled([rng.normal(size=40)], inside, 0)
    # Normal with variance (n + m + 1) / (12 n m).
    assert one[0] == pytest.approx(0.5 + 1.645 * np.sqrt(41 / (12 * 400)), abs=0.02)
    assert worst == one[0]
    many, worst = _presence.shuffled(list(rng.normal(size=(8, 40))), inside, 0)
    assert worst > many.max()


# ----------------------------------------------------------------------------------------------------------- copies


def copies(original, released, subject, y=None):
    report = audit_release(
        original,
        released,
        y,
        subjects=subject,
        attackers={"lda": LinearDiscriminantAnalysis()},
        knowledge="clean",
        estimators=Estimators(diagnostic_estimator=None),
        size=Size(n_resamples=200, galleries=()),
    )
    return report.copies().set_index("distance")


def test_planted_copies_are_counted(people):
    rng = np.random.default_rng(0)
    for share in (0.0, 0.3, 1.0):
        released = noise_of(people)
        copied = rng.random(len(released)) < share
        # Of somebody else, a little changed, half as large and with an offset.
        other = people.X[rng.permutation(len(released))] + 0.05 * rng.normal(size=released.shape)
        released[copied] = 0.5 * other[copied] + 1
        found = copies(people.X, released, people.subjects, people.y)
        assert found.loc["shape", "share"] == pytest.approx(copied.mean(), abs=0.05)
        assert (found.loc["shape", "share_low"] > 0.05) == (share > 0)
    assert (copies(people.X, people.X, people.subjects, people.y)["share"] == 1).all()


@pytest.mark.parametrize("seed", range(3))
def test_strangers_are_at_the_null(seed):
    """A release of beats of people who are not in the cohort: 5 % are as near as the nearest 5 % of strangers'."""
    n_people = 40
    people, others = (make_people(10 * seed + i, n_subjects=n_people) for i in (1, 2))
    found = copies(people.X, others.X, people.subjects, people.y)
    assert (found["share_low"] <= 0.05).all()
    assert found["share"].between(0.01, 0.12).all()
    assert (found["null"] == 0.05).all()


def test_an_average_of_everybody_is_no_copy(people):
    """It is near to everybody's beats, nearer than strangers are, and to nobody's more than to others'."""
    average = np.stack([people.X[people.y == label].mean(axis=0) for label in people.y])
    average += 0.01 * noise_of(people)
    found = copies(people.X, average, people.subjects, people.y)
    assert found.loc["shape", "share"] < 0.05
    nearest = _copies.find_nearest(
        "",
        original=people.X,
        released=average,
        subject=people.subjects,
        published=np.arange(len(average)),
        scale="shape",
    )
    # By distance alone it would count as copied.
    limit = np.quantile(nearest["strangers"][:, 0], 0.05)
    assert np.mean(nearest["released"][:, 0] < limit) > 0.5


def test_distances_are_those_of_one_pair_at_a_time(people, monkeypatch):
    some = np.arange(0, len(people.X), 9)
    options = {"original": people.X, "released": noise_of(people), "subject": people.subjects, "published": some}
    at_once = _copies.find_nearest("", **options, scale="millivolts")
    monkeypatch.setattr(_copies, "_BLOCK", 1)
    for name, found in _copies.find_nearest("", **options, scale="millivolts").items():
        np.testing.assert_allclose(found, at_once[name], rtol=1e-10)
    centred = people.X - people.X.mean(axis=1, keepdims=True)
    for place, row in enumerate(some[:10]):
        apart = np.sqrt(((centred[row] - centred) ** 2).mean(axis=1))
        by_person = sorted(apart[people.subjects == one].min() for one in range(N_SUBJECTS) if one != row // N_BEATS)
        assert at_once["strangers"][place] == pytest.approx([by_person[0], by_person[0] ** 2 - by_person[1] ** 2])
    # What is twice as near to one person as to any other leads most.
    exact = _copies.find_nearest("", **{**options, "released": people.X}, scale="shape")["released"]
    assert (exact[:, 0] < 1e-6).all()
    assert (exact[:, 1] == -np.inf).all()


def test_few_people_have_no_strangers():
    few = make_people(n_subjects=4)
    report = audit_release(few.X, few.X, subjects=few.subjects, attackers=["svd"], knowledge="clean")
    assert report.copies_results == []
    assert any("(copies) (it needs 5 people" in gap for gap in report.not_tested())


# ------------------------------------------------------------------------------------------------------- disclosure


def test_a_coin_beside_the_originals_is_disclosed_and_beside_noise_is_not(people):
    coin = np.random.default_rng(3).integers(0, 2, N_SUBJECTS)
    flips = Bunch(**{**people, "y": np.array(["heads", "tails"])[coin[people.subjects]]})
    found = audit(flips, people.X.copy(), knowledge="clean").disclosure().set_index("attacker")
    assert (found["advantage_low"] > 0).all()
    assert (found["accuracy_inside"] > 0.9).all()
    # Each person has one flip: their beats are put together.
    assert found["pooled"].all()
    report = audit(flips, noise_of(people), knowledge="clean")
    assert report.threats().loc["disclosure", "level"] == "green"
    # A fact beside the beats is disclosed as the diagnosis is.
    report = audit(people, people.X.copy(), knowledge="clean", tasks={"coin": flips.y})
    worst = report.headline["disclosure"]
    assert worst["what"].startswith("coin, ")
    assert worst["low"] > 0


def test_a_mix_of_labels_is_no_advantage():
    """Members have nearly all one label: who always says it is right of them, and no figure comes of it."""
    rng = np.random.default_rng(0)
    inside = np.arange(40) < 20
    person = np.repeat(np.arange(40), 10)
    truth = (rng.random(400) < np.where(inside, 0.05, 0.6)[person]).astype(int)
    for said in (np.zeros(400, dtype=int), np.ones(400, dtype=int)):
        row = _row_of(said, truth, person, inside)
        assert row.value == 0
        assert row.low <= 0 <= row.high
    # Right of members in 95 %, of others in 40 %: that is what is not counted.
    assert np.mean(truth[inside[person]] == 0) > 0.9 > 0.5 > np.mean(truth[~inside[person]] == 0)


def test_disclosure_is_the_mean_over_labels_and_people():
    inside = np.arange(8) < 4
    person = np.repeat(np.arange(8), 4)
    truth = np.tile([0, 0, 0, 1], 8)
    said = truth.copy()
    said[person >= 4] = 0  # outside, the rare label is never read
    row = _row_of(said, truth, person, inside)
    assert row.value == 0.5
    assert row.detail["labels"] == {"N": 0.0, "V": 1.0}
    assert (row.detail["accuracy_inside"], row.detail["accuracy_outside"]) == (1.0, 0.5)


def test_labels_of_few_people_are_left_out():
    inside = np.arange(12) < 6
    person = np.repeat(np.arange(12), 3)
    truth = np.where((person < 2) | (person > 8), 1, 0)
    row = _row_of(truth, truth, person, inside)
    assert row.detail["left_out"] == ["V"]
    assert list(row.detail["labels"]) == ["N"]


def _row_of(said, truth, person, inside):
    times_drawn = _disclosure.metrics.draw_sides(inside, SETTINGS.n_resamples, 0)
    read = {"said": said, "truth": truth, "person": person}
    return _disclosure._row(None, "reader", read, ["N", "V"], inside, times_drawn, SETTINGS)


def test_what_cannot_be_disclosed_is_listed(people):
    one = np.full(len(people.X), "N")
    report = audit(people, people.X, y=one, estimators=Estimators(diagnostic_estimator=None), knowledge="clean")
    assert report.disclosure_results == []
    assert ["disclosure of diagnosis", "the published release has one label only"] in report.protocol["not_run"]
    rare = np.where((people.subjects == 0) & (np.arange(len(people.X)) % 2 == 0), "V", "N")
    rare[people.members & (rare == "N")] = "W"
    report = audit(people, people.X, y=rare, estimators=Estimators(diagnostic_estimator=None), knowledge="clean")
    assert any(why.startswith("no label is had by 3 people") for _, why in report.protocol["not_run"])
    assert report.threats().loc["disclosure", "level"] == "not tested"


def test_the_worst_row_is_corrected_for_being_picked():
    rng = np.random.default_rng(0)
    rows = []
    for number in range(6):
        draws = np.clip(0.5 + 0.1 * rng.normal(size=2000), 0, 1)
        rows.append(_people.PeopleRow(f"{number}", 0.0, None, None, 0.0, ".", {}, 0.5, draws, 40, 400, signed=True))
    one, all_ = (_people.worst_of(some, SETTINGS) for some in (rows[:1], rows))
    assert all_["low"] < one["low"] < 0 < one["high"]
    assert one["low"] == pytest.approx(2 * (0.5 - 2.02 * 0.1) - 1, abs=0.03)
    assert _people.worst_of([], SETTINGS) is None


# ----------------------------------------------------------------------------------------------------- new patients


def test_new_patients_are_the_use(people):
    """The release teaches what its labels say: turned round, they are wrong of new patients and right of its own."""
    new = make_people(9)
    upside_down = people.X - 2 * (people.y == "V")[:, None] * np.cos(np.linspace(0, 6, N_SAMPLES))
    report = audit(people, upside_down, knowledge="clean", new_patients=(new.X, new.y, new.subjects))
    found = report.utility().set_index(["trained_on", "tested_on"])
    assert found.loc[("original", "new patients"), "accuracy"] > 0.9
    assert found.loc[("released", "new patients"), "accuracy"] < 0.6
    assert found.loc[("released", "released"), "accuracy"] > 0.8
    assert found.loc[("released", "new patients"), "tells"] == "use on new patients"
    assert found.loc[("released", "original"), "tells"] == "recall of the cohort"
    assert found.loc[("released", "new patients"), "n_subjects"] == N_SUBJECTS
    enrols = np.tile(np.arange(N_BEATS) < N_BEATS // 2, N_SUBJECTS)
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5).fit(people.X[enrols], people.y[enrols])
    assert found.loc[("original", "new patients"), "accuracy"] == pytest.approx(model.score(new.X, new.y))
    assert any("one trained on the originals" in sentence for sentence in report.verdict()["sentences"])
    assert not any("use on new patients" in gap for gap in report.not_tested())
    assert any("use on new patients" in gap for gap in audit(people, people.X, knowledge="clean").not_tested())


def test_without_their_people_intervals_are_over_beats(people, tmp_path):
    new = make_people(9)
    known = audit(people, people.X, knowledge="clean", new_patients=(new.X, new.y, new.subjects))
    beats = audit(people, people.X, knowledge="clean", new_patients=(new.X, new.y))
    rows = [report.utility_results[2] for report in (known, beats)]
    assert [row["interval_over"] for row in rows] == ["people", "beats"]
    assert [row["n_subjects"] for row in rows] == [N_SUBJECTS, None]
    assert rows[0]["accuracy"] == rows[1]["accuracy"]
    assert any("intervals are over beats" in note for note in beats.notes())
    assert not any("intervals are over beats" in note for note in known.notes())
    again = type(beats).from_json(beats.to_json(tmp_path / "audit.json"))
    assert again.to_dict() == beats.to_dict()
    again.to_html(tmp_path / "audit.html")


def test_new_patients_may_be_records(people):
    new = make_people(9)
    records = new.X.reshape(N_SUBJECTS, N_BEATS, N_SAMPLES).copy()
    records[0, 3:] = np.nan
    one_label = np.where(np.arange(N_SUBJECTS) % 2, "N", "V")
    report = audit(people, people.X, knowledge="clean", new_patients=(records, one_label, np.arange(N_SUBJECTS)))
    assert report.utility_results[2]["n_probe"] == N_SUBJECTS * N_BEATS - (N_BEATS - 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda X, y: (X,), r"new_patients is tuple of length 1; expected \(X, y\) or \(X, y, subjects\)"),
        (lambda X, y: (X[:, 1:], y), r"new_patients X has shape \(576, 39\); expected beats of 40 samples"),
        (lambda X, y: (X, y[1:]), "new_patients y has length 575, new_patients X has 576 rows"),
        (lambda X, y: (X, y, y[1:]), "new_patients subjects has length 575"),
        (lambda X, y: (X, np.where(y == "V", "S", y)), "new_patients y holds 'S', which y does not; known are N, V"),
        (lambda X, y: (np.full_like(X, np.nan), y), "new_patients X holds NaN"),
        (lambda X, y: (X[:1], y[:1]), r"new_patients X holds 1 beat\(s\)"),
    ],
)
def test_errors_of_new_patients(people, change, words):
    with pytest.raises(ValueError, match=words):
        audit(people, people.X, new_patients=change(people.X, people.y))


def test_new_patients_need_a_diagnosis(people):
    for changes in ({"y": None}, {"estimators": Estimators(diagnostic_estimator=None)}):
        with pytest.raises(ValueError, match="new_patients was given, but no diagnosis"):
            audit(people, people.X, new_patients=(people.X, people.y), **changes)
