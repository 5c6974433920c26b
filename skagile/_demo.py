"""The job behind ``skagile demo``: records, beats, an anonymized release and its audit."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from skagile._files import replacing
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
_PREPARATION = ("reading records and finding beats", "fitting AGILE", "anonymizing beats")


# A look in minutes: ``skagile audit`` runs them all.
_ATTACKS = {"attackers": ("svd", "nearest_neighbour", "deep_ecg"), "knowledge": ("clean", "static", "adaptive")}


@dataclass(frozen=True)
class DemoSize:
    """How much work a demo does. The attackers are the same at every size."""

    max_beats: int
    agile: dict = field(default_factory=dict)
    audit: dict = field(default_factory=dict)
    cohort: dict = field(default_factory=dict)


SIZES = {
    "full": DemoSize(max_beats=150, cohort={"n_subjects": 30, "duration": 120.0}),
    "quick": DemoSize(
        max_beats=40,
        agile={"n_surrogates": 3, "max_epochs": 10},
        audit={"diagnostic_training": ("original",)},
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
        return beats_from_records(cohort, split="session", **cut)
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
    known = records.subjects
    days = {(subject, day) for subject, day in zip(known, records.sessions, strict=True) if day}
    if len(days) > len({subject for subject, _ in days}):
        split = "session"
    else:
        split = "record" if len(set(known)) < len(known) else "half"
    for labels in ("aami", "diagnosis", "sex"):
        try:
            beats = beats_from_records(records, labels=labels, split=split, **cut)
        except ValueError:
            # No annotations, say; the next kind of label may do.
            continue
        labelled = beats.y != ""
        if len(np.unique(beats.y[labelled])) > 1:
            for key in ("X", "y", "subjects", "record", "r_peak", "time", "session", "symbol"):
                beats[key] = beats[key][labelled]
            return beats
    raise ValueError(
        f"--data {str(folder)!r} has no diagnosis to keep: neither beat annotations (.atr), nor diagnoses or sexes in "
        "the headers, with at least two different values. Add them, or use the Python interface with y of your own."
    )


def run_demo(data, out, *, size="full", seed=0, progress=None):
    """Release anonymized beats, audit the release, and save what was found.

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
    report : skagile.audit.AuditReport
        What the audit found.
    files : list of pathlib.Path
        ``release.npz`` (anonymized beats and diagnoses in random order, no subject), ``report.json``, ``report.html``
        and ``summary.csv``.
    """
    # Networks are imported here, so that the command line answers --help without loading torch.
    from skagile.anonymizers import AgileAnonymizer
    from skagile.audit import audit_release

    def tell(done, total, what):
        if progress is not None:
            progress(done, total, what)

    # The number of fits is known once the audit starts; until then the bar counts with the usual ones.
    n_steps = len(_PREPARATION) + 6
    amount = SIZES[size]
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    tell(0, n_steps, _PREPARATION[0])
    beats = load_demo_beats(data, amount, seed)
    tell(1, n_steps, _PREPARATION[1])
    enrolled = beats.session == 0
    agile = AgileAnonymizer(random_state=seed, **amount.agile)
    agile.fit(beats.X[enrolled], beats.y[enrolled], subjects=beats.subjects[enrolled])
    tell(2, n_steps, _PREPARATION[2])
    released = agile.transform(beats.X)
    report = audit_release(
        beats.X,
        released,
        beats.y,
        subjects=beats.subjects,
        sessions=beats.session,
        sampling_rate=beats.sampling_rate,
        window=beats.window,
        random_state=seed,
        progress=lambda done, total, what: tell(len(_PREPARATION) + done, len(_PREPARATION) + total, what),
        **_ATTACKS,
        **amount.audit,
    )
    return report, _save(out, report, released, beats, seed)


def _save(out, report, released, beats, seed):
    files = [out / name for name in ("release.npz", "report.json", "report.html", "summary.csv")]
    # Rows stand in the order of the records, which would tell who is who.
    order = np.random.default_rng(seed).permutation(len(released))
    with replacing(files[0]) as beside:
        np.savez_compressed(
            beside,
            X=released[order],
            y=beats.y[order].astype(str),
            sampling_rate=beats.sampling_rate,
            window=np.asarray(beats.window),
        )
    report.to_json(files[1])
    report.to_html(files[2])
    with replacing(files[3]) as beside:
        report.summary().to_csv(beside, index=False)
    return files
