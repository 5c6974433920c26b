"""Recordings in the files of other kinds, by other libraries, or byte by byte as their specifications have them.

Nobody's: the person is made up. Each writer takes a path, signals in mV (n_leads, n_times), their rate and names, and a
person; it gives the largest step in mV that its samples are rounded to.
"""

import base64
import binascii
import datetime
import struct
from dataclasses import dataclass

import edfio
import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

STEP = 0.005  # mV


@dataclass(frozen=True)
class Person:
    first: str = "Xaviera"
    last: str = "Quuxmann"
    number: str = "MRN7719283"
    birth: datetime.date = datetime.date(1951, 3, 14)
    day: datetime.date = datetime.date(2019, 11, 23)
    sex: str = "F"
    physician: str = "Wrightful"
    serial: str = "SN88213X"

    @property
    def age(self):
        return 68


def _steps(signal):
    return np.rint(np.asarray(signal, dtype=float) / STEP).astype("<i2")


def write_edf(path, signal, rate, leads, person, *, unit="mV", per_unit=1.0):
    physical = (-32768 * STEP * per_unit, 32767 * STEP * per_unit)
    own = [
        edfio.EdfSignal(
            row.astype(float) * per_unit, rate, label=f"ECG {name}", physical_dimension=unit, physical_range=physical
        )
        for row, name in zip(_steps(signal) * STEP, leads, strict=True)
    ]
    other = edfio.EdfSignal(np.zeros(signal.shape[1]), rate, label="Resp", physical_dimension="Ohm")
    edfio.Edf(
        [*own, other],
        patient=edfio.Patient(
            code=person.number, sex=person.sex, birthdate=person.birth, name=f"{person.last}_{person.first}"
        ),
        recording=edfio.Recording(
            startdate=person.day, investigator_technician_code=person.physician, equipment_code=person.serial
        ),
        starttime=datetime.time(10, 14, 33),
    ).write(path)
    return STEP * 1.01


def write_csv(path, signal, rate, leads, person):
    head = [
        f"# unit: uV\n# name: {person.last}, {person.first}\n# patient id: {person.number}\n# sex: {person.sex}",
        f"# age: {person.age}\n# date: {person.day}\n# birth date: {person.birth}",
        f"# physician: {person.physician}\n# serial: {person.serial}",
        ",".join(["time", *leads]),
    ]
    rows = [",".join([f"{i / rate:.6f}", *(f"{v:.3f}" for v in row)]) for i, row in enumerate(signal.T * 1000)]
    path.write_text("\n".join([*head, *rows]) + "\n")
    return 1e-6


def write_npz(path, signal, rate, leads, person):
    said = [
        f"name: {person.last} {person.first}",
        f"mrn: {person.number}",
        f"sex: {person.sex}",
        f"age: {person.age}",
        f"date: {person.day}",
        f"birth date: {person.birth}",
        f"physician: {person.physician}",
        f"serial: {person.serial}",
    ]
    np.savez(path, signal=_steps(signal) * 5, sampling_rate=rate, leads=list(leads), unit="uV", comments=said)
    return STEP


def _code(value, scheme, meaning):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


_TWELVE = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
_SCP_CODES = dict(zip(_TWELVE, (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8), strict=True))


def write_dicom(path, signal, rate, leads, person):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.9.1.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.PatientName, data.PatientID = f"{person.last}^{person.first}", person.number
    data.PatientBirthDate, data.PatientSex = f"{person.birth:%Y%m%d}", person.sex
    data.AcquisitionDateTime = f"{person.day:%Y%m%d}101433"
    data.ReferringPhysicianName, data.DeviceSerialNumber = f"{person.physician}^Zeb", person.serial
    data.Modality = "ECG"
    group = Dataset()
    group.MultiplexGroupLabel = "RHYTHM"
    group.WaveformOriginality, group.NumberOfWaveformChannels = "ORIGINAL", len(leads)
    group.NumberOfWaveformSamples, group.SamplingFrequency = signal.shape[1], str(rate)
    channels = []
    for name in leads:
        channel = Dataset()
        channel.ChannelSourceSequence = [_code(f"5.6.3-9-{_SCP_CODES[name]}", "SCPECG", f"Lead {name}")]
        channel.ChannelSensitivity, channel.ChannelSensitivityCorrectionFactor = str(STEP * 1000), "1"
        channel.ChannelBaseline, channel.ChannelSampleSkew = "0", "0"
        channel.ChannelSensitivityUnitsSequence = [_code("uV", "UCUM", "microvolt")]
        channel.WaveformBitsStored = 16
        channels.append(channel)
    group.ChannelDefinitionSequence = channels
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    group.WaveformData = _steps(signal).T.tobytes()
    group["WaveformData"].VR = "OW"
    data.WaveformSequence = [group]
    data.save_as(path, enforce_file_format=True)
    return STEP


def write_muse(path, signal, rate, leads, person):
    rows = [
        f"<LeadData><LeadByteCountTotal>{2 * len(row)}</LeadByteCountTotal><LeadTimeOffset>0</LeadTimeOffset>"
        f"<LeadSampleCountTotal>{len(row)}</LeadSampleCountTotal>"
        f"<LeadAmplitudeUnitsPerBit>{STEP * 1000}</LeadAmplitudeUnitsPerBit>"
        f"<LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits><LeadID>{name}</LeadID><LeadSampleSize>2</LeadSampleSize>"
        f"<WaveFormData>{base64.b64encode(row.tobytes()).decode()}</WaveFormData></LeadData>"
        for row, name in zip(_steps(signal), leads, strict=True)
    ]
    path.write_text(
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<RestingECG><MuseInfo><MuseVersion>8.0</MuseVersion></MuseInfo>'
        f"<PatientDemographics><PatientID>{person.number}</PatientID>"
        f"<DateofBirth>{person.birth:%m-%d-%Y}</DateofBirth><PatientAge>{person.age}</PatientAge>"
        f"<AgeUnits>YEARS</AgeUnits><Gender>{'FEMALE' if person.sex == 'F' else 'MALE'}</Gender>"
        f"<PatientLastName>{person.last}</PatientLastName><PatientFirstName>{person.first}</PatientFirstName>"
        f"</PatientDemographics><TestDemographics><AcquisitionDate>{person.day:%m-%d-%Y}</AcquisitionDate>"
        f"<AcquisitionTime>10:14:33</AcquisitionTime><ReferringMDLastName>{person.physician}</ReferringMDLastName>"
        f"</TestDemographics><PharmaData><PharmaCartID>{person.serial}</PharmaCartID></PharmaData>"
        "<Diagnosis><DiagnosisStatement><StmtFlag>ENDSLINE</StmtFlag><StmtText>Sinus rhythm</StmtText>"
        "</DiagnosisStatement></Diagnosis><Waveform><WaveformType>Rhythm</WaveformType>"
        f"<NumberofLeads>{len(leads)}</NumberofLeads><SampleBase>{rate}</SampleBase><SampleExponent>0</SampleExponent>"
        f"{''.join(rows)}</Waveform></RestingECG>\n"
    )
    return STEP


def write_aecg(path, signal, rate, leads, person):
    rows = [
        f'<component><sequence><code code="MDC_ECG_LEAD_{name.upper()}" codeSystem="2.16.840.1.113883.6.24"/>'
        f'<value xsi:type="SLIST_PQ"><origin value="0" unit="uV"/><scale value="{STEP * 1000}" unit="uV"/>'
        f"<digits>{' '.join(map(str, row.tolist()))}</digits></value></sequence></component>"
        for row, name in zip(_steps(signal), leads, strict=True)
    ]
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<AnnotatedECG xmlns="urn:hl7-org:v3" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><id root="61d1a24f-b47e-41aa-ae95-f8ac302f4eeb"/>'
        f'<effectiveTime><low value="{person.day:%Y%m%d}101433"/></effectiveTime><componentOf><timepointEvent>'
        "<componentOf><subjectAssignment><subject><trialSubject>"
        f'<id root="2.16.840.1.113883.3.1" extension="{person.number}"/><subjectDemographicPerson>'
        f"<name><family>{person.last}</family><given>{person.first}</given></name>"
        f'<administrativeGenderCode code="{person.sex}"/><birthTime value="{person.birth:%Y%m%d}"/>'
        "</subjectDemographicPerson></trialSubject></subject></subjectAssignment></componentOf></timepointEvent>"
        '</componentOf><component><series><code code="RHYTHM"/>'
        f"<author><seriesAuthor><manufacturedSeriesDevice><serialNumber>{person.serial}</serialNumber>"
        "</manufacturedSeriesDevice></seriesAuthor></author><secondaryPerformer><seriesPerformer><assignedPerson>"
        f"<name>{person.physician}</name></assignedPerson></seriesPerformer></secondaryPerformer>"
        '<component><sequenceSet><component><sequence><code code="TIME_ABSOLUTE"/><value xsi:type="GLIST_TS">'
        f'<head value="{person.day:%Y%m%d}101433"/><increment value="{1 / rate}" unit="s"/></value></sequence>'
        f"</component>{''.join(rows)}</sequenceSet></component></series></component></AnnotatedECG>\n"
    )
    return STEP


def write_ishne(path, signal, rate, leads, person):
    codes = dict(zip(_TWELVE, range(5, 17), strict=True))
    n_leads = len(leads)

    def text(words, size):
        return words.encode("latin-1").ljust(size, b"\0")

    def day(date):
        return struct.pack("<3h", date.day, date.month, date.year)

    def twelve(values):
        return struct.pack("<12h", *(list(values) + [-9] * (12 - n_leads)))

    more = f"seen by {person.physician}, recorder {person.serial}".encode()
    block = (
        struct.pack("<iiii", len(more), signal.shape[1], 522, 522 + len(more))
        + struct.pack("<h", 1)
        + text(person.first, 40)
        + text(person.last, 40)
        + text(person.number, 20)
        + struct.pack("<hh", 2 if person.sex == "F" else 1, 0)
        + day(person.birth)
        + day(person.day)
        + day(person.day)
        + struct.pack("<3h", 10, 14, 33)
        + struct.pack("<h", n_leads)
        + twelve(codes[name] for name in leads)
        + twelve([1] * n_leads)
        + twelve([round(STEP * 1e6)] * n_leads)
        + struct.pack("<h", 0)
        + text("digital", 40)
        + struct.pack("<h", rate)
    ).ljust(512, b"\0")
    crc = binascii.crc_hqx(block + more, 0xFFFF)
    path.write_bytes(b"ISHNE1.0" + struct.pack("<H", crc) + block + more + _steps(signal).T.tobytes())
    return STEP


def write_scp(path, signal, rate, leads, person):
    def tag(number, value):
        return struct.pack("<BH", number, len(value)) + value

    def text(words):
        return words.encode("latin-1") + b"\0"

    def day(date):
        return struct.pack("<HBB", date.year, date.month, date.day)

    machine = struct.pack("<HHHBB", 0, 0, 0, 0, 255) + b"MODEL\0" + struct.pack("<BBBBB", 20, 0xA0, 0, 0, 1)
    machine = machine.ljust(36, b"\0") + text("prog") + text(person.serial) + text("1.0") + text("1.0") + text("maker")
    section1 = b"".join(
        [
            tag(0, text(person.last)),
            tag(1, text(person.first)),
            tag(2, text(person.number)),
            tag(5, day(person.birth)),
            tag(8, bytes([2 if person.sex == "F" else 1])),
            tag(14, machine),
            tag(20, text(person.physician)),
            tag(25, day(person.day)),
            tag(26, bytes([10, 14, 33])),
            struct.pack("<BH", 255, 0),
        ]
    )
    n_times = signal.shape[1]
    section3 = bytes([len(leads), 0x04 | len(leads) << 3 & 0xF8]) + b"".join(
        struct.pack("<IIB", 1, n_times, _SCP_CODES[name]) for name in leads
    )
    rows = [row.tobytes() for row in _steps(signal)]
    section6 = struct.pack("<HHBB", round(STEP * 1e6), round(1e6 / rate), 0, 0)
    section6 += struct.pack(f"<{len(rows)}H", *map(len, rows)) + b"".join(rows)

    def section(number, body):
        body += b"\0" * (len(body) % 2)
        head = struct.pack("<HIBB", number, len(body) + 16, 20, 20)
        head += b"SCPECG" if number == 0 else b"\0" * 6
        return struct.pack("<H", binascii.crc_hqx(head + body, 0xFFFF)) + head + body

    bodies = {1: section(1, section1), 3: section(3, section3), 6: section(6, section6)}
    length0, at, pointers = 16 + 12 * 10, 7 + 16 + 12 * 10, []
    for number in range(12):
        size = length0 if number == 0 else len(bodies.get(number, b""))
        pointers.append(struct.pack("<HII", number, size, 7 if number == 0 else at if size else 0))
        at += 0 if number == 0 else size
    body = section(0, b"".join(pointers)) + b"".join(bodies[number] for number in sorted(bodies))
    rest = struct.pack("<I", 6 + len(body)) + body
    path.write_bytes(struct.pack("<H", binascii.crc_hqx(rest, 0xFFFF)) + rest)
    return STEP


WRITERS = {
    "edf": write_edf,
    "csv": write_csv,
    "npz": write_npz,
    "dcm": write_dicom,
    "muse.xml": write_muse,
    "aecg.xml": write_aecg,
    "scp": write_scp,
    "ecg": write_ishne,
}
