"""The job behind ``skagile demo``: records, beats, releases by AGILE and by k-same, and their audits."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skagile._files import replacing
from skagile.audit import Estimators
from skagile.datasets import (
    beats_from_records,
    fetch_directory,
    load_ecgid_beats,
    load_mitdb_beats,
    make_cohort,
)

# Beats are resampled to this rate: nothing of theirs lies above 40 Hz after the band-pass, and half the samples are
# half the work.
SAMPLING_RATE = 180.0
DATABASES = ("synthetic", "mitdb", "ecgid")
_PREPARATION = ("reading records and finding beats", "fitting AGILE", "AGILE's release", "fitting k-same", "k-same's")
# A look in minutes: ``skagile audit`` runs them all.
_ATTACKERS = ("svd", "nearest_neighbour", "deep_ecg")
# AGILE's audit comes first; what is asked of originals is the same for both.
_KNOWLEDGE = {"agile": ("static", "adaptive"), "ksame": ("clean", "static", "adaptive")}
_K = 10


@dataclass(frozen=True)
class DemoSize:
    """How much work a demo does. The attackers are the same at every size."""

    max_beats: int
    agile: dict = field(default_factory=dict)
    ksame: dict = field(default_factory=dict)
    audit: dict = field(default_factory=dict)
    cohort: dict = field(default_factory=dict)


SIZES = {
    "full": DemoSize(max_beats=150, cohort={"n_subjects": 30, "duration": 120.0}),
    "quick": DemoSize(
        max_beats=40,
        agile={"n_surrogates": 3, "max_epochs": 10},
        ksame={"max_epochs": 8},
        audit={"estimators": Estimators(diagnostic_training=("original",))},
        cohort={"n_subjects": 15, "duration": 60.0},
    ),
}


def load_demo_beats(data, size, seed):
    """Find the beats of a database by name, or of a folder of WFDB records.

    Parameters
    ----------
    data : str
        One of `DATABASES`, or a folder.
    size : DemoSize
        How many beats to keep of each subject and session.
    seed : int
        Draws them.

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
    return _directory_beats(Path(data), cut)


def _directory_beats(folder, cut):
    if not folder.is_dir():
        raise ValueError(
            f"--data {str(folder)!r} is neither a folder nor one of {', '.join(DATABASES)}. Give the folder that holds "
            "the WFDB records (.hea files), or one of these names."
        )
    records = fetch_directory(folder, sampling_rate=360.0, on_error="skip")
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


def run_demo(data, out, *, size="full", seed=0, progress=None):
    """Release beats anonymized by AGILE and by k-same, audit both, and save k-same's release and what was found.

    Parameters
    ----------
    data : str
        "synthetic", "mitdb", "ecgid" or a folder of WFDB records.
    out : path-like
        Folder for the results; made where it is missing.
    size : {"full", "quick"}, default="full"
        Amount of work.
    seed : int, default=0
        Seed of everything random.
    progress : callable, default=None
        Gets (done, total, what).

    Returns
    -------
    found : :class:`~sklearn.utils.Bunch`
        ``report`` and ``agile``, the :class:`~skagile.audit.AuditReport` of k-same's release and of AGILE's;
        ``comparison``, a DataFrame of both; ``k`` and ``expected_leakage``, of k-same; ``files``, a list of
        :class:`pathlib.Path`: ``release.npz`` (k-same's beats and diagnoses in random order, no subject),
        ``report.html`` and ``report.json`` on it, ``agile_report.html`` and ``agile_report.json``, ``summary.csv`` with
        the attacks on both.
    """
    # Networks are imported here, so that the command line answers --help without loading torch.
    from skagile.anonymizers import AgileAnonymizer, KSameAnonymizer
    from skagile.audit import audit_release

    amount = SIZES[size]
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    done = 0
    # The number of fits is known once an audit starts; until then the bar counts with the usual ones.
    left = {name: 6 for name in _KNOWLEDGE}

    def tell(what):
        if progress is not None:
            progress(done, max(done + 1, len(_PREPARATION) + sum(left.values())), what)

    def step(what):
        nonlocal done
        done += 1
        tell(what)

    tell(_PREPARATION[0])
    beats = load_demo_beats(data, amount, seed)
    enrolled = beats.sessions == 0
    fitted_on = beats.X[enrolled], beats.y[enrolled]
    step(_PREPARATION[1])
    agile = AgileAnonymizer(random_state=seed, **amount.agile)
    agile.fit(*fitted_on, subjects=beats.subjects[enrolled])
    step(_PREPARATION[2])
    released = {"agile": agile.transform(beats.X)}
    step(_PREPARATION[3])
    # A group of k needs k people, and two groups twice as many.
    k = max(2, min(_K, len(np.unique(beats.subjects[enrolled])) // 2))
    ksame = KSameAnonymizer(k, random_state=seed, **amount.ksame)
    ksame.fit(*fitted_on, subjects=beats.subjects[enrolled])
    step(_PREPARATION[4])
    released["ksame"] = ksame.transform(beats.X, subjects=beats.subjects)
    step("auditing")
    # A diagnosis that one person alone has can't be mixed with another's, and is not released.
    kept = ~np.isnan(released["ksame"]).any(axis=1)
    reports = {}
    for name, knowledge in _KNOWLEDGE.items():
        before = done

        def audited(part, total, what, name=name, before=before):
            nonlocal done
            done, left[name] = before + part, total
            tell(f"{'AGILE' if name == 'agile' else 'k-same'}: {what}")

        reports[name] = audit_release(
            beats.X[kept],
            released[name][kept],
            beats.y[kept],
            subjects=beats.subjects[kept],
            sessions=beats.sessions[kept],
            sampling_rate=beats.sampling_rate,
            window=beats.window,
            attackers=_ATTACKERS,
            knowledge=knowledge,
            random_state=seed,
            progress=audited,
            **amount.audit,
        )
    comparison = compare(reports["ksame"], reports["agile"])
    return Bunch(
        report=reports["ksame"],
        agile=reports["agile"],
        comparison=comparison,
        k=k,
        expected_leakage=ksame.expected_leakage_,
        files=_save(out, reports, released["ksame"][kept], {**beats, "y": beats.y[kept]}, seed),
    )


def compare(ksame, agile):
    """Put two audits side by side.

    Parameters
    ----------
    ksame, agile : skagile.audit.AuditReport
        The first with what is asked of originals.

    Returns
    -------
    comparison : DataFrame
        Shares in percent: single beats named right by each attacker, and beats whose diagnosis is read right.
    """
    both = {"k-same": ksame, "AGILE": agile}
    rank1 = {name: report.summary().set_index(["attacker", "knowledge"])["rank1"] for name, report in both.items()}
    rows = []
    for attacker in _ATTACKERS:
        row = {"": f"named by {attacker}", "originals": rank1["k-same"][attacker, "clean"]}
        for knowledge, words in (("static", ""), ("adaptive", ", retrained")):
            row |= {f"{name}{words}": found[attacker, knowledge] for name, found in rank1.items()}
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
    columns = ["", "originals", "AGILE", "AGILE, retrained", "k-same", "k-same, retrained"]
    table = pd.DataFrame(rows)[columns]
    return table.set_index("").mul(100).map(lambda share: "" if np.isnan(share) else f"{share:.1f}").reset_index()


def _save(out, reports, released, beats, seed):
    names = ("release.npz", "report.html", "report.json", "agile_report.html", "agile_report.json", "summary.csv")
    files = [out / name for name in names]
    # Rows stand in the order of the records, which would tell who is who.
    order = np.random.default_rng(seed).permutation(len(released))
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
