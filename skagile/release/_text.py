"""Words, dates and masks: how a name is told again in another case, order or notation."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import date

WORD = re.compile(r"[^\W_]+")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "æ": "ae"})
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar janvier ene enero",
            "feb february februar fev fevrier febrero",
            "mar march marz maerz mars marzo mrz",
            "apr april avril abr abril",
            "may mai mayo",
            "jun june juni juin junio",
            "jul july juli juillet julio",
            "aug august aout ago agosto",
            "sep sept september septembre septiembre",
            "oct october okt oktober octobre octubre",
            "nov november novembre noviembre",
            "dec december dez dezember decembre dic diciembre",
        ),
        1,
    )
    for name in names.split()
}
_NUMERIC = re.compile(r"(?<!\d)(\d{1,4})[./\-\s_](\d{1,2})[./\-\s_](\d{1,4})(?!\d)")
_SHORT = re.compile(r"(?<![\w./-])(\d\d)([./-])(\d\d)\2(\d\d)(?![\w/-]|\.\d)")
_COMPACT = re.compile(r"(?<!\d)((?:19|20)\d{2})(\d{2})(\d{2})(?:\d{4}|\d{6})?(?!\d)")
_COMPACT_DAY_FIRST = re.compile(r"(?<!\d)(\d{2})(\d{2})((?:19|20)\d{2})(?!\d)")
_NAMED = re.compile(r"(?<!\d)(\d{1,2})\.?[\s\-./]*([^\W\d_]{3,10})\.?[\s\-./,]*(\d{4}|\d{2})(?!\d)")
_NAMED_FIRST = re.compile(r"([^\W\d_]{3,10})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})(?!\d)")


def plain(text: str) -> str:
    """Text without case and accents."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def words_of(text: str) -> list[str]:
    """Words of a text without case and accents; letters and digits hang together, "_" parts them."""
    return WORD.findall(plain(text))


def written_out(text: str) -> str:
    """Text with its umlauts written as two letters, as passports have them."""
    return plain(unicodedata.normalize("NFC", text).casefold().translate(_UMLAUTS))


def dates_of(text: str) -> Iterator[date]:
    """Dates in a text, in whatever notation; of a date that can be read in two ways, both."""
    for first, second, third in _NUMERIC.findall(text):
        if len(first) == 4:
            yield from _date(first, second, third)
        elif len(third) == 4:
            yield from _date(third, second, first)
            yield from _date(third, first, second)
    for first, _, second, third in _SHORT.findall(text):
        for year, month, day in ((third, second, first), (third, first, second), (first, second, third)):
            yield from _date(year, month, day)
    for year, month, day in _COMPACT.findall(text):
        yield from _date(year, month, day)
    for day, month, year in _COMPACT_DAY_FIRST.findall(text):
        yield from _date(year, month, day)
        yield from _date(year, day, month)
    for day, name, year in _NAMED.findall(text):
        yield from _date(year, _MONTHS.get(plain(name), 0), day)
    for name, day, year in _NAMED_FIRST.findall(text):
        yield from _date(year, _MONTHS.get(plain(name), 0), day)


def _date(year, month, day):
    try:
        full = int(year) + (0 if len(year) == 4 else 2000)
        if len(year) == 2 and full > date.today().year:
            full -= 100
        made = date(full, int(month), int(day))
    except ValueError:
        return
    if 1880 <= made.year <= 2150:
        yield made


def masked(text: str, most: int = 60) -> str:
    """Text of which only the first letter of each word is left: a report may travel."""
    hidden = WORD.sub(lambda match: match[0][0] + "*" * min(len(match[0]) - 1, 7), " ".join(text.split()))
    hidden = "".join(letter if letter.isprintable() else "?" for letter in hidden)
    return hidden if len(hidden) <= most else hidden[: most - 3] + "..."
