"""What goes with a release: a manifest, the list of records, and checksums, as PhysioNet has them."""

import hashlib
import hmac
import json
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path

from skagile._files import replacing, sha256_of, sync
from skagile.release._renamed import MANIFEST
from skagile.release._scrub import HeaderRules

_RECORDS, _README, _SUMS = "RECORDS", "README.md", "SHA256SUMS.txt"
FORMATS = {"wfdb": "WFDB", "edf": "EDF+"}
SUFFIX = {"wfdb": "", "edf": ".edf"}
_FORMAT, _VERSION = "skagile-release", 1
_VERSIONS = ("numpy", "scipy", "scikit-learn", "torch", "wfdb")
_README_TEXT = """# Anonymized electrocardiograms

{n_records} records of {n_people} people in {kind} format, made by skagile. Each has length, sampling rate, leads and R
peaks of a recording; its heartbeats are of pseudo-people, and what lies between them is made as well. Folders are
people, under pseudonyms.

`manifest.json` lists the records: session (in order, from 0), beats, and samples that are equal to the original's.
`RECORDS` and `SHA256SUMS.txt` are as in PhysioNet's databases.

What such a release does not guarantee is in the documentation of skagile, and in the report of its audit: ask for it.
"""
_PUBLIC = (
    "record", "subject", "files", "n_leads", "n_samples", "sampling_rate", "n_beats", "longest_without_beat",
    "leads_without_signal", "samples_of_the_original", "dropped",
)  # fmt: skip


def run_digest(model: str, key: bytes, rules: HeaderRules, inputs: dict[str, str], format: str = "wfdb") -> str:
    """Digest, under the key, of all that a release follows from: digests of the model and of records, rules, format."""
    versions = {name: version(name) for name in ("skagile", *_VERSIONS)}
    words = json.dumps([_VERSION, inputs, model, vars(rules), versions, format], default=list, sort_keys=True)
    return hmac.new(key, b"run\0" + words.encode(), hashlib.sha256).hexdigest()


def write_manifest(folder: Path, lines: list[dict], run: str, rules: HeaderRules, format: str = "wfdb") -> None:
    """Write manifest, list of records and checksums. Nothing in them says when the release was made, or of whom.

    Parameters
    ----------
    folder : Path
        Of the release.
    lines : list of dict
        The journal's, in order.
    run : str
        As of `run_digest`.
    rules : HeaderRules
    format : {"wfdb", "edf"}
    """
    order = sorted(
        (line for line in lines if "left_out" not in line), key=lambda line: (line["subject"], line["record"])
    )
    sessions = _sessions(order)
    records = [{**{name: line[name] for name in _PUBLIC}, "session": sessions[line["record"]]} for line in order]
    left_out = sorted(({"record": line["record"], "why": line["left_out"]} for line in lines if "left_out" in line),
                      key=lambda line: line["record"])  # fmt: skip
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        "made_with": {name: version(name) for name in ("skagile", *_VERSIONS)},
        "run": run,
        "rules": {name: list(value) if isinstance(value, tuple) else value for name, value in vars(rules).items()},
        "records": records,
        "left_out": left_out,
    }
    _write(folder / MANIFEST, json.dumps(content, indent=1, sort_keys=True) + "\n")
    _write(folder / _RECORDS, "".join(f"{line['subject']}/{line['record']}{SUFFIX[format]}\n" for line in order))
    sums = {file: digest for line in order for file, digest in line["files"].items()}
    n_people = len({line["subject"] for line in order})
    _write(folder / _README, _README_TEXT.format(n_records=len(order), n_people=n_people, kind=FORMATS[format]))
    sums |= {name: sha256_of(folder / name) for name in (MANIFEST, _RECORDS, _README)}
    _write(folder / _SUMS, "".join(f"{sums[file]} {file}\n" for file in sorted(sums)))


def _write(path, text):
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")
        sync(beside)


def _sessions(lines):
    """Count each record's session among its person's: by date, records of one date together; 0 without a date."""
    by_person = defaultdict(set)
    for line in lines:
        by_person[line["subject"]].add(line["private"]["session"])
    order = {person: sorted(own) for person, own in by_person.items()}
    return {line["record"]: order[line["subject"]].index(line["private"]["session"]) for line in lines}
