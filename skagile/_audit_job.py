"""The job behind ``skagile audit``: two sides from files, the attacks, the thresholds, and what is saved."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from skagile._files import replacing
from skagile.datasets import get_data_home
from skagile.records import read_release_pair


@dataclass(frozen=True)
class AuditSize:
    """How much work an audit does: keywords of ``read_release_pair`` and of ``audit_release``."""

    read: dict = field(default_factory=dict)
    audit: dict = field(default_factory=dict)


SIZES = {
    # Attackers that fit in seconds, few beats of each person, one diagnostic training.
    "quick": AuditSize(
        read={"max_beats": 120},
        audit={
            "attackers": ("svd", "nearest_neighbour"),
            "knowledge": ("clean", "static", "adaptive"),
            "diagnostic_training": ("original",),
            "max_enrolment_beats": 100,
            "max_probe_beats": 100,
        },
    ),
    # Everything that audit_release does by itself.
    "full": AuditSize(audit={"attackers": "all"}),
}

# Of what a pair knows, audit_release gets these.
PASSED_ON = ("subjects", "sessions", "sampling_rate", "window", "attributes", "tasks", "times", "released_times")


@dataclass(frozen=True)
class Threshold:
    """A maximum that the upper end of a headline interval must not exceed."""

    option: str
    measure: str  # "single" or "fused": key of the headline
    maximum: float

    def exceeded(self, report):
        """Say in a sentence that, and by what, the maximum is exceeded; "" where it is not."""
        headline = (report.headline or {}).get(self.measure)
        if headline is None:
            return f"{self.option} {self.maximum:g} was asked for, but no attack on the release measured it."
        if headline["high"] <= self.maximum:
            return ""
        named = {
            "single": "names the right person from a single released beat in",
            "fused": "names the right person from all released beats of a person in",
        }[self.measure]
        return (
            f"Above the maximum: the worst attacker ({headline['attacker']}, {headline['knowledge']}) {named} "
            f"{_percent(headline['value'])} of cases, with an interval from {_percent(headline['low'])} to "
            f"{_percent(headline['high'])}; its upper end is above the {_percent(self.maximum)} of {self.option}."
        )


def audit_files(
    original,
    released,
    *,
    size="full",
    seed=0,
    n_jobs=None,
    cache=None,
    read=None,
    thresholds=(),
    outputs=None,
    progress=None,
):
    """Audit a release from files, and save what was found.

    Parameters
    ----------
    original, released : path-like
        As :func:`~skagile.records.read_release_pair` takes them.
    size : {"full", "quick"}, default="full"
        Amount of work.
    seed : int, default=0
        Seed of everything random.
    n_jobs : int, default=None
        Attackers fitted in parallel.
    cache : path-like, default=None
        Folder for the results of finished fits, so that an interrupted audit goes on. None keeps none.
    read : dict, default=None
        Further keywords of :func:`~skagile.records.read_release_pair`.
    thresholds : sequence of Threshold, default=()
        Maxima that the report states, and whether they are exceeded.
    outputs : dict, default=None
        From "html", "json" and "csv" to the file to write. All are written at the end, or none.
    progress : callable, default=None
        Gets (done, total, what).

    Returns
    -------
    report : skagile.audit.AuditReport
        What the audit found.
    skipped : list of tuple (record, problem)
        What was left out.
    exceeded : list of str
        One sentence per threshold that is exceeded.
    """
    amount = SIZES[size]
    pair = read_release_pair(
        original, released, random_state=seed, progress=progress, **{**amount.read, **(read or {})}
    )
    # Here and not on top: bad input is reported before torch is loaded.
    from skagile.audit import audit_release

    report = audit_release(
        pair.original,
        pair.released,
        pair.y,
        **{key: pair[key] for key in PASSED_ON},
        cache=cache,
        n_jobs=n_jobs,
        progress=progress,
        random_state=seed,
        **amount.audit,
    )
    report.protocol["input"] = {**pair.protocol, "size": size}
    sentences = [threshold.exceeded(report) for threshold in thresholds]
    report.protocol["thresholds"] = [
        {"measure": threshold.measure, "maximum": threshold.maximum, "exceeded": bool(sentence)}
        for threshold, sentence in zip(thresholds, sentences, strict=True)
    ]
    save(report, outputs or {})
    return report, pair.skipped, [sentence for sentence in sentences if sentence]


def save(report, outputs):
    """Write every output beside its place, then rename all: no reader meets half a report, or one without the other."""
    writers = {
        "html": report.to_html,
        "json": report.to_json,
        "csv": lambda path: report.summary().to_csv(path, index=False),
    }
    with ExitStack() as stack:
        for kind, path in outputs.items():
            writers[kind](stack.enter_context(replacing(path)))


def default_cache():
    """Folder that results of finished fits are kept in."""
    return get_data_home() / "audits"


def output_fault(outputs, original, released):
    """Say why an output cannot be written, before hours of work; "" where all can."""
    taken = {Path(side).expanduser().resolve(): "an input" for side in (original, released)}
    for kind, path in outputs.items():
        place = Path(path).expanduser()
        if not place.parent.is_dir():
            return f"the folder {str(place.parent)!r} does not exist. Make it first."
        if place.is_dir():
            return f"{str(place)!r} is a folder; expected a file."
        if place.resolve() in taken:
            return f"{str(place)!r} is {taken[place.resolve()]} too; it would be overwritten. Choose another name."
        taken[place.resolve()] = f"the output --{'report' if kind == 'html' else kind}"
    return ""


def _percent(share):
    return f"{100 * share:.1f} %"
