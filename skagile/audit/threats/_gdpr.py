"""The three risks of the Article 29 Working Party (WP216), of which two are other threats' figures."""

from skagile import metrics
from skagile.audit._measurement import Measurement, Row, in_words


class Gdpr(Measurement):
    """Singling out, linkability and inference, each beside its control.

    Parameters
    ----------
    inputs : Inputs
        Of the audit.
    identity, traits : list of Row
        Rows of these two threats.
    """

    name = "gdpr"

    def __init__(self, inputs, identity, traits):
        self.inputs, self.identity, self.traits = inputs, identity, traits

    def rows(self, results):
        """Rows of those of the three that were measured; they need no job of their own."""
        del results
        return [row for row in (self._singling_out(), self._linkability(), self._inference()) if row is not None]

    def _singling_out(self):
        release, probe = self.inputs.release, self.inputs.release.probe
        matched = metrics.singling_out(
            release.beats["original"][probe],
            release.beats["released"][probe],
            release.subject[probe],
            **self.inputs.settings.resampling,
        )
        words = (
            "share of released beats whose nearest original is of the right person; the control matches them "
            "with other people at random"
        )
        return _row("singling_out", matched.value, *matched.interval, float(matched.control), words)

    def _linkability(self):
        entries = [row.detail for row in self.identity if row.detail["knowledge"] != "clean"]
        verified = [entry for entry in entries if entry["eer"] is not None]
        if not verified:
            return None
        worst = min(verified, key=lambda entry: entry["eer"])
        words = (
            "equal error rate of the best attacker who says whether two released pieces are of one person; "
            "50 % is guessing, lower is worse"
        )
        return _row("linkability", worst["eer"], worst["eer_low"], worst["eer_high"], 0.5, words)

    def _inference(self):
        on_release = [row.detail for row in self.traits if row.detail["tested_on"] == "released"]
        if not on_release:
            return None
        worst = max(on_release, key=lambda entry: entry["auroc"])
        words = f"area under the ROC curve of telling {worst['name']} from the release; 50 % is guessing"
        return _row("inference", worst["auroc"], worst["auroc_low"], worst["auroc_high"], worst["control"], words)


def _row(name, value, low, high, control, words):
    detail = {"value": value, "low": low, "high": high, "control": control, "words": words}
    sentence = f"{words[0].upper()}{words[1:]}: {in_words(value, low, high)}, control {in_words(control, None, None)}."
    return Row(name, value, low, high, control, sentence, detail)
