"""Command line of the studies."""

import argparse
import importlib

STUDIES = (
    "agile",
    "agile_amortized",
    "agile_defaults",
    "agile_new_people",
    "audit",
    "frontier",
    "heartprint",
    "ksame",
    "ksame_rhythm",
    "measurements",
    "new_patients",
    "noise_settings",
    "peers",
    "pp_vae",
    "private",
    "recordings",
    "segmentation",
    "table1",
    "table2",
    "twelve_leads",
    "warp_defaults",
)


def main():
    """Run one study, or all."""
    parser = argparse.ArgumentParser(prog="study", description=__doc__)
    parser.add_argument("name", choices=(*STUDIES, "all"))
    name = parser.parse_args().name
    for study in STUDIES if name == "all" else (name,):
        print(importlib.import_module(f"study.{study}").run())


if __name__ == "__main__":
    main()
