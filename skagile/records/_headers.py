"""What headers say of a person: comments, sex, age and dates."""

import datetime
import re
from collections.abc import Iterable


def comment_fields(comments: Iterable[str]) -> dict[str, str]:
    """Header comments of the form "key: value", the keys in lower case and without angle brackets."""
    fields: dict[str, str] = {}
    for line in comments:
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip(" <>#\t").lower(), value.strip())
    return fields


def parse_sex(text: str | None) -> str:
    """Sex as "F", "M" or "" from whatever a header calls it."""
    letter = (text or "").strip()[:1].upper()
    return letter if letter in ("F", "M") else ""


def parse_age(text: str | None) -> float:
    """Age in years, NaN where it is unknown or impossible."""
    try:
        age = float(text or "nan")
    except ValueError:
        return float("nan")
    return age if 0 <= age < 150 else float("nan")


def parse_date(text: str | None) -> str:
    """ISO date of a "day.month.year" or "day/month/year" text, "" where there is none."""
    match = re.match(r"\s*(\d{1,2})[./](\d{1,2})[./](\d{4})", text or "")
    if match is None:
        return ""
    try:
        return datetime.date(int(match[3]), int(match[2]), int(match[1])).isoformat()
    except ValueError:
        return ""
