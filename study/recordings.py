"""The night job on all real recordings: fit, anonymize, and what the released files are like, read by wfdb."""

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import wfdb
from sklearn.utils import Bunch

from skagile.audit import Evidence, Size, audit_release, percent
from skagile.datasets import fetch_heartprint
from skagile.leads import lead_residual
from skagile.records import read_record, record_names, write_record
from skagile.release import (
    anonymize_recordings,
    fit_recordings,
    new_key,
    original_names,
    read_key,
    read_release_pair,
)
from skagile.segmentation import BeatSegmenter
from study._table import CACHE, write_page

SEED = 0
DATABASES = ("ludb", "ptbdb", "ecgiddb", "mitdb", "heartprint")
NEAR = 0.02  # s
MAX_BEATS = 120  # of a person and session, for the attacks
SHORT = ("ludb",)  # ten beats a record: no windows of intervals
# The lead that is attacked: of twelve, each by itself and all together, an audit takes hours on two cores.
ATTACKED = {"ludb": "ii", "ptbdb": "ii", "mitdb": "MLII", "ecgiddb": "ECG I"}
TEXT = """
Each database through ``fit_recordings`` and ``anonymize_recordings`` with their defaults (k-same, k = 10; seed {seed}
of the fit), one process. Heartprint's text files are written as WFDB first. The release is read by ``wfdb.rdrecord``.

- "as the original": share of records with its length, sampling rate, names of leads and units;
- "R peaks": of those found in the original, the share that is found in the release within {near:.0f} ms, both over the
  leads together, by the same detector;
- "Einthoven": largest residual of the limb laws in a record, in mV; "step": the largest step of the files' resolution;
- "x real time": length of the recordings over the time that ``anonymize_recordings`` took, files read and written and
  searched for names;
- "kept samples": samples that are equal to the original's;
- the audit of the records, of one lead ({leads}): share of beats, or of people from all their beats ("fused"), that
  the worst attack names. "originals": before the release; "trained on originals"; "retrained": enrolled with the
  release of another recording of the person; "owns the tool": trained on another release of the same originals, made
  with another key; "R-R": the best that intervals between beats get, which are kept. LUDB's and nearly all of MIT-BIH's
  people have one record: its halves enrol and are probed, and nobody enrols with half of the very file that is probed.
"""
_COMMAND = "tox run -e study -- recordings"
_NAMED = {
    "clean": "originals",
    "static": "trained on originals",
    "adaptive": "retrained",
    "auxiliary": "owns the tool",
}


def originals(name):
    """Folder of a database's records in WFDB."""
    if name != "heartprint":
        return Path(os.environ["SKAGILE_DATA"]) / name
    folder = CACHE / "recordings" / "heartprint-wfdb"
    records = fetch_heartprint()
    rows = zip(records.signals, records.subjects, records.leads, records.record_names, strict=True)
    for signal, subject, leads, record in rows:
        place = folder / f"person{subject}"
        place.mkdir(parents=True, exist_ok=True)
        write_record(place / record.replace("/", "_").replace(" ", "_"), np.atleast_2d(signal), 250.0, list(leads))
    return folder


def run_one(name, seed=SEED):
    """Figures of one database."""
    source, place = originals(name), CACHE / "recordings" / name
    place.mkdir(parents=True, exist_ok=True)
    model, key, out = place / "model", place / "key", place / f"release-{time.time_ns()}"
    if not key.exists():
        new_key(key)
    start = time.perf_counter()
    whose = "folder" if name == "heartprint" else "auto"
    notes = fit_recordings(source, model, subjects=whose, random_state=seed)
    fitted = time.perf_counter()
    done = anonymize_recordings(source, model, out, key, subjects=whose)
    seconds = time.perf_counter() - fitted
    other = _another_release(source, model, place, whose)
    figures = compare(source, out, key)
    row = {
        "database": name,
        "records": done.n_records,
        "left out": len(done.left_out),
        "people": done.n_people,
        "diagnoses": notes.labels,
        "fit, s": f"{fitted - start:.0f}",
        "x real time": f"{figures.pop('seconds') / seconds:.0f}",
        **figures,
        "kept samples": done.n_kept_samples,
    }
    return row | audited(source, out, key, whose, other)


def _another_release(source, model, place, whose):
    """Make one with another key; return both."""
    key, out = place / "another-key", place / f"another-{time.time_ns()}"
    if not key.exists():
        new_key(key)
    anonymize_recordings(source, model, out, key, subjects=whose)
    return out, key


def compare(source, out, key):
    """What released records are like, beside their originals."""
    names = original_names(record_names(out), record_names(source), read_key(key))
    alike, near, n_peaks, worst, step, seconds = 0, 0, 0, 0.0, 0.0, 0.0
    for name, released in names.items():
        before, after = wfdb.rdrecord(str(source / name)), wfdb.rdrecord(str(out / released))
        first, second = read_record(source / name), read_record(out / released)
        kept = [before.sig_name.index(lead) for lead in first.leads]
        alike += (
            before.sig_len == after.sig_len
            and before.fs == after.fs
            and [before.sig_name[row] for row in kept] == after.sig_name
            and [before.units[row] for row in kept] == after.units
        )
        seconds += before.sig_len / before.fs
        there = ~np.isnan(second.signal).all(axis=1)
        leads = [lead for lead, is_there in zip(second.leads, there, strict=True) if is_there]
        own, theirs = (_r_peaks(one.signal[there], leads, one.sampling_rate) for one in (first, second))
        if len(own):
            gap = np.abs(own[:, None] - theirs).min(axis=1) if len(theirs) else np.full(len(own), np.inf)
            near += int((gap <= NEAR * first.sampling_rate).sum())
            n_peaks += len(own)
        try:
            worst = max(worst, lead_residual(second.signal[there], leads).max)
        except ValueError:  # MLII beside I: no law holds
            continue
        step = max(step, *(1 / gain for gain in after.adc_gain))
    return {
        "as the original": percent(alike / len(names)),
        "R peaks": f"{100 * near / n_peaks:.2f} % of {n_peaks}",
        "Einthoven": f"{worst:.4f}",
        "step": f"{step:.4f}",
        "seconds": seconds,
    }


def _r_peaks(signal, leads, rate):
    """R peaks over the leads; gaps are bridged by zeros, alike on both sides."""
    records = Bunch(signals=[np.nan_to_num(signal)], leads=[leads], sampling_rate=rate, record_names=[""])
    segmenter = BeatSegmenter(sampling_rate=rate, lead="all", window=(0, 0.02), on_bad="nan")
    return segmenter.segment(records).r_peak


def audited(source, out, key, whose, another):
    """What attackers of the records name: beats of one lead, cut where the originals' R peaks are, and intervals."""
    read = {"subjects": whose, "lead": ATTACKED.get(source.name, 0), "random_state": SEED}
    pair = read_release_pair(source, out, key=key, max_beats=MAX_BEATS, **read)
    other = read_release_pair(source, another[0], key=another[1], max_beats=MAX_BEATS, **read)
    if not np.array_equal(other.original, pair.original):
        raise ValueError(f"{source.name}: both releases must hold the same beats.")
    whole = bool(pair.protocol.get("whole_records"))
    known = [name for name in _NAMED if name != "adaptive" or not whole]
    attacks = _attacks(pair, "quick", known, Evidence(auxiliary=other.released, whole_records=whole))
    if source.name not in SHORT:
        # Of all beats: one that is left out makes one interval of two.
        pair = read_release_pair(source, out, key=key, **read)
        evidence = Evidence(
            times=pair.times, released_times=pair.released_times, records=pair.records, whole_records=whole
        )
        attacks += _attacks(pair, ["rr"], [name for name in known if name != "auxiliary"], evidence)
    return figures_of(attacks)


def _attacks(pair, attackers, knowledge, evidence):
    report = audit_release(
        pair.original,
        pair.released,
        subjects=pair.subjects,
        sessions=pair.sessions,
        attackers=attackers,
        knowledge=knowledge,
        sampling_rate=pair.sampling_rate,
        window=pair.window,
        evidence=evidence,
        size=Size(galleries=(), max_enrolment_beats=100, max_probe_beats=100),
        cache=CACHE / "recordings" / "audit",
        random_state=SEED,
    )
    return list(report.attacks)


def figures_of(attacks):
    """Cells of an audit's attacks: the worst of each knowledge, and of the intervals between beats."""
    cells = {}
    for known, name in _NAMED.items():
        rows = [row for row in attacks if row["knowledge"] == known and row["attacker"] != "rr"]
        cells[name], cells[f"{name}, fused"] = (_worst(rows, key) for key in ("rank1", "fused_rank1"))
    of_intervals = [row for row in attacks if row["attacker"] == "rr" and row["knowledge"] != "clean"]
    return cells | {"R-R, fused": _worst(of_intervals, "fused_rank1")}


def _worst(rows, key):
    return f"{max(row[key] for row in rows):.3f}" if rows else "–"


def run(seed=SEED):
    """Run the study; its page is written anew after each database."""
    page, rows = None, []
    for name in DATABASES:
        rows.append(run_one(name, seed))
        print(rows[-1], flush=True)
        leads = ", ".join(f"{lead} of {of}" for of, lead in ATTACKED.items())
        text = TEXT.format(seed=seed, near=1000 * NEAR, leads=leads)
        title = "Recordings in, anonymized recordings out"
        page = write_page("recordings", title, text, tables_of(rows), _COMMAND)
    return page


def tables_of(rows):
    """Table of the files, and of the audits."""
    table = pd.DataFrame(rows)
    attacked = ["database", *(column for column in table if column in figures_of([]))]
    files = table[[column for column in table if column == "database" or column not in attacked]]
    return [("The files", files), ("The audit of the records", table[attacked])]
