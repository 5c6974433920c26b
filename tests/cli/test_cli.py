"""The command line as a user meets it."""

import io
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from skagile import __version__
from skagile._files import replacing
from skagile.cli import _bar, main
from skagile.cli._bar import Bar
from skagile.cli._demo_job import SIZES, run_demo


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
    arguments = ["demo", "--quick", "--seed", "0", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(main, arguments, color=True)
    assert result.exit_code == 0, result.output
    # A seed is for tests, and both the terminal and the page say so in red.
    assert re.search(r"\x1b\[31m\x1b\[1mMade with a seed: for tests and studies only[^\x1b]*\x1b\[0m", result.output)
    for name in ("report", "agile_report"):
        assert '<p class="alarm">Made with a seed' in (tmp_path / "out" / f"{name}.html").read_text()
        told = json.loads((tmp_path / "out" / f"{name}.json").read_text())
        assert told["protocol"]["known_seed"] is True
    for word in (
        "clean",
        "static",
        "adaptive",
        "svd",
        "deep_ecg",
        "majority",
        "label_only",
        "macro-F1",
        "at most 40 beats",
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


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_clock_of_the_bar_goes_on_by_itself(monkeypatch):
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(_bar, "_TICK", 0.01)
    with Bar() as show:
        show(1, 3, "thinking")
        before = len(terminal.getvalue())
        deadline = time.monotonic() + 60
        while len(terminal.getvalue()) == before:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    ended = len(terminal.getvalue())
    time.sleep(0.05)
    assert len(terminal.getvalue()) == ended


def test_demo_tells_of_every_epoch_and_says_its_sizes(monkeypatch, tmp_path):
    tiny = replace(
        SIZES["quick"],
        max_beats=12,
        network={"max_epochs": 2},
        agile={"n_surrogates": 1, "n_steps": 2, "max_epochs": 3},
        ksame={"max_epochs": 2},
        cohort={"n_subjects": 4, "duration": 20.0},
    )
    monkeypatch.setitem(SIZES, "quick", tiny)
    told = []
    results = run_demo("synthetic", tmp_path / "out", size="quick", progress=lambda *at: told.append(at))
    words = [what for _, _, what in told]
    assert [f"fitting AGILE, {i} of 3" for i in (1, 2, 3)] == [what for what in words if "fitting AGILE," in what][:3]
    assert sum(what.startswith("fitting k-same, ") for what in words) == 4 * 2  # of each of four networks
    assert any(what.startswith("AGILE's release, ") for what in words)
    counts = [done for done, _, _ in told]
    assert counts == sorted(counts)
    assert told[-1][0] == told[-1][1]
    assert results.sizes == str(tiny)
    for part in (
        "at most 12 beats",
        "n_steps 2",
        "k-same with max_epochs 2",
        "networks of the audit with max_epochs 2",
    ):
        assert part in results.sizes
    # The audit's own account says whose figures these are.
    assert "max_epochs=2" in str(results.report.protocol["attackers"]["deep_ecg"])
    assert "max_epochs=2" in str(results.report.protocol["diagnostic_estimator"])


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
