"""Whose a record is, by its path: of the layouts of real databases, of folders of people, and of others."""

from pathlib import Path

import numpy as np
import pytest

from skagile.cli._demo_job import SIZES, load_demo_beats
from skagile.datasets import fetch_directory
from skagile.records import DoubtfulIdentityError, subject_rule
from skagile.release import ReleaseProblems, read_release_pair


def subjects(*names, root=None):
    rule = subject_rule("auto", list(names), root)
    return [rule(name) for name in names]


def write(folder, *comments, seed=0):
    """A record of 10 s of pulses at `folder`, with header comments."""
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(2500) / 250
    signal = 1000 * np.exp(-((((t * (1 + 0.1 * seed)) % 1) - 0.5) ** 2) / 5e-4)
    signal.astype("<i2").tofile(f"{folder}.dat")
    lines = [f"{folder.name} 1 250 2500", f"{folder.name}.dat 16 1000/mV 16 0 0 0 0 II", *comments]
    Path(f"{folder}.hea").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("prefix", ["", "mimic-iv-ecg-1.0/", "files/"])
def test_mimic(prefix):
    names = [
        f"{prefix}p1000/p10001725/s41420867/41420867",
        f"{prefix}p1000/p10001725/s50895614/50895614",
        f"{prefix}p1000/p10002013/s42100000/42100000",
    ]
    assert subjects(*names) == ["p10001725", "p10001725", "p10002013"]
    assert subjects("p04/p044083/p044083-2112-05-04", "p04/p044083/p044083-2113-01-01", "p04/p044084/p044084-1") == [
        "p044083",
        "p044083",
        "p044084",
    ]
    assert subjects("waves/p100/p10014354/81739927/81739927", "waves/p100/p10019003/87033314/87033314") == [
        "p10014354",
        "p10019003",
    ]
    with pytest.raises(DoubtfulIdentityError, match=r"folders s\.\.\. are studies.*subjects='folder'"):
        subjects("s41420867/41420867", "s50895614/50895614")


@pytest.mark.parametrize(
    "names",
    [
        ["01/010/JS00001", "01/010/JS00002", "46/469/JS45551"],
        ["WFDBRecords/01/010/JS00001", "WFDBRecords/01/011/JS00104"],
        ["g1/A0001", "g1/A0002", "g2/A1000"],
        ["training/cpsc_2018/g1/A0001", "training/georgia/g1/E00001", "training/chapman_shaoxing/g1/JS00001"],
        ["g1/A0001", "g1/A0002"],
        ["100", "101", "201"],
        ["a01", "a02", "b01"],
    ],
)
def test_each_record_is_a_person(names):
    assert subjects(*names) == names


def test_parts_of_the_challenge_with_several_records_of_a_person():
    names = ["ptb-xl/g1/HR00001", "ptb-xl/g1/HR00002", "st_petersburg_incart/g1/I0001"]
    with pytest.warns(UserWarning, match=r"INCART, PTB-XL.*nothing says which.*subjects='folder'"):
        assert subjects(*names) == names


@pytest.mark.parametrize(
    ("names", "people"),
    [
        (["patient001/s0010_re", "patient001/s0014lre", "patient002/s0015lre"], ["patient001"] * 2 + ["patient002"]),
        ([f"Person_01/rec_{i}" for i in range(20)] + ["Person_02/rec_1"], ["Person_01"] * 20 + ["Person_02"]),
        (["sub-01/ses-1/ecg", "sub-01/ses-2/ecg", "sub-02/ses-1/ecg"], ["sub-01", "sub-01", "sub-02"]),
        (["p1/2019/r1", "p1/2020/r1", "p2/2019/r1"], ["p1", "p1", "p2"]),
        (["train/subject_1/r1", "train/subject_2/r1"], ["train/subject_1", "train/subject_2"]),
        (["p10/p10001725/x/1", "p10/p10002013/x/2"], ["p10/p10001725", "p10/p10002013"]),
        (["patient001/a", "patient001/b"], ["patient001"] * 2),
        (["anna/r1", "anna/r2", "ben/r1", "solo"], ["anna", "anna", "ben", "solo"]),
        (["cohort-001/s0", "cohort-001/s1", "cohort-002/s0"], ["cohort-001", "cohort-001", "cohort-002"]),
        (["3f2a9c7e/e1", "77ab01d0/e1", "77ab01d0/e2"], ["3f2a9c7e", "77ab01d0", "77ab01d0"]),
    ],
)
def test_folders_of_people(names, people):
    assert subjects(*names) == people


@pytest.mark.parametrize(
    "folders",
    [
        ("00000", "01000"),
        ("01", "02"),
        ("2019", "2020"),
        ("2019-12-31", "2020-01-01"),
        ("31.12.2019", "01.01.2020"),
        ("31-Dec-2019", "1-Jan-2020"),
        ("a01", "a02"),
        ("x1", "y1"),
        ("A", "B"),
        ("train", "test"),
        ("Training_set", "Validation_set"),
        ("batch1", "batch2"),
        ("batch-a", "batch-b"),
        ("part_1", "part_2"),
        ("records100", "records500"),
        ("site-03", "site-04"),
        ("Hospital A", "Hospital B"),
        ("normal", "afib"),
        ("male", "female"),
        ("ses-1", "ses-2"),
        ("visit 9", "visit 10"),
        ("anna/2019", "anna/2020"),
        ("anna/holter", "ben/holter"),
        ("left/ward3", "right/ward3"),
        ("siteA/patient001", "siteB/patient001"),
        ("anna", "anna/more"),
        ("g1", "g2"),
        ("S0000000", "S0010000"),
    ],
)
def test_folders_that_may_be_no_people(folders):
    names = [f"{folder}/rec{i}" for folder in folders for i in range(3)]
    with pytest.raises(DoubtfulIdentityError, match=r"[Ss]ay who is who: subjects='folder', 'record'") as caught:
        subjects(*names)
    assert any(folder in str(caught.value) for folder in folders)
    # Whoever says so gets what they say.
    assert [subject_rule("folder", names)(name) for name in names] == [name.rpartition("/")[0] for name in names]
    assert [subject_rule("record", names)(name) for name in names] == names


def test_few_folders_with_many_records():
    with pytest.raises(DoubtfulIdentityError, match="which hold 25 records each: perhaps of many people"):
        subjects(*(f"{folder}/e{i}" for folder in ("berlin", "potsdam") for i in range(25)))


def test_one_of_many_folders():
    with pytest.raises(DoubtfulIdentityError, match="such as 'export_2020'"):
        subjects("anna/r1", "ben/r1", "carl/r1", "export_2020/r1")
    with pytest.raises(DoubtfulIdentityError, match="such as 'controls'"):
        subjects("patient001/r1", "patient002/r1", "controls/r1")


# PTB-XL and its table

PTBXL = [f"records500/0{i // 3}000/0{i // 3}00{i}_hr" for i in range(1, 6)]
TABLE = "ecg_id,patient_id,age\n1,15709.0,56\n2,13243.0,19\n1003,20372.0,37\n1004,15709.0,56\n1005,17014.0,24\n"


@pytest.mark.parametrize("prefix", ["", "ptb-xl/1.0.3/"])
def test_ptbxl(tmp_path, prefix):
    names = [prefix + name for name in PTBXL]
    with pytest.raises(DoubtfulIdentityError, match=r"ptbxl_database\.csv.* is not there.*subjects='folder'"):
        subjects(*names, root=tmp_path)
    (tmp_path / prefix).mkdir(parents=True, exist_ok=True)
    (tmp_path / prefix / "ptbxl_database.csv").write_text(TABLE)
    expected = [f"ptbxl-{patient}" for patient in (15709, 13243, 20372, 15709, 17014)]
    assert subjects(*names, root=tmp_path) == expected
    assert subjects(*(name.replace("500/", "100/").replace("_hr", "_lr") for name in names), root=tmp_path) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TABLE.replace("1004,15709.0", "1006,15709.0"), "1 of 5 records are not in it, such as records500/01000/01004"),
        (TABLE.replace("patient_id", "patient"), "not the table of PTB-XL"),
        (TABLE.replace("15709.0", "?"), "not the table of PTB-XL"),
        (TABLE.replace("15709.0", "inf"), "not the table of PTB-XL"),
        ("\x00", "not the table of PTB-XL"),
    ],
)
def test_a_broken_table_of_ptbxl(tmp_path, text, words):
    (tmp_path / "ptbxl_database.csv").write_text(text)
    with pytest.raises(ValueError, match=words):
        subjects(*PTBXL, root=tmp_path)


# Records on disk


def test_records_201_and_202_of_mitdb_are_one_person(tmp_path):
    for name in ("200", "201", "202", "203"):
        write(tmp_path / name, "# 68 M 1960 2851 x1" if name in ("201", "202") else "# 64 M 1953 2851 x1")
    assert fetch_directory(tmp_path).subjects.tolist() == ["200", "201", "201", "203"]
    write(tmp_path / "202", "# 50 F")
    assert fetch_directory(tmp_path).subjects.tolist() == ["200", "201", "202", "203"]


def test_six_people_do_not_become_two(tmp_path):
    for side in ("original", "released"):
        for i in range(6):
            write(tmp_path / side / f"data/{i // 3}" / f"rec{i}", f"# sex: {'FM'[i % 2]}", seed=i)
    with pytest.raises(ValueError, match=r"6 records.*subject='folder'.*callable"):
        fetch_directory(tmp_path / "original")
    with pytest.raises(ValueError, match="On the command line: --subjects folder, or --subjects record"):
        load_demo_beats(str(tmp_path / "original"), SIZES["quick"], 0)
    with pytest.raises(ReleaseProblems, match=r"--subjects.*a table \(\.csv\)"):
        read_release_pair(tmp_path / "original", tmp_path / "released")
    pair = read_release_pair(tmp_path / "original", tmp_path / "released", subjects="record")
    assert len(set(pair.subjects)) == 6


@pytest.mark.parametrize(
    ("comments", "words"), [(("sex: F", "sex: M"), "both sexes"), (("age: 20", "age: 71"), "people aged 20 to 71")]
)
def test_headers_that_speak_against_it(tmp_path, comments, words):
    for side in ("original", "released"):
        for folder in ("berlin", "potsdam"):
            for i in range(2):
                write(tmp_path / side / folder / f"r{i}", f"# {comments[i]}", seed=i)
    with pytest.raises(DoubtfulIdentityError, match=rf"'berlin' was taken for one person.*{words}"):
        fetch_directory(tmp_path / "original")
    with pytest.raises(ReleaseProblems, match=words):
        read_release_pair(tmp_path / "original", tmp_path / "released")
    assert len(set(fetch_directory(tmp_path / "original", subject="folder").subjects)) == 2
