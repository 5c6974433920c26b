"""Records with NaN or infinity: refused by name, or kept as records without beats."""

from collections.abc import Sequence

import numpy as np


def refuse_gaps(records: np.ndarray | list[np.ndarray], names: Sequence[str]) -> None:
    """Raise ValueError for records with NaN or infinity, naming them."""
    gaps = has_gaps(records)
    if gaps.any():
        row = int(np.flatnonzero(gaps)[0])
        bad = ~np.isfinite(records[row])
        others = f" So do {int(gaps.sum()) - 1} other(s) of {len(records)} records." if gaps.sum() > 1 else ""
        raise ValueError(
            f"{names[row]} contains NaN or infinity ({int(bad.sum())} of {len(bad)} samples, the first at sample "
            f"{int(np.flatnonzero(bad)[0])}).{others} Interpolate the gaps, cut them out or drop the record; "
            "on_bad='nan' gives such records no beats, and beats_from_records leaves out the beats in gaps only."
        )


def refuse_gaps_under(records: np.ndarray | list[np.ndarray], beats_of: np.ndarray) -> None:
    """Raise ValueError where beats are to be written into records with NaN or infinity."""
    rows = np.unique(beats_of)
    refuse_gaps([records[row] for row in rows], [f"record {row}" for row in rows])


def has_gaps(records: np.ndarray | list[np.ndarray]) -> np.ndarray:
    """Say of each record whether it holds NaN or infinity."""
    return np.array([not np.isfinite(record).all() for record in records], dtype=bool)


def without_gaps(
    records: np.ndarray | list[np.ndarray], gaps: np.ndarray, fill: float = 0.0
) -> np.ndarray | list[np.ndarray]:
    """Give records, those with gaps as `fill` throughout: no beat is found in them."""
    if not gaps.any():
        return records
    if isinstance(records, np.ndarray):
        return np.where(gaps[:, None], np.asarray(fill, dtype=records.dtype), records)
    return [np.full_like(record, fill) if gap else record for record, gap in zip(records, gaps, strict=True)]
