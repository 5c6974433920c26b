"""The report as JSON, and back."""

import json
import math
from dataclasses import asdict, fields
from datetime import date

from skagile.audit.report._schema import check as check_schema
from skagile.audit.report._schema import read_json
from skagile.audit.report._threats import threats

SCHEMA = "skagile/audit-report"
SCHEMA_VERSION = 2

# Field of the report -> its name in JSON, where the two differ.
_NAMES = {
    "utility_results": "utility",
    "fidelity_results": "fidelity",
    "attribute_results": "attributes",
    "task_results": "tasks",
    "presence_results": "presence",
    "copies_results": "copies",
    "disclosure_results": "disclosure",
    "lead_results": "leads",
    "files_results": "files",
}


def as_plain(report):
    """Give everything in a report as plain objects that JSON can hold."""
    content = {_NAMES.get(name, name): value for name, value in asdict(report).items()}
    worst = {
        known: report.worst(known)["attacker"]
        for known in report.protocol["knowledge"]
        if report.attacks_with(known, "rank1")
    }
    verdict = {
        **{key: value for key, value in report.verdict().items() if key != "sentences"},
        "threats": [{key: entry[key] for key in ("name", "level", "reason")} for entry in threats(report)],
    }
    head = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "verdict": verdict}
    return _plain({**head, **content, "worst": worst})


def as_json(report):
    """Give the text of a report's file."""
    return json.dumps(as_plain(report), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def read_fields(path, kind):
    """Read the fields of a report, an instance of the dataclass `kind`, from a file that may come from anybody."""
    content = read_json(path)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise ValueError(f"{path} is no audit report: it lacks schema {SCHEMA!r}.")
    if content.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(
            f"{path} has schema version {str(content.get('schema_version'))[:20]}; this skagile reads "
            f"{SCHEMA_VERSION}. Run the audit again."
        )
    check_schema(content, where=str(path))
    _check_sense(content, path)
    names = {field.name: _NAMES.get(field.name, field.name) for field in fields(kind)}
    return {name: content[in_json] for name, in_json in names.items() if in_json in content}


def _check_sense(content, path):
    """Check what a schema cannot say."""
    date_of_audit = content["provenance"]["date"]
    for name in ("date", "reaudit_date"):
        try:
            date.fromisoformat(content["provenance"].get(name, date_of_audit)[:10])
        except ValueError as error:
            raise ValueError(f"{path}.provenance.{name} is no date: {error}.") from None
    if date_of_audit[:4] == "9999":
        raise ValueError(f"{path}.provenance.date is {date_of_audit}; expected the day of the audit.")
    for i, picture in enumerate(content["pictures"]):
        if len(picture.get("original", ())) != len(picture.get("released", ())):
            raise ValueError(f"{path}.pictures[{i}]: original and released differ in length.")
    for i, view in enumerate(content.get("leads", ())):
        if len({entry["name"] for entry in view["threats"]}) < len(view["threats"]):
            raise ValueError(f"{path}.leads[{i}].threats names one threat twice.")
    if (attention := content.get("attention")) is not None and (
        len({len(attention[name]) for name in ("beat", "original", "released")}) > 1
    ):
        raise ValueError(f"{path}.attention: beat, original and released differ in length.")


def _plain(value):
    """Copy of `value` in lists, dicts and plain scalars; what is not finite becomes None."""
    if isinstance(value, dict):
        return {_plain(str(key)): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, str):
        # Half a surrogate pair, from a file name in an unknown encoding, say, cannot be written.
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
