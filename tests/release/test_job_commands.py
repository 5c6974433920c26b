"""``skagile key``, ``fit``, ``anonymize`` and ``audit --key``: exit codes, what is said where, and what is refused."""

import json
import shutil
import stat

import numpy as np
import pytest
from click.testing import CliRunner

import skagile
from skagile.cli import main
from skagile.release import new_key, read_release_pair
from skagile.release._keys import pseudonym, read_key

PEOPLE = ("Gruber", "Wieczorek", "Oyelaran", "Takahashi", "Lindqvist", "Moreau", "visit")


def _run(*arguments, code=0):
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == code, (result.output, result.exception)
    assert "Traceback" not in result.output
    return result


def _anonymize(job, *more, code=0):
    return _run("anonymize", job.data, "--model", job.model, "--key", job.key, "--out", job.out, *more, code=code)


# ------------------------------------------------------------------------------------------------------------------ key


def test_key(tmp_path):
    path = tmp_path / "key"
    _run("key", path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(read_key(path)) == 32
    before = path.read_bytes()
    assert "never written over" in _run("key", path, code=1).stderr
    assert path.read_bytes() == before
    assert "No such file" in _run("key", tmp_path / "nowhere" / "key", code=1).stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [("ab12", "holds 2 bytes; expected at least 32"), ("z" * 64, "hexadecimal"), ("", "holds 0 bytes")],
)
def test_keys_that_are_none(job, content, words):
    key = job.home / "key"
    key.write_text(content)
    key.chmod(0o600)
    job.key = key
    assert words in _anonymize(job, code=1).stderr
    assert not job.out.exists()


# ------------------------------------------------------------------------------------------------------------------ fit


@pytest.fixture
def tiny(monkeypatch):
    """Anonymizers of a second."""
    made = {
        "KSameAnonymizer": lambda k: skagile.anonymizers.KSameAnonymizer(k, max_epochs=1, max_draws=1, device="cpu"),
        "AgileAnonymizer": lambda: skagile.anonymizers.AgileAnonymizer(n_surrogates=1, n_steps=1, max_epochs=1),
    }
    monkeypatch.setattr("skagile.release._recordings._fit.KSameAnonymizer", made["KSameAnonymizer"])
    monkeypatch.setattr(skagile, "AgileAnonymizer", made["AgileAnonymizer"], raising=False)


def test_fit_and_anonymize(job, tiny, bytes_of):
    """From the folder to the release, by the command line alone; no name on stdout."""
    model = job.home / "own"
    fitted = _run("fit", job.data, "--out", model, "--k", "3", "--seed", "1", "--max-beats", "8")
    assert "of 6 people, 12 records; diagnoses: aami" in fitted.stdout
    assert fitted.stderr == ""
    assert stat.S_IMODE(model.stat().st_mode) == 0o600
    job.model = model
    released = _anonymize(job)
    assert "12 records of 6 people" in released.stdout
    assert released.stderr == ""
    again = _anonymize(job)
    assert "complete already" in again.stdout
    assert not any(name in fitted.stdout + released.stdout + again.stdout for name in PEOPLE)


@pytest.mark.parametrize("anonymizer", ["agile", "warp"])
def test_a_warning_of_what_changes_people(job, tiny, anonymizer):
    for person in sorted(job.data.iterdir())[3:]:
        shutil.rmtree(person)
    # Six beats of a person may be of one class: which they are must not be left to chance.
    words = ["--k", "3", "--anonymizer", anonymizer, "--max-beats", "6", "--seed", "0"]
    fitted = _run("fit", job.data, "--out", job.home / "own", *words)
    assert f"{anonymizer} changes people's own beats" in fitted.stderr
    assert "changes people" not in fitted.stdout


def test_exit_codes_of_fit(job, tiny):
    model = job.home / "own"
    assert "expected at least 10 people" in _run("fit", job.data, "--out", model, code=1).stderr
    assert "does not exist" in _run("fit", job.data, "--out", job.home / "a" / "b", code=2).stderr
    assert "overwritten" in _run("fit", job.data, "--out", next(job.data.rglob("*.hea")), code=2).stderr
    _run("fit", job.data, "--out", model, "--k", "1", code=2)
    assert not model.exists()
    next(job.data.rglob("*.dat")).write_bytes(b"")
    left = _run("fit", job.data, "--out", model, "--k", "3", "--max-beats", "6", code=3)
    assert "left out " in left.stderr
    assert not any(name in left.stdout for name in PEOPLE)
    assert model.exists()


# ------------------------------------------------------------------------------------------------------------ anonymize


def test_exit_codes_of_anonymize(job):
    first = next(job.data.rglob("*.hea"))
    first.write_text("nonsense\n")
    left = _anonymize(job, code=3)
    name = first.relative_to(job.data).with_suffix("").as_posix()
    assert f"left out {name}: " in left.stderr
    assert not any(name in left.stdout for name in PEOPLE)
    again = _anonymize(job, code=3)
    assert "complete already" in again.stdout
    assert f"left out {name}: " in again.stderr


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (["--jobs", "0"], 2, "no number of jobs"),
        (["--keep-comment", "Name"], 2, "cannot be allowed"),
        (["--keep-comment", ""], 2, "cannot be allowed"),
        (["--age", "keep"], 2, "--age"),
        (["--subjects", "nowhere.csv"], 1, "nowhere.csv"),
        (["--subjects", "("], 1, "("),
        (["--subjects", "(nobody)"], 1, "names nobody"),
    ],
)
def test_wrong_options(job, more, code, words):
    result = _anonymize(job, *more, code=code)
    assert words in result.stderr
    assert not job.out.exists()
    assert not job.out.with_name("out.partial").exists()


def test_a_worker_that_is_killed(job, monkeypatch):
    """As by a machine that runs out of memory: one line, and the same command goes on."""
    from concurrent.futures.process import BrokenProcessPool

    def broken(*_, **__):
        raise BrokenProcessPool("a worker was terminated abruptly")
        yield

    with monkeypatch.context() as patch:
        patch.setattr("skagile.release._folders._anonymize.in_parallel", broken)
        stderr = _anonymize(job, code=1).stderr
    assert "a worker was killed" in stderr
    assert "Nothing is lost" in stderr
    _anonymize(job)


def test_names_in_a_release_are_refused(job):
    for header in job.data.rglob("*.hea"):
        header.write_text(header.read_text() + f"# device: recorder of {header.parent.name.partition('_')[0]}\n")
    stderr = _anonymize(job, "--keep-comment", "device", code=1).stderr
    assert "names somebody" in stderr
    assert not job.out.exists()
    assert "--restart" in _anonymize(job, code=1).stderr
    _anonymize(job, "--restart")


# ---------------------------------------------------------------------------------------------------------------- audit


def test_audit_by_key(night, run):
    """With the key and nothing else: whose each record is, against the folders of the original."""
    report, result, _ = run((night.data, night.out), "--key", night.key)
    assert "6 people" in result.stdout or "6 people" in str(report)
    key = read_key(night.key)
    pair = read_release_pair(night.data, night.out, key=night.key, labels=None)
    for subject, record, original in zip(pair.subjects, pair.records, pair.original, strict=True):
        name = pair.record_names[record]
        assert name.partition("/")[0] == subject
        assert (night.out / pseudonym(key, "subject", subject) / f"{pseudonym(key, 'record', name)}.hea").is_file()
        assert np.isfinite(original).any()


@pytest.fixture(autouse=True)
def _cheap(cheap_audit):
    """Audits of a second."""


def _audit(*arguments, code):
    return _run("audit", *arguments, "--quick", "--no-cache", "--labels", "none", code=code)


def test_audit_without_the_key_or_with_another(night, tmp_path):
    assert "no record is in both" in _audit(night.data, night.out, code=1).stderr
    new_key(tmp_path / "other")
    stderr = _audit(night.data, night.out, "--key", tmp_path / "other", code=1).stderr
    assert "none of the 12 records of the release is the pseudonym" in " ".join(stderr.split())
    (tmp_path / "other").write_text("short")
    assert "hexadecimal" in _audit(night.data, night.out, "--key", tmp_path / "other", code=1).stderr
    np.savez(tmp_path / "beats.npz", X=np.zeros((4, 40)), subjects=np.arange(4))
    pair = [tmp_path / "beats.npz"] * 2
    assert "expected none with .npz files" in _audit(*pair, "--key", night.key, code=1).stderr


def test_audit_of_halves_enrols_by_another_release(job, night, run):
    """Who holds the tool makes a release with a key of their own, and learns from it whom to look for."""
    release = (night.data, night.out)
    halves = ("--key", night.key, "--sessions", "half")
    report, result, _ = run(release, *halves)
    assert {row["knowledge"] for row in report.attacks} == {"clean"}
    assert "from end to end" in " ".join(result.stderr.split())
    new_key(job.home / "other")
    job.key = job.home / "other"
    _anonymize(job)
    other = ("--auxiliary", job.out, "--auxiliary-key", job.key)
    report, _, _ = run(release, *halves, *other)
    assert {row["knowledge"] for row in report.attacks} == {"clean", "auxiliary"}
    assert all(row["n_subjects"] == 6 for row in report.attacks)
    report, _, _ = run(release, "--key", night.key, *other)  # of two sessions, all three
    assert {row["knowledge"] for row in report.attacks} == {"clean", "adaptive", "auxiliary"}


def test_another_release_that_is_of_others(job, night, tmp_path):
    stderr = _audit(night.data, night.out, "--key", night.key, "--auxiliary-key", night.key, code=2).stderr
    assert "--auxiliary" in stderr
    stderr = _audit(night.data, night.out, "--key", night.key, "--auxiliary", night.out, code=1).stderr
    assert "no record is in both" in stderr
    first = sorted(job.data.rglob("*.dat"))[0]
    first.write_bytes(b"")
    _anonymize(job, code=3)
    other = ("--auxiliary", job.out, "--auxiliary-key", job.key)
    stderr = " ".join(_audit(night.data, night.out, "--key", night.key, *other, code=1).stderr.split())
    assert "does not have the beats of the release" in stderr


def test_left_out_records_are_notes(job):
    first = next(job.data.rglob("*.dat"))
    first.write_bytes(b"")
    _anonymize(job, code=3)
    result = CliRunner().invoke(
        main,
        list(map(str, ["audit", job.data, job.out, "--key", job.key, "--quick", "--no-cache", "--labels", "none"])),
    )
    assert result.exit_code in (0, 3), result.output
    assert "left out of the release, by its manifest" in result.stderr
    # One that is missing for no such reason is an error.
    manifest = job.out / "manifest.json"
    content = json.loads(manifest.read_text())
    content["left_out"] = []
    manifest.write_text(json.dumps(content))
    assert "missing" in _audit(job.data, job.out, "--key", job.key, code=1).stderr
