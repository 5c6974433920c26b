"""Worker processes end with the run that started them, and what they shared goes with them."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import skagile
from skagile import _workers
from skagile._workers import in_parallel

RUN = """
import os, sys, time
import numpy as np
from skagile._workers import in_parallel
from skagile.cli._signals import tidy_end
sys.path.insert(0, {folder!r})
from the_work import work

if __name__ == "__main__":
    X = np.zeros(500_000)
    with tidy_end():
        for _ in in_parallel(work, ((X, {seconds}, {told!r}) for _ in range(4)), 2):
            pass
"""
WORK = """
import os, time
from pathlib import Path


def work(X, seconds, told):
    assert isinstance(X, object) and len(X) == 500_000
    Path(told, str(os.getpid())).write_text(type(X).__name__)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)
"""


def square(number):
    return number * number


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _wait(until, seconds=60):
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def start(tmp_path):
    """Start a run of two workers; gives it, its workers' numbers and the folder of what they share."""
    shared, told = tmp_path / "shared", tmp_path / "told"
    shared.mkdir()
    told.mkdir()
    runs = []
    (tmp_path / "the_work.py").write_text(WORK)

    def start(seconds):
        code = RUN.format(folder=str(tmp_path), seconds=seconds, told=str(told))
        (tmp_path / "run.py").write_text(code)
        environment = {
            **os.environ,
            "JOBLIB_TEMP_FOLDER": str(shared),
            "PYTHONPATH": str(Path(skagile.__file__).parents[1]),
            "OMP_NUM_THREADS": "1",
        }
        run = subprocess.Popen([sys.executable, tmp_path / "run.py"], env=environment, stderr=subprocess.PIPE)
        runs.append(run)
        _wait(lambda: len(list(told.iterdir())) == 2 or run.poll() is not None)
        return run, [int(file.name) for file in told.iterdir()], shared

    yield start
    for run in runs:
        run.kill()
        run.communicate()


linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="it looks at /proc")


@linux
def test_workers_and_what_they_share_end_with_a_killed_run(start):
    run, workers, shared = start(600)
    (folder,) = shared.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(folder.rglob("*.pkl"))  # the array lies there
    assert all(map(_alive, workers))
    run.kill()
    run.wait()
    _wait(lambda: not any(map(_alive, workers)))
    _wait(lambda: not list(shared.iterdir()))


@linux
def test_a_run_that_ends_leaves_nothing_and_says_nothing(start):
    run, workers, shared = start(0.1)
    assert run.communicate(timeout=60)[1] == b""
    assert run.returncode == 0
    assert not list(shared.iterdir())
    _wait(lambda: not any(map(_alive, workers)))


@linux
def test_a_run_that_is_told_to_end_takes_its_workers_along(start):
    run, workers, shared = start(600)
    run.terminate()
    run.communicate(timeout=60)
    assert run.returncode == 128 + signal.SIGTERM
    _wait(lambda: not any(map(_alive, workers)))
    assert not list(shared.iterdir())


@linux
def test_what_a_run_left_whose_workers_were_killed_too_goes_with_the_next(start, monkeypatch):
    monkeypatch.setattr(_workers, "_NEW", 0.0)
    run, workers, shared = start(600)
    (folder,) = shared.iterdir()
    _workers._remove_dead(shared)
    assert folder.exists()  # its run is alive
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    run.kill()
    run.wait()
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    _wait(lambda: not any(map(_alive, workers)))
    # joblib's tracker may have been quick; what is left where it was killed, too, is put there.
    folder.mkdir(exist_ok=True)
    (folder / _workers._LOCK).touch()
    (folder / "left.pkl").touch()
    _workers._remove_dead(shared)
    assert not list(shared.iterdir())


def test_results_come_in_order_whatever_the_number_of_workers():
    wanted = [i * i for i in range(7)]
    for n_jobs in (None, 1):
        assert list(in_parallel(square, ((i,) for i in range(7)), n_jobs)) == wanted


def test_the_folder_of_another_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(_workers, "_NEW", 0.0)
    for name in ("skagile-without-lock", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "skagile-link").symlink_to(tmp_path / "other")
    np.save(tmp_path / "other" / "lock", np.zeros(2))
    _workers._remove_dead(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    assert (tmp_path / "other" / "lock.npy").exists()
