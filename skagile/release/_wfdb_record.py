"""One record of both sides, cut lead by lead: at the R peaks of the original, and where the release has its own."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from skagile.datasets import RecordCutter, pick_leads
from skagile.records import read_entry, record_names, recording_names, records_bunch
from skagile.release._cuts import (
    ELSEWHERE,
    FEWEST,
    FEWEST_OF,
    NO_PEAKS,
    Cut,
    Cutting,
    RecordCuts,
    other_length,
    remarks_of,
    seconds,
)
from skagile.release._lead_names import match_leads
from skagile.release._own_peaks import OwnBeats, is_elsewhere, partners
from skagile.release._problems import Collector, first_of
from skagile.release._together import cut_together

LOOK = "Name the leads as in the original, or choose another with lead=, on the command line --lead"


class Folder:
    """A folder, and how its files are called in messages: as the user called the folder."""

    def __init__(self, path, *, all_kinds=False):
        self.given = str(path).rstrip("/")
        self.root = Path(path).expanduser().absolute()
        self.names = recording_names(self.root) if all_kinds else record_names(self.root)
        self._places = {}

    def rename(self, places):
        """Call records by other names; `places` has the path of each."""
        others = set(places.values())
        self._places = dict(places)
        self.names = [*places, *(name for name in self.names if name not in others)]

    def path(self, name):
        """Path of a record without extension."""
        return self.root / self._places.get(name, name)

    def shown(self, name):
        return f"{self.given}/{self._places.get(name, name)}"

    def words(self, error):
        return str(error).replace(str(self.root), self.given)


class Rate:
    """The sampling rate of the beats: the one asked for, or the one that all records have."""

    def __init__(self, wanted):
        self.wanted = wanted
        self.rates = {}

    def of(self, name, rate):
        self.rates.setdefault(rate, name)
        return self.wanted or rate

    @property
    def value(self):
        return self.wanted or next(iter(self.rates))

    def check(self, problems):
        if self.wanted is None and len(self.rates) > 1:
            rates = ", ".join(f"{rate:g} Hz ({name})" for rate, name in sorted(self.rates.items()))
            problems.of_whole(
                "original",
                f"its records have {len(self.rates)} sampling rates: {rates}; expected one. Give sampling_rate=, on "
                "the command line --sampling-rate, to resample the beats.",
            )


def cut_record(
    folders: dict[str, Folder], name: str, person: dict, cutting: Cutting, rate: Rate, problems: Collector
) -> RecordCuts:
    """Cut the leads of one record; without cuts, and a problem noted, where that cannot be done."""
    entries = _read_sides(folders, name, person, problems)
    if entries is None:
        return RecordCuts()
    before, after = entries["original"], entries["released"]
    shown = {side: folder.shown(name) for side, folder in folders.items()}
    if cutting.lead is not None and (fault := _mismatch(before.recording, after.recording)):
        problems.of_record(name, shown["released"], fault)
        return RecordCuts()
    _note_differences(before, after, shown, problems)
    for key in ("sex", "age"):
        setattr(before, key, person.get(key, getattr(before, key)))
    before.session = person.get("session", before.session)
    if "diagnosis" in person:
        before.diagnoses = [person["diagnosis"]]
    found = match_leads(before.recording.leads, after.recording.leads, by_place=cutting.is_every)
    for theirs, ours in found.by_place:
        problems.note(shown["released"], f"its lead {ours!r} is taken for the original's {theirs!r}, by its place")
    wanted = _wanted(cutting, name, before.recording.leads, after.recording.leads, found, shown, problems)
    if wanted is None:
        return RecordCuts()
    result = RecordCuts(refused=_not_shared(found))
    if cutting.leads:
        used = {row for _, row, _ in wanted}
        left = [before.recording.leads[row] for _, row, _ in found.shared if row not in used]
        result.refused += [(lead, "left out by --lead", True) for lead in left]
    cutter = _LeadCutter(before, after, cutting, rate.of(name, before.recording.sampling_rate), shown, problems)
    faults, rows = [], []
    for key, row, released_row in wanted:
        cut = cutter.cut(key, row, released_row)
        if isinstance(cut, Cut):
            result.cuts.append(cut)
            rows.append((row, released_row))
        else:
            faults.append((before.recording.leads[row], cut))
    if result.cuts and cutting.is_every:
        result.refused += [(lead, why, True) for lead, (_, why) in faults]
    else:
        for _, (where, why) in faults:
            problems.of_record(name, where, why)
    if len(rows) > 1:
        result.together = cutter.together(rows)
    before.recording.signal = before.recording.signal[:, :0]  # the beats are enough
    return result


def _read_sides(folders, name, person, problems):
    entries = {}
    for side, folder in folders.items():
        try:
            # Only the original's annotations count: what a release says of itself is no truth.
            annotator = "atr" if side == "original" else None
            entries[side] = read_entry(folder.path(name), name, person["subject"], annotator)
        except (ValueError, OSError) as error:
            words = folder.words(error)
            where, colon, rest = words.partition(": ")
            if not (colon and where.startswith(folder.given)):
                where = folder.shown(name)
                rest = words.removeprefix(f"record {where!r} ")
            problems.of_record(name, where, rest if " again" in rest else f"{rest} Write or copy the record again.")
    if len(entries) < 2:
        return None
    _note_doubts(entries, person, folders, name, problems)
    return entries


def _note_doubts(entries, person, folders, name, problems):
    """Note what stops nothing: of both sides' files, and of what the original's header and annotations say."""
    for side, entry in entries.items():
        for note in entry.recording.notes:
            problems.note(folders[side].shown(name), note)
    before = entries["original"]
    if before.annotation is not None:
        n_times = before.recording.signal.shape[1]
        if n_outside := int(((before.annotation.sample < 0) | (before.annotation.sample >= n_times)).sum()):
            problems.note(
                folders["original"].shown(name),
                f"{n_outside} of {len(before.annotation.sample)} annotations lie outside the recording; the annotation "
                "file is cut, or of another record",
            )
    if not person.keys() & {"sex", "age"}:
        for unread in before.unread:
            problems.note(
                folders["original"].shown(name), f"{unread!r} (digits as #, names as *) looks like age or sex, not read"
            )


def _mismatch(before, after):
    """Say why rows of two recordings cannot be cut at the same samples; "" where they can."""
    if before.sampling_rate != after.sampling_rate:
        return (
            f"is sampled at {after.sampling_rate:g} Hz, the original at {before.sampling_rate:g} Hz; expected the same "
            "sampling rate. Release the record at the rate of its original."
        )
    n_before, n_after = before.signal.shape[1], after.signal.shape[1]
    if n_before != n_after:
        return (
            f"has {n_after} samples per lead, the original {n_before}; expected the same length, sample by sample. "
            "Release whole records, and cut both sides alike."
        )
    return ""


def _note_differences(before, after, shown, problems):
    """Say what of a released record is not as in its original, though it is audited."""
    rates = [entry.recording.sampling_rate for entry in (before, after)]
    if rates[0] != rates[1]:
        problems.note(
            shown["released"], f"is sampled at {rates[1]:g} Hz, the original at {rates[0]:g} Hz; it is resampled"
        )
    lasts = [seconds(entry) for entry in (before, after)]
    if other_length(before, after):
        problems.note(
            shown["released"],
            f"lasts {lasts[1]:.1f} s, the original {lasts[0]:.1f} s; beats outside of it are cut from neither",
        )


def _wanted(cutting, name, leads, released_leads, found, shown, problems):
    """Give key, row of the original and row of the release of each lead to cut; None where a lead is not there."""
    if cutting.is_every:
        if not found.shared:
            problems.of_record(
                name,
                shown["released"],
                f"has no lead of the original ({first_of(leads)}; its own: {first_of(released_leads)}). {LOOK}",
            )
            return None
        return found.shared
    by_row = {row: (key, row, released_row) for key, row, released_row in found.shared}
    wanted = []
    for number, lead in enumerate((cutting.lead,) if not cutting.leads else cutting.leads):
        try:
            [row] = pick_leads(_as_written(lead, leads), name)(leads)
        except ValueError as error:
            problems.of_record(name, shown["original"], str(error))
            return None
        row %= len(leads)
        if row not in by_row:
            problems.of_record(
                name,
                shown["released"],
                f"has no lead {leads[row]!r} (its leads: {released_leads}); expected the lead of the original. {LOOK}",
            )
            return None
        wanted.append((f"{number}", row, by_row[row][2]))
    return wanted


def _as_written(lead, leads):
    """Names of leads as the record writes them, where it has them by another."""
    if isinstance(lead, str):
        alike = match_leads([lead], leads, by_place=False).shared
        return leads[alike[0][2]] if alike else lead
    if isinstance(lead, Sequence):
        return [_as_written(one, leads) for one in lead]
    return lead


def _not_shared(found):
    return [(lead, "the release has no lead of this name", False) for lead in found.only_original] + [
        (lead, "the original has no lead of this name", True) for lead in found.only_released
    ]


class _LeadCutter:
    """Cuts leads of one record, both sides of it."""

    def __init__(self, before, after, cutting, rate, shown, problems):
        self.before, self.after, self.cutting, self.shown, self.problems = before, after, cutting, shown, problems
        self.rate = rate
        self.settings = {
            "window": cutting.window,
            "labels": None,
            "rate": rate,
            "band": cutting.band,
            "guard": cutting.guard,
            "sessions": "half",
            "classes": None,
        }
        self.of_release = {**self.settings, "guard": 0.0}

    def cut(self, key, row, released_row):
        """Beats of one lead; where there are none, the place and the reason."""
        lead = self.before.recording.leads[row]
        try:
            cutter = RecordCutter(records=_alone(self.before), lead=row, r_peaks=self.cutting.r_peaks, **self.settings)
            part = cutter.cut(0)
        except ValueError as error:
            return self.shown["original"], str(error)
        if part is None or not len(part["X"]):
            why = cutter.skipped[0][1] if cutter.skipped else f"no beat is left (dropped: {dict(+cutter.dropped)})"
            return self.shown["original"], f"{why}; expected beats in its lead {lead!r}"
        # Two annotations at one sample are one beat.
        _, first = np.unique(part["r_peak"], return_index=True)
        part = {name: values[first] for name, values in part.items()}
        released = self._at_peaks(part["sample"], released_row)
        if isinstance(released, str):
            return self.shown["released"], released
        kept, kept_released, n_lost = released.pop("kept")
        if n_lost:
            fault = (
                f"{n_lost} of {len(part['X'])} beats of the original are missing (NaN), flat or more than 20 mV off in "
                "the release; expected a signal in millivolts wherever the original has one"
            )
            if not len(kept):
                return self.shown["released"], fault
        cut = Cut(
            entry=self.before,
            key=key,
            name=lead,
            original=part["X"][kept],
            released=released["X"][kept_released],
            symbol=part["symbol"][kept],
            half=part["sessions"][kept],
            times=part["r_peak"][kept] / self.rate,
            dropped=Counter({name: cutter.dropped[name] for name in ("signal", "edge", "guard")}),
            remarks=remarks_of(self.before, self.after),
        )
        if self.cutting.lead is None:
            self._add_own(cut, released_row)
        if n_lost and cut.own is None:
            self.problems.of_record(self.before.name, self.shown["released"], fault)
        elif n_lost:  # a record that was moved has nothing at an end; its beats are cut where it has them
            self.problems.note(self.shown["released"], f"no signal at {n_lost} beats of its original")
        return cut

    def together(self, rows):
        """Beats of several leads, all at the same R peaks; where there are none, the reason."""
        sides = {"of_original": self.settings, "of_release": self.of_release}
        try:
            return cut_together(self.before, self.after, rows, r_peaks=self.cutting.r_peaks, **sides)
        except ValueError as error:
            return str(error)

    def _at_peaks(self, peaks, row):
        """Beats of the release at the R peaks of its original, and which of these they are; or what is wrong."""
        recording = self.after.recording
        ratio = recording.sampling_rate / self.before.recording.sampling_rate
        at = peaks if ratio == 1 else np.rint(peaks * ratio).astype(np.int64)
        self.after.annotation = Bunch(sample=at, symbol=np.full(len(at), "N"), aux_note=[])
        try:
            cutter = RecordCutter(records=_alone(self.after), lead=row, r_peaks="annotated", **self.of_release)
            released = cutter.cut(0)
        except ValueError as error:
            return str(error)
        if released is None:
            return f"{cutter.skipped[0][1]}; expected a signal wherever the original has one"
        _, kept, kept_released = np.intersect1d(at, released["sample"], return_indices=True)
        # Beats beyond its end are not lost: a shorter release has none there.
        last = recording.signal.shape[1] - round(self.cutting.window[1] * recording.sampling_rate)
        within = at <= last if other_length(self.before, self.after) else np.ones(len(at), dtype=bool)
        released["kept"] = kept, kept_released, int(within.sum()) - int(within[kept].sum())
        return released

    def _add_own(self, cut, row):
        """Put the beats where the release has its R peaks beside those of a cut, where they are elsewhere."""
        self.after.annotation = None
        try:
            cutter = RecordCutter(records=_alone(self.after), lead=row, r_peaks="detected", **self.of_release)
            part = cutter.cut(0)
        except ValueError:
            part = None
        if part is None or len(part["X"]) < max(FEWEST, FEWEST_OF * len(cut.times)):
            cut.remarks.append(NO_PEAKS)
            return
        own = part["r_peak"] / self.rate
        if is_elsewhere(cut.times, own):
            cut.remarks.append(ELSEWHERE)
            cut.own = OwnBeats(part["X"], part["sessions"], *partners(cut.times, own))


def _alone(entry):
    return records_bunch([entry], entry.name, "")
