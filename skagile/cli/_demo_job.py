"""The job behind ``skagile demo``: records, beats, releases by AGILE and by k-same, and their audits."""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skagile._files import remove_leftovers, replacing
from skagile.audit import Estimators, Evidence, audit_release
from skagile.datasets import (
    beats_from_records,
    fetch_directory,
    load_ecgid_beats,
    load_mitdb_beats,
    make_cohort,
)
from skagile.records import DoubtfulIdentityError

# Beats are resampled to this rate: nothing of theirs lies above 40 Hz after the band-pass, and half the samples are
# half the work.
SAMPLING_RATE = 180.0
DATABASES = ("synthetic", "mitdb", "ecgid")
OUTPUTS = ("release.npz", "report.html", "report.json", "agile_report.html", "agile_report.json", "summary.csv")
_NAMES = {"agile": "AGILE", "ksame": "k-same"}
_READING = "reading records and finding beats"
# A look in minutes: ``skagile audit`` runs them all.
_ATTACKERS = ("svd", "nearest_neighbour", "deep_ecg")
# AGILE's audit comes first; what is asked of originals is the same for both.
_KNOWLEDGE = {"agile": ("static", "adaptive"), "ksame": ("clean", "static", "adaptive")}
_K = 10
# Of the attacks, and without --seed of people and beats: the same figures of the same release. Never of the release.
_SEED = 0
# Of every so many people one is in no release: those that the audit tells members from.
_ONE_LEFT_OUT_OF = 3
_LEAST_OUTSIDE = 5  # with fewer an audit cannot tell, and everybody is in the release
_THREATS = {
    "presence": "who is in the release is told",
    "copies": "copies of people's own beats",
    "disclosure": "diagnosis read of members, above others",
}


@dataclass(frozen=True)
class DemoSize:
    """How much work a demo does."""

    max_beats: int  # of a person and session
    network: dict = field(default_factory=dict)  # settings of the network that attacks, and of the one that diagnoses
    agile: dict = field(default_factory=dict)
    ksame: dict = field(default_factory=dict)
    diagnostic_training: tuple = ("original", "released")
    cohort: dict = field(default_factory=dict)

    def __str__(self):
        parts = [f"at most {self.max_beats} beats of a person and session"]
        for name, settings in (("AGILE", self.agile), ("k-same", self.ksame), ("networks of the audit", self.network)):
            if settings:
                parts.append(f"{name} with " + ", ".join(f"{key} {value}" for key, value in settings.items()))
        return "; ".join(parts)


# Of the estimators' defaults a demo needs less: with 12 epochs and 100 beats the attacker names the person of 94 % of
# MIT-BIH's beats (with 30: 95 %), and the other network reads 97 % of diagnoses.
SIZES = {
    "full": DemoSize(
        max_beats=100,
        network={"max_epochs": 12},
        agile={"n_steps": 6, "max_epochs": 8},
        ksame={"max_epochs": 8},
        cohort={"n_subjects": 24, "duration": 60.0},
    ),
    "quick": DemoSize(
        max_beats=40,
        network={"max_epochs": 12},
        agile={"n_steps": 6, "n_surrogates": 3, "max_epochs": 10},
        ksame={"max_epochs": 8},
        diagnostic_training=("original",),
        cohort={"n_subjects": 15, "duration": 60.0},
    ),
}


def load_demo_beats(data, size, seed, subjects="auto"):
    """Find the beats of a database by name, or of a folder of WFDB records.

    Parameters
    ----------
    data : str
        One of `DATABASES`, or a folder.
    size : DemoSize
        How many beats to keep of each subject and session.
    seed : int
        Draws them.
    subjects : {"auto", "folder", "record"}, default="auto"
        Of a folder, whose a record is; see :func:`~skagile.datasets.fetch_directory`.

    Returns
    -------
    beats : :class:`~sklearn.utils.Bunch`
        As from :func:`~skagile.datasets.beats_from_records`, R peaks found by the detector.
    """
    cut = {
        "sampling_rate": SAMPLING_RATE,
        "max_beats": size.max_beats,
        "random_state": seed,
        "r_peaks": "detected",
    }
    if data == "synthetic":
        cohort = make_cohort(n_sessions=2, random_state=seed, **size.cohort)
        return beats_from_records(cohort, sessions="date", **cut)
    if data == "mitdb":
        return load_mitdb_beats(guard=60.0, classes=("N", "S", "V", "F"), **cut)
    if data == "ecgid":
        return load_ecgid_beats(**cut)
    return _directory_beats(Path(data), cut, subjects)


def _directory_beats(folder, cut, subjects):
    if not folder.is_dir():
        raise ValueError(
            f"--data {str(folder)!r} is neither a folder nor one of {', '.join(DATABASES)}. Give the folder that holds "
            "the WFDB records (.hea files), or one of these names."
        )
    try:
        records = fetch_directory(folder, subject=subjects, sampling_rate=360.0, on_error="skip")
    except DoubtfulIdentityError as error:
        raise ValueError(f"{error} On the command line: --subjects folder, or --subjects record.") from None
    for labels in ("aami", "diagnosis", "sex"):
        try:
            beats = beats_from_records(records, labels=labels, sessions="auto", **cut)
        except ValueError:
            # No annotations, say; the next kind of label may do.
            continue
        labelled = beats.y != ""
        if len(np.unique(beats.y[labelled])) > 1:
            for key in ("X", "y", "subjects", "records", "r_peak", "times", "sessions", "symbol"):
                beats[key] = beats[key][labelled]
            return beats
    raise ValueError(
        f"--data {str(folder)!r} has no diagnosis to keep: neither beat annotations (.atr), nor diagnoses or sexes in "
        "the headers, with at least two different values. Add them, or use the Python interface with y of your own."
    )


class _Progress:
    """Counts the steps of a demo for who is watching."""

    def __init__(self, progress):
        self._progress, self._done = progress, 0
        # The number of fits is known once an audit starts; until then the usual one stands for it.
        self._left = 1 + 2 * len(_NAMES)
        self._fits = dict.fromkeys(_KNOWLEDGE, 8)

    def _tell(self, what):
        if self._progress is not None:
            self._progress(self._done, self._left + sum(self._fits.values()), what)

    @contextmanager
    def step(self, what):
        """Tell of a step, of its epochs and of its batches."""
        # Imported here: it loads torch.
        from skagile._training import watching

        self._tell(what)
        with watching(lambda done, total: self._tell(f"{what}, {done} of {total}")):
            yield
        self._done += 1

    def audit(self, name):
        """Make the callable that an audit tells of its fits."""
        before = self._done

        def tell(done, total, what):
            self._done, self._fits[name] = before + done, total
            self._tell(f"{_NAMES[name]}: {what}")

        self._tell(f"auditing {_NAMES[name]}")
        return tell


def run_demo(
    data: str,
    out: str | PathLike,
    *,
    size: str = "full",
    seed: int | None = None,
    progress: Callable | None = None,
    subjects: str = "auto",
) -> Bunch:
    """Release beats anonymized by AGILE and by k-same, audit both, and save k-same's release and the figures.

    A full demo takes at most 100 beats of each person and session (synthetic: 24 people, two sessions of 60 s), AGILE
    with 6 steps and 8 epochs, k-same with 8 epochs, and a network of at most 12 epochs as the attacker and for the
    diagnosis, all fewer than the estimators' defaults: trained on originals, the attacker then names the right person
    for one beat in a hundred less of MIT-BIH, and for two in a hundred less of the synthetic people. `skagile audit`
    attacks in full.

    A third of the people, drawn at random, is not in the release: k-same is not fitted on them, and the audit tells
    those who are in it from them. Of fewer than 15 people all are in it, and this is not tested.

    Parameters
    ----------
    data : str
        "synthetic", "mitdb", "ecgid" or a folder of WFDB records.
    out : path-like
        Folder for the results; made where it is missing.
    size : {"full", "quick"}, default="full"
        Amount of work.
    seed : int, default=None
        For tests and studies: seed of the synthetic people, of the beats that are kept, of who is in the release, and
        of the release's draws. Who knows it, and has the fitted anonymizer, can draw the release again; so the reports
        say in red that there was one. It is never written. None: what is random in the release, who is in it too, comes
        from the operating system. The order of the rows always does.
    progress : callable, default=None
        Gets (done, total, what).
    subjects : {"auto", "folder", "record"}, default="auto"
        Of a folder, whose a record is; see :func:`~skagile.datasets.fetch_directory`.

    Returns
    -------
    results : :class:`~sklearn.utils.Bunch`
        ``report`` and ``agile``, the :class:`~skagile.audit.AuditReport` of k-same's release and of AGILE's;
        ``comparison``, a DataFrame of both; ``k`` and ``expected_leakage``, of k-same; ``sizes``, the amount of work in
        words; ``files``, a list of :class:`pathlib.Path`: ``release.npz`` (k-same's beats and diagnoses of the people
        who are in the release, in random order, no subject), ``report.html`` and ``report.json`` on it,
        ``agile_report.html`` and ``agile_report.json``, ``summary.csv`` with the attacks on both.
    """
    # Here and not on top: it loads torch, which --help does without.
    from skagile._training import torch_threads

    amount = SIZES[size]
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    steps = _Progress(progress)
    # One thread here, and two processes where fits are independent.
    with torch_threads(1):
        with steps.step(_READING):
            beats = load_demo_beats(data, amount, _SEED if seed is None else seed, subjects)
        members = _choose_members(beats.subjects, seed)
        released, ksame = _release(beats, members, amount, seed, steps)
        reports = _audit(beats, released, members, amount, seed, steps)
    return Bunch(
        report=reports["ksame"],
        agile=reports["agile"],
        comparison=compare(reports["ksame"], reports["agile"]),
        k=ksame.k,
        expected_leakage=ksame.expected_leakage_,
        sizes=str(amount),
        files=_save(out, reports, released["ksame"][members], {**beats, "y": beats.y[members]}),
    )


def _choose_members(subjects, seed):
    """Whether each row is of somebody who is in the release."""
    people = np.random.default_rng(seed).permutation(np.unique(subjects))
    n_outside = len(people) // _ONE_LEFT_OUT_OF
    return np.isin(subjects, people[n_outside if n_outside >= _LEAST_OUTSIDE else 0 :])


def _release(beats, members, amount, seed, steps):
    """Fit AGILE on all first sessions and k-same on the members', and release all beats; also give the fitted k-same.

    AGILE hides only whom it knows, so it is given everybody whom the attackers try to name.
    """
    from skagile.anonymizers import AgileAnonymizer, KSameAnonymizer

    first = beats.sessions == 0
    fitted = {"agile": first, "ksame": first & members}
    k = max(2, min(_K, len(np.unique(beats.subjects[fitted["ksame"]]))))
    anonymizers = {
        "agile": AgileAnonymizer(random_state=seed, **amount.agile),
        "ksame": KSameAnonymizer(k, random_state=seed, **amount.ksame),
    }
    released = {}
    for name, anonymizer in anonymizers.items():
        with steps.step(f"fitting {_NAMES[name]}"):
            rows = fitted[name]
            anonymizer.fit(beats.X[rows], beats.y[rows], subjects=beats.subjects[rows])
        with steps.step(f"{_NAMES[name]}'s release"):
            released[name] = anonymizer.transform(beats.X, subjects=beats.subjects)
    return released, anonymizers["ksame"]


def _audit(beats, released, members, amount, seed, steps):
    from skagile.attackers import DeepECGIdentifier  # loads torch

    network = DeepECGIdentifier(**amount.network)
    estimators = Estimators(diagnostic_estimator=network, diagnostic_training=amount.diagnostic_training)
    return {
        name: audit_release(
            beats.X,
            released[name],
            beats.y,
            subjects=beats.subjects,
            sessions=beats.sessions,
            members=None if members.all() else members,
            sampling_rate=beats.sampling_rate,
            window=beats.window,
            attackers={attacker: network if attacker == "deep_ecg" else attacker for attacker in _ATTACKERS},
            knowledge=knowledge,
            n_jobs=min(2, joblib.cpu_count()),
            random_state=_SEED,
            progress=steps.audit(name),
            estimators=estimators,
            evidence=Evidence(known_seed=seed is not None),
        )
        for name, knowledge in _KNOWLEDGE.items()
    }


def compare(ksame, agile):
    """Put two audits side by side.

    Parameters
    ----------
    ksame, agile : skagile.audit.AuditReport
        The first with what is asked of originals.

    Returns
    -------
    comparison : DataFrame
        Shares in percent: single beats named right by each attacker, beats whose diagnosis is read right, and what the
        worst attack of every other threat gets.
    """
    both = {"k-same": ksame, "AGILE": agile}
    rank1 = {name: report.summary().set_index(["attacker", "knowledge"])["rank1"] for name, report in both.items()}
    rows = []
    for attacker in _ATTACKERS:
        row = {"": f"named by {attacker}", "originals": rank1["k-same"][attacker, "clean"]}
        for knowledge, words in (("static", ""), ("adaptive", ", retrained")):
            row |= {f"{name}{words}": shares[attacker, knowledge] for name, shares in rank1.items()}
        rows.append(row)
    read = {
        name: report.utility().set_index(["trained_on", "tested_on"])
        for name, report in (("k-same", ksame), ("AGILE", agile))
    }
    for measure, words in (("accuracy", "diagnosis right"), ("macro_f1", "macro-F1 of it")):
        row = {"": words, "originals": read["k-same"][measure]["original", "original"]}
        for name, table in read.items():
            row[name] = table[measure]["original", "released"]
            row[f"{name}, retrained"] = table[measure].get(("released", "original"), np.nan)
        rows.append(row)
    threats = {name: report.threats()["value"] for name, report in both.items()}
    for threat, words in _THREATS.items():
        row = {name: values[threat] for name, values in threats.items()}
        rows.append({"": words, "originals": np.nan, **row, **{f"{name}, retrained": np.nan for name in both}})
    columns = ["", "originals", "AGILE", "AGILE, retrained", "k-same", "k-same, retrained"]
    table = pd.DataFrame(rows)[columns]
    return table.set_index("").mul(100).map(lambda share: "" if np.isnan(share) else f"{share:.1f}").reset_index()


def _save(out, reports, released, beats):
    files = [out / name for name in OUTPUTS]
    remove_leftovers(out)
    # Rows stand in the order of the records, which would tell who is who. Nobody has a use for this order again, so no
    # seed gives it.
    order = np.random.default_rng().permutation(len(released))
    with replacing(files[0]) as beside:
        np.savez_compressed(
            beside,
            X=released[order],
            y=beats["y"][order].astype(str),
            sampling_rate=beats["sampling_rate"],
            window=np.asarray(beats["window"]),
        )
    for report, page, data in ((reports["ksame"], *files[1:3]), (reports["agile"], *files[3:5])):
        report.to_html(page)
        report.to_json(data)
    attacks = [report.summary().assign(anonymizer=name) for name, report in reports.items()]
    with replacing(files[-1]) as beside:
        pd.concat(attacks).to_csv(beside, index=False)
    return files
