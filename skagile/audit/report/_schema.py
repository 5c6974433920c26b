"""The published schema of the report, and a check of files against it."""

import json
import math
import re
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any

from skagile._files import check_size

_PATH = Path(__file__).parent / "schema" / "audit-report-2.json"
# Far above any report. As objects a text takes up to thirty times its bytes.
MAX_BYTES = 16 * 2**20
_TYPES = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())
    ),
}
# The keywords that the schema may use; a test holds the file to it.
KEYWORDS = {
    *("$schema", "$id", "$defs", "$ref", "title", "description", "type", "const", "enum", "properties", "required"),
    *("additionalProperties", "items", "minItems", "maxItems", "minimum", "maximum", "exclusiveMinimum"),
    *("exclusiveMaximum", "pattern", "maxLength"),
}


@cache
def load_schema() -> dict[str, Any]:
    """Read the JSON Schema (draft 2020-12) of the report.

    Returns
    -------
    dict
    """
    return json.loads(_PATH.read_text(encoding="utf-8"))


def read_json(path: str | PathLike) -> Any:
    """Read a JSON file of unknown origin, or raise a ValueError that says why it is none.

    Refused are NaN and infinity, names that occur twice, text that is not UTF-8, nesting too deep to be a report, and a
    file beyond any report's size.
    """
    path = Path(path)
    check_size(f"{path} is no audit report", path.stat().st_size, most=MAX_BYTES)
    try:
        return json.loads(path.read_bytes().decode("utf-8"), parse_constant=_refuse, object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError(f"{path} is no audit report: it is nested too deeply.") from None
    except ValueError as error:
        raise ValueError(f"{path} is no audit report: it is not JSON ({error}).") from None


def _refuse(constant):
    raise ValueError(f"{constant} is no JSON")


def _unique(pairs):
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a name occurs twice in one object")
    return content


def check(value: Any, schema: dict[str, Any] | None = None, where: str = "report") -> None:
    """Check `value` against the schema.

    Parameters
    ----------
    value : object
        As JSON gives it.
    schema : dict, default=None
        Part of the schema; None: all of it.
    where : str, default="report"
        Name of the value in error messages.

    Raises
    ------
    ValueError
        Naming the first place that is not as the schema says.
    """
    schema = load_schema() if schema is None else schema
    if "$ref" in schema:
        check(value, load_schema()["$defs"][schema["$ref"].removeprefix("#/$defs/")], where)
    types = schema.get("type", ())
    types = (types,) if isinstance(types, str) else types
    if types and not any(_TYPES[name](value) for name in types):
        _fail(where, value, " or ".join(types))
    if "const" in schema and value != schema["const"]:
        _fail(where, value, repr(schema["const"]))
    if "enum" in schema and value not in schema["enum"]:
        _fail(where, value, " or ".join(map(repr, schema["enum"])))
    if isinstance(value, dict):
        _check_object(value, schema, where)
    elif isinstance(value, list):
        _check_array(value, schema, where)
    elif isinstance(value, str):
        _check_text(value, schema, where)
    elif _TYPES["number"](value):
        _check_number(value, schema, where)


def _check_object(value, schema, where):
    lacking = [name for name in schema.get("required", ()) if name not in value]
    if lacking:
        raise ValueError(f"{where} is incomplete: it lacks {', '.join(map(repr, lacking))}.")
    known, other = schema.get("properties", {}), schema.get("additionalProperties")
    for name, entry in value.items():
        if name in known or other is not None:
            check(entry, known.get(name, other), f"{where}.{_short(name)}")


def _check_array(value, schema, where):
    low, high = schema.get("minItems", 0), schema.get("maxItems", math.inf)
    if not low <= len(value) <= high:
        _fail(where, value, f"{low} entries" if low == high else f"at least {low} entries")
    if "items" in schema:
        for i, entry in enumerate(value):
            check(entry, schema["items"], f"{where}[{i}]")


def _check_text(value, schema, where):
    if len(value) > schema.get("maxLength", math.inf):
        _fail(where, value, f"text of at most {schema['maxLength']} characters")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        _fail(where, value, f"text like {schema['pattern']}")


def _check_number(value, schema, where):
    # "1e999" is JSON and becomes infinite, and an integer may have a thousand digits.
    if not abs(value) < 1e300:
        _fail(where, value, "a finite number")
    for keyword, words, holds in (
        ("minimum", "at least", lambda limit: value >= limit),
        ("maximum", "at most", lambda limit: value <= limit),
        ("exclusiveMinimum", "above", lambda limit: value > limit),
        ("exclusiveMaximum", "below", lambda limit: value < limit),
    ):
        if keyword in schema and not holds(schema[keyword]):
            _fail(where, value, f"{words} {schema[keyword]}")


def _fail(where, value, wanted):
    raise ValueError(f"{where} is {_short(repr(value))}; expected {wanted}.")


def _short(text):
    return text if len(text) <= 60 else text[:57] + "..."
