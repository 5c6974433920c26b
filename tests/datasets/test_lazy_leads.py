"""All leads of MIMIC-IV-ECG and CODE-15%: twelve synthetic ones, through their files and back, in batches."""

import csv

import h5py
import numpy as np
import pytest
import wfdb

from skagile import BeatSegmenter, KSameAnonymizer
from skagile.datasets import fetch_code15, fetch_mimic_iv_ecg, iter_record_batches, make_cohort
from skagile.leads import STANDARD, lead_residual
from skagile.records import LazySignals

N_PEOPLE = 6
RATES = {"code15": 400, "mimic": 500}
MIMIC_LEADS = ["I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6"]
# Of the standard leads, as the databases have them.
ORDER = {"code15": list(range(12)), "mimic": [STANDARD.index(name) for name in MIMIC_LEADS]}


def _table(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _write_code15(root, signals):
    exams = [
        {
            "exam_id": 1 + i,
            "age": 50,
            "is_male": True,
            "nn_predicted_age": 50.0,
            **dict.fromkeys(("1dAVb", "RBBB", "LBBB", "SB", "ST", "AF"), False),
            "patient_id": i // 2,
            "death": False,
            "timey": 1.0,
            "normal_ecg": True,
            "trace_file": "exams_part0.hdf5",
        }
        for i in range(len(signals))
    ]
    _table(root / "exams.csv", exams)
    with h5py.File(root / "exams_part0.hdf5", "w") as file:
        file["exam_id"] = 1 + np.arange(len(signals))
        made = file.create_dataset("tracings", (len(signals), 4096, 12), "f4")
        for i, signal in enumerate(signals):
            made[i, 48:4048] = signal.T


def _write_mimic(root, signals):
    rows = []
    for i, signal in enumerate(signals):
        subject, study = 10000000 + i // 2, 40000000 + i
        path = f"files/p{str(subject)[:4]}/p{subject}/s{study}/{study}"
        place = (root / path).parent
        place.mkdir(parents=True)
        wfdb.wrsamp(
            str(study),
            fs=500,
            units=["mV"] * 12,
            sig_name=MIMIC_LEADS,
            p_signal=np.asarray(signal.T, dtype=np.float64),
            fmt=["16"] * 12,
            adc_gain=[5000.0] * 12,
            baseline=[0] * 12,
            write_dir=str(place),
        )
        time = f"2180-01-{1 + i:02} 00:00:00"
        rows.append({"subject_id": subject, "study_id": study, "file_name": study, "ecg_time": time, "path": path})
    _table(root / "record_list.csv", rows)


@pytest.fixture(scope="module", params=["code15", "mimic"])
def database(request, tmp_path_factory):
    """Records as the fetcher gives them, and the cohort they were written from, its leads in the database's order."""
    name = request.param
    root = tmp_path_factory.mktemp(name) / name
    cohort = make_cohort(N_PEOPLE, 2, duration=10.0, sampling_rate=RATES[name], n_leads=12, random_state=0)
    cohort.signals = [np.asarray(signal)[ORDER[name]].astype(np.float32) for signal in cohort.signals]
    cohort.leads = [[STANDARD[i] for i in ORDER[name]]] * len(cohort.signals)
    {"code15": _write_code15, "mimic": _write_mimic}[name](root, cohort.signals)
    records = fetch_code15(root) if name == "code15" else fetch_mimic_iv_ecg(root, measurements=False)
    return name, records, cohort


def _segmenter(name, lead):
    return BeatSegmenter(sampling_rate=RATES[name], lead=lead, resample_to=180)


@pytest.mark.parametrize("lead", ["all", ("II", "V1", "V5")], ids=["all", "names"])
def test_beats_of_all_leads_come_in_batches(database, lead):
    """Batch by batch, read from the files, they are the beats of the cohort in memory."""
    name, records, cohort = database
    assert isinstance(records.signals, LazySignals)
    wanted = _segmenter(name, lead).segment(cohort)
    batches = list(iter_record_batches(records, batch_size=5))
    parts = [_segmenter(name, lead).segment(batch) for batch in batches]
    assert len(parts) == 3
    X = np.concatenate([part.X for part in parts])
    assert X.shape == wanted.X.shape
    assert X.shape[1:3] == (1, 12 if lead == "all" else 3)
    np.testing.assert_array_equal(np.concatenate([part.r_peak for part in parts]), wanted.r_peak)
    step = 1 / 5000 if name == "mimic" else 1e-6
    np.testing.assert_allclose(X, wanted.X, atol=2 * step)
    whole = _segmenter(name, lead).segment(records)
    np.testing.assert_array_equal(whole.X, X)


def test_a_lazy_record_is_released_with_all_leads(database):
    """Cut, anonymized with one pseudo-person, written back: twelve leads that obey Einthoven."""
    name, records, _ = database
    segmenter = _segmenter(name, "all")
    beats = segmenter.segment(records)
    rows = ~np.isnan(beats.X).any(axis=(1, 2, 3))
    X, record, r_peak = beats.X[rows], beats.record[rows], beats.r_peak[rows]
    subjects, y = np.asarray(records.subjects)[record], np.full(len(X), "N")
    names = [STANDARD[i] for i in ORDER[name]]
    ksame = KSameAnonymizer(3, lead_names=names, max_draws=1, random_state=0).fit(X, y, subjects=subjects)
    released = ksame.transform(X, subjects=subjects, records=record)
    first = next(iter(iter_record_batches(records, batch_size=2)))
    own = np.isin(record, np.flatnonzero(np.isin(records.record_names, first.record_names)))
    signals = [np.zeros_like(signal) for signal in first.signals]
    restored = segmenter.restore(signals, released[own], r_peak[own], record[own] - record[own].min())
    assert len(restored) == 2
    for signal in restored:
        assert signal.shape[0] == 12
        assert lead_residual(signal, names).max < 1e-5
        assert np.ptp(signal, axis=1).min() > 0.05
