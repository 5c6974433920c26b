"""What the report draws: median beats, and where the transformer looks."""

import numpy as np

from skagile.audit.use import SOURCES

# A median over fewer people is close to a recording of one of them, and the report may be passed on. The page draws
# none either, whatever the file of a stranger holds.
MIN_SUBJECTS_DRAWN = 5
_MAX_CLASSES_DRAWN = 6


def attention(attacks, release, settings):
    """Where the transformer looks to tell people apart, before and after; None where it was not run."""
    seen = {entry.row["knowledge"]: entry.attention for entry in attacks if entry.attention is not None}
    people = np.unique(release.subject)
    if not {"clean", "adaptive"} <= set(seen) or len(people) < MIN_SUBJECTS_DRAWN:
        return None
    before, after = seen["clean"], seen["adaptive"]
    beats = release.beats["original"]
    of_person = [np.median(beats[release.subject == person], axis=0) for person in people]
    return {
        "beat": np.round(np.median(of_person, axis=0).astype(np.float64), 4).tolist(),
        "original": before["samples"],
        "released": after["samples"],
        "waves": {"original": before["waves"], "released": after["waves"]},
        "n_subjects": len(people),
    }


def pictures(release):
    """Median beats of the commonest classes: of each person first, then over people, so that each counts once."""
    n_samples = release.beats["original"].shape[1] // release.n_leads  # the first lead is drawn
    label = np.zeros(len(release.subject), dtype=int) if release.label is None else release.label
    names = ["all beats"] if release.label is None else [str(name) for name in release.labels]
    pictures = []
    for code in np.argsort(-np.bincount(label), kind="stable")[:_MAX_CLASSES_DRAWN]:
        chosen = label == code
        people = np.unique(release.subject[chosen])
        picture = {"class": names[code], "n_beats": int(chosen.sum()), "n_subjects": len(people)}
        if len(people) >= MIN_SUBJECTS_DRAWN:
            for source in SOURCES:
                values = release.beats[source][:, :n_samples]
                of_person = [np.median(values[chosen & (release.subject == person)], axis=0) for person in people]
                # A tenth of a microvolt is less than any recorder resolves.
                picture[source] = np.round(np.median(of_person, axis=0).astype(np.float64), 4).tolist()
        pictures.append(picture)
    return pictures
