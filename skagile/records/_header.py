"""What a WFDB header says of its files, read before anything opens what it names."""

import datetime
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from skagile._text_files import decode

_SAFE_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
_FORMAT = re.compile(r"(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?")
_GAIN = re.compile(r"[-+.\de]*(\(-?\d+\))?(/\S*)?", re.IGNORECASE)
_GAIN_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d{1,3})?", re.IGNORECASE)
_TIME = re.compile(r"(?:(?:\d{1,2}:)?\d{1,2}:)?\d{1,2}(?:\.\d{1,6})?")
_NUMBER = re.compile(r"\d+\.?\d*|\.\d+")
_MAX_HEADER_BYTES = 1 << 20
FLAC_SHRINKING = 200
_USUAL_RATE = 250.0  # Hz, of a header that says none
_USUAL_GAIN = 200.0  # steps of a unit, of a lead that says none, or 0
NO_FILE = "~"  # in place of a signal file, or of a segment
RECORD = "-record"  # a name that wfdb reads and that no checked file has
_BYTES = {
    "8": Fraction(1),
    "16": Fraction(2),
    "24": Fraction(3),
    "32": Fraction(4),
    "61": Fraction(2),
    "80": Fraction(1),
    "160": Fraction(2),
    "212": Fraction(3, 2),
    "310": Fraction(4, 3),
    "311": Fraction(4, 3),
}


def check_relative(path: str, where: str) -> str:
    """Return a relative POSIX path out of a file or an argument, refusing whatever could leave its folder."""
    parts = path.split("/")
    if not all(_SAFE_PART.fullmatch(part) for part in parts):
        raise ValueError(
            f"{where} names {path!r}; expected a relative path of plain names (letters, digits, '_', '-', '.') that "
            "stays inside its folder. The file may be corrupt or hostile: it is not read."
        )
    return path


@dataclass(frozen=True)
class SignalLine:
    """One lead: where its samples are, and what they are of."""

    file: str
    format: str
    samples_per_frame: int
    skew: int
    offset: int
    unit: str
    name: str
    gain: float  # steps of a unit


@dataclass(frozen=True)
class Header:
    """A header's lines, taken apart.

    Attributes
    ----------
    lines : list of str
        Record line and the lines after it, as wfdb reads them.
    n_frames : int or None
        Samples per lead at the frame rate; None where the header leaves that open, with 0 or nothing.
    frame_rate : float
        In Hz. A lead has `samples_per_frame` times as many samples.
    time : str
        Time of day at which it begins, as "10:14:33"; "" where none is said, or none that can be read.
    odd_date : str
        Time and date as they are there, where wfdb could not read them; else "".
    signals : list of SignalLine
        Empty for a record of several segments.
    segments : list of tuple (name, number of frames) or None
        None for a record of one segment.
    """

    path: Path
    lines: list[str]
    n_frames: int | None
    frame_rate: float
    date: str
    odd_date: str
    comments: list[str]
    signals: list[SignalLine]
    segments: list[tuple[str, int]] | None
    time: str = ""


def read_header(path: Path, *, layout: bool = False) -> Header:
    """Read a header in UTF-8 or Latin-1; with `layout`, one that names the leads of segments, and no files.

    Raises
    ------
    ValueError
        For a header that is too long, names a file outside its folder, or has no signals.
    """
    if path.stat().st_size > _MAX_HEADER_BYTES:
        raise ValueError(f"{path}: the header has more than {_MAX_HEADER_BYTES} bytes; this is no WFDB header.")
    return _parsed(path, path.read_bytes(), layout)


@lru_cache(maxsize=16)  # asked for several times in a row; few, since a header may have a megabyte
def _parsed(path, raw, layout):
    # As wfdb strips and splits them, so that both see the same lines; it leaves out what is not ASCII.
    both = [(line.encode("ascii", "ignore").decode().strip(), line.strip()) for line in _lines(raw)]
    said = [(line, text) for line, text in both if line and not line.startswith("#")]
    if len(said) < 2:
        raise ValueError(f"{path}: the header describes no signal.")
    fields = said[0][0].split()
    date, odd_date = _date(fields[4:])
    several = "/" in fields[0]
    return Header(
        path=path,
        lines=[line for line, _ in said],
        n_frames=int(fields[3]) or None if len(fields) > 3 and fields[3].isdigit() else None,
        frame_rate=_rate(fields[2:3]),
        date=date,
        odd_date=odd_date,
        comments=[text.strip(" \t#") for line, text in both if line.startswith("#")],
        signals=[] if several else _signal_lines(path, said[1:], layout),
        segments=_segment_lines(path, said) if several else None,
        time="" if odd_date else _time(fields[4:5]),
    )


def signal_files(header: Path) -> list[str]:
    """Names of the signal files of a header, checked before anything opens them.

    Raises
    ------
    ValueError
        As `read_header`, for a record of several segments, and for a header that promises more samples than its
        files hold.
    """
    read = read_header(header)
    if read.segments is not None:
        raise ValueError(f"{header}: a record of several segments, of which this database has none. Fetch it again.")
    check_complete(read)
    return list(dict.fromkeys(line.file for line in read.signals))


def signal_sizes(header: Path) -> dict[str, tuple[int, int]]:
    """Least and most bytes of the signal files of a header, where it says how many samples they have.

    A megabyte more than the samples take is allowed, for what may stand before them.
    """
    read = read_header(header)
    sizes = {}
    for name, own in _by_file(read).items():
        if read.n_frames is not None and own[0].format:
            n_samples = read.n_frames * sum(line.samples_per_frame for line in own)
            least = _BYTES.get(own[0].format, 0)  # none where samples are packed
            sizes[name] = int(n_samples * least), n_samples * 4 + (1 << 20)
    return sizes


def check_complete(header: Header) -> None:
    """Refuse a header that promises more samples than its files hold, before memory is taken for them."""
    if header.n_frames is None:
        return
    for name, (there, per_frame, size) in _frames_in_files(header).items():
        if there < header.n_frames:
            raise ValueError(
                f"{header.path}: promises {header.n_frames * per_frame} samples in {name}, which has {size} bytes: "
                f"{there * per_frame} are there ({there} of {header.n_frames} per lead at {header.frame_rate:g} Hz). "
                "It is not a WFDB record that can be read: cut short, or its header is wrong; fetch it again."
            )


def count_frames(header: Header) -> int:
    """Count the samples per lead at the frame rate: what the header says, else what its files hold."""
    if header.n_frames is not None:
        return header.n_frames
    there = [min(n_frames, _flac_frames(header, name)) for name, (n_frames, *_) in _frames_in_files(header).items()]
    if not there or min(there) < 1:
        raise ValueError(f"{header.path}: says no number of samples, and its files hold none. Fetch the record again.")
    return min(there)


def plain_record_line(header: Header, n_frames: int) -> str:
    """Record line that wfdb can read whatever stood there: without time and date, and with a number of samples."""
    _, n_signals, rate, *_ = *header.lines[0].split(), "", f"{_USUAL_RATE:g}"
    return f"{RECORD} {n_signals} {rate} {n_frames}"


def needs_plain_line(header: Header) -> bool:
    return header.n_frames is None or bool(header.odd_date)


def _lines(raw):
    # Line ends that only Unicode knows would make other lines than wfdb's.
    return decode(raw).translate({0x85: None, 0x2028: None, 0x2029: None}).splitlines()


def _rate(field):
    match = _NUMBER.match(field[0]) if field else None
    return float(match[0]) if match else _USUAL_RATE


def _date(fields):
    """Date in ISO form, and the fields where wfdb cannot read them."""
    if not fields:
        return "", ""
    time = fields[0]
    readable = _TIME.fullmatch(time) is not None and all(
        float(part) < limit for part, limit in zip(reversed(time.split(":")), (60, 60, 24), strict=False)
    )
    if len(fields) == 1:
        return "", "" if readable else time
    try:
        date = datetime.datetime.strptime(fields[1], "%d/%m/%Y").date().isoformat()
    except ValueError:
        return "", " ".join(fields[:2])
    return (date, "") if readable else ("", " ".join(fields[:2]))


def _time(fields):
    """Time of day in ISO form; WFDB leaves out hours, and minutes, where they are 0."""
    if not fields:
        return ""
    clock, dot, fraction = fields[0].partition(".")
    parts = [int(part) for part in clock.split(":")]
    parts = [0] * (3 - len(parts)) + parts
    return datetime.time(*parts, int(fraction.ljust(6, "0")) if dot else 0).isoformat()


def _signal_lines(path, said, layout):
    names = [line.split()[0] for line, _ in said]
    names = [name if layout and name == NO_FILE else check_relative(name, f"the header {path}") for name in names]
    if any("/" in name for name in names):
        raise ValueError(f"{path}: a signal file in another folder ({names}); expected beside the header.")
    return [_signal_line(i, name, *both) for i, (name, both) in enumerate(zip(names, said, strict=True))]


def _signal_line(number, file, line, text):
    fields = text.split()
    match = _FORMAT.match(" ".join(line.split()[1:2]))
    # After the gain come up to five whole numbers, any of which may be left out, then the name.
    gain = 1 if len(fields) > 2 and _GAIN.fullmatch(fields[2]) else 0
    n_before = 2 + gain
    while n_before < min(len(fields), 7 + gain) and fields[n_before].lstrip("-").isdigit():
        n_before += 1
    name = text.split(None, n_before)[n_before:]
    return SignalLine(
        file=file,
        format=match[1] if match else "",
        samples_per_frame=max(1, int(match[2] or 1)) if match else 1,
        skew=int(match[3] or 0) if match else 0,
        offset=int(match[4] or 0) if match else 0,
        unit=(fields[2].partition("/")[2] if gain else "") or "mV",
        name=name[0] if name else f"lead {number}",
        gain=_gain(fields[2]) if gain else _USUAL_GAIN,
    )


def _gain(field):
    match = _GAIN_NUMBER.match(field)
    gain = abs(float(match[0])) if match else 0.0
    return gain if 0 < gain < float("inf") else _USUAL_GAIN


def _segment_lines(path, said):
    segments = []
    for line, _ in said[1:]:
        name, *length = line.split()
        if name != NO_FILE and "/" in check_relative(name, f"the header {path}"):
            raise ValueError(f"{path}: a segment in another folder ({name!r}); expected beside the header.")
        if not length or not length[0].isdigit():
            raise ValueError(f"{path}: the segment {name!r} has no length. The header is cut short; fetch it again.")
        segments.append((name, int(length[0])))
    n_said = said[0][0].split()[0].partition("/")[2]
    if n_said != str(len(segments)):
        raise ValueError(
            f"{path}: promises {n_said or 'no number of'} segments and lists {len(segments)}. Fetch it again."
        )
    return segments


def _frames_in_files(header):
    """Of each signal file that is there: frames it holds (for FLAC: at most), samples of a frame, and bytes."""
    frames = {}
    for name, own in _by_file(header).items():
        file = header.path.parent / name
        if name == NO_FILE or not file.is_file():
            continue
        size = file.stat().st_size
        if is_flac(own[0].format):
            # FLAC shrinks an electrocardiogram to a tenth, and silence to next to nothing.
            n_samples = size * FLAC_SHRINKING
        elif own[0].format in _BYTES:
            n_samples = max(0, size - own[0].offset) / _BYTES[own[0].format]
        else:
            continue
        per_frame = sum(line.samples_per_frame for line in own)
        frames[name] = int(n_samples / per_frame), per_frame, size
    return frames


def _by_file(header):
    lines: dict[str, list[SignalLine]] = {}
    for line in header.signals:
        lines.setdefault(line.file, []).append(line)
    return lines


def is_flac(format_):
    return format_.startswith("5") and len(format_) == 3


def _flac_frames(header, name):
    """Frames that a FLAC file says to hold; no limit for other files."""
    line = next(line for line in header.signals if line.file == name)
    if not is_flac(line.format):
        return 2**63
    import soundfile  # what wfdb reads FLAC with

    try:
        return soundfile.info(str(header.path.parent / name)).frames // line.samples_per_frame
    except RuntimeError as error:
        raise ValueError(f"{header.path}: {name} is no FLAC file ({error}). Fetch it again.") from error


def segment_names(path: Path) -> list[str]:
    """List the segments of a record of several; none for any other header, whatever is wrong with it."""
    try:
        with path.open("rb") as file:
            start = file.read(_MAX_HEADER_BYTES).decode("ascii", errors="ignore")
    except OSError:
        return []
    lines = (line.split() for line in start.splitlines() if line.strip() and not line.strip().startswith("#"))
    if "/" not in next(lines, [""])[0]:
        return []
    return [fields[0] for fields in lines if _SAFE_PART.fullmatch(fields[0]) and fields[0] != path.stem]
