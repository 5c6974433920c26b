"""With what a report was made: versions, settings, hashes."""

import hashlib
import platform
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from skagile.attackers import ATTACKERS

_REAUDIT_AFTER = timedelta(days=365)


def describe(estimator):
    """Class and parameters on one line."""
    return " ".join(repr(estimator).split())


def versions():
    """Versions of Python and of the packages that figures depend on."""
    numbers = {"python": platform.python_version()}
    for name in ("skagile", "numpy", "scipy", "scikit-learn", "pandas", "torch", "skorch"):
        try:
            numbers[name] = version(name)
        except PackageNotFoundError:
            numbers[name] = None
    return numbers


def digest_of_rows(values):
    """SHA-256 of dtype, shape and the sorted SHA-256 of each row's bytes, in C order, little-endian.

    The order of the rows plays no part: else who guesses how a release was shuffled could see whether they are right.
    """
    values = np.asarray(values)
    values = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    rows = sorted(hashlib.sha256(row.tobytes()).digest() for row in values)
    return hashlib.sha256(f"{values.dtype.str} {values.shape}\n".encode() + b"".join(rows)).hexdigest()


def describe_protocol(inputs):
    """Sizes and settings, as the report has them."""
    release, settings, size = inputs.release, inputs.settings, inputs.size
    label, original = release.label, release.beats["original"]
    counts = [] if label is None else np.bincount(label).tolist()
    return {
        "layout": list(inputs.shape),
        "n_beats": len(release.row),
        "n_samples": inputs.shape[-1],
        "sampling_rate": settings.sampling_rate,
        "window": list(settings.window),
        "split": inputs.split,
        "n_subjects": inputs.n_subjects,
        "n_subjects_probed": len(np.unique(release.subject[release.probe])),
        "n_enrolment_beats": len(release.enrolment),
        "n_probe_beats": len(release.probe),
        "max_enrolment_beats": size.max_enrolment_beats,
        "max_probe_beats": size.max_probe_beats,
        "n_unchanged_beats": int((original == release.beats["released"]).all(axis=1).sum()),
        "classes": {} if label is None else dict(zip(map(str, release.labels), counts, strict=True)),
        "knowledge": list(inputs.knowledge),
        "attackers": {name: describe(attacker.estimator) for name, attacker in inputs.attackers.items()},
        "attackers_left_out": sorted(set(ATTACKERS) - set(inputs.attackers)),
        "not_run": inputs.not_run,
        "diagnostic_estimator": None if inputs.diagnostician is None else describe(inputs.diagnostician),
        "fusion": list(settings.fusion),
        "confidence": settings.confidence,
        "n_resamples": settings.n_resamples,
        "seed": settings.seed,
        "known_seed": inputs.known_seed,
    }


def describe_provenance(inputs, start):
    """Dates, versions and digests, as the report has them."""
    return {
        "date": start.isoformat(timespec="seconds"),
        "reaudit_date": (start + _REAUDIT_AFTER).date().isoformat(),
        "versions": versions(),
        "sha256": inputs.sha256,
    }
