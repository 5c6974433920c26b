"""The key of a release: a file of random bytes, and what is drawn from it for each person and record."""

import hashlib
import hmac
import os
import re
import secrets
import stat
import unicodedata
from contextlib import suppress
from pathlib import Path

_KEY_BYTES = 32
_MOST_BYTES = 4096  # of a key file
_LEAST_DIFFERENT = 8  # values among the bytes of a key: random ones have 30 of 32
# No vowels: no name can come out. Groups of three letters and a digit: neither four letters nor two digits stand
# together, which a scan for names, dates and numbers of patients would find by chance.
_LETTERS = "bcdfghjklmnpqrstvwxz"
_DIGITS = "0123456789"
_GROUP = 4
_LENGTHS = range(8, 65)
PSEUDONYM = re.compile(rf"(?=.{{8,64}}$)(?:[{_LETTERS}]{{3}}\d)*[{_LETTERS}]{{0,3}}")
_SHIFTS = range(36_525, 73_050)  # days: 100 to 200 years


def new_key(path: str | os.PathLike) -> bytes:
    """Make a key and write it to a new file that its owner alone can read.

    Whoever has the key can tell which person and which record of the original a pseudonym is of. Keep it where the
    release never goes, and make a copy: without it, the same person gets another pseudonym the next time.

    Parameters
    ----------
    path : path-like
        Must not exist.

    Returns
    -------
    bytes
        32 random bytes; in the file they are hexadecimal digits.

    Raises
    ------
    FileExistsError
        If there is anything of that name: a key that is written over is lost, and so is the way back from a release.
    """
    path = Path(path)
    key = secrets.token_bytes(_KEY_BYTES)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise FileExistsError(
            f"the key file {str(path)!r} is there already; a key is never written over. Use it, or give another name."
        ) from None
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{key.hex()}\n")
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise
    return key


def read_key(path: str | os.PathLike) -> bytes:
    """Read a key file.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is no file, can be read or written by others than its owner (on POSIX systems), or holds no key of at
        least 32 bytes in hexadecimal digits.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"the key {str(path)!r} is a folder; expected a file.")
    try:
        # Without waiting: a pipe in place of the file would hold the night's job for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"there is no key file {str(path)!r}. Correct the path, or make a new key: people then get other "
            "pseudonyms than in releases before."
        ) from None
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise ValueError(f"the key {str(path)!r} is no plain file; expected one.")
        if os.name == "posix" and about.st_mode & 0o077:
            raise ValueError(
                f"the key file {str(path)!r} has mode {stat.S_IMODE(about.st_mode):04o}: not its owner alone can read "
                "it, or write it. Run chmod 600 on it; if others may have read it, make a new key."
            )
        text = file.read(_MOST_BYTES + 1)
    return _key_of(text, path)


def _key_of(text, path):
    where = f"the key file {str(path)!r}"
    if len(text) > _MOST_BYTES:
        raise ValueError(
            f"{where} has more than {_MOST_BYTES} bytes; expected 64 hexadecimal digits. Is it another file?"
        )
    digits = text.strip(b" \t\r\n")
    if not re.fullmatch(rb"(?:[0-9a-fA-F]{2})*", digits):
        raise ValueError(
            f"{where} holds other than pairs of hexadecimal digits; expected 64 of them, as the command that makes "
            "keys writes. Is it another file?"
        )
    key = bytes.fromhex(digits.decode("ascii"))
    if len(key) < _KEY_BYTES:
        raise ValueError(
            f"{where} holds {len(key)} bytes; expected at least {_KEY_BYTES}: a shorter key can be guessed, and this "
            "one may be cut short. Copy it again from where you keep it, or make a new one."
        )
    if len(set(key)) < _LEAST_DIFFERENT:
        raise ValueError(f"{where} holds the same few bytes over and over; expected random ones. Make a new key.")
    return key


def pseudonym(key: bytes, kind: str, text: str, length: int = 16) -> str:
    """Name by which a release calls a person, a session or a record.

    It is drawn by HMAC-SHA256: the same key, kind and text give the same pseudonym on every machine, and without the
    key nobody can tell what it is of, not even by trying all texts.

    Parameters
    ----------
    key : bytes
        As `read_key` gives it.
    kind : str
        What is named, such as "subject", "record" or "session": one text has another pseudonym as another kind.
    text : str
        The name in the original. Composed and decomposed letters are one: file systems change them.
    length : int, default=16
        Between 8 and 64. Each four characters, three consonants and a digit, tell 80,000 apart. At 16, two of a million
        texts share a pseudonym with a probability of 1 in 80 million; at 12, of 1 in 1,000.

    Returns
    -------
    str
        Consonants and digits in lower case; a letter first.
    """
    if length not in _LENGTHS:
        raise ValueError(f"length={length!r}; expected a whole number from {_LENGTHS[0]} to {_LENGTHS[-1]}.")
    number = int.from_bytes(_draw(key, f"pseudonym of a {kind}", text, n_blocks=2), "big")
    letters = []
    for place in range(length):
        alphabet = _DIGITS if place % _GROUP == _GROUP - 1 else _LETTERS
        number, letter = divmod(number, len(alphabet))
        letters.append(alphabet[letter])
    return "".join(letters)


def seed_of(key: bytes, text: str) -> int:
    """Give 128 random bits for what is drawn for a record or person, for ``numpy.random.SeedSequence``.

    The same key and text give the same seed; it tells nothing of the pseudonym.
    """
    return int.from_bytes(_draw(key, "seed", text)[:16], "big")


def day_shift(key: bytes, subject: str) -> int:
    """Days by which all dates of a person are moved: 36,525 to 73,049 (100 to 200 years) into the future.

    One shift for a person keeps the days between their recordings. It goes into the future so that nobody takes a
    shifted date for a real one, so that no shifted date of one person is by chance the real date of another, and
    because PhysioNet's validator takes every date of the last 200 years for real. All days are equally likely: neither
    the day of the week nor the season stays, which would be two more facts about each visit.
    """
    return _SHIFTS[int.from_bytes(_draw(key, "shift of dates", subject), "big") % len(_SHIFTS)]


def _draw(key, purpose, text, n_blocks=1):
    """Bytes that the key gives for a text; each purpose has bytes of its own."""
    if not isinstance(key, bytes) or len(key) < _KEY_BYTES:
        raise ValueError(f"key: expected at least {_KEY_BYTES} bytes, as read_key gives them.")
    if "\0" in purpose:
        raise ValueError(f"kind: a zero character in {purpose!r}; expected a word such as 'subject'.")
    # Paths that are no Unicode hold lone surrogates.
    message = unicodedata.normalize("NFC", text).encode("utf-8", "surrogatepass")
    return b"".join(
        hmac.new(key, f"skagile\0{purpose}\0{block}\0".encode() + message, hashlib.sha256).digest()
        for block in range(n_blocks)
    )
