"""Two ``.npz`` files of beats, opened as if they were sent by an enemy."""

import os
import zipfile
from math import prod
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from skagile._files import FREE_BYTES, check_size, npy_header
from skagile._session_order import session_order
from skagile.audit import TOGETHER
from skagile.datasets import check_pair, draw
from skagile.release._doubts import alike_fault, size_faults
from skagile.release._npz_rows import leads_of, one_beat_a_row, sound_rows
from skagile.release._problems import Collector, first_of

_ROWS = ("subjects", "y", "sessions", "records", "times")
_PREFIXES = ("attribute_", "task_")
_NUMBERS = ("sampling_rate", "window")
_MAX_LEADS = 256  # of the largest maps of the body surface
_MAX_MEMBERS = 64
_MAX_TEXT = 1024  # bytes of one text
_SMALL = FREE_BYTES
_AS_TEXT = 84  # bytes that any number takes as text, as which rows of both sides are compared


def read_npz_pair(
    sides: dict[str, str | os.PathLike],
    problems: Collector,
    *,
    window: tuple[float, float],
    sampling_rate: float | None,
    labels: str | None,
    sessions: str,
    max_beats: int | None,
    random_state: int | np.random.RandomState | None,
) -> Bunch:
    """Read two files; the arguments are those of :func:`~skagile.records.read_release_pair`."""
    files = {side: _read(side, str(path), problems) for side, path in sides.items()}
    if all(files.values()):
        _check_together(files, sides, problems)
    problems.stop_if_any()
    before, after = files["original"], files["released"]
    for side, file in files.items():
        for key in _NUMBERS:
            file[key] = _number(file.get(key), key, str(sides[side]), problems)
    rate = _agreed("sampling_rate", before, after, sampling_rate, problems)
    window = _agreed("window", before, after, None, problems) or _given_window(window, rate, before["X"].shape[-1])
    problems.stop_if_any()
    _check_meaning(before, sides, problems, in_order=sessions != "half")
    lead_names = _lead_names(before, sides, problems)
    rows = one_beat_a_row(sound_rows(_rows(before, after, labels, sessions), sides, problems))
    n_sound, dropped = len(rows["subjects"]), {}
    problems.stop_if_any(last=not n_sound)
    for side, fault in size_faults(*(leads_of(rows[side]) for side in ("original", "released"))):
        problems.of_whole(f"{sides[side]}, key 'X'", f"{fault}. Convert it.")
    if max_beats is not None:
        codes = np.zeros(n_sound, dtype=int)
        if "sessions" in rows:
            codes = np.unique(rows["sessions"], return_inverse=True)[1]
        kept = draw(rows["subjects"], codes, max_beats, random_state)
        dropped["max_beats"] = n_sound - len(kept)
        rows = {key: values[kept] for key, values in rows.items()}
    if len(people := np.unique(rows["subjects"])) < 2:
        problems.of_whole(
            f"{sides['original']}, subjects",
            f"one person only ({first_of(people)}); expected at least two people. Add people, or correct the key.",
        )
    problems.stop_if_any()
    return Bunch(
        **{
            **dict.fromkeys(("y", "sessions", "records", "times", "released_times")),
            **{key: values for key, values in rows.items() if not key.startswith(_PREFIXES)},
        },
        sampling_rate=rate,
        window=window,
        lead_names=lead_names,
        attributes=_with_prefix(rows, "attribute_"),
        tasks=_with_prefix(rows, "task_"),
        record_names=[],
        dropped=dropped,
        skipped=problems.skipped,
        notes=problems.notes,
        protocol={"kind": "npz", "n_problems_skipped": len(problems.skipped), "dropped": dropped},
    )


def _rows(before, after, labels, sessions):
    """Lay the arrays of both files with an entry a row side by side, but for what is not wanted."""
    rows = {"original": before["X"], "released": after["X"]}
    rows |= {key: before[key] for key in before if key in _ROWS or key.startswith(_PREFIXES)}
    if "times" in after:
        rows["released_times"] = after["times"]
    rows["subjects"] = rows["subjects"].astype(str)
    if labels is None:
        rows.pop("y", None)
    if sessions == "half":
        rows.pop("sessions", None)
    return rows


def _with_prefix(rows, prefix):
    return {key.removeprefix(prefix): values for key, values in rows.items() if key.startswith(prefix)}


# ------------------------------------------------------------------------------------------------------- opening a file


def _read(side, path, problems):
    """Arrays of a file by key, or None with the problems noted. Nothing is loaded before its size is known."""
    try:
        with zipfile.ZipFile(Path(path).expanduser()) as archive:
            headers = _headers(archive, path, problems)
            if headers is None or not _sizes_fit(headers, path, problems):
                return None
            if not _keys_fit(headers, side, path, problems):
                return None
            arrays = {}
            for key, (member, _, _) in headers.items():
                with archive.open(member) as file:
                    arrays[key] = np.lib.format.read_array(file, allow_pickle=False)
            return arrays
    # Whatever a broken file provokes, in three libraries, means one thing to the caller.
    except Exception as error:
        problems.of_whole(
            path,
            f"cannot be read ({type(error).__name__}: {error}); expected a whole .npz file as numpy.savez writes it. "
            "The file may be cut short: copy or write it again.",
        )
        return None


def _headers(archive, path, problems):
    """Member, shape and dtype of each key; None with the problems noted where one is no array."""
    members = archive.infolist()
    if len(members) > _MAX_MEMBERS or len({member.filename for member in members}) < len(members):
        problems.of_whole(
            path, f"holds {len(members)} entries, or one twice; expected at most {_MAX_MEMBERS}, each key once."
        )
        return None
    headers, sound = {}, True
    for member in members:
        key = member.filename.removesuffix(".npy")
        fault = _fault(archive, member)
        if isinstance(fault, str):
            problems.of_whole(f"{path}, key {key!r}", fault)
            sound = False
        else:
            headers[key] = (member, *fault)
    return headers if sound else None


def _fault(archive, member):
    """Say what is wrong with a member, or give its shape and dtype."""
    if member.flag_bits & 1:
        return "is encrypted; expected plain arrays. Write the file without a password."
    if not member.filename.endswith(".npy") or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is no array as numpy.savez or numpy.savez_compressed writes it. Write the file with one of these."
    with archive.open(member) as file:
        try:
            shape, dtype = npy_header(file)
        except ValueError as error:
            return f"{error}; expected what numpy.savez writes. Write the file again."
        start = file.tell()
    if dtype.hasobject:
        return (
            "holds pickled objects, which could run code and are not opened; expected numbers or text. Convert it: "
            "values.astype(str), or a number type."
        )
    if dtype.kind not in "fiubU" or dtype.itemsize > _MAX_TEXT:
        return f"has dtype {dtype}; expected numbers or text (of at most {_MAX_TEXT // 4} characters)."
    n_bytes = dtype.itemsize * prod(shape)
    if n_bytes != member.file_size - start:
        return (
            f"promises {n_bytes} bytes (shape {shape}) and holds {member.file_size - start}; the file is cut short or "
            "forged. Write it again."
        )
    return shape, dtype


def _sizes_fit(headers, path, problems):
    """Check what all arrays take together, as they are read and as they are compared, against what is stored."""
    n_bytes = 0
    for key, (_, shape, dtype) in headers.items():
        # Beats are worked on as float64, labels are compared as text.
        itemsize = max(dtype.itemsize, 8 if key == "X" else _AS_TEXT)
        n_bytes += itemsize * prod(shape)
    stored = sum(member.compress_size for member, _, _ in headers.values())
    try:
        check_size(path, n_bytes, stored=stored, free=_SMALL)
    except ValueError as error:
        problems.of_whole(path, str(error).removeprefix(f"{path}: "))
        return False
    return True


def _keys_fit(headers, side, path, problems):
    """Check names and shapes by the headers alone."""
    wanted = ("X", "subjects") if side == "original" else ("X",)
    missing = [key for key in wanted if key not in headers]
    known = ("X", *_ROWS, *_NUMBERS, "lead_names")
    unknown = [
        key for key in headers if key not in known and not any(key.startswith(p) and key != p for p in _PREFIXES)
    ]
    if missing:
        problems.of_whole(
            path, f"lacks the key(s) {first_of(missing)} (it has: {first_of(headers) or 'none'}). Add them to the file."
        )
    if unknown:
        problems.of_whole(
            path,
            f"has unknown key(s) {first_of(map(repr, unknown))}; expected {', '.join(known)}, attribute_<name> and "
            "task_<name>. Rename or drop them.",
        )
    if missing or unknown:
        return False
    _, shape, dtype = headers["X"]
    if len(shape) not in (2, 4) or min(shape) < 1 or shape[-1] < 2 or dtype.kind not in "fiu":
        problems.of_whole(
            f"{path}, key 'X'",
            f"has shape {shape} and dtype {dtype}; expected numbers of shape (n_beats, n_samples), one beat a row, or "
            "(n_rows, n_beats, n_leads, n_samples), at least 2 samples. Lay records out as beats.",
        )
        return False
    if len(shape) == 4 and shape[2] > _MAX_LEADS:
        problems.of_whole(
            f"{path}, key 'X'",
            f"has shape {shape}, which is {shape[2]} leads; expected (n_rows, n_beats, n_leads, n_samples) with at "
            f"most {_MAX_LEADS} leads. Put the axes in this order.",
        )
        return False
    fits = True
    n_bytes = {key: member.file_size for key, (member, _, _) in headers.items()}
    for key, (_, of_key, kind) in headers.items():
        if n_bytes[key] > max(_SMALL, n_bytes["X"]):
            problems.of_whole(
                f"{path}, key {key!r}",
                f"has {n_bytes[key]} bytes, more than the beats; expected one short entry per row. Shorten the texts.",
            )
            fits = False
        if key == "X" or key in _NUMBERS:
            expected = {"sampling_rate": (), "window": (2,)}.get(key)
            fits &= key == "X" or _note_shape(path, key, of_key, expected, kind.kind in "fiu", problems)
        elif key == "lead_names":
            fits &= _names_fit(path, of_key, kind, shape, problems)
        else:
            # A time for each beat of a row, or for each row where it has one beat.
            each_beat = key == "times" and len(shape) == 4 and (shape[1] > 1 or len(of_key) == 2)
            expected = shape[:2] if each_beat else shape[:1]
            fits &= _note_shape(path, key, of_key, expected, key != "times" or kind.kind in "fiu", problems)
    return fits


def _names_fit(path, shape, dtype, of_beats, problems):
    n_leads = of_beats[2] if len(of_beats) == 4 else 0
    if n_leads and shape == (n_leads,) and dtype.kind == "U":
        return True
    expected = f"({n_leads},)" if n_leads else "none: X of shape (n_beats, n_samples) has no leads by name"
    what = f"has shape {shape} and dtype {dtype}; expected a text for each lead of X, {expected}. Correct the file."
    problems.of_whole(f"{path}, key 'lead_names'", what)
    return False


def _note_shape(path, key, shape, expected, right_kind, problems):
    alike = shape == expected or (expected == () and shape == (1,))
    if not alike:
        rows = ", one entry per row of X" if len(expected) == 1 and key not in _NUMBERS else ""
        problems.of_whole(f"{path}, key {key!r}", f"has shape {shape}; expected {expected}{rows}. Correct the file.")
    if not right_kind:
        problems.of_whole(f"{path}, key {key!r}", "holds text; expected numbers. Correct the file.")
    return alike and right_kind


# ----------------------------------------------------------------------------------------------------- what is in them


def _check_together(files, sides, problems):
    before, after = files["original"], files["released"]
    if before["X"].shape != after["X"].shape:
        problems.of_whole(
            f"{sides['released']}, key 'X'",
            f"has shape {after['X'].shape}, the original {before['X'].shape}; expected the same, row by row. Where the "
            "tool dropped rows, drop them from the original too.",
        )
        return
    for key in after:
        if key in ("X", "times", *_NUMBERS):
            continue
        what = "leads" if key == "lead_names" else "rows"
        if key not in before:
            problems.of_whole(
                f"{sides['original']}, key {key!r}",
                "is missing, though the release has it; expected it in the original. Write it there.",
            )
        elif not np.array_equal(before[key].astype(str), after[key].astype(str)):
            n_unlike = int((before[key].astype(str) != after[key].astype(str)).sum())
            problems.of_whole(
                f"{sides['released']}, key {key!r}",
                f"differs from the original in {n_unlike} of {len(before[key])} {what}; expected the same {what} in "
                "the same order. Put the release in the order of its original.",
            )


def _check_meaning(before, sides, problems, in_order):
    """Check names and dates, which are read without an error whatever they are."""
    if before["subjects"].dtype.kind == "U" and (fault := alike_fault(np.unique(before["subjects"]).tolist())):
        problems.of_whole(f"{sides['original']}, key 'subjects'", f"{fault}. Write each person's name in one way.")
    sessions = before.get("sessions")
    if in_order and sessions is not None and sessions.dtype.kind == "U":
        known = np.char.strip(sessions) != ""  # rows without a session are told apart
        try:
            session_order(sessions[known], before["subjects"][known])
        except ValueError as error:
            problems.of_whole(f"{sides['original']}, key 'sessions'", str(error).removeprefix("sessions: "))


def _lead_names(before, sides, problems):
    """Names of the leads as a list; None where there are none."""
    if "lead_names" not in before:
        return None
    names = [" ".join(name.split()) for name in before["lead_names"].tolist()]
    if not all(name.isprintable() and name and name != TOGETHER for name in names) or len(set(names)) < len(names):
        problems.of_whole(
            f"{sides['original']}, key 'lead_names'",
            f"is {first_of(map(repr, names))}; expected a different name for each lead, of printable characters. "
            "Correct the key.",
        )
    return names


def _number(values, key, path, problems):
    """Give the sampling rate as a number, the window as a tuple, None where there is none."""
    if values is None:
        return None
    numbers = np.atleast_1d(values).astype(float).tolist()
    try:
        if key == "window":
            return check_pair(numbers, "window", "seconds before and after the R peak")
        if 10 <= numbers[0] <= 100_000:
            return numbers[0]
        problems.of_whole(f"{path}, key 'sampling_rate'", f"is {numbers[0]:g}; expected Hz, 10 to 100000. Correct it.")
    except ValueError as error:
        problems.of_whole(f"{path}, key {key!r}", str(error))
    return None


def _agreed(key, before, after, given, problems):
    """Give what both files and the argument say, where they do not contradict each other."""
    said = {
        name: value
        for name, value in ((f"{key}=", given), ("the original", before.get(key)), ("the release", after.get(key)))
        if value is not None
    }
    if len(set(said.values())) > 1:
        words = ", ".join(f"{name}: {value}" for name, value in said.items())
        problems.of_whole(key, f"not one value ({words}); expected the same. Beats of .npz files are not resampled.")
    return next(iter(said.values()), None)


def _given_window(window, rate, n_samples):
    """Give the window of the arguments where it has as many samples as the beats."""
    window = check_pair(window, "window", "seconds before and after the R peak")
    fits = rate is not None and sum(round(seconds * rate) for seconds in window) == n_samples
    return window if fits else None
