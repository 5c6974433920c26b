"""The command line as a user meets it."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from skagile import __version__
from skagile._files import replacing
from skagile.cli import main


def run(*arguments):
    return CliRunner().invoke(main, list(arguments))


def test_version_and_help():
    assert __version__ in run("--version").output
    result = run("demo", "--help")
    assert result.exit_code == 0
    assert "mitdb|ecgid|synthetic|DIR" in result.output


def test_help_does_not_load_torch():
    code = "import sys; from click.testing import CliRunner; from skagile.cli import main; " + (
        "CliRunner().invoke(main, ['demo', '--help']); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_quick_demo_releases_and_reports(tmp_path):
    result = run("demo", "--quick", "--out", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    for word in (
        "clean",
        "static",
        "adaptive",
        "svd",
        "deep_ecg",
        "majority",
        "label_only",
        "macro-F1",
        "AGILE",
        "k-same",
        "fused",
    ):
        assert word in result.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["protocol"]["n_subjects"] == 15
    # The release is k-same's: its report says that retraining does not help, AGILE's says that it does.
    agile = json.loads((tmp_path / "out" / "agile_report.json").read_text())
    worst = [max(a["rank1"] for a in told["attacks"] if a["knowledge"] == "adaptive") for told in (report, agile)]
    assert worst[0] < 0.3 < 0.6 < worst[1]
    assert (tmp_path / "out" / "report.html").read_text().startswith("<!")
    with np.load(tmp_path / "out" / "release.npz", allow_pickle=False) as release:
        assert set(release.files) == {"X", "y", "sampling_rate", "window"}
        assert len(release["X"]) == len(release["y"])
        # One person's rows standing together would name them.
        assert len(release["y"]) > 100
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "agile_report.html",
        "agile_report.json",
        "release.npz",
        "report.html",
        "report.json",
        "summary.csv",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["demo", "--data", "no-such-folder"], 1, "neither a folder nor one of synthetic, mitdb, ecgid"),
        (["demo", "--seed", "-1"], 2, "--seed"),
        (["demo", "--nonsense"], 2, "No such option"),
        (["nonsense"], 2, "No such command"),
    ],
)
def test_user_errors_are_one_line_and_an_exit_code(arguments, code, words, tmp_path):
    if arguments[0] == "demo":
        arguments = [*arguments, "--out", str(tmp_path / "out")]
    result = run(*arguments)
    assert result.exit_code == code
    assert words in result.output
    assert "Traceback" not in result.output


def test_folder_without_records_is_a_user_error(tmp_path):
    result = run("demo", "--data", str(tmp_path), "--out", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert "no WFDB record" in result.output
    assert "Traceback" not in result.output


def test_progress_is_silent_when_not_a_terminal(tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "skagile.cli", "demo", "--data", str(tmp_path), "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("Error: ")


def test_replacing_leaves_the_old_file_when_writing_fails(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")

    def fail():
        with replacing(target) as beside:
            beside.write_text("half")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
