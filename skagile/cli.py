"""The command line, ``skagile``."""

import sys
from importlib.metadata import version

import click
from tqdm import tqdm


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("skagile"), prog_name="skagile")
def main():
    """Remove who from an electrocardiogram, keep what is wrong with the heart."""


@main.command()
@click.option(
    "--data",
    default="synthetic",
    show_default=True,
    metavar="mitdb|ecgid|synthetic|DIR",
    help="Recordings to use: a PhysioNet database (looked for in SKAGILE_DATA, then in the cache, then downloaded), a "
    "synthetic cohort, or a folder of WFDB records.",
)
@click.option(
    "--out",
    default="skagile-demo",
    show_default=True,
    type=click.Path(file_okay=False),
    help="Folder for the release and its report.",
)
@click.option("--quick", is_flag=True, help="Fewer people, beats and surrogates: a look in about a minute.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**31 - 1), help="Seed of everything.")
def demo(data, out, quick, seed):
    """Anonymize recordings with AGILE and audit the release.

    Reads records, finds the beats, fits the anonymizer on the first session of everybody (the first half of the record
    where there is one), releases all beats, and attacks the release with attackers trained on originals and with
    attackers retrained on the release. The figures are printed and saved with a page to look at.
    """
    from skagile._demo import run_demo

    with tqdm(unit="step", disable=None, leave=False, bar_format="{desc} {bar} {n_fmt}/{total_fmt} {elapsed}") as bar:

        def show(done, total, what):
            bar.total, bar.n = total, done
            bar.set_description_str(f"{what:<36}", refresh=False)
            bar.refresh()

        try:
            report, files = run_demo(data, out, size="quick" if quick else "full", seed=seed, progress=show)
        except (ValueError, OSError) as error:
            bar.close()
            raise click.ClickException(_in_one_line(error)) from error
    click.echo(f"AGILE on {data}, seed {seed}{', quick' if quick else ''}\n")
    click.echo(str(report))
    click.echo("\nSaved")
    for file in files:
        click.echo(f"  {file}")


def _in_one_line(error):
    return " ".join(str(error).split()) or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
