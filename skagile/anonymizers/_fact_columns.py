"""What people told of themselves, such as sex and age, as codes that a network can be taught."""

import numpy as np
import pandas as pd

UNKNOWN = -1


def fact_codes(names, facts, n_rows, row, subject_codes=None):
    """Give the code of each beat in each named fact.

    Parameters
    ----------
    names : sequence of str
        ``"subject"``, or columns of `facts`.
    facts : DataFrame or mapping of columns, of n_rows rows, or None
        Words are taken as they are; numbers of more than two values are split at their median over the beats. Empty
        and NaN are unknown.
    n_rows : int
        Rows of ``X``.
    row : ndarray of int of shape (n_beats,)
        Row of each beat.
    subject_codes : ndarray of int of shape (n_beats,)
        Subject of each beat.

    Returns
    -------
    codes : ndarray of int of shape (n_beats, n_names)
        From 0; `UNKNOWN` where it is.
    n_values : list of int
        How many there are of each.

    Raises
    ------
    ValueError
        For a name that is no column, a column of another length, or one with less than two values.
    """
    codes = np.empty((len(row), len(names)), dtype=np.int64)
    n_values = []
    table = None if facts is None else pd.DataFrame(facts)
    for place, name in enumerate(names):
        if name == "subject":
            codes[:, place] = subject_codes
            n_values.append(int(subject_codes.max()) + 1)
            continue
        values = _column(table, name, n_rows).iloc[row]
        codes[:, place], n = _encode(values)
        if n < 2:
            raise ValueError(f"facts[{name!r}] holds {n} known value(s); at least two are needed to hide which it is.")
        n_values.append(n)
    return codes, n_values


def check_fact_names(names, argument):
    """Refuse what is no sequence of distinct str; return them as a list."""
    if isinstance(names, str):
        names = [names]
    names = list(names)
    if not names or any(not isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise ValueError(
            f'{argument}={names!r} must hold distinct names: "subject", or columns of facts such as "sex".'
        )
    return names


def _column(table, name, n_rows):
    if table is None or name not in table.columns:
        held = "none were given" if table is None else f"facts has columns {list(table.columns)}"
        raise ValueError(f"facts lacks the column {name!r} ({held}). Give one column for each name but 'subject'.")
    if len(table) != n_rows:
        raise ValueError(f"facts has {len(table)} rows, X has {n_rows}. Give one row of facts per row of X.")
    return table[name]


def _encode(values):
    missing = values.isna() | (values.astype(str).str.strip() == "")
    if pd.api.types.is_numeric_dtype(values) and values[~missing].nunique() > 2:
        known = (values > values.median()).astype(np.int64)
    else:
        known = pd.Series(pd.factorize(values.where(~missing), sort=True)[0], index=values.index)
    codes = np.where(missing, UNKNOWN, known.to_numpy())
    return codes, len(np.unique(codes[codes != UNKNOWN]))
