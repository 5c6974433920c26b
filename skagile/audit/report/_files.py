"""What the files of a release say besides the signal, in words."""

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
