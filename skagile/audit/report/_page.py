"""The HTML page of an audit report."""

import math
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from skagile.audit.report import _figures
from skagile.audit.report._files import LEVELS as FILES_LEVELS
from skagile.audit.report._files import level_of, sentences_of_files
from skagile.audit.report._floors import FLOORS, highest_floor
from skagile.audit.report._json import SCHEMA, SCHEMA_VERSION
from skagile.audit.report._lead_words import TOGETHER
from skagile.audit.report._leads import as_lines
from skagile.audit.report._limits import LIMITS
from skagile.audit.report._pictures import MIN_SUBJECTS_DRAWN
from skagile.audit.report._threats import threats
from skagile.audit.report._words import (
    FIDELITY,
    GDPR,
    KNOWLEDGE,
    cells,
    interval,
    percent,
    tells,
    visible,
    who,
)
from skagile.audit.use import SOURCES

_LEVELS = {
    "red": "Red: above guessing",
    "amber": "Amber: not all was tested",
    "inconclusive": "Inconclusive: no verdict",
    "green": "Green: at the floor of guessing",
    "not-attacked": "Not measured",
}
_DIGITS = {"mV": 3, "": 3}
_VERIFICATION = ("eer", "tar_far_1e2", "tar_far_1e3", "d_sys", "information_bits")


def render(report, title, thresholds):
    """Render `report` as one page with everything inside.

    Parameters
    ----------
    report : AuditReport
        What to show.
    title : str
        Heading.
    thresholds : dict
        Limits by the names of ``AuditReport.check``.

    Returns
    -------
    str
        HTML.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        # Names of classes and attackers come from files of strangers.
        autoescape=True,
        finalize=lambda value: visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, date=_date)
    verdict = report.verdict()
    limits = report.check(**thresholds)
    drawn = [picture for picture in report.pictures if "original" in picture and _enough(picture)]
    return environment.get_template("report.html.j2").render(
        title=title,
        report=report,
        verdict=verdict,
        level=_LEVELS[verdict["level"]],
        confidence=percent(report.protocol["confidence"], 0),
        threats=_threats_table(report),
        leads=_leads_table(report),
        lead_sentences=as_lines(report)[2],
        together=any(view["lead"] == TOGETHER for view in report.lead_results),
        files=_files_table(report),
        files_level=FILES_LEVELS.get(level_of(report), ""),
        files_sentences=sentences_of_files(report),
        presence=_presence_table(report),
        copies=_copies_table(report),
        disclosure=_disclosure_table(report),
        left_out=sorted({name for result in report.disclosure_results for name in result["left_out"]}),
        limits=limits,
        limits_table=_limits_table(limits),
        headline=_headline_table(report),
        bars=[_bars(report, known) for known in _known(report)],
        recognition=_recognition_table(report),
        fusion=[_fusion(report, known) for known in _known(report) if _fused(report, known)],
        fusion_table=_fusion_table(report),
        gallery=report.gallery and _gallery(report.gallery),
        verification=_verification_table(report),
        floors=[
            [_cell(words), _cell(percent(report.floors[key]))]
            for key, words in FLOORS.items()
            if report.floors[key] is not None
        ],
        attributes=_attributes(report),
        gdpr=_gdpr(report),
        utility=_utility_table(report.utility_results),
        classes=_classes_table(report.utility_results),
        tasks=_utility_table(report.task_results),
        fidelity=_fidelity_table(report),
        pictures=[(picture, _beats(picture, report)) for picture in drawn],
        not_drawn=[picture for picture in report.pictures if picture not in drawn],
        attention=_attention(report),
        fewest=MIN_SUBJECTS_DRAWN,
        schema=SCHEMA,
        schema_version=SCHEMA_VERSION,
    )


def _cell(text, small="", tag=""):
    return {"text": text, "small": small, "tag": tag}


def _interval(result, key):
    return _cell(*cells(result, key))


def _number(value, digits):
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.{digits}f}" if math.isfinite(value) else "∞"


def _limits_table(limits):
    return [
        [
            _cell(LIMITS[limit["name"]].words, limit["name"]),
            _cell(percent(limit["limit"])),
            _cell("not measured" if limit["value"] is None else percent(limit["value"]), _ends(limit)),
            _cell("✓ held" if limit["passed"] else "✗ not held", limit.get("reason", "")),
        ]
        for limit in limits
    ]


def _ends(entry):
    """Interval of an entry with ``low`` and ``high``."""
    return interval(entry.get("low"), entry.get("high"))


def _headline_table(report):
    rows = []
    for kind, words in (("single", "from one heartbeat"), ("fused", "from all heartbeats of a person")):
        if (entry := report.worst_case()[kind]) is not None:
            rows.append(
                [
                    _cell(words),
                    _cell(percent(entry["value"]), _ends(entry)),
                    _cell(percent(entry.get("floor"))),
                    _cell(who(entry), f"strongest of {entry['n_attacks']}" if "n_attacks" in entry else ""),
                ]
            )
    return rows


def _recognition_table(report):
    several = len(report.protocol["attackers"]) > 1
    worst = {
        known: max(attacks, key=lambda attack: attack["rank1"])
        for known in _known(report)
        if (attacks := report.attacks_with(known, "rank1"))
    }
    return [
        [
            _cell(attack["attacker"], tag="worst" if several and attack is worst.get(attack["knowledge"]) else ""),
            _cell(attack["knowledge"]),
            _interval(attack, "rank1"),
            _cell(*_against_null(attack)),
            _interval(attack, "rank5"),
            _interval(attack, "fused_rank1"),
            _cell(attack["n_subjects"]),
            _cell(attack["n_probe"]),
        ]
        for attack in report.attacks
    ]


def _against_null(attack):
    """95th percentile with people permuted, and the probability of as much by luck."""
    null, chance = attack.get("null_rank1"), attack.get("p_value")
    if null is None:
        return "–", ""
    if chance is None:
        return f"{100 * null:.1f}", ""
    return f"{100 * null:.1f}", f"(p {'< 0.001' if chance < 0.001 else f'= {chance:.3f}'})"


def _verification_table(report):
    return [
        [
            _cell(attack["attacker"]),
            _cell(attack["knowledge"]),
            _interval(attack, "eer"),
            _interval(attack, "tar_far_1e2"),
            _interval(attack, "tar_far_1e3"),
            _cell(
                _number(attack.get("d_sys"), 3),
                "" if attack.get("d_sys_null") is None else f"(by luck up to {attack['d_sys_null']:.3f})",
            ),
            _cell(_number(attack.get("information_bits"), 2)),
        ]
        for attack in report.attacks
        if any(attack.get(key) is not None for key in _VERIFICATION)
    ]


def _utility_table(results):
    return [
        [
            *([_cell(result["task"])] if "task" in result else []),
            _cell(result["trained_on"]),
            _cell(result["tested_on"], tells(result)),
            _interval(result, "accuracy"),
            _interval(result, "macro_f1"),
            _cell("–" if result["n_subjects"] is None else result["n_subjects"]),
            _cell(result["n_probe"]),
        ]
        for result in results
    ]


def _classes_table(results):
    names = dict.fromkeys(name for result in results for name in result["sensitivity"])
    return [
        [
            _cell(name),
            _cell(result["trained_on"]),
            _cell(result["tested_on"]),
            _cell(_number_in_percent(result["sensitivity"][name])),
            _cell(_number_in_percent(result.get("predictivity", {}).get(name))),
            _cell(result["support"].get(name, "–")),
        ]
        for name in names
        for result in results
        if name in result["sensitivity"]
    ]


def _number_in_percent(share):
    return _number(None if share is None else 100 * share, 1)


def _fidelity_table(report):
    rows = []
    for key, row in report.fidelity().to_dict("index").items():
        digits = _DIGITS.get(row["unit"], 1)
        rows.append(
            [_cell(FIDELITY.get(key, key)), *(_cell(_number(row[at], digits)) for at in ("median", "p05", "p95"))]
        )
        rows[-1].insert(1, _cell(row["unit"] or "–"))
    return rows


def _known(report):
    """Knowledge that there are attacks with."""
    return list(dict.fromkeys(attack["knowledge"] for attack in report.attacks))


def _floors(report):
    return highest_floor(report.floors, "single"), highest_floor(report.floors, "fused")


def _bars(report, known):
    """Knowledge, what it means, and its bars."""
    attacks = [attack for attack in report.attacks if attack["knowledge"] == known]
    floors = _floors(report)
    words = f"Bars, knowledge {known}. " + "; ".join(
        f"{attack['attacker']}: single beat {' '.join(cells(attack, 'rank1'))} percent, "
        f"all beats {' '.join(cells(attack, 'fused_rank1'))} percent"
        for attack in attacks
    )
    words += f". Floors: {percent(floors[0])} and {percent(floors[1])}."
    return known, KNOWLEDGE.get(known, ""), _figures.bars(attacks, floors, words)


def _fused(report, known):
    return [
        attack
        for attack in report.attacks
        if attack["knowledge"] == known and sum(point["rank1"] is not None for point in attack.get("fusion", ())) > 1
    ]


def _last(attack):
    return max(point["rank1"] for point in attack["fusion"] if point["rank1"] is not None)


def _fusion(report, known):
    attacks = _fused(report, known)
    worst = max(attacks, key=_last)
    words = f"Curve, knowledge {known}, strongest attacker {worst['attacker']}: " + ", ".join(
        f"{point['n_beats']} beats {' '.join(cells(point, 'rank1'))} percent" for point in worst["fusion"]
    )
    return known, worst["attacker"], _figures.fusion(attacks, worst, _floors(report), words)


def _fusion_table(report):
    """Header, and a row for the strongest attacker of each knowledge."""
    worst = [max(attacks, key=_last) for known in _known(report) if (attacks := _fused(report, known))]
    curves = [{point["n_beats"]: point for point in attack["fusion"]} for attack in worst]
    sizes = sorted({size for points in curves for size in points}, key=_figures.by_size)
    missing = {"rank1": None}
    return {
        "header": ["attacker", "knowledge", *("1 beat" if size == 1 else f"{size} beats" for size in sizes)],
        "rows": [
            [
                _cell(attack["attacker"]),
                _cell(attack["knowledge"]),
                *(_interval(points.get(size, missing), "rank1") for size in sizes),
            ]
            for attack, points in zip(worst, curves, strict=True)
        ],
    }


def _gallery(curve):
    rows = [
        [_cell(f"{point['n']:,}"), _cell(f"{100 * point['rank1']:.1f}", _ends(point)), _cell(how)]
        for how in ("measured", "extrapolated")
        for point in curve[how]
    ]
    words = f"Curve, {who(curve)}: share named right against the number of people to choose from. " + "; ".join(
        f"{row[0]['text']} people {row[1]['text']} percent, {row[2]['text']}" for row in rows
    )
    return {"svg": _figures.gallery(curve, words), "rows": rows, "who": who(curve)}


def _attributes(report):
    results = [result for result in report.attribute_results if result["auroc"] is not None]
    rows = [
        [
            _cell(result["name"]),
            _cell(result["trained_on"]),
            _cell(result["tested_on"]),
            _interval(result, "auroc"),
            _cell(_number_in_percent(result["control"])),
            _cell(result["n_subjects"]),
        ]
        for result in report.attribute_results
    ]
    words = "Points, area under the ROC curve in percent. " + "; ".join(
        f"{result['name']}, trained on {result['trained_on']}, tested on {result['tested_on']}: "
        f"{' '.join(cells(result, 'auroc'))}"
        for result in results
    )
    sources = dict.fromkeys(result["trained_on"] for result in results)
    return {
        "rows": rows,
        "charts": [
            (
                source,
                _figures.attributes([result for result in results if result["trained_on"] == source], source, words),
            )
            for source in sources
        ],
    }


def _gdpr(report):
    """Name, question, figure, interval and the rest of each of the three risks."""
    if not report.gdpr:
        return []
    cards = []
    for key, (name, question) in GDPR.items():
        if (risk := report.gdpr.get(key)) is None:
            cards.append((name, question, "Not measured.", "", None))
        else:
            cards.append((name, question, percent(risk["value"]), _ends(risk), risk))
    return cards


def _threats_table(report):
    marks = {"red": "✗ red", "inconclusive": "? inconclusive", "green": "✓ green", "not tested": "– not tested"}
    return [
        [
            _cell(entry["question"], entry["name"]),
            _cell(marks[entry["level"]]),
            _cell(percent(entry["value"]), _ends(entry)),
            _cell(percent(entry["null"])),
            _cell(entry["what"] or "–", entry["reason"]),
        ]
        for entry in threats(report)
    ]


def _leads_table(report):
    return [
        [_cell(lead, cut), _cell(level), _cell(worst, ends), _cell(null), _cell(what)]
        for lead, cut, level, worst, ends, null, what in as_lines(report)[1]
    ]


def _files_table(report):
    return [
        [_cell(item["level"]), _cell(item["kind"]), _cell(item["file"], item["field"]), _cell(item["shown"])]
        for item in (report.files_results or {}).get("items", ())
    ]


def _presence_table(report):
    return [
        [
            _cell(result["attacker"]),
            _cell(result["knowledge"]),
            _interval(result, "auroc"),
            _cell(_number_in_percent(result["control"])),
            *(_cell(_number_in_percent(result[key])) for key in ("tpr_fpr_1e2", "tpr_fpr_1e1")),
            _cell(result["n_members"]),
            _cell(result["n_others"]),
        ]
        for result in report.presence_results
    ]


def _copies_table(report):
    return [
        [
            _cell(result["distance"]),
            _interval(result, "share"),
            _cell(_number_in_percent(result["null"])),
            _cell(result["n_people_near"], f"of {result['n_subjects']}"),
            _cell(result["n_beats"]),
        ]
        for result in report.copies_results
    ]


def _disclosure_table(report):
    return [
        [
            _cell(result["task"]),
            _cell(result["attacker"], "beats of a person together" if result["pooled"] else "beat by beat"),
            _interval(result, "advantage"),
            *(_cell(_number_in_percent(result[key])) for key in ("accuracy_inside", "accuracy_outside")),
            _cell(", ".join(f"{name} {_number_in_percent(value)}" for name, value in result["labels"].items())),
            _cell(result["n_members"]),
            _cell(result["n_others"]),
        ]
        for result in report.disclosure_results
    ]


def _enough(entry):
    return entry["n_subjects"] >= MIN_SUBJECTS_DRAWN


def _beats(picture, report):
    words = (
        f"Median beat, {picture['class']}, original and released, in millivolts, over {picture['n_beats']} beats of "
        f"{picture['n_subjects']} people. " + "; ".join(_range(picture[source], source) for source in SOURCES)
    )
    return _figures.beats(picture, report.protocol.get("sampling_rate"), words)


def _range(values, name):
    return f"{name} from {min(values):.2f} to {max(values):.2f} mV"


def _attention(report):
    look = report.attention
    if not look or not _enough(look):
        return None
    waves = list(dict.fromkeys([*look["waves"]["original"], *look["waves"]["released"]]))
    rows = [
        [_cell(wave), *(_cell(_number_in_percent(look["waves"][source].get(wave))) for source in SOURCES)]
        for wave in waves
    ]
    words = "Median beat, and attention over it before and after. Share of the attention: " + "; ".join(
        f"{wave} {before['text']} percent on originals, {after['text']} percent on the release"
        for (wave, before, after) in ((row[0]["text"], row[1], row[2]) for row in rows)
    )
    return {"svg": _figures.attention(look, report.protocol.get("sampling_rate"), words), "rows": rows}


def _date(text):
    return f"{text[:10]}, {text[11:16]} UTC"
