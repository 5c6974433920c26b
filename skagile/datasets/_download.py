"""Downloads from PhysioNet: resumed where they stopped, checked against its SHA-256 sums, renamed when whole."""

import http.client
import os
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from skagile._files import sha256_of
from skagile.datasets._base import Database, list_records
from skagile.records import check_relative, signal_files

PHYSIONET_URL = "https://physionet.org/files/"
_CHUNK = 1 << 16
_TIMEOUT = 60.0
_ATTEMPTS = 5
_WAIT = 1.0


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


def download_file(url: str, target: Path, sha256: str | None = None) -> None:
    """Download one file into `target`, going on from a ``.part`` file that an earlier attempt left.

    Parameters
    ----------
    url : str
        Address of the file.
    target : Path
        Where it goes. It appears there only when it is whole and its sum is right.
    sha256 : str, default=None
        Its sum, where known.

    Raises
    ------
    OSError
        If the server cannot be reached, has no such file, or breaks off at every attempt; what came is kept
        and the next call goes on from there.
    ValueError
        If the file that came does not have the sum; it is deleted.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    whole, problem = False, ""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_WAIT * 2 ** (attempt - 1))
        try:
            whole = _receive(url, part)
            if whole:
                break
            problem = "the connection broke off"
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500 and error.code != 429:
                raise FileNotFoundError(f"{url}: the server answered {error.code} {error.reason}.") from error
            problem = f"the server answered {error.code} {error.reason}"
        except urllib.error.URLError as error:
            problem = str(error.reason)
            if isinstance(error.reason, socket.gaierror):  # no such server, or no network: no use in asking again
                break
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            problem = str(error) or type(error).__name__
    if not whole:
        raise OSError(
            f"{url}: could not be downloaded in {attempt + 1} attempt(s) ({problem}). What came is kept in "
            f"{part.name}; call again to go on from there, or set SKAGILE_DATA or data_home to a folder that has the "
            "recordings."
        )
    if sha256 is not None and (digest := sha256_of(part)) != sha256:
        part.unlink()
        raise ValueError(
            f"{url}: the file that came has SHA-256 {digest}, expected {sha256}. It was deleted; try again, and if "
            "that does not help distrust the server."
        )
    part.replace(target)


def _receive(url: str, part: Path) -> bool:
    """Receive what is missing of `part`; True when it is whole."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        total = error.headers.get("Content-Range", "").rpartition("/")[2]
        error.close()
        if total == str(have):
            return True
        part.unlink()  # longer than the file on the server: of another version
        return False
    with response:
        if response.status == 206:
            span, _, total = response.headers.get("Content-Range", "").partition("/")
            if not span.startswith(f"bytes {have}-"):
                part.unlink(missing_ok=True)
                return False
            expected = int(total) if total.isdigit() else None
            mode = "ab"
        else:  # the server sends the whole file, asked or not
            length = response.headers.get("Content-Length", "")
            expected = int(length) if length.isdigit() else None
            mode = "wb"
        with part.open(mode) as file:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
    return expected is None or part.stat().st_size == expected


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
    sums = _download_sums(url, root)

    def get(name):
        if not (root / name).is_file():
            download_file(url + urllib.parse.quote(name), root / name, sums.get(name))

    get("RECORDS")
    if records is None:
        records = list_records(root, database)
    for name in database.extra_files:
        get(name)
    # disable=None: no bar where the output is not a terminal
    for record in tqdm(records, desc=f"downloading {database.folder}", unit="record", disable=None):
        stem = check_relative(database.path_of(record), f"{root / 'RECORDS'}")
        get(f"{stem}.hea")
        for name in signal_files(root / f"{stem}.hea"):
            get(str(PurePosixPath(stem).parent / name))
        for extension in database.annotators:
            get(f"{stem}.{extension}")
    return list(records)


def _download_sums(url, root):
    """Get the sums of the database; none where the server has no such file."""
    path = root / "SHA256SUMS.txt"
    if not path.is_file():
        try:
            download_file(url + path.name, path)
        except FileNotFoundError:
            return {}
    return read_sums(path)
