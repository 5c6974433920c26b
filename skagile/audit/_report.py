"""What an audit found, as tables, text, JSON and a page."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from skagile._files import replacing

SCHEMA = "skagile/audit-report"
SCHEMA_VERSION = 1

_KNOWLEDGE_IN_WORDS = {
    "clean": "trained on originals, asked about originals: the ceiling",
    "static": "trained on originals, asked about the release",
    "adaptive": "retrained on the release, asked about the release",
}
_FLOORS_IN_WORDS = {
    "chance": "naming anybody at random",
    "majority": "always naming the person with the most enrolled beats",
    "label_only": "seeing only the diagnosis of one beat",
    "label_only_fused": "seeing only the mix of diagnoses of all beats of a person",
}
_NEVER_TESTED = (
    "attackers who clean the release first (low-pass, learned denoiser)",
    "attackers who own the anonymizer and run it on recordings of their victims",
    "people the attacker has never seen (open set), and people of another database",
    "whether a person took part at all (membership), and sex, age or other traits read off the beats",
    "heart rate, rhythm and beat times, file names, dates and anything else outside the beats themselves",
    "larger populations: with more people to tell apart, naming the right one becomes harder",
    "correction for picking the worst of several attackers: the headline is the worst of all, and so errs upwards",
)


@dataclass(frozen=True, eq=False)
class AuditReport:
    """What :func:`~skagile.audit.audit_release` found.

    Printing it gives a table for the terminal. It holds numbers and settings, no beat of anybody: the median beats of
    the page are medians over at least five people.

    Attributes
    ----------
    attacks : list of dict
        One per attacker and knowledge; :meth:`summary` is the same as a table.
    utility_results : list of dict
        One per training and test set of the diagnostic classifier; see :meth:`utility`.
    fidelity_results : dict
        Percentiles of the change per beat; see :meth:`fidelity`.
    floors : dict
        What an attacker gets who does not look at the signal: ``chance``, ``majority``, ``label_only``,
        ``label_only_fused``; and ``diagnosis_majority``, the accuracy of always giving the commonest diagnosis. None
        where there was no ``y``.
    pictures : list of dict
        Median beats before and after, per class.
    protocol : dict
        Sizes and settings.
    provenance : dict
        Date, versions and hashes of the data.

    See Also
    --------
    skagile.audit.audit_release : Makes it.

    Examples
    --------
    >>> from skagile.audit import audit_release
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> beats = beats_from_records(make_cohort(6, 2, duration=20.0, random_state=0), split="session")
    >>> report = audit_release(beats.X, beats.X, subjects=beats.subjects, sessions=beats.session, attackers=["svd"])
    >>> report.worst("adaptive")["attacker"]
    'svd'
    >>> sorted(report.to_dict())[:3]
    ['attacks', 'fidelity', 'floors']
    """

    attacks: list[dict[str, Any]]
    utility_results: list[dict[str, Any]]
    fidelity_results: dict[str, dict[str, float]]
    floors: dict[str, float | None]
    pictures: list[dict[str, Any]] = field(repr=False)
    protocol: dict[str, Any]
    provenance: dict[str, Any]

    # ------------------------------------------------------------------------------------------------------- tables

    def summary(self) -> pd.DataFrame:
        """Give the re-identification by each attacker with each knowledge.

        Returns
        -------
        DataFrame
            Columns ``attacker``, ``knowledge``; ``rank1`` (share of single beats whose person is named right), ``eer``
            (equal error rate of verification) and ``fused_rank1`` (share of people named right from all their beats),
            each with ``_low`` and ``_high`` ends of the interval; ``n_subjects`` and ``n_probe``, people and beats
            probed.
        """
        return pd.DataFrame(self.attacks).astype({key: float for key in self.attacks[0] if key.startswith("eer")})

    def utility(self) -> pd.DataFrame:
        """Give what a diagnostic classifier reads off the beats.

        Returns
        -------
        DataFrame
            One row per training set and test set: ``accuracy`` and ``macro_f1`` with intervals, and one column
            ``sensitivity_<class>`` per class. Empty where no diagnosis was given.
        """
        rows = []
        for result in self.utility_results:
            row = {key: value for key, value in result.items() if key not in ("sensitivity", "support")}
            row.update({f"sensitivity_{name}": value for name, value in result["sensitivity"].items()})
            rows.append(row)
        return pd.DataFrame(rows)

    def fidelity(self) -> pd.DataFrame:
        """Give how far the released beats are from the originals.

        Returns
        -------
        DataFrame
            Rows ``prdn`` (percent), ``snr`` (dB), ``max_abs_error`` (mV); columns ``median``, ``p05``, ``p95`` over
            beats.
        """
        return pd.DataFrame(self.fidelity_results).T.astype(float)

    def worst(self, knowledge: str | None = None, *, measure: str = "rank1") -> dict[str, Any]:
        """Give the attack that recognised most.

        Parameters
        ----------
        knowledge : str, default=None
            One of those tested. None: the worst attack on the release, whatever the knowledge.
        measure : {"rank1", "fused_rank1"}, default="rank1"
            From single beats, or from all beats of a person.

        Returns
        -------
        dict
            The row of :meth:`summary`.

        Raises
        ------
        ValueError
            Where no such attack was run.
        """
        wanted = [
            a for a in self.attacks if (a["knowledge"] != "clean" if knowledge is None else a["knowledge"] == knowledge)
        ]
        if not wanted:
            what = "the release" if knowledge is None else f"knowledge {knowledge!r}"
            raise ValueError(f"No attack on {what} was run; knowledge tested: {', '.join(self.protocol['knowledge'])}.")
        return max(wanted, key=lambda attack: attack[measure])

    # -------------------------------------------------------------------------------------------------------- words

    def verdict(self) -> dict[str, Any]:
        """Say in plain words what was measured.

        Returns
        -------
        dict
            ``level`` (``"recognisable"``, ``"at-floor"``, ``"inconclusive"`` or ``"not-attacked"``), ``headline`` and
            ``sentences``.
        """
        tested = self.protocol["knowledge"]
        if tested == ["clean"]:
            return {
                "level": "not-attacked",
                "headline": "The release was not attacked.",
                "sentences": [
                    "Only the originals were: the figures below are the ceiling, not the risk of the release."
                ],
            }
        single, fused = self.worst(), self.worst(measure="fused_rank1")
        single_floor, fused_floor = self._floor(), self._floor(fused=True)
        people = f"{self.protocol['n_subjects']} people"
        if single["n_subjects"] < self.protocol["n_subjects"]:
            people += f", {single['n_subjects']} of whom were probed"
        sentences = [
            f"The worst attacker ({_who(single)}) named the right person from a single released beat in "
            f"{_share(single, 'rank1', self.protocol['confidence'])} of cases, among {people}. "
            f"An attacker who does not look at the signal gets {_percent(single_floor)}.",
            f"With all released beats of a person together, the worst attacker ({_who(fused)}) named "
            f"{round(fused['fused_rank1'] * fused['n_subjects'])} of {fused['n_subjects']} people, or "
            f"{_share(fused, 'fused_rank1', self.protocol['confidence'])}; without the signal it would be "
            f"{_percent(fused_floor)}.",
        ]
        if "clean" in tested:
            clean = self.worst("clean")
            ceiling = _percent(clean["rank1"])
            sentences.append(
                f"On the originals the best attacker, {clean['attacker']}, gets {ceiling} of single beats."
            )
        if "static" in tested and "adaptive" in tested:
            static, adaptive = self.worst("static"), self.worst("adaptive")
            if adaptive["rank1_low"] > static["rank1_high"]:
                sentences.append(
                    f"Attackers trained on originals only get {_percent(static['rank1'])}. That figure alone would "
                    "mislead: whoever can link some released beats to people can retrain."
                )
        if single["rank1_low"] > single_floor or fused["fused_rank1_low"] > fused_floor:
            level, headline = "recognisable", "People can still be recognised in this release."
        elif "adaptive" not in tested:
            level, headline = "inconclusive", "No attacker did measurably better than guessing, but none was retrained."
            sentences.append("Attackers retrained on the release were not run. They are as a rule far stronger.")
        else:
            level, headline = "at-floor", "No attacker did measurably better than guessing."
            sentences.append("That is what these attackers could not do, not a proof that none can.")
        if level != "recognisable":
            upper = max(attack["rank1_high"] for attack in self.attacks if attack["knowledge"] != "clean")
            sentences.append(f"With this many people, up to {_percent(upper)} of single beats cannot be ruled out.")
        return {"level": level, "headline": headline, "sentences": sentences}

    def notes(self) -> list[str]:
        """Say what the reader must know about how this was done.

        Returns
        -------
        list of str
        """
        protocol, notes = self.protocol, []
        if protocol["split"] == "halves":
            notes.append(
                "No sessions were given: the first half of each person's beats enrols and the second half is probed. "
                "Beats of one recording are more alike than beats of two days, so the risk is an upper bound."
            )
        else:
            notes.append("The earliest session of each person enrols, the later ones are probed.")
        left_out = protocol["n_subjects"] - protocol["n_subjects_probed"]
        if left_out:
            notes.append(
                f"{left_out} of {protocol['n_subjects']} people are enrolled but not probed: they have one session."
            )
        for side in ("enrolment", "probe"):
            if protocol[f"max_{side}_beats"] is not None:
                notes.append(f"At most {protocol[f'max_{side}_beats']} {side} beats of each person were used.")
        if protocol["n_unchanged_beats"]:
            notes.append(
                f"{protocol['n_unchanged_beats']} of {protocol['n_beats']} released beats equal their original."
            )
        notes.append(
            f"Intervals hold {_percent(protocol['confidence'], 0)} of the time over people like these: "
            f"{protocol['n_resamples']} resamples of people, not of beats."
        )
        return notes

    def not_tested(self) -> list[str]:
        """Say what this audit left out.

        Returns
        -------
        list of str
        """
        gaps = [
            f"{known}: attackers {words}"
            for known, words in _KNOWLEDGE_IN_WORDS.items()
            if known not in self.protocol["knowledge"]
        ]
        if self.protocol["attackers_left_out"]:
            gaps.append(
                f"attackers skagile has and this audit did not run: {', '.join(self.protocol['attackers_left_out'])}"
            )
        if not self.utility_results:
            gaps.append("diagnostic utility")
        if not self.protocol["classes"]:
            gaps.append("the floor of an attacker who knows the diagnosis, as no diagnoses were given")
        if self.protocol["split"] == "halves":
            gaps.append("recognition across days")
        return gaps + list(_NEVER_TESTED)

    def _floor(self, *, fused=False):
        """Highest floor of single, or of fused, beats."""
        keys = ("chance", "majority", "label_only_fused" if fused else "label_only")
        if fused:
            keys = ("chance", "label_only_fused")
        return max(self.floors[key] for key in keys if self.floors[key] is not None)

    def __str__(self):
        verdict = self.verdict()
        lines = [verdict["headline"], ""]
        header = ["attacker", "knowledge", "single beat %", "", "all beats %", "", "EER %", ""]
        rows = [
            [attack["attacker"], attack["knowledge"]]
            + [text for key in ("rank1", "fused_rank1", "eer") for text in _cells(attack, key)]
            for attack in self.attacks
        ]
        lines += _columns(header, rows)
        lines.append("")
        lines.append(
            "floors: "
            + ", ".join(
                f"{key} {_percent(self.floors[key])}" for key in _FLOORS_IN_WORDS if self.floors[key] is not None
            )
        )
        if self.utility_results:
            header = ["diagnosis trained on", "tested on", "accuracy %", "", "macro-F1 %", ""]
            rows = [
                [result["trained_on"], result["tested_on"], *_cells(result, "accuracy"), *_cells(result, "macro_f1")]
                for result in self.utility_results
            ]
            lines += ["", *_columns(header, rows)]
        prdn, error = self.fidelity_results["prdn"], self.fidelity_results["max_abs_error"]
        lines += [
            "",
            f"change per beat (median): PRDN {prdn['median']:.1f} %, largest {error['median']:.3f} mV",
            f"{self.protocol['n_subjects']} people enrolled with {self.protocol['n_enrolment_beats']} beats, "
            f"{self.protocol['n_subjects_probed']} probed with {self.protocol['n_probe_beats']}; "
            f"{_percent(self.protocol['confidence'], 0)} intervals over people; {self.provenance['date']}",
        ]
        return "\n".join(line.rstrip() for line in lines)

    # -------------------------------------------------------------------------------------------------------- files

    def to_dict(self) -> dict[str, Any]:
        """Give everything as plain objects that JSON can hold; what is not finite becomes None.

        Returns
        -------
        dict
        """
        content = asdict(self)
        content["utility"] = content.pop("utility_results")
        content["fidelity"] = content.pop("fidelity_results")
        return _plain({"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **content, "worst": self._worst()})

    def _worst(self):
        return {known: self.worst(known)["attacker"] for known in self.protocol["knowledge"]}

    def to_json(self, path) -> Path:
        """Write everything as JSON.

        Parameters
        ----------
        path : path-like
            The file; replaced where it exists, and never half written.

        Returns
        -------
        Path
        """
        return _write(path, json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False) + "\n")

    @classmethod
    def from_json(cls, path) -> "AuditReport":
        """Read what :meth:`to_json` wrote.

        Parameters
        ----------
        path : path-like
            The file.

        Returns
        -------
        AuditReport

        Raises
        ------
        ValueError
            For a file that is no audit report, or of another schema version.
        """
        text = Path(path).read_text(encoding="utf-8")
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path} is no audit report: it is not JSON ({error}).") from None
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            raise ValueError(f"{path} is no audit report: it lacks schema {SCHEMA!r}.")
        if content.get("schema_version") != SCHEMA_VERSION:
            raise ValueError(
                f"{path} has schema version {content.get('schema_version')!r}; this skagile reads {SCHEMA_VERSION}. "
                "Run the audit again."
            )
        names = ("attacks", "floors", "pictures", "protocol", "provenance")
        try:
            return cls(
                utility_results=content["utility"],
                fidelity_results=content["fidelity"],
                **{name: content[name] for name in names},
            )
        except KeyError as error:
            raise ValueError(f"{path} is an incomplete audit report: it lacks {error}.") from None

    def to_html(self, path, *, title: str = "Re-identification audit") -> Path:
        """Write one page that needs no network: verdict, tables, pictures and what was not tested.

        Parameters
        ----------
        path : path-like
            The file; replaced where it exists, and never half written.
        title : str, default="Re-identification audit"
            Heading of the page.

        Returns
        -------
        Path
        """
        # Here: a program that wants numbers only does not load matplotlib.
        from skagile.audit._page import render

        return _write(path, render(self, title))


def _who(attack):
    return f"{attack['attacker']}, {_KNOWLEDGE_IN_WORDS[attack['knowledge']].split(',')[0]}"


def _share(result, key, confidence):
    return (
        f"{_percent(result[key])} ({_percent(confidence, 0)} interval {100 * result[key + '_low']:.1f} to "
        f"{_percent(result[key + '_high'])})"
    )


def _percent(share, digits=1):
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def _cells(result, key):
    """Value and interval in percent, as two texts."""
    if result[key] is None:
        return "–", ""
    return f"{100 * result[key]:.1f}", f"({100 * result[key + '_low']:.1f} to {100 * result[key + '_high']:.1f})"


def _columns(header, rows):
    """Lines of a table whose columns are as wide as their longest entry."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * width for width in widths]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (header, rule, *rows)
    ]


def _plain(value):
    """Copy of `value` in lists, dicts and plain scalars."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def _write(path, text):
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")
    return Path(path)
