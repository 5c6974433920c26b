"""What headers say of a person: comments, sex, age, diagnoses and dates."""

import datetime
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_MOST_SHOWN = 4  # fields that were not read
_LONGEST = 500  # characters of a comment that are looked at
_AGE = r"age|alter|edad|idade|leeftijd|eta|âge"
_SEX = r"sex|gender|geschlecht|sexe|sexo|sesso|geslacht"
_DIAGNOSIS = r"dx|diagnos\w*|reasons?[ _]for[ _]admission"
_OF = (
    r"(?:(?:patient|subject|person|participant|donor)(?:['’]?s)?|additional|final|primary|main|secondary|ecg|clinical)"
)
_FIELD = re.compile(
    rf"(?<![^\W\d_])(?:(?P<open><)\s*)?(?P<name>(?:{_OF}[ _-]?)?(?:{_AGE}|{_SEX}|{_DIAGNOSIS})"
    r"(?:[ _-]?(?:in|at|of)[ _-]?[^\W\d_]+)?(?:[ _-]?(?:years|yrs|y))?(?:\s*[(\[][^)\]:=<>]{0,20}[)\]])?)\s*"
    r"(?(open)>\s*[:=]?|(?:[:=]|(?=\t|\s+\d{1,3}\b)|[-–]\s*(?=\d{1,3}\b|[fmw]\b)))",
    re.IGNORECASE,
)
_KIND = re.compile(rf"(?:{_OF}[ _-]?)?(?:(?P<age>{_AGE})|(?P<sex>{_SEX})|(?P<diagnosis>{_DIAGNOSIS}))", re.IGNORECASE)
_NOT_THEIRS = re.compile(
    r"(?:gestational|maternal|paternal|mother['’]?s?|father['’]?s?|bone|predicted|estimated|mean|median|no)[ _-]?$",
    re.IGNORECASE,
)
_LOOKS_LIKE = re.compile(
    r"(?<![^\W\d_])(?P<name>aged?|sex|gender)(?![^\W\d_])(?P<value>.{0,20}?(?:\d{1,3}|(?<![^\W\d_])(?:fe)?male|"
    r"(?<![^\W\d_])[fm](?![^\W\d_])))",
    re.IGNORECASE,
)
_OTHER_FIELD = re.compile(r"[^:<>]{1,60}:|<[^<>]{1,40}>")
_YEARS = {
    1.0: "y yr yrs year years yo y.o. y/o j jahr jahre a ans an anos anni jaar",
    12.0: "m mo mos mon month months monat monate mois",
    52.1775: "w wk wks week weeks woche wochen",
    365.25: "d day days tag tage",
}
_PER_YEAR = {word: per_year for per_year, words in _YEARS.items() for word in words.split()}
_NUMBER = re.compile(r"(-?\d{1,4}(?:[.,]\d+)?)\s*-?\s*([^\W\d_][^\d\s]*)?(?:[\s-]+(?:old|alt))?[.;,]?", re.IGNORECASE)
_BIN = re.compile(r"(\d{0,2}0)-(\d{1,3})(?:\s*(?:years|yrs|y))?", re.IGNORECASE)  # ten years, as releases have them
_OLDEST = re.compile(r"90\s*\+")
_SEXES = {
    "F": "f female females woman girl w weiblich frau femme femelle feminin femenino feminino femmina mujer vrouw fem",
    "M": "m male males man boy männlich maennlich mann homme masculin masculino maschio hombre man jongen masc",
}
_SEX_OF = {word: sex for sex, words in _SEXES.items() for word in words.split()}
_UNKNOWN = {
    "", "unknown", "unkown", "unk", "n/a", "na", "nan", "none", "null", "no", "nil", "missing", "not available",
    "not known", "not recorded", "unspecified", "not specified", "undisclosed", "other", "o", "u", "x", "d",
    "divers", "diverse", "nonbinary", "non-binary", "-", "--", "?", ".", "-1", "-1.0", "unbekannt",
}  # fmt: skip
# Of what is said of a text that was not read, these words and signs may stand; all else may identify.
_PLAIN = {
    "about", "approx", "circa", "years", "year", "months", "month", "weeks", "days", "old", "male", "female", "sex",
    "age", "gender", "and", "or", "to",
}  # fmt: skip
_IN_MIT_STYLE = re.compile(r"\s*(-?\d{1,3}) ([MF])\b")  # the first comment of an MIT-BIH header: "69 M 1085 1629 x1"
_IN_WORDS = re.compile(
    r"(?:(?P<sex1>[^\W\d_]+)[\s,;/]+)?(?P<age>\d{1,3})[\s-]*(?:years?|yrs?|y/?o|y\.o\.|jahre)\b(?:[\s-]*(?:old|alt)\b)?"
    r"(?:[\s,;/]*(?P<sex2>[^\W\d_]+))?",
    re.IGNORECASE,
)


@dataclass
class Said:
    """What the comments of a header say of the person.

    Attributes
    ----------
    age : float
        In years; NaN where it is unknown.
    sex : {"F", "M", ""}
    diagnoses : list of str
    unread : list of str
        Fields that look like age or sex and were not read, without what may identify.
    """

    age: float = float("nan")
    sex: str = ""
    diagnoses: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def read_person(comments: Sequence[str]) -> Said:
    """Read age, sex and diagnoses in the spellings of common databases."""
    said = Said()
    comments = [line[:_LONGEST] for line in comments]
    by_rank: list[tuple[int, str]] = []
    under_diagnoses = False
    for line in comments:
        fields = [
            match
            for match in _FIELD.finditer(line)
            if not _NOT_THEIRS.search(line[max(0, match.start() - 20) : match.start()])
        ]
        if not fields:
            if under_diagnoses and line.strip():
                by_rank.append((1, line.strip()))
            continue
        under_diagnoses = False
        for number, match in enumerate(fields):
            end = fields[number + 1].start() if number + 1 < len(fields) else len(line)
            value = line[match.end() : end].strip(" \t,;|")
            kind = _KIND.match(match["name"])
            if kind["diagnosis"]:
                by_rank += [(_rank(match["name"]), text) for text in _diagnoses(kind["diagnosis"], value)]
                # In angle brackets, and nothing behind: the lines that follow are the diagnoses.
                under_diagnoses = bool(match["open"]) and not value and len(fields) == 1
            elif kind["age"]:
                _note_age(said, match["name"], value)
            else:
                _note_sex(said, match["name"], value)
    said.diagnoses = list(dict.fromkeys(text for _, text in sorted(by_rank, key=lambda pair: pair[0])))
    _read_unnamed(said, comments)
    _note_unread(said, comments)
    said.unread = said.unread[:_MOST_SHOWN]
    return said


def _rank(name):
    """Order of fields of diagnoses: what a record is labelled with comes first."""
    name = name.casefold()
    if "additional" in name or "secondary" in name:
        return 3
    return 2 if "admission" in name else 1


def _diagnoses(name, value):
    if _is_unknown(value):
        return []
    if name.casefold() == "dx" or re.fullmatch(r"\d{6,18}(?:\s*[,;]\s*\d{6,18})*", value):
        return [part.strip() for part in re.split(r"[,;|]", value) if not _is_unknown(part)]
    return [value]


def _note_age(said, name, value):
    age = parse_age(value)
    if said.age != said.age:
        said.age = age
    if age != age and not _is_unknown(value):
        said.unread.append(_masked(name, value))


def _note_sex(said, name, value):
    sex = parse_sex(value)
    said.sex = said.sex or sex
    if not _is_unknown(value) and (not sex or re.search(r"\d", value)):
        said.unread.append(_masked(name, value))


def _read_unnamed(said, comments):
    """Read age and sex that stand without a name: "69 M" first, as MIT-BIH has it, or "65-year-old male"."""
    match = _IN_MIT_STYLE.match(comments[0]) if comments else None
    if match and said.age != said.age and not said.sex:
        said.age, said.sex = parse_age(match[1]), parse_sex(match[2])
        return
    for line in comments:
        match = None if _OTHER_FIELD.match(line) else _IN_WORDS.match(line.strip())
        if match:
            said.age = parse_age(match["age"]) if said.age != said.age else said.age
            said.sex = said.sex or parse_sex(match["sex1"]) or parse_sex(match["sex2"])


def _note_unread(said, comments):
    """Note what stands in a sentence and looks like an age or a sex, where none was read."""
    for line in comments:
        match = None if _FIELD.search(line) else _LOOKS_LIKE.search(line)
        if match and not _NOT_THEIRS.search(line[max(0, match.start() - 20) : match.start()]):
            is_age = match["name"].casefold().startswith("age")
            if (is_age and said.age != said.age) or (not is_age and not said.sex):
                said.unread.append(_masked(match["name"], match["value"]))


def is_unknown(text: str | None) -> bool:
    """Whether a value says that nothing is known."""
    return _is_unknown(text or "")


def _is_unknown(text):
    return text.strip(" \t.;,<>()").casefold() in _UNKNOWN


def _masked(name, value):
    """Show a field without what may identify: digits as #, words that are not plain as *."""
    shown = re.sub(r"\d", "#", value[:40])
    shown = re.sub(
        r"[^\W\d_]+", lambda word: word[0] if word[0].casefold() in _PLAIN else "*" * min(len(word[0]), 8), shown
    )
    return f"{name.strip()}: {shown}"


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
    words = re.findall(r"[^\W\d_]+", unicodedata.normalize("NFC", text or "").casefold())
    sexes = {_SEX_OF[word] for word in words if word in _SEX_OF}
    return sexes.pop() if len(sexes) == 1 and words[0] in _SEX_OF else ""


def parse_age(text: str | None) -> float:
    """Age in years, of "65", "65 years", "065Y" or "6 months"; NaN where it is unknown or impossible.

    Ten years in one, "60-69", are read as their middle, 65; "90+" as 90, the least that it says.
    """
    text = (text or "").strip(" \t()")
    ten_years = _BIN.fullmatch(text)
    if ten_years and int(ten_years[2]) - int(ten_years[1]) == 9:
        return int(ten_years[1]) + 5.0
    if _OLDEST.fullmatch(text):
        return 90.0
    match = _NUMBER.fullmatch(text)
    if match is None:
        return float("nan")
    unit = (match[2] or "y").casefold()
    per_year = _PER_YEAR.get(unit) or _PER_YEAR.get(unit.rstrip(".;,-"))
    age = float(match[1].replace(",", ".")) / per_year if per_year else float("nan")
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
