"""A folder of recordings to a release: what it is, read by wfdb itself, and what is left out or refused."""

import errno
import hashlib
import json
import os
import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from skagile.release import (
    NotReleasedError,
    anonymize_recordings,
    new_key,
    read_release_pair,
    read_release_views,
)
from skagile.release._folders import _worker
from skagile.release._keys import pseudonym, read_key
from skagile.release._recordings import RecordingModel
from skagile.segmentation import detect_r_peaks

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # wfdb calls pandas as pandas 3 dislikes
    import wfdb

PLANTED = (
    "Gruber",
    "Wieczorek",
    "Oyelaran",
    "Takahashi",
    "Lindqvist",
    "Moreau",
    "Agatha",
    "Nightingale",
    "2019",
    "visit",
)


def _pairs(night):
    """Original and release of each record, by wfdb, and the name of the release's."""
    key = read_key(night.key)
    for header in sorted(night.data.rglob("*.hea")):
        name = header.relative_to(night.data).with_suffix("").as_posix()
        own = pseudonym(key, "subject", header.parent.name), pseudonym(key, "record", name)
        released = night.out.joinpath(*own)
        yield wfdb.rdrecord(str(header.with_suffix(""))), wfdb.rdrecord(str(released)), released


# ---------------------------------------------------------------------------------------------------- what is released


def test_release_is_as_long_as_the_original_and_of_nobody(night):
    """Length, rate, leads, units and gaps; no sample that is equal, and no equal stretch in another record either."""
    pairs = list(_pairs(night))
    assert len(pairs) == 12
    for original, released, _ in pairs:
        assert released.sig_len == original.sig_len
        assert released.fs == original.fs
        assert released.sig_name == original.sig_name
        assert released.units == original.units
        np.testing.assert_array_equal(np.isnan(released.p_signal), np.isnan(original.p_signal))
        there = ~np.isnan(original.p_signal)
        for other, _, _ in pairs:
            n = min(len(other.p_signal), len(released.p_signal))
            assert abs(np.corrcoef(other.p_signal[:n, 1], released.p_signal[:n, 1])[0, 1]) < 0.999
        # Of unequal signals in steps of a microvolt, a handful of samples is equal by chance.
        assert (original.p_signal == released.p_signal)[there].mean() < 0.01
    assert night.done.n_kept_samples == 0
    assert sum(np.isnan(released.p_signal).sum() for _, released, _ in pairs) == 400


def test_laws_of_limb_leads(night):
    """Lead II is I and III, to one step of the release."""
    for _, released, _ in _pairs(night):
        step = 1 / min(released.adc_gain)
        one, two, three = released.p_signal[:, :3].T
        assert np.abs(one + three - two).max() <= 1.5 * step + 1e-9


def test_heartbeats_are_where_they_were(night):
    """Normal ones: where a wide beat's peak is found goes by its shape, which is another one."""
    near = []
    names = sorted(header.with_suffix("") for header in night.data.rglob("*.hea"))
    for name, (original, released, _) in zip(names, _pairs(night), strict=True):
        marks = wfdb.rdann(str(name), "atr")
        normal = marks.sample[np.array(marks.symbol) == "N"]
        before, after = (detect_r_peaks(np.nan_to_num(own.p_signal[:, 1]), own.fs) for own in (original, released))
        before = before[np.abs(before[:, None] - normal).min(axis=1) <= 0.05 * original.fs]
        near += (np.abs(before[:, None] - after).min(axis=1) <= 0.02 * original.fs).tolist()
    assert len(near) > 100
    assert np.mean(near) >= 0.99


def _planted(word, file):
    """What a planted word looks like: the digits of a year stand by chance in samples, digests and check sums too."""
    if word.isalpha():
        return word.encode()
    if file.suffix == ".dat":
        return rb"(?!)"
    # A header's lines of signals end with numbers that anything may make, and these end with a lead's name.
    return rb"(?m)^(?!.*\.dat 16 ).*(?<![0-9a-z])" + word.encode() + rb"(?![0-9a-z])"


def test_headers_tell_nothing(night):
    """Nothing that was planted stands in a name or in the bytes of a file; age in bins; no date."""
    for file in night.out.rglob("*"):
        written = b"" if file.is_dir() else file.read_bytes()
        for word in PLANTED:
            assert not word.isalpha() or word not in str(file.relative_to(night.out))
            assert not re.search(_planted(word, file), written)
    for original, released, _ in _pairs(night):
        assert released.base_date is None
        assert released.base_time is None
        age = int(original.comments[1].split()[1])
        assert released.comments == [f"age: {age // 10 * 10}-{age // 10 * 10 + 9}"]


def test_sums_lists_and_manifest(night):
    """Against hashlib, and what is there."""
    files = {file.relative_to(night.out).as_posix() for file in night.out.rglob("*") if file.is_file()}
    sums = dict(line.split(" ", 1)[::-1] for line in (night.out / "SHA256SUMS.txt").read_text().splitlines())
    assert set(sums) == files - {"SHA256SUMS.txt"}
    for file, digest in sums.items():
        assert hashlib.sha256((night.out / file).read_bytes()).hexdigest() == digest
    headers = {file.removesuffix(".hea") for file in files if file.endswith(".hea")}
    assert set((night.out / "RECORDS").read_text().split()) == headers
    manifest = json.loads((night.out / "manifest.json").read_text())
    assert {f"{line['subject']}/{line['record']}" for line in manifest["records"]} == headers
    assert manifest["left_out"] == []
    for line in manifest["records"]:
        for file, digest in line["files"].items():
            assert sums[file] == digest
        own = wfdb.rdheader(str(night.out / line["subject"] / line["record"]))
        assert (line["n_samples"], line["n_leads"], line["sampling_rate"]) == (own.sig_len, own.n_sig, own.fs)
    # Sessions count visits, in the order of their dates.
    key = read_key(night.key)
    session = {line["record"]: line["session"] for line in manifest["records"]}
    for person in night.data.iterdir():
        assert [session[pseudonym(key, "record", f"{person.name}/visit{i}")] for i in (0, 1)] == [0, 1]


def test_who_lacks_the_key_learns_no_names_and_another_key_gives_others(night, job):
    new_key(job.home / "other")
    anonymize_recordings(job.data, job.model, job.out, job.home / "other")
    names = [{file.name for file in out.rglob("*") if file.suffix or file.is_dir()} for out in (night.out, job.out)]
    assert names[0] & names[1] == {"manifest.json", "README.md", "SHA256SUMS.txt"}


def test_the_log_names_each_record(night):
    log = night.log.read_text()
    for header in night.data.rglob("*.hea"):
        name = header.relative_to(night.data).with_suffix("").as_posix()
        assert len(re.findall(rf"released {name} as \w+/\w+: 4 leads", log)) == 1
    assert "complete: 12 records of 6 people" in log


def test_release_by_other_tools(night):
    """What `read_release_pair` gives with the key: the people of the original, beat by beat."""
    pair = read_release_pair(night.data, night.out, key=night.key, labels=None)
    assert set(pair.subjects) == {folder.name for folder in night.data.iterdir()}
    assert len(set(zip(pair.subjects, pair.sessions, strict=True))) == 12
    assert not any("from end to end" in note for note in pair.notes)
    assert "whole_records" not in pair.protocol


def test_what_halves_of_a_recording_mean_is_said(night):
    """One pseudo-person goes through a recording: to tell one half by the other is no harm."""
    for read in (read_release_pair, read_release_views):
        release = read(night.data, night.out, key=night.key, labels=None, sessions="half")
        pair = release if read is read_release_pair else release.views[0]
        assert sum("from end to end" in note for note in pair.notes) == 1
        views = [pair] if read is read_release_pair else release.views
        assert all(view.protocol["whole_records"] for view in views)


# ---------------------------------------------------------------------------------------------------- what is left out


def _first(job):
    return sorted(job.data.rglob("*.hea"))[0]


def _cut(job):
    signal = _first(job).with_suffix(".dat")
    signal.write_bytes(signal.read_bytes()[:1000])


def _broken(job):
    _first(job).write_text("nonsense\n")


def _leaving(job):
    header = _first(job)
    header.write_text(header.read_text().replace("visit0.dat", "../secret.dat"))


def _gone(job):
    _first(job).with_suffix(".dat").unlink()


def _link(suffix):
    def made(job):
        file = _first(job).with_suffix(suffix)
        file.rename(job.home / file.name)
        file.symlink_to(job.home / file.name)

    return made


def _loose_link(job):
    _first(job).unlink()
    _first_name = sorted(job.data.rglob("*.dat"))[0].with_suffix(".hea")
    _first_name.symlink_to(job.home / "nowhere")


def _signal(made):
    def spoil(job):
        header = _first(job)
        signal = np.stack([made(lead) for lead in range(4)]).T
        wfdb.wrsamp(
            header.stem, fs=250, sig_name=["I", "II", "III", "V1"], units=["mV"] * 4, write_dir=str(header.parent),
            d_signal=np.rint(1000 * signal).astype(np.int64), fmt=["16"] * 4, adc_gain=[1000.0] * 4, baseline=[0] * 4,
        )  # fmt: skip

    return spoil


def _strange_leads(job):
    header = _first(job)
    lines = [re.sub(r" (I|II|III|V1)$", r" pleth\1", line) for line in header.read_text().splitlines()]
    header.write_text("\n".join(lines) + "\n")


SPOILT = {
    "cut": (_cut, "samples"),
    "broken": (_broken, "describes no signal"),
    "leaving": (_leaving, "another folder|inside its folder"),
    "gone": (_gone, "visit0.dat|cannot be read"),
    "linked header": (_link(".hea"), "visit0.hea is a link"),
    "linked signal": (_link(".dat"), "visit0.dat is a link"),
    "linked marks": (_link(".atr"), "visit0.atr is a link"),
    "loose link": (_loose_link, "visit0.hea is a link"),
    "flat": (_signal(lambda lead: np.zeros(3000)), "flat or missing"),
    "noise": (_signal(lambda lead: np.random.default_rng(lead).normal(size=3000)), "no heartbeat that can be told"),
    "other leads": (_strange_leads, "none of the leads"),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_bad_records_are_left_out_and_listed(job, kind, bytes_of):
    """The others are released as if it were not there; names and reasons are for the owner, not for the release."""
    spoil, words = SPOILT[kind]
    shutil.rmtree(sorted(job.data.iterdir())[-1])  # fewer: this is about one
    name = _first(job).relative_to(job.data).with_suffix("").as_posix()
    spoil(job)
    done = anonymize_recordings(job.data, job.model, job.out, job.key)
    assert done.n_records == 9
    [(own, reason)] = done.left_out
    assert own == name
    assert re.search(words, reason), reason
    assert f"left out {name}: " in job.out.with_name("out.log").read_text()
    [line] = json.loads((job.out / "manifest.json").read_text())["left_out"]
    assert line["record"] == pseudonym(read_key(job.key), "record", name)
    assert set(line) == {"record", "why"}
    assert not any(b"visit" in content for content in bytes_of(job.out).values())
    again = anonymize_recordings(job.data, job.model, job.out, job.key)
    assert again.was_complete
    assert [own for own, _ in again.left_out] == [name]


def test_folders_that_cannot_be_entered_and_links_to_folders_are_listed(job, monkeypatch):
    """Nobody is dropped without a word."""
    first, second = sorted(job.data.iterdir())[:2]
    first.rename(job.home / first.name)
    first.symlink_to(job.home / first.name)
    listed = os.scandir

    def closed(path="."):
        if not isinstance(path, int) and Path(path) == second:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(second))
        return listed(path)

    monkeypatch.setattr(os, "scandir", closed)
    done = anonymize_recordings(job.data, job.model, job.out, job.key)
    assert done.n_records == 8
    assert [name for name, _ in done.left_out] == [first.name, second.name]
    assert "is a link" in done.left_out[0][1]
    assert "Permission denied" in done.left_out[1][1]


def test_files_that_may_not_be_read_are_left_out(job, monkeypatch):
    _fail_at_first(monkeypatch, job, PermissionError(errno.EACCES, "Permission denied"))
    done = anonymize_recordings(job.data, job.model, job.out, job.key)
    assert done.n_records == 11
    assert "Permission denied" in done.left_out[0][1]


def test_a_server_that_is_gone_loses_no_record(job, monkeypatch, bytes_of, night):
    """It is the machine that is at fault, not the record: the run ends, and goes on when the server is back."""
    with monkeypatch.context() as patch:
        _fail_at_first(patch, job, OSError(errno.ESTALE, "Stale file handle"))
        with pytest.raises(OSError, match="Stale"):
            anonymize_recordings(job.data, job.model, job.out, job.key)
    assert not job.out.exists()
    anonymize_recordings(job.data, job.model, job.out, job.key)
    assert bytes_of(job.out) == bytes_of(night.out)


def _fail_at_first(patch, job, error):
    first, read = _first(job).with_suffix(""), _worker.InputRecord.read

    def failing(self):
        if self.root / self.name == first:
            raise error
        return read(self)

    patch.setattr(_worker.InputRecord, "read", failing)


def test_a_record_that_cannot_be_written_is_left_out(job, monkeypatch):
    """Such as one with marks that no annotation file holds."""

    def refuse(place, *args, **options):
        raise ValueError("annotation: a mark before the recording")

    monkeypatch.setattr(_worker, "write_record", refuse)
    with pytest.raises(NotReleasedError, match=r"none of 12 records could be used.*mark before"):
        anonymize_recordings(job.data, job.model, job.out, job.key)
    assert not job.out.exists()


def test_times_of_files_tell_no_order(night):
    """Files are made in the order of the originals' names; their times must not say so."""
    places = [night.out, *night.out.rglob("*")]
    assert len({place.stat().st_mtime_ns for place in places}) == 1


def test_a_record_takes_one_thread(night, tmp_path, monkeypatch):
    """Its matrices are small; what the caller has set stays."""
    seen, whole = [], RecordingModel.anonymize

    def looked(self, *args):
        seen.append({pool["num_threads"] for pool in threadpool_info()})
        return whole(self, *args)

    monkeypatch.setattr(RecordingModel, "anonymize", looked)
    with threadpool_limits(2):
        anonymize_recordings(night.data, night.model, tmp_path / "out", night.key)
        after = {pool["num_threads"] for pool in threadpool_info()}
    assert len(seen) == 12
    assert set().union(*seen) == {1}
    assert after == {2}
