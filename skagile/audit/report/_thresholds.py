"""Limits that a contract can name, held against the unfavourable end of the interval."""

from numbers import Real

from skagile.audit.report._words import who

THRESHOLDS = {
    "max_reidentification": "single heartbeats whose person is named right, at most",
    "max_fused": "people named right from all their heartbeats, at most",
    "min_eer": "equal error rate of verification, at least",
    "max_attribute_auroc": "AUROC of any trait read off the release, at most",
}


def check(report, limits):
    """Hold `report` against limits; see ``AuditReport.check``."""
    found = []
    for name, limit in limits.items():
        if name not in THRESHOLDS:
            raise ValueError(f"{name!r} is no threshold; choose from {', '.join(THRESHOLDS)}.")
        if limit is None:
            continue
        if isinstance(limit, bool) or not isinstance(limit, Real) or not 0 <= limit <= 1:
            raise ValueError(f"{name} is {limit!r}; expected a share between 0 and 1, such as 0.05 for 5 %.")
        what, value, low, high = _MEASURED[name](report)
        end = low if name.startswith("min") else high
        passed = end is not None and (end >= limit if name.startswith("min") else end <= limit)
        found.append(
            {
                "name": name,
                "limit": float(limit),
                "value": value,
                "low": low,
                "high": high,
                "passed": bool(passed),
                "what": what,
            }
        )
    return found


def _of_headline(kind):
    def measured(report):
        entry = report.worst_case()[kind]
        return _NOT_MEASURED if entry is None else (who(entry), entry["value"], entry["low"], entry["high"])

    return measured


def _eer(report):
    if (entry := (report.headline or {}).get("eer")) is not None:
        return who(entry), entry["value"], entry["low"], entry["high"]
    attacks = report.attacks_with(None, "eer")
    if not attacks:
        return _NOT_MEASURED
    worst = min(attacks, key=lambda attack: attack["eer"])
    return who(worst), worst["eer"], _end(min, attacks, "eer_low"), worst["eer_high"]


def _attribute(report):
    results = [
        result
        for result in report.attribute_results
        if result["tested_on"] != "original" and result["auroc"] is not None
    ]
    if not results:
        return _NOT_MEASURED
    worst = max(results, key=lambda result: result["auroc"])
    what = f"{worst['name']}, trained on {worst['trained_on']}"
    return what, worst["auroc"], worst["auroc_low"], _end(max, results, "auroc_high")


def _end(furthest, results, key):
    """Furthest end of all intervals: the worst attack need not have it. None where an interval is missing."""
    ends = [result[key] for result in results]
    return None if None in ends else furthest(ends)


_NOT_MEASURED = ("not measured", None, None, None)
_MEASURED = {
    "max_reidentification": _of_headline("single"),
    "max_fused": _of_headline("fused"),
    "min_eer": _eer,
    "max_attribute_auroc": _attribute,
}
