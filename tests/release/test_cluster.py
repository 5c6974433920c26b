"""The night job on a Dask cluster: the same bytes as one process, also where a worker is killed at work."""

import os
import signal

import numpy as np
import pytest
from distributed import LocalCluster

from skagile import KSameAnonymizer
from skagile.datasets import make_cohort
from skagile.records import write_record
from skagile.release import anonymize_recordings, fit_recordings, new_key

LEADS = ("I", "II")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Folder of fourteen people with two recordings each."""
    root = tmp_path_factory.mktemp("cohort")
    records = make_cohort(14, 2, duration=12.0, sampling_rate=200.0, n_leads=12, random_state=0)
    rows = [list(records.leads[0]).index(lead) for lead in LEADS]
    for number, (leads, subject) in enumerate(zip(records.signals, records.subjects, strict=True)):
        place = root / f"subject{subject}"
        place.mkdir(exist_ok=True)
        write_record(place / f"r{number}", np.asarray(leads)[rows], 200.0, LEADS)
    return root


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as started:
        yield started


def _fit(cohort, path, **how):
    ksame = KSameAnonymizer(5, max_draws=1, max_epochs=1)
    fit_recordings(cohort, path, anonymizer=ksame, k=5, sampling_rate=100.0, random_state=0, **how)
    return path


def _bytes_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_cluster_gives_the_same_bytes(cohort, cluster, tmp_path):
    address = cluster.scheduler_address
    model = _fit(cohort, tmp_path / "alone.model")
    assert _fit(cohort, tmp_path / "cluster.model", dask=address).read_bytes() == model.read_bytes()
    new_key(tmp_path / "key")
    anonymize_recordings(cohort, model, tmp_path / "alone", tmp_path / "key")
    done = anonymize_recordings(cohort, model, tmp_path / "cluster", tmp_path / "key", dask=address)
    assert done.n_records == 28
    assert _bytes_of(tmp_path / "cluster") == _bytes_of(tmp_path / "alone")

    killed = []

    def kill(done, total, what):
        if not killed and done >= 4:
            killed.append(cluster.workers[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    anonymize_recordings(cohort, model, tmp_path / "killed", tmp_path / "key", dask=address, progress=kill)
    assert killed
    assert _bytes_of(tmp_path / "killed") == _bytes_of(tmp_path / "alone")


def test_no_scheduler_is_a_clear_error(cohort, tmp_path, monkeypatch):
    monkeypatch.setattr("skagile._workers._CONNECT", 1.0)
    with pytest.raises(OSError, match=r"tcp://127\.0\.0\.1:1"):
        _fit(cohort, tmp_path / "model", dask="tcp://127.0.0.1:1")
    assert not (tmp_path / "model").exists()


def test_without_the_extra_the_way_out_is_named(cohort, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(ValueError, match=r"Install skagile\[dask\]"):
        _fit(cohort, tmp_path / "model", dask="tcp://127.0.0.1:1")
