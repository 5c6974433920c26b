"""The command line at its edges: what would be lost, overwritten or endless is refused on one line, before any work."""

import os
import subprocess
import sys
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
from click.testing import CliRunner

from skagile import _workers
from skagile.audit._runner import Runner
from skagile.cli import _audit_job, main


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Two small files of beats, and a home."""
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(6), 8)
    X = rng.normal(size=(6, 40))[subjects] + 0.1 * rng.normal(size=(48, 40))
    np.savez(tmp_path / "original.npz", X=X, subjects=subjects)
    np.savez(tmp_path / "released.npz", X=X)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SKAGILE_HOME", str(tmp_path / "home"))
    return SimpleNamespace(folder=tmp_path, pair=[str(tmp_path / f"{side}.npz") for side in ("original", "released")])


@pytest.fixture
def refused(files, monkeypatch):
    """Return a function that runs the command, which must end with code 2 before anything is read; its last line."""

    def never(*_, **__):
        raise AssertionError("the pair was read")

    monkeypatch.setattr(_audit_job, "read_release_views", never)

    def run(*arguments, pair=None):
        result = CliRunner().invoke(main, ["audit", *(pair or files.pair), *map(str, arguments)])
        assert result.exit_code == 2, (result.output, result.exception)
        assert "Traceback" not in result.output
        return result.stderr.splitlines()[-1]

    return run


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--lead=--5"], "'--5' is neither a position"),
        (["--lead="], "is neither a position"),
        (["--lead", "9" * 5000], "is neither a position"),
        (["--sampling-rate", "1e8"], "100000"),
        (["--sampling-rate", "nan"], "no finite number"),
        (["--max-fused", "nan"], "no finite number"),
        (["--min-eer", "NaN"], "no finite number"),
        (["--guard", "inf"], "no finite number"),
        (["--band", "nan", "40"], "no finite number"),
        (["--report", "{tmp}/none/a.html"], "does not exist"),
        (["--report", "{tmp}/a\0.html"], "NUL"),
        (["--json", "/dev/full"], "a device or a pipe"),
        (["--csv", "{tmp}/pipe"], "a device or a pipe"),
        (["--cache", "{tmp}/original.npz/cache"], "is no folder"),
        (["--csv", "{tmp}/people.csv", "--subjects", "{tmp}/people.csv"], "is an input too"),
        (["--csv", "{tmp}/linked.csv", "--subjects", "{tmp}/people.csv"], "is an input too"),
        (["--json", "{tmp}/members.txt", "--members", "{tmp}/members.txt"], "is an input too"),
        (["--json", "~/original.npz"], "is an input too"),
        (["--json", "{tmp}/a.json", "--csv", "{tmp}/./a.json"], "is the output --json too"),
    ],
)
def test_it_is_said_before_any_work(files, refused, arguments, words):
    (files.folder / "people.csv").write_text("record,subject\n")
    (files.folder / "members.txt").write_text("1\n")
    os.link(files.folder / "people.csv", files.folder / "linked.csv")
    os.mkfifo(files.folder / "pipe")
    assert words in refused(*(argument.format(tmp=files.folder) for argument in arguments))
    assert (files.folder / "people.csv").read_text() == "record,subject\n"


def test_a_record_is_not_overwritten(files, refused):
    for side in ("original", "released"):
        (files.folder / side).mkdir()
        (files.folder / side / "100.hea").write_text("100 1\n")
    pair = [str(files.folder / side) for side in ("original", "released")]
    assert "a file of an input too" in refused("--json", files.folder / "original" / "100.hea", pair=pair)


def test_a_folder_that_takes_no_file(files, refused, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("skagile.cli._outputs.tempfile.TemporaryFile", full)
    assert "cannot be written to (No space left on device)" in refused("--json", files.folder / "a.json")
    assert "--no-cache needs none" in refused()


def test_no_home(files, refused, monkeypatch):
    def unknown(_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("SKAGILE_HOME")
    monkeypatch.setattr("pathlib.Path.expanduser", unknown)
    monkeypatch.setattr("pathlib.Path.home", lambda: unknown(None))
    assert "nobody's home is known here" in refused(pair=["original.npz", "released.npz"])


def test_a_home_in_every_path(files, monkeypatch):
    """A shell does not expand ``--json=~/a.json``."""
    monkeypatch.setattr(_audit_job, "SIZES", {"quick": CHEAP})
    result = CliRunner().invoke(main, ["audit", "~/original.npz", "~/released.npz", "--quick", "--json=~/a.json"])
    assert result.exit_code == 0, result.output
    assert (files.folder / "a.json").is_file()


CHEAP = _audit_job.AuditSize(audit={"attackers": ("svd",), "knowledge": ("clean", "adaptive"), "estimators": None})
# The command with a cheap audit, in a process of its own.
_COMMAND = """
import sys
from skagile.cli import _audit_job, main
_audit_job.SIZES["quick"] = _audit_job.AuditSize(audit={"attackers": ("svd",), "knowledge": ("clean", "adaptive")})
main(["audit", *sys.argv[1:], "--quick", "--no-cache", "--max-reidentification", "0.01"])
"""


@pytest.mark.parametrize("closing", ["| true", ">&-", ">/dev/full", "2>&-", ">&- 2>&- <&-"])
def test_the_exit_code_is_of_the_audit(files, closing):
    """Nobody reads, or the disk is full: a limit that is not kept is code 3 all the same, and reports are whole."""
    out = files.folder / "a.json"
    command = f'"$PY" -c "$CODE" {files.pair[0]} {files.pair[1]} --json {out} {closing}; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, "PY": sys.executable, "CODE": _COMMAND},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert out.read_text().startswith("{")
    assert out.read_text().endswith("}\n")


def test_no_more_processes_than_work_or_cores(monkeypatch):
    asked = []

    class Sequential:
        def __init__(self, n_jobs, **_):
            asked.append(n_jobs)

        def __call__(self, tasks):
            return (None for _ in tasks)

    real = joblib.effective_n_jobs
    monkeypatch.setattr(_workers, "Parallel", Sequential)
    monkeypatch.setattr(_workers, "effective_n_jobs", lambda n_jobs: 4 if n_jobs == -1 else real(n_jobs))
    job = SimpleNamespace(what="a fit")
    job.bind = lambda: job
    for n_jobs, n_tasks in ((30, 13), (30, 2), (2, 13), (1, 13), (None, 13), (30, 0), (-1, 13)):
        Runner(None, n_jobs, None, None)([job] * n_tasks)
    assert asked == [4, 2, 2, 1, 1, 1, 4]


def test_the_demo_asks_first(tmp_path, monkeypatch):
    monkeypatch.setattr("skagile.cli._demo_job.run_demo", None)
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(main, ["demo", "--out", str(tmp_path / "file" / "out")])
    assert result.exit_code == 2
    assert "is no folder" in result.stderr
    (tmp_path / "report.html").mkdir()
    result = CliRunner().invoke(main, ["demo", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "is a folder; expected a file" in result.stderr
