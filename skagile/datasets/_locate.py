"""Where a database lies, or is downloaded to."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from skagile.datasets._base import Database, existing_folder, get_data_home, list_records
from skagile.records import check_relative, signal_files


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
    from skagile.datasets._download import download_database

    root = find_root(target, database) or target / database.folder
    return root, download_database(database, root, records, base_url=base_url)
