"""What an audit found, as tables, text, JSON and a page."""

from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from skagile._files import replacing
from skagile.audit.report import _leads, _limits, _threats, _verdict, _words
from skagile.audit.report._json import as_json, as_plain, read_fields
from skagile.audit.report._tables import NOT_FLOAT, WORST, by_class, uncorrected, without
from skagile.audit.report._text import as_text


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
        Date, date of the next audit, versions, hashes of the released rows (in any order) and of the model's file.
    headline : dict or None
        ``single`` and ``fused``: the worst of all attacks on the release, with an interval that is corrected for
        picking the worst, see :meth:`worst_case`; ``presence``, ``copies`` and ``disclosure``: the same of these
        threats, None where not tested. See :meth:`threats`.
    gallery : dict or None
        Re-identification against the number of people to choose from, ``measured`` and ``extrapolated``.
    attribute_results : list of dict
        Traits read off the beats; see :meth:`attributes`.
    gdpr : dict or None
        The three risks of opinion WP216: ``singling_out``, ``linkability``, ``inference``.
    presence_results : list of dict
        Attacks that tell who is in the release; see :meth:`presence`.
    copies_results : list of dict
        Released beats that are somebody's own; see :meth:`copies`.
    disclosure_results : list of dict
        What is read of people whose other recordings somebody holds; see :meth:`disclosure`.
    task_results : list of dict
        Held-out tasks; see :meth:`tasks`.
    attention : dict or None
        Where in the beat a TransECG attacker looks, before and after.
    lead_results : list of dict
        Of each lead, cut one way: ``lead``, ``cut``, its ``threats`` and the ``figures`` that limits are held against.
        The tables are of the one that is ``shown``. Empty where arrays were audited.
    not_attacked : list of dict
        Leads of the release that were not attacked, and why: ``lead``, ``reason``, ``n_records`` ``of`` so many. With
        ``in_release`` False the release does not have it.
    files_results : dict or None
        What the files say besides the signal; see :meth:`files`. None where arrays were audited.

    See Also
    --------
    skagile.audit.audit_release : Makes it.

    Notes
    -----
    The JSON follows a published schema (draft 2020-12), shipped as ``skagile/audit/report/schema/audit-report-2.json``.
    Its ``verdict`` is for readers; :meth:`from_json` makes it anew from the figures.

    **What this does not guarantee.** A report is what these attackers got from this release on this date.
    :meth:`not_tested` says what they did not try.

    Examples
    --------
    >>> from skagile.audit import audit_release
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> beats = beats_from_records(make_cohort(6, 2, duration=20.0, random_state=0), sessions="date")
    >>> report = audit_release(beats.X, beats.X, subjects=beats.subjects, sessions=beats.sessions, attackers=["svd"])
    >>> report.worst("adaptive")["attacker"]
    'svd'
    >>> sorted(report.to_dict())[:3]
    ['attacks', 'attention', 'attributes']
    >>> [threshold["passed"] for threshold in report.check(max_reidentification=0.05)]
    [False]
    """

    attacks: list[dict[str, Any]]
    utility_results: list[dict[str, Any]]
    fidelity_results: dict[str, dict[str, float]]
    floors: dict[str, float | None]
    pictures: list[dict[str, Any]] = field(repr=False)
    protocol: dict[str, Any]
    provenance: dict[str, Any]
    headline: dict[str, Any] | None = None
    gallery: dict[str, Any] | None = None
    attribute_results: list[dict[str, Any]] = field(default_factory=list)
    gdpr: dict[str, Any] | None = None
    presence_results: list[dict[str, Any]] = field(default_factory=list)
    copies_results: list[dict[str, Any]] = field(default_factory=list)
    disclosure_results: list[dict[str, Any]] = field(default_factory=list)
    task_results: list[dict[str, Any]] = field(default_factory=list)
    attention: dict[str, Any] | None = field(default=None, repr=False)
    lead_results: list[dict[str, Any]] = field(default_factory=list)
    not_attacked: list[dict[str, Any]] = field(default_factory=list)
    files_results: dict[str, Any] | None = None

    def summary(self) -> pd.DataFrame:
        """Give the re-identification by each attacker with each knowledge.

        Returns
        -------
        DataFrame
            Columns ``attacker``, ``knowledge``; ``rank1`` (share of single beats whose person is named right), ``eer``
            (equal error rate of verification) and ``fused_rank1`` (share of people named right from all their beats),
            each with ``_low`` and ``_high`` ends of the interval; ``n_subjects`` and ``n_probe``, people and beats
            probed. Where they were measured also ``rank5``, ``tar_far_1e2`` and ``tar_far_1e3`` (true acceptances at a
            share of false ones), ``d_sys`` beside ``d_sys_null``, ``information_bits`` (lower bound of what a beat
            tells about its person), and ``null_rank1`` with ``p_value`` from permuted people.
        """
        table = pd.DataFrame(without(self.attacks, "fusion"))
        return table.astype({key: float for key in table if key not in NOT_FLOAT})

    def fusion(self) -> pd.DataFrame:
        """Give the re-identification from several beats of a person together.

        Returns
        -------
        DataFrame
            Columns ``attacker``, ``knowledge``, ``n_beats`` (a number or "all"), ``rank1``, ``rank1_low`` and
            ``rank1_high``. Empty where it was not measured.
        """
        columns = ["attacker", "knowledge", "n_beats", "rank1", "rank1_low", "rank1_high"]
        rows = [
            {"attacker": attack["attacker"], "knowledge": attack["knowledge"], **point}
            for attack in self.attacks
            for point in attack.get("fusion", ())
        ]
        return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[3:], float))

    def attributes(self) -> pd.DataFrame:
        """Give how well traits of people, such as sex or age, are read off the beats.

        Returns
        -------
        DataFrame
            Columns ``name``, ``kind``, ``trained_on``, ``tested_on``; ``auroc`` on people unseen in training with its
            interval; ``control``, the 95th percentile of the same attack with the trait shuffled over people; and
            ``n_subjects``. Empty where no trait was given.
        """
        columns = ["name", "kind", "trained_on", "tested_on", "auroc", "auroc_low", "auroc_high", "control"]
        table = pd.DataFrame(self.attribute_results, columns=[*columns, "n_subjects"])
        return table.astype(dict.fromkeys(columns[4:], float))

    def presence(self) -> pd.DataFrame:
        """Give how well it is told who is in the release.

        Returns
        -------
        DataFrame
            One row per ``attacker`` and ``knowledge`` (what is held of each person): ``auroc`` over people with its
            interval; ``control``, the 95th percentile with people shuffled, and ``worst_control``, that of the largest
            area of all attacks; ``tpr_fpr_1e2`` and ``tpr_fpr_1e1``, members found where one person outside in 100, or
            in 10, is taken for one; ``n_members``, ``n_others``. Empty where nobody outside was named.
        """
        return pd.DataFrame(self.presence_results)

    def copies(self) -> pd.DataFrame:
        """Give how many released beats are nearer to an original than 95 % of strangers' beats.

        Returns
        -------
        DataFrame
            One row per ``distance``: ``share`` with its interval, ``null`` (the share where nothing is copied),
            ``n_people_near``, ``n_subjects`` and ``n_beats``; ``own``, the share of those beats that are nearest to the
            person of their row, and ``own_by_luck``, the same with the rows in any order. A high share proves a leak, a
            low one proves nothing.
        """
        return pd.DataFrame(self.copies_results)

    def disclosure(self) -> pd.DataFrame:
        """Give what is read off the release of people whose other recordings somebody holds.

        Returns
        -------
        DataFrame
            One row per ``task`` and ``attacker``: ``advantage``, the accuracy for people in the release less that for
            people outside, mean over labels, with its interval; both accuracies; ``pooled``, whether a person's beats
            were put together; ``n_members``, ``n_others``; and a column ``advantage_<label>`` for each label that
            counts. Empty where it was not tested.
        """
        rows = without(self.disclosure_results, "labels", "left_out")
        for row, result in zip(rows, self.disclosure_results, strict=True):
            row.update({f"advantage_{name}": value for name, value in result["labels"].items()})
        return pd.DataFrame(rows)

    def threats(self) -> pd.DataFrame:
        """Give the four threats that the verdict is the worst of.

        Returns
        -------
        DataFrame
            Index: ``sources`` (whose row is it), ``presence`` (who is in the release), ``copies`` (is a released beat
            somebody's own) and ``disclosure`` (what does it say of a person whose other recordings somebody holds).
            Columns: ``level`` ("red", "inconclusive", "green" or "not tested"), ``value``, ``low`` and ``high`` of the
            worst attack, ``null`` (without a leak), ``what`` (that attack), ``question`` and ``reason`` (why it was not
            tested or cannot be judged). Red: the lower end is above the null. Inconclusive: not red, which proves
            nothing with fewer than five people (on a side), an interval that rules out next to nothing, guessing that
            is right about half of the people, or rows in another order or exchanged among people.
        """
        table = pd.DataFrame(_threats.threats(self)).set_index("name")
        return table.astype(dict.fromkeys(("value", "low", "high", "null"), float))

    def leads(self) -> pd.DataFrame:
        """Give how many people are named in each lead, and in all together.

        Returns
        -------
        DataFrame
            One row per view: ``lead``, ``cut``, and of its ``sources`` the columns of :meth:`threats`. Empty for beats
            of one lead.
        """
        return pd.DataFrame(_leads.sources_of_views(self.lead_results))

    def utility(self) -> pd.DataFrame:
        """Give what a diagnostic classifier reads off the beats.

        Returns
        -------
        DataFrame
            One row per training set and test set; ``tells`` says what for: tested on "new patients", who are in
            neither side, is the use; tested on the same people's originals is the recall of the cohort. ``accuracy``
            and ``macro_f1`` with intervals, ``agreement`` (share of beats that the classifier reads alike before and
            after), and per class a column ``sensitivity_<class>`` and, where measured, ``predictivity_<class>``, its
            positive predictive value. Empty where no diagnosis was given.
        """
        return by_class(self.utility_results)

    def tasks(self) -> pd.DataFrame:
        """Give what a classifier reads off the beats for tasks that the anonymizer was not made for.

        Returns
        -------
        DataFrame
            As :meth:`utility`, with a first column ``task``. Empty where no task was given.
        """
        return by_class(self.task_results)

    def fidelity(self) -> pd.DataFrame:
        """Give how far the released beats are from the originals.

        Returns
        -------
        DataFrame
            One row per measure, such as ``prdn``, ``snr`` and ``max_abs_error``; columns ``median``, ``p05``, ``p95``
            over beats, and ``unit``.
        """
        table = pd.DataFrame(self.fidelity_results, index=["median", "p05", "p95"]).T
        table["unit"] = [
            result.get("unit", _words.UNITS.get(name, "")) for name, result in self.fidelity_results.items()
        ]
        return table.astype(dict.fromkeys(("median", "p05", "p95"), float))

    def files(self) -> pd.DataFrame:
        """Give what of the original's names, dates, identifiers and notes still stands in the release's files.

        Returns
        -------
        DataFrame
            One row per ``file``, ``field`` and ``kind``: ``level`` ("red" or "amber") and ``shown``, what stands
            there, masked. Empty where nothing was found, and where arrays were audited.
        """
        columns = ["level", "kind", "file", "field", "shown"]
        return pd.DataFrame((self.files_results or {}).get("items", []), columns=columns)

    def attacks_with(self, knowledge: str | None, measure: str) -> list[dict[str, Any]]:
        """Give the attacks that have a measure.

        Parameters
        ----------
        knowledge : str or None
            One of those tested. None: every attack on the release.
        measure : str
            Such as "rank1".

        Returns
        -------
        list of dict
        """
        return [
            attack
            for attack in self.attacks
            if (attack["knowledge"] != "clean" if knowledge is None else attack["knowledge"] == knowledge)
            and attack.get(measure) is not None
        ]

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
        wanted = self.attacks_with(knowledge, measure)
        if not wanted:
            what = "the release" if knowledge is None else f"knowledge {knowledge!r}"
            raise ValueError(f"No attack on {what} was run; knowledge tested: {', '.join(self.protocol['knowledge'])}.")
        return max(wanted, key=lambda attack: attack[measure])

    def worst_case(self) -> dict[str, dict[str, Any] | None]:
        """Give the figures to judge the release by.

        Returns
        -------
        dict
            ``single`` and ``fused``, the worst attack on the release from single beats and from all beats of a person:
            ``attacker``, ``knowledge``, ``value``, ``low``, ``high``, ``floor``, ``n_attacks``, and ``corrected``,
            whether the interval makes up for picking the worst. Where no correction was made the upper end is the
            highest of all attacks. None where the release was not attacked.
        """
        return {kind: (self.headline or {}).get(kind) or uncorrected(self, kind) for kind in WORST}

    @_limits.lists_limits
    def check(self, **limits: float | None) -> list[dict[str, Any]]:
        """Hold the release against limits that a contract names.

        A maximum is held only if the *upper* end of the interval is at or below it, a minimum only if the lower end is
        at or above: too few people to tell is not held. Neither is what was not measured, or what cannot be judged: a
        threat of fewer than five people, or naming where rows do not correspond, see :meth:`threats`.

        Parameters
        ----------
        **limits : float or None
            Shares between 0 and 1 by name; None is no limit. The names, and what they are limits of:

            LIMITS

        Returns
        -------
        list of dict
            For each limit ``name``, ``limit``, ``value``, ``low``, ``high`` (None where not measured), ``passed``
            and ``what``, the attack that was the worst; ``reason``, why it cannot be judged, where it cannot.

        Raises
        ------
        ValueError
            For another name, or a limit outside 0 to 1.
        """
        return _limits.check(self, limits)

    @property
    def reaudit_date(self) -> str:
        """Day by which to measure again, one year on if the report names none."""
        return _words.reaudit_date(self)

    def verdict(self) -> dict[str, Any]:
        """Say in plain words what was measured.

        Returns
        -------
        dict
            ``level``, ``headline`` and ``sentences``. The level is ``"red"`` where a threat is, see :meth:`threats`;
            ``"inconclusive"`` where none is and one cannot be judged; ``"amber"`` where all that were tested are green
            and one was not tested, or a lead of the release was not attacked; ``"green"`` otherwise;
            ``"not-attacked"`` where none was. Names, dates and identifiers in the files make it red.
        """
        return _verdict.verdict(self)

    def alarms(self) -> list[str]:
        """Say what forbids a release whatever the figures, in red on the page: a seed that somebody may know.

        Returns
        -------
        list of str
        """
        return _words.alarms(self)

    def notes(self) -> list[str]:
        """Say what the reader must know about how this was done.

        Returns
        -------
        list of str
        """
        return _words.notes(self)

    def not_tested(self) -> list[str]:
        """Say what this audit left out.

        Returns
        -------
        list of str
        """
        return _words.not_tested(self)

    def __str__(self) -> str:
        return as_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Give everything as plain objects that JSON can hold; what is not finite becomes None.

        Returns
        -------
        dict
        """
        return as_plain(self)

    def to_json(self, path: str | PathLike) -> Path:
        """Write everything as JSON.

        Parameters
        ----------
        path : path-like
            The file; replaced where it exists, and never half written.

        Returns
        -------
        Path
        """
        return _write(path, as_json(self))

    @classmethod
    def from_json(cls, path: str | PathLike) -> "AuditReport":
        """Read what :meth:`to_json` wrote, or another tool by the same schema.

        The file may come from anybody: it is checked against the schema before anything is made of it, and holds
        nothing that is run.

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
            For a file that is no audit report, is not as the schema says, or is of another schema version.
        """
        return cls(**read_fields(path, cls))

    def to_html(
        self,
        path: str | PathLike,
        *,
        title: str = "Re-identification audit",
        thresholds: dict[str, float] | None = None,
    ) -> Path:
        """Write one page that needs no network: verdict, tables, pictures and what was not tested.

        Parameters
        ----------
        path : path-like
            The file; replaced where it exists, and never half written.
        title : str, default="Re-identification audit"
            Heading of the page.
        thresholds : dict, default=None
            Limits to hold the release against, by the names of :meth:`check`: ``{"max_reidentification": 0.05}``.

        Returns
        -------
        Path
        """
        # Here: a program that wants numbers only does not load matplotlib.
        from skagile.audit.report._page import render

        return _write(path, render(self, title, thresholds or {}))


def _write(path, text):
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")
    return Path(path)
