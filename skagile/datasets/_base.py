"""What every loader shares: where recordings lie, how one is read safely, and the Bunch that comes back."""

import os
from dataclasses import dataclass
from pathlib import Path

from skagile.records import check_relative


@dataclass(frozen=True)
class Database:
    """A PhysioNet database: its folder, its version and the files that belong to a record."""

    folder: str
    version: str
    annotators: tuple[str, ...] = ()
    extra_files: tuple[str, ...] = ()
    records_in: str = ""  # folder of the records inside the database, e.g. "data"
    hosts: tuple[str, ...] = ()  # servers that the one that is asked may point to

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


def list_records(root: Path, database: Database) -> list[str]:
    """List the records of a database folder: those in its RECORDS file, or every header where there is none."""
    listing = root / "RECORDS"
    if listing.is_file():
        lines = [line.strip() for line in listing.read_text(encoding="ascii", errors="replace").splitlines()]
        return [database.name_of(check_relative(line, str(listing))) for line in lines if line]
    names = sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.hea"))
    return [database.name_of(check_relative(path, str(root))) for path in names]
