"""``skagile demo``."""

from pathlib import Path

import click

from skagile.cli._bar import Bar, in_one_line
from skagile.cli._outputs import file_fault, new_folder_fault, read_or_not
from skagile.cli._types import FilePath


@click.command()
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
    metavar="DIR",
    type=FilePath(file_okay=False),
    help="Folder for the release and its report.",
)
@click.option(
    "--subjects",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "folder", "record"]),
    help="Of a folder: whose a record is, its folder's or its own. auto takes folders for people, and refuses those "
    "that may be batches, dates or parts of a data set.",
)
@click.option("--quick", is_flag=True, help="Fewer people, beats and surrogates: a look in about a minute.")
@click.option(
    "--seed",
    metavar="N",
    type=click.IntRange(0, 2**31 - 1),
    help="For tests and studies: people, beats and the draws of the release are the same again, which the output says "
    "in red. Without it what is random in the release comes from the operating system: nobody can draw it again.",
)
def demo(data: str, out: str, subjects: str, quick: bool, seed: int | None) -> None:
    """Anonymize recordings with AGILE and with k-same, and audit both.

    Reads records, finds the beats, fits the anonymizers on the first session of everybody (the first half of the record
    where there is one), releases all beats, and attacks each release with attackers trained on originals and with
    attackers retrained on the release. The figures are printed and saved with pages to look at. The release that is
    saved is k-same's.
    """
    from skagile.cli._demo_job import OUTPUTS, run_demo

    faults = (file_fault(Path(out) / name) for name in OUTPUTS if Path(out).is_dir())
    if fault := new_folder_fault(out) or next(filter(None, faults), ""):
        raise click.UsageError(fault)
    with Bar() as show:
        try:
            size = "quick" if quick else "full"
            result = run_demo(data, out, size=size, seed=seed, progress=show, subjects=subjects)
        except (ValueError, OSError) as error:
            show.close()
            raise click.ClickException(in_one_line(error)) from error
    with read_or_not():
        _tell(result, data, quick)


def _tell(result, data, quick):
    """Print the figures of both, the audit of k-same's release, and what was saved."""
    for alarm in result.report.alarms():
        click.secho(f"{alarm}\n", fg="red", bold=True)
    click.echo(f"AGILE and k-same (k = {result.k}) on {data}{', quick' if quick else ''}; percent")
    click.echo(f"Sizes: {result.sizes}. ``skagile audit`` attacks with more, and longer.\n")
    click.echo(result.comparison.to_string(index=False))
    click.echo(
        '\n"named": single beats whose person is named right by an attacker trained on originals, or "retrained" on '
        'the release.\n"diagnosis": by a network trained on originals and tested on the release, or "retrained": '
        "trained on the release and tested on other originals of the same people, which is recall of the cohort.\n"
        '"told": area under the ROC curve of telling who is in the release from who is not, 50 is guessing. "copies": '
        "released beats as near to somebody's own as 5 in 100 beats of strangers are, 5 is none. "
        '"read of members, above others": 0 is none.\n'
    )
    leakage = ", ".join(f"{name} {100 * share:.1f}" for name, share in result.expected_leakage.items())
    click.echo(f"What k-same's keys (the diagnosis) give away by themselves, percent: {leakage}\n")
    click.echo("The release is k-same's. Its audit:\n")
    click.echo(str(result.report))
    click.echo("\nSaved")
    for file in result.files:
        click.echo(f"  {file}")
