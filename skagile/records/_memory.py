"""What reading a record takes, checked before memory is taken for it."""

from skagile._files import check_size
from skagile.records._header import FLAC_SHRINKING, Header, is_flac


def check_memory(header: Header) -> None:
    """Refuse a header by which a record would take far more memory than its files have bytes: skews, many signals.

    Raises
    ------
    ValueError
        For a number of signals that is not that of the lines, a skew beyond the recording, or too large a recording.
    """
    lines, said = header.signals, header.lines[0].split()[1:2]
    if said != [str(len(lines))]:
        raise ValueError(
            f"{header.path}: not a WFDB record: promises {said[0] if said else 'no number of'} signals, and describes "
            f"{len(lines)}. The header is cut short or damaged; fetch it again."
        )
    paths = {header.path.parent / line.file for line in lines}
    stored = sum(path.stat().st_size for path in paths if path.is_file())
    flac = any(is_flac(line.format) for line in lines)
    # Half a byte a sample is less than any format takes; FLAC says for itself how many there are.
    n_times = header.n_frames if header.n_frames is not None else 2 * stored
    skew = max((line.skew for line in lines), default=0)
    if skew > min(n_times, 2 * stored):
        raise ValueError(
            f"{header.path}: a skew of {skew} samples, more than the {n_times} of the recording. Correct it."
        )
    # wfdb holds integers and floats of 8 bytes of each signal, as long as its widest frame.
    widest = max((line.samples_per_frame for line in lines), default=1)
    n_bytes = 16 * len(lines) * (n_times + skew) * widest
    check_size(header.path, n_bytes, stored=stored, shrinking=64 * (FLAC_SHRINKING if flac else 1))
