"""Views of a release: which leads are attacked together, cut at whose R peaks, and what is attacked in none."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

from sklearn.utils import Bunch

from skagile.audit import LEAST_PEOPLE
from skagile.release._assemble import Rows, assemble
from skagile.release._cuts import (
    AT_ORIGINAL,
    AT_RELEASE,
    ELSEWHERE,
    LENGTH,
    NO_PEAKS,
    RATE,
    Cutting,
    RecordCuts,
    at_own,
)
from skagile.release._problems import Collector, ReleaseProblems
from skagile.release._together_views import together_views

_MANY_PEOPLE = 20  # for a verdict of their own


def views_of(
    records: Sequence[RecordCuts], cutting: Cutting, sampling_rate: float, rows: Rows, problems: Collector
) -> Bunch:
    """Give the pairs of ``read_release_views``, and the leads that are in none of them."""
    refused = [entry for record in records for entry in record.refused]
    records = [record for record in records if record.cuts]
    groups, rare = _groups([record.cuts for record in records], by_name=cutting.is_every)
    refused += rare
    views, assembled = [], partial(assemble, cutting=cutting, sampling_rate=sampling_rate, rows=rows)
    for cuts in groups:
        for cut_at, of_view in ((AT_ORIGINAL, cuts), (AT_RELEASE, at_own(cuts))):
            if not of_view:
                continue
            first = not views
            try:
                view = assembled(of_view, problems=problems if first else Collector(skip=False))
            except ReleaseProblems as error:
                if first:
                    raise
                refused += [(cut.name, f"cut at the {cut_at}: {error.problems[0]}", True) for cut in cuts]
                continue
            names = list(dict.fromkeys(cut.name for cut in cuts))
            view.update(lead=_called(cuts), lead_names=None, called=[names])
            views.append(_known(view, cut_at, cuts))
    together, left_out = together_views(records, groups, assembled)
    for view, cut_at, cuts in together:
        # What was said of the records when the first lead was read.
        view.update(skipped=views[0].skipped, notes=views[0].notes)
        view.protocol["n_problems_skipped"] = views[0].protocol["n_problems_skipped"]
        _known(view, cut_at, cuts)
    views = [*(view for view, _, _ in together), *views]
    return Bunch(views=views, not_attacked=_counted(refused + left_out, len(records)))


def _known(view, cut_at, cuts):
    """Add to a view what is known of it whatever its leads are."""
    is_recut = cut_at == AT_RELEASE
    if is_recut:
        view.times = view.released_times = None  # the rhythm is that of the view before
    view.update(
        cut=cut_at,
        is_recut=is_recut,
        corresponds=not is_recut or all(cut.own is None or cut.own.corresponds for cut in cuts),
        remarks=[] if is_recut else [*view.get("remarks", []), *_remarks(cuts)],
    )
    return view


def _groups(records, *, by_name):
    """Cuts that are attacked together, one of each record at most, and leads that too few people have.

    A name that a quarter of the people have, or 20, is a group. Any other lead of a record stands in for a group that
    the record has no lead of, the largest first, so that everybody is in it; what is left is put together, whatever
    its name. Small groups by themselves would allow no verdict.
    """
    by_key = {}
    for cuts in records:
        for cut in cuts:
            by_key.setdefault(cut.key, []).append(cut)
    if not by_name:
        return list(by_key.values()), []
    n_people = _n_people([cut for cuts in records for cut in cuts])
    least = min(n_people, LEAST_PEOPLE)
    enough = max(least, min(_MANY_PEOPLE, n_people // 4))
    common = {key: cuts for key, cuts in by_key.items() if _n_people(cuts) >= enough}
    common = common or {max(by_key, key=lambda key: len(by_key[key])): []}
    # The largest first: what of a report is of one lead is of this.
    names = sorted(common, key=lambda key: -len(common[key]))
    groups, pools = [[] for _ in names], []
    for cuts in records:
        own = {cut.key: cut for cut in cuts}
        others = [cut for cut in cuts if cut.key not in common or not common[cut.key]]
        for name, group in zip(names, groups, strict=True):
            if name in own and not any(own[name] is cut for cut in others):
                group.append(own[name])
            elif others:
                group.append(others.pop(0))
        for number, cut in enumerate(others):
            if number == len(pools):
                pools.append([])
            pools[number].append(cut)
    rare = []
    for pool in pools:
        if _n_people(pool) >= least:
            groups.append(pool)
        else:
            why = f"fewer than {LEAST_PEOPLE} people have it, or another that few have"
            rare += [(cut.name, why, True) for cut in pool]
    return groups, rare


def _n_people(cuts):
    return len({cut.entry.subject for cut in cuts})


def _called(cuts):
    """Names of the leads of a group, the commonest first."""
    return ", ".join(name for name, _ in Counter(cut.name for cut in cuts).most_common())


def _remarks(cuts):
    """Say in how many records the release is not in time with its original, or is cut otherwise than it is."""
    count = Counter(remark for cut in cuts for remark in cut.remarks)
    said = {
        ELSEWHERE: "beats are cut there, too",
        NO_PEAKS: "these are cut at the original's alone",
        RATE: "they are resampled",
        LENGTH: "beats outside of it are not attacked",
    }
    return [
        f"In {count[remark]} of {len(cuts)} records {remark}; {end}." for remark, end in said.items() if count[remark]
    ]


def _counted(refused, n_records):
    """Give the entries of the report for leads that were not attacked, each with its commonest reason."""
    reasons = {}
    for lead, why, in_release in refused:
        reasons.setdefault((lead, in_release), Counter())[why] += 1
    entries = []
    for (lead, in_release), count in reasons.items():
        why = count.most_common(1)[0][0]
        if len(count) > 1:
            why += f" (the commonest of {len(count)} reasons)"
        n = min(count.total(), n_records)
        entries.append({"lead": lead, "reason": why, "n_records": n, "of": n_records, "in_release": in_release})
    return entries
