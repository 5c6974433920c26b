"""What attackers know: each kind of knowledge recognises what it should, and nothing where there is nothing."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.utils import Bunch

from skagile.audit import Estimators, Evidence, Size, audit_release

SIZE = Size(n_resamples=200, galleries=())
N_SUBJECTS, N_BEATS, N_SAMPLES = 12, 15, 40


def make_people(seed=0, *, noise=0.5, n_subjects=N_SUBJECTS):
    """Two sessions of beats of people who have a shape each."""
    rng = np.random.default_rng(seed)
    subjects = np.repeat(np.arange(n_subjects), 2 * N_BEATS)
    sessions = np.tile(np.repeat([0, 1], N_BEATS), n_subjects)
    shape = rng.normal(size=(n_subjects, N_SAMPLES))
    return Bunch(
        X=shape[subjects] + noise * rng.normal(size=(len(subjects), N_SAMPLES)), subjects=subjects, sessions=sessions
    )


@pytest.fixture(scope="module")
def people():
    return make_people()


def audit(people, released, **changes):
    options = {
        "subjects": people.subjects,
        "sessions": people.sessions,
        "attackers": {"lda": LinearDiscriminantAnalysis()},
        "size": SIZE,
    }
    return audit_release(people.X, released, **{**options, **changes})


def noise_like(people, seed=1):
    return np.random.default_rng(seed).normal(size=people.X.shape)


# ------------------------------------------------------------------------------------------------------- open set


def test_strangers_are_recognised_by_an_embedding_that_has_not_seen_them():
    # People differ in 4 dimensions of 40, which can be learnt from other people; the rest is loud noise.
    rng = np.random.default_rng(0)
    people = make_people(n_subjects=30)
    basis = np.linalg.qr(rng.normal(size=(N_SAMPLES, 4)))[0].T
    own = 5 * rng.normal(size=(30, 4)) @ basis
    nuisance = np.eye(N_SAMPLES) - basis.T @ basis
    X = own[people.subjects] + 3 * rng.normal(size=people.X.shape) @ nuisance
    X += 0.5 * rng.normal(size=(len(X), 4)) @ basis
    structured = Bunch(**{**people, "X": X})
    lda = {"lda": LinearDiscriminantAnalysis(n_components=4)}
    (row,) = audit(structured, X, knowledge="open_set", attackers=lda).attacks
    assert row["knowledge"] == "open_set"
    assert row["rank1"] > 0.5
    assert row["eer"] < 0.2
    # Cosines are not probabilities.
    assert row["information_bits"] is None
    assert row["n_probe"] == 30 * N_BEATS


@pytest.mark.parametrize("seed", range(3))
def test_strangers_are_at_the_floor_where_there_is_nothing(people, seed):
    (row,) = audit(people, noise_like(people, seed), knowledge="open_set").attacks
    assert row["rank1_low"] <= 1 / N_SUBJECTS <= row["rank1_high"]
    assert row["eer_low"] <= 0.5 <= row["eer_high"]


def test_no_probe_of_the_open_set_was_in_the_training():
    class Spy(LinearDiscriminantAnalysis):
        trained, embedded = [], []

        def fit(self, X, y):
            Spy.trained.append(set(y.tolist()))
            return super().fit(X, y)

    people = make_people(3)
    audit(people, people.X, attackers={"spy": Spy()}, knowledge="open_set")
    first, second = Spy.trained
    assert first | second == set(range(N_SUBJECTS))
    assert not first & second


# ------------------------------------------------------------------------------------- other databases, own anonymizer


def test_an_embedding_of_another_database_recognises(people):
    rng = np.random.default_rng(0)
    # In both databases people differ in the first 8 samples, and the other samples are loud noise.
    loud = np.where(np.arange(N_SAMPLES) < 8, 0.5, 20.0)
    other = make_people(7, n_subjects=40)
    other = other.X + loud * rng.normal(size=other.X.shape), other.subjects
    data = Bunch(**{**people, "X": people.X + loud * rng.normal(size=people.X.shape)})
    options = {"knowledge": "cross_database", "attackers": {"lda": LinearDiscriminantAnalysis(n_components=8)}}
    (row,) = audit(data, data.X, **options, evidence=Evidence(external=other)).attacks
    assert row["rank1"] > 0.5
    (row,) = audit(data, noise_like(people), **options, evidence=Evidence(external=other)).attacks
    assert row["rank1_low"] <= 1 / N_SUBJECTS <= row["rank1_high"]


def test_who_owns_the_anonymizer_recognises(people):
    # A keyed code of each person's shape: without the anonymizer's output on enrolled beats it says nothing.
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(N_SAMPLES, N_SAMPLES)))[0]

    def anonymize(seed):
        return people.X @ rotation + 0.1 * np.random.default_rng(seed).normal(size=people.X.shape)

    report = audit(people, anonymize(1), evidence=Evidence(auxiliary=anonymize(2)), knowledge=["static", "auxiliary"])
    found = report.summary().set_index("knowledge")["rank1"]
    assert found["static"] < 0.4
    assert found["auxiliary"] > 0.95


def test_missing_data_for_a_knowledge(people):
    report = audit(people, people.X, attackers=["svd"], knowledge="all", sampling_rate=None)
    assert set(report.summary()["knowledge"]) == {"clean", "static", "adaptive", "adaptive+denoise", "open_set"}
    assert dict(map(tuple, report.protocol["not_run"])).keys() == {
        "knowledge cross_database",
        "knowledge auxiliary",
        "front end band_pass",
        "presence",
        "disclosure",
    }
    with pytest.raises(ValueError, match="'cross_database', which cannot be tested: no people of another database"):
        audit(people, people.X, knowledge="cross_database")
    with pytest.raises(ValueError, match="'auxiliary', which cannot be tested"):
        audit(people, people.X, knowledge=["auxiliary"])
    few = make_people(n_subjects=3)
    with pytest.raises(ValueError, match="'open_set', which cannot be tested: it needs 4 people"):
        audit(few, few.X, knowledge="open_set")


@pytest.mark.parametrize(
    ("external", "words"),
    [
        (("X",), "external is tuple; expected a pair"),
        ((np.zeros((4, 3)), [1, 1, 2, 2]), r"external X has shape \(4, 3\); expected beats of 40 samples"),
        ((np.zeros((4, 40)), [1, 1, 2, 2]), "external X holds 4 flat beat"),
        ((np.ones((4, 40)) * np.arange(40), [1, 1, 2]), "external subjects has length 3"),
        ((np.ones((4, 40)) * np.arange(40), [1, 1, 1, 1]), "external subjects holds 1 distinct"),
    ],
)
def test_errors_of_external(people, external, words):
    with pytest.raises(ValueError, match=words):
        audit(people, people.X, evidence=Evidence(external=external))


def test_errors_of_auxiliary(people):
    with pytest.raises(ValueError, match=r"auxiliary has shape \(359, 40\), original \(360, 40\)"):
        audit(people, people.X, evidence=Evidence(auxiliary=people.X[1:]))


# ------------------------------------------------------------------------------------------------------- denoising


def test_a_denoiser_undoes_noise_that_hides_people():
    # Strong noise above what a person's slow shape needs.
    rng = np.random.default_rng(0)
    time = np.linspace(0, 1, 126)
    waves = np.stack([np.exp(-(((time - centre) / 0.08) ** 2)) for centre in (0.2, 0.36, 0.45, 0.7)])
    subjects = np.repeat(np.arange(10), 40)
    sessions = np.tile(np.repeat([0, 1], 20), 10)
    X = (rng.normal(size=(10, 4))[subjects] + 0.1 * rng.normal(size=(400, 4))) @ waves
    X += 0.01 * rng.normal(size=X.shape)
    fuzz = 1.5 * np.sin(2 * np.pi * (70 * time * 0.7 + rng.random((400, 1)))) * rng.choice([-1, 1], size=(400, 1))
    people = Bunch(X=X, subjects=subjects, sessions=sessions)
    report = audit(
        people,
        X + fuzz,
        attackers=["nearest_neighbour"],
        knowledge=["clean", "static", "adaptive+denoise"],
        sampling_rate=180.0,
    )
    found = report.summary().set_index("attacker")["rank1"]
    static = report.worst("static")["rank1"]
    assert found["nearest_neighbour (originals) + band_pass"] > static + 0.1
    assert {"nearest_neighbour + band_pass", "nearest_neighbour + learned"} <= set(found.index)


# -------------------------------------------------------------------------------------------------------- the headline


def test_the_headline_is_the_worst_and_is_corrected(people):
    released = people.X + 2 * noise_like(people)
    attackers = {f"lda{i}": LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.1 * i) for i in range(1, 6)}
    report = audit(people, released, attackers=attackers, knowledge=("clean", "static", "adaptive"))
    attacks = [row for row in report.attacks if row["knowledge"] != "clean"]
    single = report.headline["single"]
    assert single["value"] == max(row["rank1"] for row in attacks)
    assert single["n_attacks"] == 10
    worst = max(attacks, key=lambda row: row["rank1"])
    assert single["high"] >= worst["rank1_high"] - 1e-9
    assert report.headline["fused"]["value"] == max(row["fused_rank1"] for row in attacks)
    assert set(audit(people, released, knowledge="clean").headline) == {"presence", "copies", "disclosure"}


def test_fusion_of_given_numbers_of_beats(people):
    released = people.X + 3 * noise_like(people)
    (row,) = audit(people, released, knowledge="adaptive", size=replace(SIZE, fusion=(1, 4, 100, "all"))).attacks
    by_size = {entry["n_beats"]: entry["rank1"] for entry in row["fusion"]}
    assert by_size[1] == row["rank1"]
    assert by_size["all"] == by_size[100] == row["fused_rank1"]
    # Three full groups of four of the fifteen probes of each person.
    enrols = people.sessions == 0
    lda = LinearDiscriminantAnalysis().fit(released[enrols], people.subjects[enrols])
    scores = np.maximum(lda.predict_log_proba(released[~enrols]), np.log(1e-12))
    groups = scores.reshape(N_SUBJECTS, N_BEATS, -1)[:, :12].reshape(N_SUBJECTS, 3, 4, -1).mean(axis=2)
    assert by_size[4] == np.mean(groups.argmax(axis=2) == np.arange(N_SUBJECTS)[:, None])
    with pytest.raises(ValueError, match="fusion holds 0"):
        Size(fusion=(0,))


# ------------------------------------------------------------------------------------------------------- traits, tasks


def with_traits(people, strength, seed=0):
    rng = np.random.default_rng(seed)
    sex = np.where(np.arange(N_SUBJECTS) % 2, "F", "M")[people.subjects]
    wave = np.sin(np.linspace(0, 6, N_SAMPLES))
    return people.X + strength * (sex == "F")[:, None] * wave, sex, rng


def test_traits_are_inferred_of_people_not_trained_on(people):
    X, sex, _ = with_traits(make_people(n_subjects=12), 4.0)
    data = Bunch(**{**people, "X": X})
    options = {
        "attributes": {"sex": sex},
        "estimators": Estimators(attribute_estimator=LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5)),
    }
    caught = audit(data, X, **options, knowledge="clean").attribute_results
    assert [(row["trained_on"], row["tested_on"]) for row in caught] == [
        ("original", "original"),
        ("original", "released"),
        ("released", "released"),
    ]
    assert all(row["auroc"] > 0.95 > row["control"] for row in caught)
    safe = audit(data, noise_like(people), **options, knowledge="clean").attribute_results
    assert safe[2]["auroc_low"] <= 0.5 <= safe[2]["auroc_high"]


def test_numbers_are_split_at_their_median_and_gaps_left_out(people):
    age = np.where(np.arange(N_SUBJECTS) == 3, np.nan, 20.0 + np.arange(N_SUBJECTS))[people.subjects]
    report = audit(
        people,
        people.X,
        attributes={"age": age},
        estimators=Estimators(attribute_estimator=LinearDiscriminantAnalysis()),
        knowledge="clean",
    )
    row = report.attribute_results[0]
    assert (row["kind"], row["n_subjects"]) == ("numeric", N_SUBJECTS - 1)
    few = np.where(people.subjects < 3, "yes", "no")
    report = audit(people, people.X, attributes={"rare": few}, knowledge="clean")
    assert report.attribute_results == []
    assert ["attribute rare", "one of its two values is known of 3 people only"] in report.protocol["not_run"]
    with pytest.raises(ValueError, match=r"attributes\['group'\] holds 3 values"):
        audit(people, people.X, attributes={"group": np.array(list("abc"))[people.subjects % 3]}, knowledge="clean")
    with pytest.raises(ValueError, match=r"attributes\['age'\] has length 2"):
        audit(people, people.X, attributes={"age": [1, 2]}, knowledge="clean")


def test_the_three_risks_stand_beside_their_controls(people):
    caught = audit(people, people.X.copy(), knowledge=("clean", "adaptive")).gdpr
    safe = audit(people, noise_like(people), knowledge=("clean", "adaptive")).gdpr
    assert caught["singling_out"]["value"] == 1.0 > caught["singling_out"]["control"]
    assert safe["singling_out"]["low"] <= 1 / N_SUBJECTS <= safe["singling_out"]["high"]
    assert caught["linkability"]["high"] < 0.25 < safe["linkability"]["low"] <= 0.5 <= safe["linkability"]["high"]
    # No trait was given, and so none is inferred.
    assert caught["inference"] is None


def test_members_are_told_where_they_were_treated_otherwise(people):
    members = people.subjects % 2 == 0
    overfitted = people.X + np.where(members, 0.5, 0.05)[:, None] * noise_like(people)

    def by_features(released):
        return (
            audit(people, released, members=members, knowledge="clean").presence().set_index("attacker").loc["features"]
        )

    caught = by_features(overfitted)
    assert caught["auroc"] > 0.9 > caught["control"]
    assert (caught["n_members"], caught["n_others"]) == (6, 6)
    assert by_features(people.X + noise_like(people))["auroc"] < 0.9
    with pytest.raises(ValueError, match="differs between rows of one person"):
        audit(people, people.X, members=np.arange(len(people.X)) % 2 == 0)
    with pytest.raises(ValueError, match="members holds 1 people of the rarer kind"):
        audit(people, people.X, members=people.subjects == 0)


def test_tasks_are_judged_like_the_diagnosis(people):
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, len(people.X))
    X = people.X + 5 * label[:, None] * np.cos(np.linspace(0, 9, N_SAMPLES))
    data = Bunch(**{**people, "X": X})
    block = np.where(label == 1, "LBBB", "none").astype(object)
    block[::7] = None
    report = audit(
        data,
        noise_like(people),
        tasks={"block": block},
        estimators=Estimators(diagnostic_estimator=LinearDiscriminantAnalysis()),
        knowledge="clean",
    )
    found = {(row["trained_on"], row["tested_on"]): row for row in report.task_results}
    assert found["original", "original"]["accuracy"] > 0.95 > 0.7 > found["original", "released"]["accuracy"]
    row = found["original", "original"]
    assert row["task"] == "block"
    assert set(row["sensitivity"]) == set(row["predictivity"]) == {"LBBB", "none"}
    assert sum(row["support"].values()) == row["n_probe"] < N_SUBJECTS * N_BEATS
    with pytest.raises(ValueError, match=r"tasks\['block'\] has length 1"):
        audit(people, people.X, tasks={"block": ["x"]})


# --------------------------------------------------------------------------------------- recordings released as a whole


def coherent_release(people, seed):
    """A release in which each person's one recording is another pseudo-person's from end to end."""
    rng = np.random.default_rng(100 + seed)
    shape = rng.normal(size=(N_SUBJECTS, N_SAMPLES))
    return shape[people.subjects] + 0.5 * rng.normal(size=people.X.shape)


def sources(report):
    return report.threats().loc["sources"]


def test_halves_of_a_file_do_not_enrol_for_each_other(people):
    released = coherent_release(people, 0)
    misread = audit(people, released)  # as if the halves were two recordings
    assert sources(misread)["level"] == "red"
    assert max(row["rank1"] for row in misread.attacks if row["knowledge"] == "adaptive") > 0.9
    report = audit(people, released, evidence=Evidence(whole_records=True))
    assert {row["knowledge"] for row in report.attacks} == {"clean", "static"}
    assert sources(report)["level"] == "not tested"
    assert "auxiliary" in sources(report)["reason"]
    assert report.verdict != "green"
    assert sum("from end to end" in said for said in report.not_tested()) >= 1


@pytest.mark.parametrize("leaks", [False, True])
def test_another_release_enrols_in_its_place(people, leaks):
    """Red where the tool lets people through, and not where it draws a pseudo-person that has nothing of them."""
    released, auxiliary = (coherent_release(people, seed) + leaks * people.X for seed in (0, 1))
    evidence = Evidence(whole_records=True, auxiliary=auxiliary)
    report = audit(people, released, evidence=evidence)
    (row,) = [row for row in report.attacks if row["knowledge"] == "auxiliary"]
    if leaks:
        assert row["rank1_low"] > 2 / N_SUBJECTS
        assert sources(report)["level"] == "red"
    else:
        assert row["rank1_low"] <= 1 / N_SUBJECTS <= row["rank1_high"]
        assert sources(report)["level"] != "red"


@pytest.mark.parametrize("known", ["adaptive", "adaptive+denoise", "open_set"])
def test_enrolling_on_whole_recordings_by_name_is_refused(people, known):
    with pytest.raises(ValueError, match=f"{known.replace('+', '.')}.*cannot be tested.*from end to end"):
        audit(people, people.X, knowledge=["clean", known], evidence=Evidence(whole_records=True))
