"""The view of all leads together: which lead of a record is which of the view, and what the leads are called."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from sklearn.utils import Bunch

from skagile.audit import LEAST_PEOPLE, TOGETHER
from skagile.leads import limb_leads, plain_name
from skagile.release._cuts import AT_ORIGINAL, AT_RELEASE, Cut, RecordCuts, at_own
from skagile.release._problems import Collector, ReleaseProblems
from skagile.release._together import in_both

_LACKING = "In {} of {} records a lead is missing throughout; which leads a record has may tell people apart, too."
_UNMEASURED = "Names of leads contradict each other, and are numbered: whether limb leads fit together is not measured."


def together_views(
    records: Sequence[RecordCuts], groups: Sequence[Sequence[Cut]], assembled: Callable[..., Bunch]
) -> tuple[list[tuple[Bunch, str, list[Cut]]], list[tuple[str, str, bool]]]:
    """Give the views of all leads together with whose R peaks they are cut at, and why records are in none.

    Each group of cuts that is attacked by itself is a lead of the view. A record that is in a group by no cut lacks
    that lead: it is NaN throughout. There is no view where nobody has two of the leads.

    Parameters
    ----------
    records : sequence of RecordCuts
        All that have a cut.
    groups : sequence of sequence of Cut
        Cuts of the leads that are attacked by themselves.
    assembled : callable
        ``assemble`` with all but the cuts and the problems.
    """
    place_of = {id(cut): number for number, cuts in enumerate(groups) for cut in cuts}
    cuts, places, refused = [], [], []
    for record in records:
        own = [place_of.get(id(cut)) for cut in record.cuts]
        if all(place is None for place in own):
            continue
        if isinstance(record.together, str):
            refused.append((TOGETHER, record.together, True))
            continue
        cuts.append(record.together or _as_several(record.cuts[0]))
        places.append(own)
    several = [cut for cut, own in zip(cuts, places, strict=True) if sum(place is not None for place in own) > 1]
    n_people, n_several = (len({cut.entry.subject for cut in some}) for some in (cuts, several))
    if n_several < min(n_people, LEAST_PEOPLE):
        why = f"fewer than {LEAST_PEOPLE} people have two leads that are attacked"
        return [], [*refused, *((TOGETHER, why, True) for _ in several)]
    names, remarks = name_leads([_name_of(group) for group in groups])
    n_lacking = sum(len(set(own) - {None}) < len(groups) for own in places)
    remarks += [_LACKING.format(n_lacking, len(cuts))] if n_lacking else []
    views = []
    for cut_at, of_view in ((AT_ORIGINAL, cuts), (AT_RELEASE, at_own(cuts))):
        if not of_view:
            continue
        laid = [_laid_out(cut, own, len(groups)) for cut, own in zip(of_view, places, strict=True)]
        try:
            view = assembled(laid, problems=Collector(skip=False))
        except ReleaseProblems as error:
            refused += [(TOGETHER, f"cut at the {cut_at}: {error.problems[0]}", True) for _ in cuts]
            break
        view.update(lead=TOGETHER, lead_names=names, remarks=list(remarks))
        view.called = [list(dict.fromkeys(cut.name for cut in group)) for group in groups]
        views.append((view, cut_at, cuts))
    return views, refused


def name_leads(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Give leads names that an audit takes, and a remark where those they have are of no use to it."""
    count, told = Counter(), []
    for name in names:
        count[name] += 1
        told.append(name if count[name] == 1 else f"{name} ({count[name]})")
    try:
        limb_leads(told)
    except ValueError:  # "MLII" beside "I", or beside another "II": no law holds between these
        return [f"{name} (lead {number})" for number, name in enumerate(names, 1)], [_UNMEASURED]
    return told, []


def _name_of(cuts):
    """Name of a lead: all that it has, if these mean several leads; no law holds of such a mixture."""
    names = [name for name, _ in Counter(cut.name for cut in cuts).most_common()]
    return names[0] if len(set(map(plain_name, names))) == 1 else ", ".join(names)


def _as_several(cut):
    """Give the only lead of a record the layout of several."""
    own = cut.own and replace(cut.own, released=cut.own.released[:, None])
    return replace(cut, original=cut.original[:, None], released=cut.released[:, None], own=own)


def _laid_out(cut, places, n_leads):
    """Lay a record's leads out as those of the view, (n_beats, 1, n_leads, n_samples), without beats that have none."""
    there = [number for number, place in enumerate(places) if place is not None]
    sides = []
    for X in (cut.original, cut.released):
        wide = np.full((len(X), 1, n_leads, X.shape[2]), np.nan, dtype=X.dtype)
        wide[:, 0, [places[number] for number in there]] = X[:, there]
        sides.append(wide)
    original, released, kept = in_both(*sides)
    return replace(
        cut,
        original=original[kept],
        released=released[kept],
        symbol=cut.symbol[kept],
        half=cut.half[kept],
        times=cut.times[kept],
        dropped=cut.dropped + Counter(signal=int((~kept).sum())),
    )
