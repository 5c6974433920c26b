"""The floors of a report: what an attacker gets who does not look at the signal."""

FLOORS = {
    "chance": "naming anybody at random",
    "majority": "always naming the person with the most enrolled beats",
    "label_only": "seeing only the diagnosis of one beat",
    "label_only_fused": "seeing only the mix of diagnoses of all beats of a person",
}
# Answers from one beat, or from all beats of a person -> the floors below them.
_BELOW = {"single": ("chance", "majority", "label_only"), "fused": ("chance", "label_only_fused")}


def highest_floor(floors, kind):
    """Highest known floor below "single" or "fused" answers; None where none is known."""
    return max((floors[key] for key in _BELOW[kind] if floors[key] is not None), default=None)
