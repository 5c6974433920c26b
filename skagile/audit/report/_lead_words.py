"""What leads are called in a report."""

TOGETHER = "all leads together"  # name of the view that they are attacked in


def lead_called(name: str) -> str:
    """Name of a lead, or of all together, for a sentence."""
    return name if name == TOGETHER else f"lead {name}"
