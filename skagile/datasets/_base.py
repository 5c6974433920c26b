"""What every loader shares: where recordings lie, how one is read safely, and the Bunch that comes back."""

import datetime
import os
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from sklearn.utils import Bunch


@contextmanager
def _quiet():
    """Hide what pandas 3 says of how wfdb 4 calls it: nobody who loads a record can do anything about it."""
    with warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        yield


with _quiet():
    import wfdb

_SAFE_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
_SIGNAL_FORMAT = re.compile(r"(\d+)(?:x(\d+))?")
_MAX_HEADER_BYTES = 1 << 20
_FLAC_SHRINKING = 200
_MILLIVOLTS_PER = {"v": 1e3, "mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "nv": 1e-6}


@dataclass(frozen=True)
class Database:
    """A PhysioNet database: its folder, its version and the files that belong to a record."""

    folder: str
    version: str
    annotators: tuple[str, ...] = ()
    extra_files: tuple[str, ...] = ()
    records_in: str = ""  # folder of the records inside the database, e.g. "data"

    def path_of(self, record: str) -> str:
        """Path of a record inside the database, without extension."""
        if self.records_in and "/" not in record:
            return f"{self.records_in}/{record}"
        return record

    def name_of(self, path: str) -> str:
        """Record name of a path inside the database."""
        return path.removeprefix(f"{self.records_in}/") if self.records_in else path


def get_data_home(data_home: str | os.PathLike | None = None) -> Path:
    """Return the folder that skagile keeps downloaded recordings in.

    Parameters
    ----------
    data_home : path-like, default=None
        The folder. None takes the environment variable ``SKAGILE_HOME`` and, where that is unset,
        ``~/.cache/skagile``.

    Returns
    -------
    pathlib.Path
        The folder, absolute. It is not created here: the first download does that.

    See Also
    --------
    fetch_mitdb : Looks at its argument, then at ``SKAGILE_DATA``, then here, and only then downloads.

    Examples
    --------
    >>> from skagile.datasets import get_data_home
    >>> get_data_home("/tmp/recordings").name
    'recordings'
    """
    if data_home is None:
        data_home = os.environ.get("SKAGILE_HOME") or Path.home() / ".cache" / "skagile"
    return Path(data_home).expanduser().absolute()


def existing_folder(folder: str | os.PathLike, name: str) -> Path:
    """Return `folder` as a Path, or say by `name` which argument or variable names a folder that is not there."""
    path = Path(folder).expanduser().absolute()
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise FileNotFoundError(
            f"{name}={str(folder)!r} {what}; expected a folder of recordings. Correct the path, or create the folder."
        )
    return path


def check_relative(path: str, where: str) -> str:
    """Return a relative POSIX path out of a file or an argument, refusing whatever could leave its folder."""
    parts = path.split("/")
    if not all(_SAFE_PART.fullmatch(part) for part in parts):
        raise ValueError(
            f"{where} names {path!r}; expected a relative path of plain names (letters, digits, '_', '-', '.') that "
            "stays inside its folder. The file may be corrupt or hostile: it is not read."
        )
    return path


def list_records(root: Path, database: Database) -> list[str]:
    """List the records of a database folder: those in its RECORDS file, or every header where there is none."""
    listing = root / "RECORDS"
    if listing.is_file():
        lines = [line.strip() for line in listing.read_text(encoding="ascii", errors="replace").splitlines()]
        return [database.name_of(check_relative(line, str(listing))) for line in lines if line]
    found = sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.hea"))
    return [database.name_of(check_relative(path, str(root))) for path in found]


def signal_files(header: Path) -> list[str]:
    """Names of the signal files of a header, checked before anything opens them.

    Raises
    ------
    ValueError
        For a header that is too long, names a file outside its folder, has no signals, or is split in segments.
    """
    if header.stat().st_size > _MAX_HEADER_BYTES:
        raise ValueError(f"{header}: the header has more than {_MAX_HEADER_BYTES} bytes; this is no WFDB header.")
    # The same decoding and stripping as wfdb, so that both see the same lines.
    lines = [line.strip() for line in header.read_text(encoding="ascii", errors="ignore").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if len(lines) < 2:
        raise ValueError(f"{header}: the header describes no signal.")
    fields = lines[0].split()
    if "/" in fields[0]:
        raise ValueError(
            f"{header}: a record of several segments; single-segment records are read. Join it with WFDB's tools."
        )
    names = [check_relative(line.split()[0], f"the header {header}") for line in lines[1:]]
    if any("/" in name for name in names):
        raise ValueError(f"{header}: a signal file in another folder ({names}); expected beside the header.")
    _check_length(header, fields, lines[1:], names)
    return list(dict.fromkeys(names))


def _check_length(header, fields, lines, names):
    """Refuse a header that promises more samples than its files have bytes, before memory is taken for them."""
    if len(fields) < 4 or not fields[3].isdigit():
        return
    n_times = int(fields[3])
    promised: dict[str, tuple[int, int]] = {}
    for line, name in zip(lines, names, strict=True):
        match = _SIGNAL_FORMAT.match(" ".join(line.split()[1:2]))
        if match is None:
            continue
        # FLAC shrinks an electrocardiogram to a tenth, and silence to next to nothing.
        shrinking = _FLAC_SHRINKING if match[1].startswith("5") and len(match[1]) == 3 else 1
        n_samples, _ = promised.get(name, (0, 1))
        promised[name] = n_samples + n_times * int(match[2] or 1), shrinking
    for name, (n_samples, shrinking) in promised.items():
        path = header.parent / name
        if path.is_file() and path.stat().st_size * shrinking < n_samples:
            raise ValueError(
                f"{header}: promises {n_samples} samples in {name}, which has {path.stat().st_size} bytes. "
                "The recording is cut short or its header is wrong; fetch it again."
            )


@dataclass
class Recording:
    """One record as read: signals in mV, and what its header says."""

    signal: np.ndarray
    sampling_rate: float
    leads: list[str]
    comments: list[str]
    date: str


def read_record(path: Path, pick: Callable[[list[str]], Sequence[int]] | None = None) -> Recording:
    """Read one WFDB record in millivolts.

    Parameters
    ----------
    path : Path
        Path of the record without extension.
    pick : callable, default=None
        Takes the lead names, returns the indexes of those to keep. None keeps every voltage.

    Raises
    ------
    FileNotFoundError
        If the header or a signal file is missing.
    ValueError
        If the record cannot be read, holds no voltage, or its header is hostile.
    """
    header = path.with_name(path.name + ".hea")
    if not header.is_file():
        raise FileNotFoundError(f"record {str(path)!r} has no header {header.name}.")
    for name in signal_files(header):
        if not (header.parent / name).is_file():
            raise FileNotFoundError(f"record {str(path)!r} has no signal file {name}.")
    try:
        # Checksums are not compared: eleven ECG-ID headers carry wrong ones over right bytes.
        with _quiet():
            record = wfdb.rdrecord(str(path), physical=True, return_res=32)
    except Exception as error:  # wfdb raises whatever numpy or its parser did
        raise ValueError(f"{header}: not a WFDB record that can be read ({type(error).__name__}: {error}).") from error
    sampling_rate = float(record.fs)
    if not 10 <= sampling_rate <= 100_000:
        raise ValueError(
            f"{header}: sampling rate {record.fs} Hz; expected 10 Hz to 100 kHz, as of an electrocardiogram."
        )
    scale = np.array([_MILLIVOLTS_PER.get(str(unit).lower(), np.nan) for unit in record.units])
    voltages = np.flatnonzero(np.isfinite(scale))
    if not len(voltages):
        raise ValueError(f"{header}: no lead in volts (units {record.units}); this is no electrocardiogram.")
    names = [str(record.sig_name[i] or f"lead {i}") for i in voltages]
    keep = np.asarray(range(len(names)) if pick is None else pick(names), dtype=int)
    chosen = voltages[keep]
    signal = np.ascontiguousarray(record.p_signal.T[chosen], dtype=np.float32)
    if np.any(scale[chosen] != 1.0):
        signal *= scale[chosen, None].astype(np.float32)
    base_date = getattr(record, "base_date", None)
    return Recording(
        signal=signal,
        sampling_rate=sampling_rate,
        leads=[names[i] for i in keep],
        comments=list(record.comments),
        date=base_date.isoformat() if isinstance(base_date, datetime.date) else "",
    )


def read_annotation(path: Path, extension: str) -> Bunch | None:
    """Read the annotation file of a record, None where there is none."""
    file = path.with_name(f"{path.name}.{extension}")
    if not file.is_file():
        return None
    try:
        with _quiet():
            marks = wfdb.rdann(str(path), extension)
    except Exception as error:  # as in read_record
        raise ValueError(f"{file}: not a WFDB annotation file ({type(error).__name__}: {error}).") from error
    return Bunch(
        sample=np.asarray(marks.sample, dtype=np.int64),
        symbol=np.asarray(marks.symbol, dtype=str),
        aux_note=list(marks.aux_note),
    )


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


@dataclass
class Entry:
    """One record of a Bunch of records."""

    recording: Recording
    name: str
    subject: str
    session: str = ""
    age: float = float("nan")
    sex: str = ""
    annotation: Bunch | None = None
    diagnoses: Sequence[str] = ()


def records_bunch(entries: Sequence[Entry], database: str, descr: str, **extra) -> Bunch:
    """Lay entries out as the Bunch that every fetcher returns."""
    rates = sorted({entry.recording.sampling_rate for entry in entries})
    if len(rates) != 1:
        raise ValueError(
            f"{database}: records at {len(rates)} sampling rates {rates} Hz; expected one. "
            "Give sampling_rate= where the loader takes it, or load the groups apart."
        )
    return Bunch(
        signals=[entry.recording.signal for entry in entries],
        sampling_rate=rates[0],
        leads=[entry.recording.leads for entry in entries],
        record_names=[entry.name for entry in entries],
        subjects=np.array([entry.subject for entry in entries], dtype=str),
        sessions=np.array([entry.session for entry in entries], dtype=str),
        age=np.array([entry.age for entry in entries], dtype=float),
        sex=np.array([entry.sex for entry in entries], dtype="<U1"),
        annotations=[entry.annotation for entry in entries],
        diagnoses=[list(entry.diagnoses) for entry in entries],
        database=database,
        DESCR=descr,
        **extra,
    )


def missing_files(root: Path, database: Database, records: Iterable[str]) -> list[str]:
    """Files of these records, and of the database itself, that are not under `root`."""
    missing = [name for name in database.extra_files if not (root / name).is_file()]
    for record in records:
        stem = database.path_of(record)
        header = root / f"{stem}.hea"
        wanted = [f"{stem}.{extension}" for extension in ("hea", *database.annotators)]
        if header.is_file():
            folder = PurePosixPath(stem).parent
            wanted += [str(folder / name) for name in signal_files(header)]
        missing += [name for name in wanted if not (root / name).is_file()]
    return missing


def find_root(home: Path, database: Database) -> Path | None:
    """Folder of a database under `home`, or `home` itself where that is the database's folder."""
    candidates = [home / database.folder / database.version, home / database.folder]
    if home.name == database.folder or (home.name == database.version and home.parent.name == database.folder):
        candidates.append(home)
    for root in candidates:
        if root.is_dir() and ((root / "RECORDS").is_file() or next(root.rglob("*.hea"), None) is not None):
            return root
    return None


def search_places(data_home: str | os.PathLike | None) -> list[Path]:
    """Folders to look for a database in: `data_home` alone, or else ``SKAGILE_DATA`` and then the cache."""
    if data_home is not None:
        return [existing_folder(data_home, "data_home")]
    shared = os.environ.get("SKAGILE_DATA")
    places = [existing_folder(shared, "the environment variable SKAGILE_DATA")] if shared else []
    return [*places, get_data_home()]


def locate(
    database: Database,
    data_home: str | os.PathLike | None,
    records: Sequence[str] | None,
    download_if_missing: bool,
    base_url: str | None,
) -> tuple[Path, list[str]]:
    """Find the folder that holds these records, downloading what is missing.

    With `data_home` only that folder counts; otherwise ``SKAGILE_DATA`` and then the cache. Downloads go to
    `data_home`, or to the cache: the folder of ``SKAGILE_DATA`` is never written to.
    """
    if records is not None:
        if isinstance(records, str) or len(records) == 0:
            raise ValueError(f"records={records!r}; expected a list of record names, e.g. ['100', '101'], or None.")
        records = [database.name_of(check_relative(str(record), "records")) for record in records]
    places = search_places(data_home)
    target = places[-1]
    looked = []
    for home in places:
        root = find_root(home, database)
        if root is None:
            looked.append(f"{home}: no folder {database.folder!r}")
            continue
        wanted = list_records(root, database) if records is None else records
        missing = missing_files(root, database, wanted)
        if not missing and wanted:
            return root, wanted
        looked.append(f"{root}: {len(missing)} file(s) missing, such as {missing[:3]}")
    if not download_if_missing:
        raise FileNotFoundError(
            f"the database {database.folder!r} was not found ({'; '.join(looked)}). Set SKAGILE_DATA or data_home to "
            "the folder that holds it, or let download_if_missing=True fetch it from PhysioNet."
        )
    from ._download import download_database

    root = find_root(target, database) or target / database.folder
    return root, download_database(database, root, records, base_url=base_url)
