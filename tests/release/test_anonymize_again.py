"""A release that is refused, not gone on with, mended, or complete already; and nothing that is lost or overwritten."""

import shutil
import unicodedata

import pytest

from skagile import KSameAnonymizer
from skagile.release import HeaderRules, NotReleasedError, anonymize_recordings, fit_recordings, new_key
from skagile.release._folders import _place, _worker


def _first(job):
    return sorted(job.data.rglob("*.hea"))[0]


def test_places(job, night):
    """Where originals, secrets and the release would mix; nothing is made by asking."""
    inside = job.data / "sub"
    table = {
        "lie in each other": [{"out": inside}, {"out": job.data}, {"out": job.home}],
        "does not exist": [{"out": job.home / "a" / "b"}],
        "exists and is not empty": [{"out": job.home / "new"}],
        "is a file or a link": [{"out": job.home / "link"}, {"out": job.home / "file"}],
        "lies in the release": [
            {"key": _copy(night.key, job.home / "new" / "key"), "out": job.home / "new"},
            {"model": _copy(night.model, job.home / "new" / "model"), "out": job.home / "new"},
            {"log": job.home / "new" / "log", "out": job.home / "new"},
            {"log": job.home / "out.partial" / "log"},
        ],
        "log=.* is the key": [{"log": night.key}],
        "log=.* is the model": [{"log": night.model}],
        "among the originals": [{"log": _first(job)}, {"log": job.data / "night.log"}],
        "no folder": [{"data": job.home / "nowhere"}],
        "holds no recording": [{"data": _empty(job.home / "empty")}],
        "cannot be loaded as a model": [{"model": night.key}],
    }  # fmt: skip
    (job.home / "file").write_text("")
    (job.home / "link").symlink_to(job.home / "nowhere")
    (job.home / "alias").symlink_to(job.data)
    table["lie in each other"].append({"out": job.home / "alias" / "sub"})
    kept = night.key.read_bytes(), night.model.read_bytes(), _first(job).read_bytes()
    before = sorted(job.home.rglob("*"))
    given = {"data": job.data, "model": job.model, "out": job.out, "key": job.key}
    for words, cases in table.items():
        for case in cases:
            with pytest.raises(ValueError, match=words):
                anonymize_recordings(**{**given, **case})
    assert sorted(job.home.rglob("*")) == before
    assert (night.key.read_bytes(), night.model.read_bytes(), _first(job).read_bytes()) == kept


def _copy(file, place):
    place.parent.mkdir(exist_ok=True)
    shutil.copy(file, place)
    return place


def _empty(folder):
    folder.mkdir()
    return folder


def test_two_names_that_differ_in_the_letters_alone(job):
    """Composed and decomposed, they have one pseudonym: one would be lost without a word."""
    header = _first(job)
    for form in ("NFC", "NFD"):
        shutil.copytree(header.parent, job.data / unicodedata.normalize(form, "Müller_7"))
    with pytest.raises(ValueError, match="one name, written in two ways"):
        anonymize_recordings(job.data, job.model, job.out, job.key)


def test_one_run_at_a_time(job):
    """Also not with restart, which would remove the other's work under its hands."""
    partial = job.out.with_name("out.partial")
    with _place.held(partial):
        (partial / "release").mkdir()
        for restart in (False, True):
            with pytest.raises(ValueError, match="worked on by another run"):
                anonymize_recordings(job.data, job.model, job.out, job.key, restart=restart)
        assert (partial / "release").exists()
    assert anonymize_recordings(job.data, job.model, job.out, job.key).n_records == 12


def test_restart_removes_nothing_of_others(job):
    partial = job.out.with_name("out.partial")
    partial.mkdir()
    (partial / "thesis.doc").write_text("ten years of work")
    for restart in (False, True):
        with pytest.raises(ValueError, match=r"holds what no run left there, such as 'thesis.doc'"):
            anonymize_recordings(job.data, job.model, job.out, job.key, restart=restart)
    assert (partial / "thesis.doc").read_text() == "ten years of work"


def _stop_after(n):
    def progress(done, total, what):
        if done == n and what.startswith("anonymizing"):
            raise KeyboardInterrupt

    return progress


def _interrupted(job, n=5, **options):
    with pytest.raises(KeyboardInterrupt):
        anonymize_recordings(job.data, job.model, job.out, job.key, progress=_stop_after(n), **options)


@pytest.mark.parametrize("what", ["key", "model", "rules"])
def test_another_run_is_not_gone_on_with(job, what, bytes_of):
    """Half of one and half of the other would be a release that nobody can make again."""
    _interrupted(job)
    given = {"model": job.model, "key": job.key, "rules": None}
    if what == "key":
        given["key"] = job.home / "other"
        new_key(given["key"])
    elif what == "model":
        given["model"] = job.home / "other"
        tiny = KSameAnonymizer(3, max_epochs=1, max_draws=1, device="cpu")
        fit_recordings(job.data, given["model"], anonymizer=tiny, k=3, random_state=1, max_beats=8)
    else:
        given["rules"] = HeaderRules(age="remove")
    with pytest.raises(ValueError, match=r"is what another run left.*--restart"):
        anonymize_recordings(job.data, out=job.out, **given)
    done = anonymize_recordings(job.data, out=job.out, **given, restart=True)
    assert (done.n_records, done.n_resumed) == (12, 0)
    anonymize_recordings(job.data, out=job.home / "whole", **given)
    assert bytes_of(job.out) == bytes_of(job.home / "whole")


def test_records_that_change_between_runs_are_made_again(job, bytes_of):
    """One of another content and the same size, one that is gone, one that is new; the rest stays done."""
    _interrupted(job, 8)
    names = sorted(job.data.rglob("*.dat"))
    names[0].write_bytes(names[11].read_bytes()[: names[0].stat().st_size])
    for file in names[1].parent.glob("visit1.*"):
        file.unlink()
    shutil.copytree(names[2].parent, job.data / "Aaltonen_1")
    done = anonymize_recordings(job.data, job.model, job.out, job.key)
    assert (done.n_records, done.n_resumed) == (13, 6)
    anonymize_recordings(job.data, job.model, job.home / "whole", job.key)
    assert bytes_of(job.out) == bytes_of(job.home / "whole")


def test_a_release_that_is_spoilt_while_it_is_made_is_mended(job, night, bytes_of):
    """A file that was changed, one that is gone, one that is nobody's, and a journal that is cut."""
    _interrupted(job, 8)
    partial = job.out.with_name("out.partial")
    files = sorted((partial / "release").rglob("*.dat"))
    files[0].write_bytes(files[0].read_bytes()[:-2] + b"xx")
    files[1].unlink()
    (partial / "release" / "Gruber.txt").write_text("Gruber")
    (partial / f".{'0' * 32}.part.jsonl").write_text("left by a kill")
    with (partial / "journal.jsonl").open("a") as stream:
        stream.write('{"record": "bcd')
    done = anonymize_recordings(job.data, job.model, job.out, job.key)
    assert done.n_resumed == 6
    assert bytes_of(job.out) == bytes_of(night.out)
    assert not partial.exists()


def test_a_complete_release_is_left_alone(job, night, bytes_of):
    """It is said that it is complete, and looked whether it is as it was written."""
    anonymize_recordings(job.data, job.model, job.out, job.key)
    times = {file: file.stat().st_mtime_ns for file in job.out.rglob("*")}
    again = anonymize_recordings(job.data, job.model, job.out, job.key)
    assert again.was_complete
    assert (again.n_records, again.n_people, again.n_resumed) == (12, 6, 12)
    assert {file: file.stat().st_mtime_ns for file in job.out.rglob("*")} == times
    assert bytes_of(job.out) == bytes_of(night.out)
    [signal, *_] = sorted(job.out.rglob("*.dat"))
    signal.write_bytes(signal.read_bytes()[:-2] + b"xx")
    with pytest.raises(ValueError, match=rf"{signal.name} is not as it was written"):
        anonymize_recordings(job.data, job.model, job.out, job.key)
    (job.out / "manifest.json").write_text('{"run": ')
    with pytest.raises(ValueError, match="exists and is not empty"):
        anonymize_recordings(job.data, job.model, job.out, job.key)


def test_a_release_that_names_people_is_not_published(job):
    """A person's own name in a comment that may stay."""
    for header in job.data.rglob("*.hea"):
        header.write_text(header.read_text() + f"# device: recorder of {header.parent.name.partition('_')[0]}\n")
    rules = HeaderRules(allow=("device",))
    with pytest.raises(NotReleasedError, match=r"names somebody in .*restart=True"):
        anonymize_recordings(job.data, job.model, job.out, job.key, rules=rules)
    assert not job.out.exists()
    assert job.out.with_name("out.partial").stat().st_mode & 0o777 == 0o700
    assert "names somebody: " in job.out.with_name("out.log").read_text()
    assert anonymize_recordings(job.data, job.model, job.out, job.key, restart=True).n_records == 12


def test_a_model_that_is_changed_in_the_midst_of_a_run_ends_it(job):
    """No record is made by another model, and none is left out for it."""
    model = job.home / "model"
    shutil.copy(job.model, model)
    _worker.model_of.cache_clear()
    with pytest.raises(OSError, match="was changed while"):
        _worker.model_of(str(model), "0" * 64)
