"""The three risks of the Article 29 Working Party (WP216)."""

from skagile import metrics


def gdpr_risks(release, attacks, attributes, settings):
    """Singling out, linkability and inference (Article 29 Working Party, WP216), each beside its control."""
    probe = release.probe
    found = metrics.singling_out(
        release.beats["original"][probe],
        release.beats["released"][probe],
        release.subject[probe],
        **settings.resampling,
    )
    risks = {
        "singling_out": {
            "value": found.value,
            "low": found.interval.low,
            "high": found.interval.high,
            "control": float(found.control),
            "words": "share of released beats whose nearest original is of the right person; the control matches them "
            "with other people at random",
        },
        "linkability": None,
        "inference": None,
    }
    verified = [row for row in attacks if row["eer"] is not None and row["knowledge"] != "clean"]
    if verified:
        worst = min(verified, key=lambda row: row["eer"])
        risks["linkability"] = {
            "value": worst["eer"],
            "low": worst["eer_low"],
            "high": worst["eer_high"],
            "control": 0.5,
            "words": "equal error rate of the best attacker who says whether two released pieces are of one person; "
            "50 % is guessing, lower is worse",
        }
    on_release = [row for row in attributes if row["tested_on"] == "released"]
    if on_release:
        worst = max(on_release, key=lambda row: row["auroc"])
        risks["inference"] = {
            "value": worst["auroc"],
            "low": worst["auroc_low"],
            "high": worst["auroc_high"],
            "control": worst["control"],
            "words": f"area under the ROC curve of telling {worst['name']} from the release; 50 % is guessing",
        }
    return risks
