"""Two folders of WFDB records, cut into beats at the same samples."""

import os
from collections.abc import Callable, Sequence

from sklearn.utils import Bunch

from skagile.datasets import check_pair
from skagile.records import what_is_there
from skagile.release._assemble import Rows, assemble
from skagile.release._cuts import Cutting, RecordCuts
from skagile.release._doubts import listed_but_missing
from skagile.release._problems import Collector, first_of
from skagile.release._renamed import left_out_names, original_names
from skagile.release._subjects import people_fault, people_or_problems
from skagile.release._views import views_of
from skagile.release._wfdb_record import Folder, Rate, cut_record

_USUAL = {"window": (0.25, 0.45), "band": None}


def read_wfdb_pair(
    sides: dict[str, str | os.PathLike],
    problems: Collector,
    cutting: Cutting,
    rows: Rows,
    *,
    subjects: str | os.PathLike | Callable[[str], str],
    progress: Callable[[int, int, str], object] | None,
    sampling_rate: float | None,
    key: bytes | None = None,
) -> Bunch:
    """Read one lead of two folders; the arguments are those of :func:`~skagile.release.read_release_pair`."""
    rate = Rate(sampling_rate)
    records, cutting, _ = _read(sides, problems, cutting, rows, subjects, progress, rate, key)
    pair = assemble([cut for record in records for cut in record.cuts], cutting, rate.value, rows, problems)
    _tell_of_halves([pair], key)
    return pair


def read_wfdb_views(
    sides: dict[str, str | os.PathLike],
    problems: Collector,
    cutting: Cutting,
    rows: Rows,
    *,
    subjects: str | os.PathLike | Callable[[str], str],
    progress: Callable[[int, int, str], object] | None,
    sampling_rate: float | None,
    key: bytes | None = None,
) -> Bunch:
    """Read all leads of two folders; the arguments are those of :func:`~skagile.release.read_release_views`."""
    rate = Rate(sampling_rate)
    records, cutting, people = _read(sides, problems, cutting, rows, subjects, progress, rate, key)
    release = views_of(records, cutting, rate.value, rows, problems)
    release.people = {name: person["subject"] for name, person in people.items()}
    _tell_of_halves(release.views, key)
    return release


def _tell_of_halves(views, key):
    """Say what a recording's halves are where a pseudo-person goes through both."""
    if key is not None and views[0].protocol["sessions"] == "half":
        for view in views:
            view.protocol["whole_records"] = True
        views[0].notes.append(
            "sessions: the halves of each recording enrol and are probed, and a recording is one pseudo-person's from "
            "end to end. So no attacker enrols with the release itself; --auxiliary, another release of the same "
            "originals, takes its place."
        )


def _read(sides, problems, cutting, rows, subjects, progress, rate, key) -> tuple[Sequence[RecordCuts], Cutting, dict]:
    # Only who has the key knows which record is made from which file, whatever its kind.
    folders = {side: Folder(path, all_kinds=key is not None) for side, path in sides.items()}
    if key is not None:
        _rename(folders["original"], folders["released"], key, problems)
    cutting = _checked(cutting, problems)
    names = _common_records(folders, problems)
    in_order = rows.sessions != "half"
    people = people_or_problems(subjects, names, folders["original"].root, problems, in_order=in_order)
    records = []
    for number, name in enumerate(names):
        if progress is not None:
            progress(number, len(names), "reading records")
        if people[name]["subject"]:
            records.append(cut_record(folders, name, people[name], cutting, rate, problems))
    if progress is not None:
        progress(len(names), len(names), "reading records")
    rate.check(problems)
    if subjects == "auto" and (fault := people_fault([record.cuts[0].entry for record in records if record.cuts])):
        problems.of_whole("subjects", fault)
    if not any(record.cuts for record in records):
        problems.stop_if_any(last=True)
    problems.stop_if_any()
    return records, cutting, people


def _rename(original, released, key, problems):
    """Call the records of a release as the original does, whose pseudonyms they have; leave out what it left out."""
    try:
        names = original_names(released.names, original.names, key)
        left_out = left_out_names(released.root, original.names, key)
    except ValueError as error:
        problems.of_whole("key", str(error))
        problems.stop_if_any()
    released.rename(names)
    original.names = [name for name in original.names if name not in left_out]
    for name in left_out:
        problems.note(name, "left out of the release, by its manifest")


def _checked(cutting, problems):
    """Check the arguments that no record can mend."""
    checked = {}
    for name, what in (("window", "seconds before and after the R peak"), ("band", "the pass band in Hz")):
        pair = getattr(cutting, name)
        try:
            checked[name] = None if pair is None else check_pair(pair, name, what)
        except ValueError as error:
            problems.of_whole("arguments", str(error))
            checked[name] = _USUAL[name]  # to look at the records all the same
    return Cutting(**{**vars(cutting), **checked})


def _common_records(folders, problems):
    """List the records that both sides have."""
    for side, folder in folders.items():
        if not folder.names:
            problems.of_whole(
                side,
                f"{folder.given!r} holds no WFDB record: no .hea file in it or under it. {what_is_there(folder.root)}",
            )
    if not all(folder.names for folder in folders.values()):
        return []
    have = {side: set(folder.names) for side, folder in folders.items()}
    both = have["original"] & have["released"]
    if not both:
        some = {side: first_of(folder.names[:3]) for side, folder in folders.items()}
        problems.of_whole(
            "original and released",
            f"no record is in both: the original has {some['original']}, the release {some['released']}; expected the "
            "same paths on both sides. Rename the records of the release, or name the folders that hold them.",
        )
        return []
    for folder in folders.values():
        for name in listed_but_missing(folder.root, have["original"] | have["released"]):
            problems.note(name, "listed in RECORDS, and in neither folder")
    other = {"original": "released", "released": "original"}
    for side, folder in folders.items():
        for name in folder.names:
            if name not in both:
                problems.of_record(
                    name,
                    f"{folders[other[side]].shown(name)}.hea",
                    f"missing, though {'the original' if side == 'original' else 'the release'} has this record; "
                    "expected the same records on both sides",
                )
    return [name for name in folders["original"].names if name in both]
