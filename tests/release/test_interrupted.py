"""Runs of the night job that are killed, or find the disk full: the same command ends with the same bytes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from skagile.release import anonymize_recordings

SCRIPT = Path(__file__).with_name("_spoilt_runs.py")
N_KILLS = 20


@pytest.fixture(scope="module")
def night(night, tmp_path_factory):
    """Half of the recordings, and what a run without trouble makes of them."""
    home = tmp_path_factory.mktemp("half")
    for person in sorted(night.data.iterdir())[:3]:
        shutil.copytree(person, home / "data" / person.name)
    own = SimpleNamespace(data=home / "data", model=night.model, key=night.key, out=home / "out")
    own.done = anonymize_recordings(own.data, own.model, own.out, own.key)
    return own


@pytest.fixture(scope="module")
def spoilt(night, tmp_path_factory):
    """Return the function that has an order of ``_spoilt_runs.py`` carried out."""
    home = tmp_path_factory.mktemp("warm")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, SCRIPT], env=environment, **pipe) as process:

        def ask(**order):
            process.stdin.write(json.dumps(order, default=str) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        places = ["--model", night.model, "--key", night.key, "--out", home / "out"]
        ask(args=list(map(str, ["anonymize", night.data, *places])), output=home / "said")
        yield ask
        process.stdin.close()


@pytest.fixture
def order(night, tmp_path):
    """Return the function that gives an order for a release into a folder of the test."""

    def made(name="out", *more, **rest):
        places = ["--model", night.model, "--key", night.key, "--out", tmp_path / name]
        output = tmp_path / f"{name}.said"
        return {"args": list(map(str, ["anonymize", night.data, *places, *more])), "output": output, **rest}

    return made


def _check_complete(night, out, bytes_of):
    assert bytes_of(out) == bytes_of(night.out)
    assert {place.name for place in out.parent.iterdir()} >= {out.name, f"{out.name}.log"}
    assert not out.with_name(f"{out.name}.partial").exists()


def test_twenty_moments_of_kill(night, order, spoilt, bytes_of, tmp_path):
    """At shares of a measured run, the first at its very beginning."""
    seconds = spoilt(**order())["seconds"]
    _check_complete(night, tmp_path / "out", bytes_of)
    resumed = n_killed = 0
    for number, share in enumerate(np.random.default_rng(17).uniform(0.0, 1.0, N_KILLS)):
        given, out = order(f"out{number}"), tmp_path / f"out{number}"
        n_killed += spoilt(**given, seconds=share * seconds)["killed"]
        if out.exists():
            assert bytes_of(out) == bytes_of(night.out)
        done = anonymize_recordings(night.data, night.model, out, night.key)
        resumed += 0 < done.n_resumed < done.n_records
        _check_complete(night, out, bytes_of)
    assert n_killed >= N_KILLS - 3
    assert resumed >= 5  # moments in the midst of the work


def test_kills_where_it_hurts(night, order, spoilt, bytes_of, tmp_path):
    """Before a file is renamed, before it is on disk, while all is put in place and cleared."""
    n_calls = spoilt(**order())["calls"]
    assert n_calls > 5 * night.done.n_records
    for call in [1, 2, 3, *range(n_calls - 8, n_calls + 1), *np.random.default_rng(0).integers(4, n_calls - 8, 9)]:
        out = tmp_path / f"out{call}"
        assert spoilt(**order(out.name), call=int(call), how="kill")["killed"]
        if out.exists():
            assert bytes_of(out) == bytes_of(night.out)
        again = spoilt(**order(out.name))
        assert (again["code"], again["killed"]) == (0, False), (tmp_path / f"{out.name}.said").read_text()
        _check_complete(night, out, bytes_of)


def test_no_space(night, order, spoilt, bytes_of, tmp_path):
    """Whatever call finds the disk full: exit code 1, one line, nothing published, and nothing lost."""
    n_calls = spoilt(**order(), call=0, how="full")["calls"]
    for call in [1, 2, n_calls - 1, *np.random.default_rng(1).integers(3, n_calls - 1, 5)]:
        out, said = tmp_path / f"out{call}", tmp_path / f"out{call}.said"
        answer = spoilt(**order(out.name), call=int(call), how="full")
        assert answer["code"] == 1
        assert "No space left on device. Nothing is lost" in said.read_text()
        assert "Traceback" not in said.read_text()
        assert not out.exists()
        assert spoilt(**order(out.name))["code"] == 0
        _check_complete(night, out, bytes_of)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_no_file_may_grow(night, order, spoilt, bytes_of, tmp_path, share):
    """A limit that the journal or a signal file meets in the midst of the run, by the system itself."""
    largest = max(file.stat().st_size for file in night.out.rglob("*.dat"))
    answer = spoilt(**order(), fsize=int(share * largest))
    said = (tmp_path / "out.said").read_text()
    assert answer["code"] == 1, said
    assert "File too large" in said
    assert not (tmp_path / "out").exists()
    assert spoilt(**order())["code"] == 0
    _check_complete(night, tmp_path / "out", bytes_of)


def test_a_small_disk(night, spoilt, bytes_of, tmp_path):
    """A disk that is full in the midst of the run, and then has space again."""
    disk = tmp_path / "disk"
    disk.mkdir()
    needed = sum(-(-len(content) // 4096) * 4096 for content in bytes_of(night.out).values())
    size = needed + (1 << 16)
    places = ["--model", night.model, "--key", night.key, "--out", disk / "out"]
    args = list(map(str, ["anonymize", night.data, *places]))
    answer = spoilt(args=args, disk=disk, size=size, taken=size - needed // 2, copy=tmp_path / "copy")
    if "refused" in answer:
        pytest.skip(f"no disk can be mounted here: {answer['refused']}")
    assert answer["codes"] == [1, 0], (tmp_path / "first").read_text() + (tmp_path / "second").read_text()
    assert answer["there"] == ["filler", "out.log", "out.partial"]
    assert "No space left on device" in (tmp_path / "first").read_text()
    assert "by an earlier run" in (tmp_path / "second").read_text()
    assert bytes_of(tmp_path / "copy") == bytes_of(night.out)


def test_two_workers_and_a_kill(night, order, spoilt, bytes_of, tmp_path):
    """As many processes as you like, killed or not: the same bytes."""
    given = order("out", "--jobs", "2")
    assert spoilt(**given, journal=tmp_path / "out.partial" / "journal.jsonl", lines=5)["killed"]
    assert not (tmp_path / "out").exists()
    assert spoilt(**order("out"))["code"] == 0
    assert "of them by an earlier run" in (tmp_path / "out.said").read_text()
    _check_complete(night, tmp_path / "out", bytes_of)


def test_nobody_enters_what_is_made(night, order, spoilt, tmp_path):
    """Modes during the run, whatever the umask; and those of the release, as the umask says."""
    call = spoilt(**order("whole"))["calls"] - 12
    for umask, modes in ((0o000, (0o777, 0o666)), (0o027, (0o750, 0o640))):
        name = f"out{umask}"
        assert spoilt(**order(name, umask=umask), call=call, how="kill")["killed"]
        partial = tmp_path / f"{name}.partial"
        assert partial.stat().st_mode & 0o777 == 0o700
        assert {place.stat().st_mode & 0o077 for place in partial.iterdir() if place.is_file()} == {0}
        assert (tmp_path / f"{name}.log").stat().st_mode & 0o777 == 0o600
        assert spoilt(**order(name, "--restart", umask=umask))["code"] == 0
        out = tmp_path / name
        places = [out, *out.rglob("*")]
        assert {place.stat().st_mode & 0o777 for place in places if place.is_dir()} == {modes[0]}
        assert {place.stat().st_mode & 0o777 for place in places if place.is_file()} == {modes[1]}
    assert night.model.stat().st_mode & 0o777 == night.key.stat().st_mode & 0o777 == 0o600


def test_a_log_that_was_open_to_others_is_closed(night, order, spoilt, tmp_path):
    log = tmp_path / "night.log"
    log.write_text("before\n")
    log.chmod(0o644)
    assert spoilt(**order("out", "--log", log))["code"] == 0
    assert log.stat().st_mode & 0o777 == 0o600
    assert log.read_text().startswith("before\n")
