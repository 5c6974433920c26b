"""Files beside their place: names that nobody can plant, modes, and what killed runs leave."""

import os
import stat
from pathlib import Path

import pytest

from skagile import _files
from skagile._files import remove_leftovers, replacing


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture
def umask():
    """Set the umask, and put it back."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def test_names_are_random_and_in_the_folder_of_the_target(tmp_path):
    names = set()
    for _ in range(20):
        with replacing(tmp_path / "report.html") as beside:
            assert beside.parent == tmp_path
            assert beside.suffix == ".html"  # NumPy would add its own to another
            assert str(os.getpid()) not in beside.name.split(".")
            names.add(beside.name)
            beside.write_text("x")
    assert len(names) == 20
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_two_containers_with_one_process_number_do_not_collide(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 7)
    with replacing(tmp_path / "entry.zip") as one, replacing(tmp_path / "entry.zip") as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "entry.zip").read_text() == "one"  # it ended last
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("kind", ["file", "link", "dangling"])
def test_what_stands_at_the_name_beside_is_an_error_and_is_left_alone(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(_files.secrets, "token_hex", lambda n: "0" * 32)
    with replacing(tmp_path / "probe.json") as beside:
        pass
    victim = tmp_path / "victim"
    if kind != "dangling":
        victim.write_text("mine")
    planted = tmp_path / beside.name
    if kind == "file":
        planted.write_text("mine")
    else:
        planted.symlink_to(victim)

    def write():
        with replacing(tmp_path / "report.json") as beside:
            beside.write_text("report")

    with pytest.raises(FileExistsError):
        write()
    assert not (tmp_path / "report.json").exists()
    assert victim.exists() == (kind != "dangling")
    assert planted.is_symlink() or planted.read_text() == "mine"


def test_a_link_planted_at_the_old_name_is_not_written_through(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / f".{os.getpid()}.part.report.json").symlink_to(victim)
    (tmp_path / "report.json").symlink_to(victim)
    with replacing(tmp_path / "report.json") as beside:
        beside.write_text("report")
    assert victim.read_text() == "mine"
    assert (tmp_path / "report.json").read_text() == "report"
    assert not (tmp_path / "report.json").is_symlink()


@pytest.mark.parametrize("of_process", [0o022, 0o000, 0o077])
def test_modes_follow_the_umask_but_for_private_files(tmp_path, umask, of_process):
    umask(of_process)
    for private in (False, True):
        with replacing(tmp_path / "file", private=private) as beside:
            beside.write_text("x")
            assert mode(beside) == (0o600 if private else 0o666 & ~of_process)
        assert mode(tmp_path / "file") == (0o600 if private else 0o666 & ~of_process)


def test_a_name_as_long_as_names_may_be(tmp_path):
    for name in ("n" * 255, "n." + "s" * 253):
        with replacing(tmp_path / name) as beside:
            beside.write_text("x")
        assert (tmp_path / name).read_text() == "x"


def test_what_killed_runs_left_goes_after_a_day_and_nothing_else(tmp_path):
    with replacing(tmp_path / "report.json") as beside:
        beside.write_text("x")
    old, young = tmp_path / beside.name, tmp_path / beside.name.replace(".json", ".npz")
    others = [tmp_path / name for name in ("report.json", ".part", ".0.part", "a.part.json", ".deadbeef.part.json")]
    for file in (old, young, *others):
        file.write_text("x")
        os.utime(file, (0, 0))
    os.utime(young)
    remove_leftovers(tmp_path)
    assert not old.exists()
    assert all(file.exists() for file in (young, *others))
    remove_leftovers(Path(tmp_path, "no such folder"))
