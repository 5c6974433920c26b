"""Tables for the documentation, with what is needed to make them again."""

from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from skagile._files import replacing

FOLDER = Path(__file__).parents[1] / "docs" / "studies"
CACHE = Path(__file__).parents[1] / ".skagile-cache"  # git-ignored
_VERSIONS = ("skagile", "numpy", "scipy", "scikit-learn", "skorch", "torch")


def write_page(name, title, text, tables, command):
    """Write ``docs/studies/<name>.rst``: the text, the tables (caption, DataFrame), command, date and versions."""
    lines = [title, "=" * len(title), "", text.strip(), ""]
    for caption, table in tables:
        lines += [f".. list-table:: {caption}", "   :header-rows: 1", ""]
        for row in [list(table.columns), *table.itertuples(index=False)]:
            lines += [f"   {'* -' if i == 0 else '  -'} {cell}" for i, cell in enumerate(row)]
        lines.append("")
    made = ", ".join(f"{package} {version(package)}" for package in _VERSIONS)
    date = datetime.now(timezone.utc).date().isoformat()
    lines += [f"Made by ``{command}`` on {date} with {made}; on two CPU cores, without a GPU.", ""]
    FOLDER.mkdir(parents=True, exist_ok=True)
    with replacing(FOLDER / f"{name}.rst") as beside:
        beside.write_text("\n".join(lines), encoding="utf-8")
    return FOLDER / f"{name}.rst"
