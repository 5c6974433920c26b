"""What the files of a release say besides the signal, in words."""

_MOST_LINES = 20  # on the terminal

HEADLINES = {
    "red": "Names, dates or identifiers of the original stand in the files of the release.",
    "amber": "The files of the release say something of the people: see what the files say.",
    "not looked at": "What the files say was not looked at in full.",
}


def level_of(report):
    """Level of what the files say: red, amber, green, not looked at; "" where arrays were audited."""
    said = report.files_results
    if said is None:
        return ""
    levels = {item["level"] for item in said["items"]}
    if "red" in levels:
        return "red"
    if said["not_looked_at"] or said["level"] == "not looked at":
        return "not looked at"
    return "amber" if "amber" in levels else said["level"]


IN_A_WORD = {
    "red": "red, people are named",
    "amber": "amber",
    "not looked at": "not looked at in full",
    "green": "nothing was found",
}
LEVELS = {
    "red": "✗ Red.",
    "amber": "Amber.",
    "not looked at": "? Not looked at in full.",
    "green": "✓ Nothing was found.",
}


def sentences_of_files(report):
    """Say what was looked at and what was not, for the page and the terminal."""
    said = report.files_results
    if said is None:
        return []
    sentences = [f"{said['n_files']} file(s) of the release were looked at."]
    if said.get("n_more"):
        sentences.append(f"{said['n_more']} more findings are not listed.")
    return sentences + [f"Not looked at: {what.rstrip('.')}." for what in said["not_looked_at"]]


def sentences_if_red(report):
    """Say that the release must not go out like this, where its files name people; nothing where they do not."""
    if level_of(report) != "red":
        return []
    items = [item for item in report.files_results["items"] if item["level"] == "red"]
    kinds = ", ".join(dict.fromkeys(item["kind"] for item in items))
    return [f"The files of the release name people: {len(items)} place(s), {kinds}."]


def as_lines(report):
    """Give what the files say for the terminal: a table's header and rows, and sentences."""
    items = (report.files_results or {}).get("items", ())
    rows = [[item["level"], item["kind"], item["file"], item["field"], item["shown"]] for item in items[:_MOST_LINES]]
    said = sentences_of_files(report)
    if len(items) > _MOST_LINES:
        said.insert(1, f"{len(items) - _MOST_LINES} more findings are in the page and in the JSON.")
    return ["level", "kind", "file", "field", "masked"], rows, said
