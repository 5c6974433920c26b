"""Downloads from PhysioNet: resumed where they stopped, checked against its SHA-256 sums, renamed when whole."""

import http.client
import os
import socket
import time
import urllib.error
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from skagile._files import sha256_of
from skagile.datasets._base import Database, list_records
from skagile.datasets._http import answer_of
from skagile.datasets._only_one import only_one
from skagile.records import check_relative, signal_files, signal_sizes

PHYSIONET_URL = "https://physionet.org/files/"
_CHUNK = 1 << 16
_TIMEOUT = 60.0
_ATTEMPTS = 5
_WAIT = 1.0
_DEADLINE = 900.0  # s, for a file, with all attempts
# Bytes that files may have: any, lists and annotations, headers. Of signals the header says it.
_MOST, _MOST_LIST, _MOST_HEADER = 4 << 30, 64 << 20, 1 << 20


def physionet_url(base_url: str | None = None) -> str:
    """Return the server to download from: the argument, ``SKAGILE_PHYSIONET_URL`` or PhysioNet itself."""
    url = base_url or os.environ.get("SKAGILE_PHYSIONET_URL") or PHYSIONET_URL
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"base_url={url!r}; expected an address beginning with https:// or http://.")
    return url.rstrip("/") + "/"


def read_sums(path: Path) -> dict[str, str]:
    """Read a SHA256SUMS.txt: sums by file name."""
    sums = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        digest, _, name = line.strip().partition(" ")
        if len(digest) == 64 and name:
            sums[name.strip().removeprefix("*").removeprefix("./")] = digest.lower()
    return sums


def download_file(
    url: str, target: Path, sha256: str | None = None, *, least: int = 0, most: int = _MOST, hosts: Sequence[str] = ()
) -> None:
    """Download one file into `target`, going on from a ``.part`` file that an earlier attempt left.

    Of several processes that want the same file one downloads it, and the others wait for it.

    Parameters
    ----------
    url : str
        Address of the file.
    target : Path
        Where it goes. It appears there only when it is whole and its sum is right.
    sha256 : str, default=None
        Its sum, where known. Without it a file is whole when it is as long as the server says, which it must say.
    least, most : int, default=0, 4 GiB
        Bytes that it must have, and may have.
    hosts : sequence of str, default=()
        Further hosts that the server may point to.

    Raises
    ------
    OSError
        If the server cannot be reached, has no such file, breaks off at every attempt, or takes more than a quarter of
        an hour; what came is kept and the next call goes on from there. If it does not say how long the file is, where
        no sum is known.
    ValueError
        If the file that came does not have the sum or is too short or too long, and it is deleted; if the server
        points to another one.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + _DEADLINE
    part = target.with_name(target.name + ".part")
    with only_one(part, target, deadline) as file:
        if file is None:  # another process has it
            return
        expected = _Expected(url, sha256, least, most, tuple(hosts))
        try:
            _attempts(expected, file, part, deadline)
            _check(expected, file, part)
        except _WrongFileError:
            _remove(file, part)
            raise
        except ValueError:
            _drop_empty(file, part)
            raise
        if os.name == "nt":  # where no open file can be renamed
            file.close()
        os.replace(part, target)


@dataclass(frozen=True)
class _Expected:
    """What a file is to be."""

    url: str
    sha256: str | None
    least: int
    most: int
    hosts: tuple


def _attempts(expected, file, part, deadline):
    """Receive the file, in several attempts if need be."""
    problem = ""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(max(0.0, min(_WAIT * 2 ** (attempt - 1), deadline - time.monotonic())))
        if time.monotonic() >= deadline:
            break
        try:
            if _receive(expected, file, deadline):
                return
            problem = "the connection broke off"
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500 and error.code != 429:
                _drop_empty(file, part)
                raise FileNotFoundError(f"{expected.url}: the server answered {error.code} {error.reason}.") from error
            problem = f"the server answered {error.code} {error.reason}"
        except urllib.error.URLError as error:
            problem = str(error.reason)
            if isinstance(error.reason, socket.gaierror):  # no such server, or no network: no use in asking again
                break
        except _BrokenOffError as error:
            problem = str(error)
    if time.monotonic() >= deadline:
        problem = f"it took more than {_DEADLINE:g} s"
    size = _size(file)
    _drop_empty(file, part)
    kept = f"{size} bytes came and are kept in {part.name}; call again to go on from there" if size else "Nothing came"
    raise OSError(
        f"{expected.url}: could not be downloaded in {attempt + 1} attempt(s) ({problem}). {kept}, or set "
        "SKAGILE_DATA or data_home to a folder that has the recordings."
    )


class _WrongFileError(ValueError):
    """Another file than the one that was asked for: nothing of it is kept."""


class _BrokenOffError(Exception):
    """A server that stopped in the middle."""


def _receive(expected, file, deadline):
    """Receive what is missing of a file; True when it is whole."""
    have = file.seek(0, os.SEEK_END)
    timeout = max(0.001, min(_TIMEOUT, deadline - time.monotonic()))
    try:
        with answer_of(expected.url, first=have, timeout=timeout, deadline=deadline, hosts=expected.hosts) as response:
            return _store(response, expected, file, have, deadline)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        total = error.headers.get("Content-Range", "").rpartition("/")[2]
        error.close()
        if total == str(have):
            return True
        file.truncate(0)  # longer than the file on the server: of another version
        return False
    except urllib.error.URLError:
        raise
    except http.client.HTTPException as error:  # in the head of the answer
        raise _BrokenOffError(str(error) or type(error).__name__) from error


def _store(response, expected, file, have, deadline):
    """Write the body of an answer as it comes, byte by byte if need be; True when the file is whole."""
    if (coding := response.headers.get("Content-Encoding", "identity")) != "identity":
        raise ValueError(f"{expected.url}: the server sends {coding[:20]!r}, which was not asked for; distrust it.")
    if response.status == 206:
        span, _, total = response.headers.get("Content-Range", "").partition("/")
        if not span.startswith(f"bytes {have}-"):
            file.truncate(0)
            return False
    else:  # the server sends the whole file, asked or not
        total, have = response.headers.get("Content-Length", ""), 0
        file.truncate(0)
    length = int(total) if total.isdecimal() and len(total) < 19 else None
    _check_size(expected, length or 0)
    if length is None and not response.chunked and expected.sha256 is None:
        # Of a head that broke off, too, which is why it is asked again.
        raise _BrokenOffError(
            "the server does not say how long the file is, and no SHA-256 of it is known: it may have come cut short"
        )
    file.seek(have)
    while chunk := _next_chunk(response):
        file.write(chunk)
        have += len(chunk)
        _check_size(expected, have)
        if time.monotonic() >= deadline:
            return False
    return have == length if length is not None else time.monotonic() < deadline


def _next_chunk(response):
    """Give what has come, and not wait until a chunk is full: what drips in is kept."""
    try:
        return response.read1(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenOffError(str(error) or type(error).__name__) from error


def _check_size(expected, size):
    if size > expected.most:
        raise _WrongFileError(
            f"{expected.url}: the file has {size} bytes or more; expected at most {expected.most}. It was deleted; the "
            "server does not have what it is asked for, distrust it."
        )


def _check(expected, file, part):
    """Check a file that came as a whole."""
    size = _size(file)
    if size < expected.least:
        raise _WrongFileError(
            f"{expected.url}: the file that came has {size} bytes, expected at least {expected.least} by its header. "
            "It was deleted; the server has it cut short."
        )
    _check_size(expected, size)
    if expected.sha256 is not None and (digest := sha256_of(part)) != expected.sha256:
        raise _WrongFileError(
            f"{expected.url}: the file that came has SHA-256 {digest}, expected {expected.sha256}. It was deleted; try "
            "again, and if that does not help distrust the server."
        )


def _size(file):
    return os.fstat(file.fileno()).st_size


def _drop_empty(file, part):
    if not _size(file):
        _remove(file, part)


def _remove(file, part):
    if os.name == "nt":
        file.close()
    part.unlink(missing_ok=True)


def download_database(
    database: Database, root: Path, records: Sequence[str] | None, *, base_url: str | None = None
) -> list[str]:
    """Download the records of a database that are not under `root` yet; every record when `records` is None.

    Returns
    -------
    list of str
        Names of the records asked for.
    """
    url = f"{physionet_url(base_url)}{database.folder}/{database.version}/"
    sums = _download_sums(url, root, database.hosts)

    def get(name, least=0, most=_MOST_LIST):
        if not (root / name).is_file():
            sizes = {"least": least, "most": min(most, _MOST)}
            address = url + urllib.parse.quote(name)
            download_file(address, root / name, sums.get(name), **sizes, hosts=database.hosts)

    get("RECORDS")
    if records is None:
        records = list_records(root, database)
    for name in database.extra_files:
        get(name)
    # disable=None: no bar where the output is not a terminal
    for record in tqdm(records, desc=f"downloading {database.folder}", unit="record", disable=None):
        stem = check_relative(database.path_of(record), f"{root / 'RECORDS'}")
        get(f"{stem}.hea", most=_MOST_HEADER)
        names = signal_files(root / f"{stem}.hea")
        sizes = signal_sizes(root / f"{stem}.hea")
        for name in names:
            get(str(PurePosixPath(stem).parent / name), *sizes.get(name, (0, _MOST)))
        for extension in database.annotators:
            get(f"{stem}.{extension}")
    return list(records)


def _download_sums(url, root, hosts):
    """Get the sums of the database; none where the server has no such file."""
    path = root / "SHA256SUMS.txt"
    if not path.is_file():
        try:
            download_file(url + path.name, path, most=_MOST_LIST, hosts=hosts)
        except FileNotFoundError:
            return {}
    return read_sums(path)
