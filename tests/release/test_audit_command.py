"""``skagile audit`` as a user meets it: exit codes, files, and what is on which stream."""

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from skagile.audit import AuditReport, Estimators
from skagile.cli import _audit_job, main

CHEAP = {
    "quick": _audit_job.AuditSize(
        read={"max_beats": 12},
        audit={
            "attackers": ("svd",),
            "knowledge": ("clean", "adaptive"),
            "estimators": Estimators(diagnostic_estimator=None),
        },
    )
}


@pytest.fixture(autouse=True)
def _cheap(monkeypatch, tmp_path):
    monkeypatch.setattr(_audit_job, "SIZES", _audit_job.SIZES | CHEAP)
    monkeypatch.setenv("SKAGILE_HOME", str(tmp_path / "home"))


def run(*arguments):
    return CliRunner().invoke(main, ["audit", "--quick", *map(str, arguments)])


def test_a_sound_pair_is_audited(pair, tmp_path):
    files = {kind: tmp_path / f"out.{kind}" for kind in ("html", "json", "csv")}
    result = run(
        pair.original, pair.released, "--report", files["html"], "--json", files["json"], "--csv", files["csv"]
    )
    assert result.exit_code == 0, result.output
    for word in ("svd", "clean", "adaptive", "single beat %", "Saved", *map(str, files.values())):
        assert word in result.stdout
    assert result.stderr == ""
    report = AuditReport.from_json(files["json"])
    assert report.protocol["n_subjects"] == 6
    assert report.protocol["n_beats"] == 6 * 2 * 12
    assert report.protocol["sampling_rate"] == 250.0
    assert report.protocol["input"]["labels"] == "aami"
    assert report.protocol["input"]["size"] == "quick"
    assert report.protocol["thresholds"] == []
    assert files["html"].read_text().startswith("<!")
    assert len(pd.read_csv(files["csv"])) == 2
    # A report may be passed on: it says how it was made, and names no folder and no person.
    assert "cohort-001" not in files["json"].read_text()
    assert str(tmp_path) not in files["json"].read_text()


def test_the_same_command_gives_the_same_figures(pair, tmp_path):
    figures = []
    for name, jobs in (("a", 1), ("b", 2)):
        out = tmp_path / f"{name}.json"
        assert run(pair.original, pair.released, "--json", out, "--jobs", jobs, "--no-cache").exit_code == 0
        figures.append(json.loads(out.read_text())["attacks"])
    assert len(figures[0]) == len(figures[1])
    # Matrices are multiplied by another number of threads, which moves the last digits of single precision.
    for one, other in zip(*figures, strict=True):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert other[key] == (pytest.approx(value, rel=1e-4) if isinstance(value, float) else value)


def test_figures_are_those_of_the_python_interface(pair, tmp_path):
    from skagile.audit import audit_release
    from skagile.release import read_release_pair

    out = tmp_path / "out.json"
    assert run(pair.original, pair.released, "--json", out, "--labels", "none", "--seed", 3).exit_code == 0
    beats = read_release_pair(pair.original, pair.released, labels=None, max_beats=12, random_state=3)
    report = audit_release(
        beats.original,
        beats.released,
        subjects=beats.subjects,
        sessions=beats.sessions,
        attackers=["svd"],
        knowledge=("clean", "adaptive"),
        random_state=3,
    )
    assert json.loads(out.read_text())["attacks"] == report.to_dict()["attacks"]


def test_options_reach_the_reader(pair, tmp_path):
    table = tmp_path / "people.csv"
    names = [path.relative_to(pair.original).with_suffix("").as_posix() for path in pair.original.rglob("*.hea")]
    table.write_text("record,subject\n" + "".join(f"{name},{name[-4:-3]}\n" for name in names))
    out = tmp_path / "out.json"
    result = run(
        *(pair.original, pair.released, "--json", out, "--subjects", table, "--sessions", "half", "--lead", "II"),
        *(
            "--guard",
            1,
            "--labels",
            "none",
            "--r-peaks",
            "annotated",
            "--sampling-rate",
            "125",
            "--band",
            "1",
            "30",
            "--max-beats",
            7,
        ),
    )
    assert result.exit_code == 0, result.output
    protocol = json.loads(out.read_text())["protocol"]
    assert protocol["input"] == {
        "kind": "wfdb",
        "n_records": 12,
        "n_problems_skipped": 0,
        "lead": "II",
        "r_peaks": "annotated",
        "band": [1.0, 30.0],
        "window": [0.25, 0.45],
        "labels": None,
        "sessions": "half",
        "guard": 1.0,
        "dropped": protocol["input"]["dropped"],
        "size": "quick",
    }
    assert (protocol["sampling_rate"], protocol["n_beats"], protocol["n_samples"]) == (125.0, 6 * 2 * 7, 87)
    assert run(pair.original, pair.released, "--json", out, "--band", 0, 0, "--lead", "-1").exit_code == 0
    assert json.loads(out.read_text())["protocol"]["input"]["band"] is None


# Thresholds


@pytest.mark.parametrize(
    ("option", "measure", "words"),
    [
        ("--max-reidentification", "rank1", "from a single released beat"),
        ("--max-fused", "fused_rank1", "from all released beats of a person"),
    ],
)
def test_it_is_the_upper_end_that_counts(pair, tmp_path, option, measure, words):
    out = tmp_path / "out.json"
    assert run(pair.original, pair.released, "--json", out).exit_code == 0
    headline = AuditReport.from_json(out).headline["single" if measure == "rank1" else "fused"]
    assert headline["low"] <= headline["value"] <= headline["high"]
    just_above = min(1.0, np.nextafter(headline["high"], 2))
    assert run(pair.original, pair.released, option, repr(float(just_above))).exit_code == 0
    out.unlink()
    result = run(pair.original, pair.released, option, repr(float(headline["high"] - 1e-9)), "--json", out)
    assert result.exit_code == 3
    [line] = [line for line in result.stderr.splitlines() if line]
    for word in (
        words,
        option,
        headline["attacker"],
        f"{100 * headline['value']:.1f} %",
        f"{100 * headline['high']:.1f} %",
    ):
        assert word in line
    [check] = json.loads(out.read_text())["protocol"]["thresholds"]
    assert check["limit"] == headline["high"] - 1e-9
    assert (check["value"], check["high"], check["passed"]) == (headline["value"], headline["high"], False)


def test_a_limit_that_nobody_measured_is_not_kept(pair, tmp_path):
    # make_pair's records tell no sex: no trait is inferred.
    result = run(pair.original, pair.released, "--max-attribute-auroc", "0.9", "--quick")
    assert result.exit_code == 3
    assert "nothing was measured to hold against the 90.0 % of --max-attribute-auroc" in result.stderr


@pytest.mark.parametrize("n_people", [4, 12])
def test_a_limit_that_cannot_be_judged_is_not_kept(tmp_path, n_people):
    """Beats of 4 people, and rows in another order: code 3 whatever the limit, and 0 where none was asked for."""
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(n_people), 12)
    X = rng.normal(size=(n_people, 60))[subjects] + 0.1 * rng.normal(size=(len(subjects), 60))
    order = np.arange(len(X)) if n_people == 4 else rng.permutation(len(X))
    np.savez(tmp_path / "original.npz", X=X, subjects=subjects)
    np.savez(tmp_path / "released.npz", X=(X if n_people == 12 else rng.normal(size=X.shape))[order])
    pair = tmp_path / "original.npz", tmp_path / "released.npz"
    words = "too few for a verdict" if n_people == 4 else "rows do not correspond"
    result = run(*pair)
    assert result.exit_code == 0, result.output
    assert words in result.stdout
    assert "green" not in result.stdout.lower()
    result = run(*pair, "--max-reidentification", 1)
    assert result.exit_code == 3
    assert f"cannot be judged ({words}" in result.stderr


def test_a_lower_limit_is_held_against_the_lower_end(pair, tmp_path):
    out = tmp_path / "out.json"
    assert run(pair.original, pair.released, "--min-eer", 0, "--json", out).exit_code == 0
    [check] = json.loads(out.read_text())["protocol"]["thresholds"]
    result = run(pair.original, pair.released, "--min-eer", repr(check["low"] + 1e-9))
    assert result.exit_code == 3
    assert "its lower end is below" in result.stderr


def test_one_table_of_limits(pair, tmp_path, monkeypatch):
    """A limit that is put into the audit's table is an option, and its sentence says why it is not kept."""
    from skagile.audit.report import LIMITS
    from skagile.audit.report._limits import Limit, Measured

    measured = Measured("a coin", 0.5, 0.3, 0.7)
    assert "--max-luck" not in run("--help").output
    luck = Limit("max_luck", "LUCK", "Luck of coins.", "luck, at most", "the coin fell right in", lambda _: measured)
    monkeypatch.setitem(LIMITS, "max_luck", luck)
    [line] = [line for line in run("--help").output.splitlines() if "--max-luck" in line]
    assert line.split() == ["--max-luck", "LUCK", "Luck", "of", "coins.", "[0<=x<=1]"]
    result = run(pair.original, pair.released, "--max-luck", 0.6, "--json", tmp_path / "out.json")
    assert result.exit_code == 3
    assert result.stderr.strip() == (
        "Not kept: the coin fell right in 50.0 % (a coin), with an interval from 30.0 % to 70.0 %; its upper end is "
        "above the 60.0 % of --max-luck."
    )
    [check] = json.loads((tmp_path / "out.json").read_text())["protocol"]["thresholds"]
    assert (check["name"], check["passed"]) == ("max_luck", False)


def test_help_groups_the_options():
    lines = run("--help").output.splitlines()
    headings = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["Reports:", "Limits (exit code 3 where one is not kept):", "Reading:", "Work:", "Other:"]
    assert max(map(len, lines)) <= 80


# Input that cannot be audited


def test_problems_are_one_list_and_no_file(pair, tmp_path):
    records = sorted(pair.released.rglob("*.hea"))
    records[0].with_suffix(".dat").write_bytes(b"")
    records[1].unlink()
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    before = sorted(tmp_path.rglob("*"))
    result = run(pair.original, pair.released, "--json", out, "--report", page)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: 2 problems:\n  1. ")
    for header in records[:2]:
        assert str(header.with_suffix("")) in result.stderr
    assert "--skip-bad" in result.stderr
    assert "nothing was written" in result.stderr
    assert sorted(tmp_path.rglob("*")) == before
    skipped = run(pair.original, pair.released, "--json", out, "--report", page, "--skip-bad")
    assert skipped.exit_code == 0
    assert "2 left out:" in skipped.stderr
    assert str(records[1]) in skipped.stderr
    assert json.loads(out.read_text())["protocol"]["input"]["n_problems_skipped"] == 2


def test_old_reports_survive_bad_input(pair, tmp_path):
    out = tmp_path / "out.json"
    out.write_text("old")
    pair.dat.write_bytes(b"")
    assert run(pair.original, pair.released, "--json", out).exit_code == 1
    assert out.read_text() == "old"


def test_all_reports_or_none(pair, tmp_path, monkeypatch):
    def fail(self, path, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(AuditReport, "to_json", fail)
    before = sorted(tmp_path.rglob("*"))
    result = run(
        pair.original, pair.released, "--report", tmp_path / "o.html", "--json", tmp_path / "o.json", "--no-cache"
    )
    assert result.exit_code == 1
    assert "disk full" in result.stderr
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--max-reidentification", "5"], "--max-reidentification"),
        (["--max-fused", "-1"], "--max-fused"),
        (["--jobs", "0"], "--jobs"),
        (["--jobs", "-2"], "--jobs"),
        (["--labels", "colours"], "--labels"),
        (["--sampling-rate", "0"], "--sampling-rate"),
        (["--report", "no-such-folder/out.html"], "'no-such-folder' does not exist"),
        (["--json", "x.json", "--csv", "x.json"], "the output --json too"),
        (["--json", "ORIGINAL.npz"], "an input too"),
        (["--cache", "x", "--no-cache"], "exclude each other"),
        (["--nonsense"], "No such option"),
    ],
)
def test_a_wrong_command_line_is_code_2(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("ORIGINAL.npz", "RELEASED.npz", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert not list(tmp_path.iterdir())


def test_npz(tmp_path):
    rng = np.random.default_rng(0)
    mean = rng.standard_normal((5, 60))
    subjects = np.repeat(np.arange(5), 20)
    X = mean[subjects] + 0.3 * rng.standard_normal((100, 60))
    np.savez(tmp_path / "o.npz", X=X, subjects=subjects, sessions=np.tile(np.repeat([0, 1], 10), 5))
    np.savez(tmp_path / "r.npz", X=rng.standard_normal((100, 60)))
    result = run(tmp_path / "o.npz", tmp_path / "r.npz", "--json", tmp_path / "out.json")
    assert result.exit_code == 0, result.output
    report = AuditReport.from_json(tmp_path / "out.json")
    assert report.worst("clean")["rank1"] > 0.9
    assert report.worst("adaptive")["rank1"] < 0.5
    np.savez(tmp_path / "r.npz", X=rng.standard_normal((99, 60)))
    result = run(tmp_path / "o.npz", tmp_path / "r.npz")
    assert result.exit_code == 1
    assert "r.npz, key 'X': has shape (99, 60)" in result.stderr


def test_what_only_the_audit_sees_is_code_1_too(tmp_path):
    np.savez(tmp_path / "o.npz", X=np.random.default_rng(0).standard_normal((2, 9)), subjects=["a", "b"])
    np.savez(tmp_path / "r.npz", X=np.random.default_rng(1).standard_normal((2, 9)))
    result = run(tmp_path / "o.npz", tmp_path / "r.npz", "--json", tmp_path / "out.json")
    assert result.exit_code == 1
    assert "0 of 2 subjects can be probed" in result.stderr
    assert not (tmp_path / "out.json").exists()


def test_bad_input_is_told_before_torch_is_loaded(tmp_path):
    code = (
        "import sys; from click.testing import CliRunner; from skagile.cli import main; "
        "result = CliRunner().invoke(main, ['audit', 'nowhere', 'gone']); "
        "assert result.exit_code == 1 and '2 problems' in result.stderr, result.output; "
        "assert CliRunner().invoke(main, ['audit', '--help']).exit_code == 0; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_the_sizes_are_what_the_audit_takes(pair):
    """Names in the table of sizes are checked by those who use them: here, that they are known."""
    import inspect

    from skagile.audit import audit_release
    from skagile.release import read_release_pair

    for size in ("quick", "full"):
        amount = _audit_job.SIZES[size]
        assert set(amount.read) <= set(inspect.signature(read_release_pair).parameters)
        assert set(amount.audit) <= set(inspect.signature(audit_release).parameters)
    assert set(_audit_job.PASSED_ON) <= set(inspect.signature(audit_release).parameters)


def test_an_interrupted_audit_says_so_and_writes_nothing(pair, tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(_audit_job, "audit_release", interrupted)
    result = run(pair.original, pair.released, "--json", tmp_path / "out.json", "--cache", tmp_path / "kept")
    assert result.exit_code == 130
    assert "no report was written" in result.stderr
    assert str(tmp_path / "kept") in result.stderr
    assert "kept in" not in run(pair.original, pair.released, "--no-cache").stderr
    assert not (tmp_path / "out.json").exists()


def test_the_guide_lists_every_option():
    page = (Path(__file__).parents[2] / "docs" / "user_guide" / "audit_files.rst").read_text(encoding="utf-8")
    table = page[page.index("All options") :]
    command = main.commands["audit"]
    parameters = command.get_params(click.Context(command))
    options = {name for option in parameters for name in (*option.opts, *option.secondary_opts)}
    listed = set(re.findall(r"--[a-z][a-z-]+", table))
    assert listed == {name for name in options if name.startswith("--")} - {"--help"}


# ------------------------------------------------------------------------------------------- members and new patients


@pytest.fixture
def files(tmp_path):
    """Twelve people as .npz files, six of them named as members, and six new patients."""
    rng = np.random.default_rng(0)

    def write(name, first, n_people):
        subjects = np.repeat([f"p{first + i}" for i in range(n_people)], 20)
        y = np.tile(["N", "V"], 10 * n_people)
        X = rng.normal(size=(n_people, 30)).repeat(20, axis=0) + rng.normal(size=(len(y), 30))
        X += 3 * (y == "V")[:, None] * np.sin(np.arange(30))
        path = tmp_path / f"{name}.npz"
        np.savez(path, X=X, subjects=subjects, y=y, sampling_rate=180.0)
        return path, X

    original, X = write("original", 0, 12)
    np.savez(tmp_path / "released.npz", X=X + rng.normal(size=X.shape))
    (tmp_path / "members.txt").write_text("\n".join(f"p{i}" for i in range(6)) + "\n\n")
    new, _ = write("new", 50, 6)
    return {
        "pair": (original, tmp_path / "released.npz"),
        "members": tmp_path / "members.txt",
        "new": new,
    }


def test_members_and_new_patients_come_from_files(files, tmp_path, monkeypatch):
    amount = _audit_job.AuditSize(
        audit={
            "attackers": ("svd",),
            "knowledge": ("clean", "adaptive"),
            "estimators": Estimators(diagnostic_estimator="svd"),
        }
    )
    monkeypatch.setattr(_audit_job, "SIZES", {"quick": amount})
    report = tmp_path / "out.json"
    result = run(*files["pair"], "--members", files["members"], "--new-patients", files["new"], "--json", report)
    assert result.exit_code == 0, result.output
    read = AuditReport.from_json(report)
    assert read.threats()["level"].isin(["red", "green"]).all()
    assert read.presence()["n_members"].tolist() == [6] * len(read.presence())
    row = read.utility().set_index(["trained_on", "tested_on"]).loc[("released", "new patients")]
    assert (row["n_subjects"], row["n_probe"]) == (6, 120)
    assert row["accuracy"] > 0.9
    assert "presence" in result.stdout
    assert "use on new patients" in result.stdout
    result = run(*files["pair"], "--members", files["members"], "--max-copies", "0.0")
    assert result.exit_code == 3
    assert "of --max-copies" in result.stderr


def test_wrong_members_and_new_patients(files, tmp_path):
    (tmp_path / "members.txt").write_text("p1\nnobody\n")
    result = run(*files["pair"], "--members", tmp_path / "members.txt")
    assert result.exit_code == 1
    assert "--members names 'nobody', whom the original does not have (1 of 2)" in result.stderr
    result = run(*files["pair"], "--new-patients", files["pair"][0])
    assert result.exit_code == 1
    assert "--new-patients has 'p0', whom the original has too (12 people)" in result.stderr
    assert run(*files["pair"], "--members", tmp_path / "none.txt").exit_code == 2
