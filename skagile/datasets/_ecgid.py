"""The ECG-ID Database."""

import os
from collections.abc import Sequence

from sklearn.utils import Bunch
from sklearn.utils._param_validation import StrOptions, validate_params

from skagile.datasets._base import Database
from skagile.datasets._beats import FETCH_CONSTRAINTS, beats_from_records, cutting_keywords
from skagile.datasets._locate import locate
from skagile.records import (
    Entry,
    comment_fields,
    parse_age,
    parse_date,
    parse_sex,
    read_annotation,
    read_record,
    records_bunch,
)

ECGID = Database("ecgiddb", "1.0.0", annotators=("atr",))

_DESCR = """ECG-ID Database 1.0.0 (Lugovaya 2005, PhysioNet, ODC-By 1.0): lead I of volunteers, 20 s at 500 Hz, several
records each and, for some, on more than one date. Made for identifying people; PhysioNet keeps both the raw and the
filtered signal. A few records have spikes or clipping, which are returned as they are."""


@validate_params(
    {**FETCH_CONSTRAINTS, "channel": [StrOptions({"filtered", "raw"})]}, prefer_skip_nested_validation=True
)
def fetch_ecgid(
    data_home: str | os.PathLike | None = None,
    *,
    records: Sequence[str] | None = None,
    channel: str = "filtered",
    download_if_missing: bool = True,
    base_url: str | None = None,
) -> Bunch:
    """Load the ECG-ID Database: short lead-I records of volunteers, some of them on several dates.

    Looked for as by :func:`fetch_mitdb`, in a folder ``ecgiddb``. Where that folder holds a part of the database
    and its ``RECORDS`` lists that part, the part is loaded.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that holds (or gets) the folder ``ecgiddb``. It must exist.
    records : sequence of str, default=None
        Names of records, such as ``["Person_01/rec_1"]``. None loads all.
    channel : {"filtered", "raw"}, default="filtered"
        The signal as its authors filtered it, or as it came from the amplifier.
    download_if_missing : bool, default=True
        If False, raise an error where files are missing.
    base_url : str, default=None
        Server to download from; None takes ``SKAGILE_PHYSIONET_URL`` or PhysioNet.

    Returns
    -------
    records : :class:`~sklearn.utils.Bunch`
        The fields of :func:`fetch_mitdb`: one lead "I" in millivolts at 500 Hz; subjects such as "ecgid-01"; sessions
        the dates of recording, "YYYY-MM-DD"; annotations those of an automatic detector, not audited, with "N" on R
        peaks and "t" on T peaks; diagnoses empty. Samples are returned as they are, with spikes up to 164 mV in
        76/2 and 88/1 and clipping in 47/2; checksums in the headers, of which eleven are wrong, are not compared.

    Raises
    ------
    FileNotFoundError, OSError, ValueError
        As :func:`fetch_mitdb`.

    See Also
    --------
    load_ecgid_beats : The same, cut into beats.

    References
    ----------
    .. [1] T. S. Lugovaya, "Biometric human identification based on electrocardiogram", master's thesis,
       Electrotechnical University "LETI", Saint-Petersburg, 2005.
    .. [2] A. L. Goldberger et al., "PhysioBank, PhysioToolkit, and PhysioNet", Circulation 101(23), e215-e220, 2000.

    Examples
    --------
    >>> from skagile.datasets import fetch_ecgid
    >>> records = fetch_ecgid(records=["Person_01/rec_1"])  # doctest: +SKIP
    >>> records.signals[0].shape, records.sessions[0]  # doctest: +SKIP
    ((1, 10000), '2004-12-07')
    """
    root, names = locate(ECGID, data_home, records, download_if_missing, base_url)
    entries = []
    for name in names:
        path = root / name
        recording = read_record(path, _channel(channel, name))
        recording.leads = ["I"]
        fields = comment_fields(recording.comments)
        entries.append(
            Entry(
                recording=recording,
                name=name,
                subject=f"ecgid-{name.split('/')[0].removeprefix('Person_')}",
                session=parse_date(fields.get("ecg date")),
                age=parse_age(fields.get("age")),
                sex=parse_sex(fields.get("sex")),
                annotation=read_annotation(path, "atr"),
            )
        )
    return records_bunch(entries, "ecgid", _DESCR)


def _channel(channel, record):
    """Pick the filtered or the raw signal by its name."""

    def pick(names):
        indexes = [i for i, name in enumerate(names) if ("filtered" in name) == (channel == "filtered")]
        if not indexes:
            raise ValueError(f"record {record}: no {channel} signal among {names}.")
        return indexes[:1]

    return pick


def load_ecgid_beats(
    data_home: str | os.PathLike | None = None,
    *,
    records: Sequence[str] | None = None,
    channel: str = "filtered",
    download_if_missing: bool = True,
    base_url: str | None = None,
    lead: int | str | Sequence[int | str] = 0,
    **cutting: object,
) -> Bunch:
    """Load the beats of the ECG-ID Database with sex, subject and session.

    Parameters
    ----------
    data_home, records, channel, download_if_missing, base_url
        As in :func:`fetch_ecgid`.
    lead : int, str or sequence of them, default=0
        There is one.
    **cutting
        Keywords of :func:`beats_from_records`: ``window``, ``labels``, ``r_peaks``, ``sampling_rate``, ``band``,
        ``max_beats``, ``guard``, ``sessions``, ``random_state`` and ``classes``. Three have other defaults here.
        ``r_peaks="detected"``: the database's own marks cover ten beats a record. ``labels="sex"``: `y` is the sex.
        ``sessions="date"``: session 0 is the first date of a person, and 1, 2, ... the later ones.

    Returns
    -------
    beats : :class:`~sklearn.utils.Bunch`
        As from :func:`beats_from_records`.

    Raises
    ------
    TypeError
        For a keyword that is none of these.
    FileNotFoundError, OSError, ValueError
        As :func:`fetch_ecgid` and :func:`beats_from_records`.

    See Also
    --------
    fetch_ecgid : The records whole.
    beats_from_records : The cutting, for any records.

    References
    ----------
    .. [1] T. S. Lugovaya, "Biometric human identification based on electrocardiogram", master's thesis,
       Electrotechnical University "LETI", Saint-Petersburg, 2005.

    Examples
    --------
    >>> from skagile.datasets import load_ecgid_beats
    >>> beats = load_ecgid_beats(max_beats=10, random_state=0)  # doctest: +SKIP
    >>> enrolled = beats.sessions == 0  # doctest: +SKIP
    """
    cutting = cutting_keywords(load_ecgid_beats, cutting, labels="sex", r_peaks="detected", sessions="date")
    bunch = fetch_ecgid(
        data_home, records=records, channel=channel, download_if_missing=download_if_missing, base_url=base_url
    )
    return beats_from_records(bunch, lead=lead, **cutting)
