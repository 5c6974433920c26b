"""``skagile fit``."""

import sys
from functools import partial
from typing import Any

import click

from skagile.cli._bar import Bar, in_one_line
from skagile.cli._options import DASK, Command, Option, check_jobs
from skagile.cli._outputs import file_fault, overwriting_fault, read_or_not
from skagile.cli._types import FilePath, Number

ANONYMIZERS = ("ksame", "agile", "warp")
_reading = partial(Option, heading="Reading")
_fitting = partial(Option, heading="Fitting")
_work = partial(Option, heading="Work")
_PARAMETERS = [
    click.Argument(["data"], type=FilePath(exists=True, file_okay=False)),
    Option(
        ["--out", "model"],
        required=True,
        metavar="MODEL",
        type=FilePath(dir_okay=False),
        heading="Model",
        help="File to write, for its owner alone. It holds statistics of the cohort: keep it as you keep the key.",
    ),
    _reading(
        ["--subjects"],
        default="auto",
        show_default=True,
        metavar="auto|folder|record|TABLE.csv|PATTERN",
        help="Whose a record is: its folder's, its own, by a table with columns record and subject (and diagnosis, if "
        "you like), or the first group of a regular expression in its path.",
    ),
    _reading(
        ["--labels"],
        default="auto",
        show_default=True,
        type=click.Choice(["auto", "aami", "diagnosis", "none"]),
        help="Diagnosis to keep: classes of annotated beats, the diagnosis of the table or the header, or none. auto "
        "takes the first that every record has.",
    ),
    _reading(
        ["--lead", "leads"],
        multiple=True,
        metavar="NAME",
        help="Fit this lead; give it several times for several. By default all that at least k people have.",
    ),
    _reading(
        ["--max-beats"],
        default=200,
        show_default=True,
        metavar="N",
        type=click.IntRange(1),
        help="At most N beats of each person, drawn at random.",
    ),
    _fitting(
        ["--anonymizer"],
        default="ksame",
        show_default=True,
        type=click.Choice(ANONYMIZERS),
        help="ksame puts beats of pseudo-people in place of people's. agile and warp change people's own beats: who "
        "trains attackers on such a release finds out whose they are.",
    ),
    _fitting(
        ["--k"],
        default=10,
        show_default=True,
        metavar="K",
        type=click.IntRange(2),
        help="People that each is hidden among, at least.",
    ),
    _fitting(
        ["--sampling-rate"],
        default=250.0,
        show_default=True,
        metavar="HZ",
        type=Number(100, 2000),
        help="Of the beats of the model; records keep theirs.",
    ),
    _work(["--jobs"], default=1, show_default=True, metavar="N", help="Records read at once; -1: one per core."),
    DASK,
    _work(
        ["--seed"],
        metavar="N",
        type=click.IntRange(0, 2**31 - 1),
        help="For tests and studies: the same model again. Without it what is random comes from the operating system.",
    ),
]


@click.command(cls=Command, params=_PARAMETERS)
def fit(data: str, model: str, anonymizer: str, subjects: str, seed: int | None, jobs: int, **options: Any) -> None:
    """Fit an anonymizer to the recordings under a folder, and save it for ``skagile anonymize``.

    DATA is a folder of recordings, subfolders included: WFDB, EDF, DICOM, SCP-ECG, HL7 aECG, GE MUSE, ISHNE, CSV and
    .npz. All but WFDB, CSV and .npz need skagile[formats]. Records that cannot be used are listed with the reason.

    \b
    Exit codes
      0  fitted
      1  something is wrong with the input: nothing is written
      2  the command line is wrong
      3  fitted, and some records were left out
    """  # noqa: D301 - click wants the character
    check_jobs(jobs)
    table = [subjects] if subjects.lower().endswith(".csv") else []
    if fault := file_fault(model) or overwriting_fault({"--out": model}, [data, *table]):
        raise click.UsageError(fault)
    from skagile.release import fit_recordings

    leads = options.pop("leads")
    with Bar() as show:
        try:
            notes = fit_recordings(
                data,
                model,
                anonymizer=_unfitted(anonymizer),
                subjects=subjects,
                leads=leads or None,
                random_state=seed,
                n_jobs=jobs,
                progress=show,
                **options,
            )
        except (ValueError, OSError, ImportError) as error:
            show.close()
            raise click.ClickException(in_one_line(error)) from error
        except KeyboardInterrupt:
            show.close()
            click.echo("Interrupted; no model was written.", err=True)
            sys.exit(130)
    with read_or_not():
        _tell(notes, anonymizer, model)
    if notes.left_out:
        sys.exit(3)


def _unfitted(name):
    if name == "ksame":
        return None
    import skagile

    return {"agile": skagile.AgileAnonymizer, "warp": skagile.WarpAnonymizer}[name]()


def _tell(notes, anonymizer, model):
    click.echo(
        f"{notes.n_beats} beats of {notes.n_people} people, {notes.n_records} records; diagnoses: {notes.labels}"
    )
    click.echo("leads: " + ", ".join(f"{lead} ({n} people)" for lead, n in notes.leads.items()))
    if notes.rare_leads:
        click.echo(f"leads of too few people, which will be released as missing: {', '.join(notes.rare_leads)}")
    if notes.merged:
        click.echo(f"diagnoses of too few people, taken together: {', '.join(notes.merged)}")
    if anonymizer != "ksame":
        click.secho(
            f"{anonymizer} changes people's own beats: it misleads attackers who do not train on the release, and no "
            "others. Audit the release before it goes out.",
            fg="yellow",
            err=True,
        )
    for name, reason in notes.left_out:
        click.echo(f"left out {name}: {reason}", err=True)
    click.echo(f"Saved {model}")
