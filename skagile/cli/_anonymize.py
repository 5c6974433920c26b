"""``skagile anonymize``."""

import sys
from functools import partial
from typing import Any

import click

from skagile.cli._bar import Bar, in_one_line
from skagile.cli._options import DASK, Command, Option, check_jobs
from skagile.cli._outputs import new_folder_fault, read_or_not
from skagile.cli._types import FilePath

_MOST_SHOWN = 20
_release = partial(Option, heading="Release")
_reading = partial(Option, heading="Reading")
_headers = partial(Option, heading="Headers and annotations")
_work = partial(Option, heading="Work")
_PARAMETERS = [
    click.Argument(["data"], type=FilePath(exists=True, file_okay=False)),
    _release(
        ["--model"],
        required=True,
        metavar="MODEL",
        type=FilePath(exists=True, dir_okay=False),
        help="What skagile fit wrote.",
    ),
    _release(
        ["--out"],
        required=True,
        metavar="DIR",
        type=FilePath(file_okay=False),
        help="Folder of the release: a new one. It is made in DIR.partial, which its owner alone may enter.",
    ),
    _release(
        ["--format"],
        default="wfdb",
        show_default=True,
        type=click.Choice(["wfdb", "edf"]),
        help="What is written. EDF has no mark of missing samples: they are 0 there. Needs skagile[formats].",
    ),
    _release(
        ["--key"],
        required=True,
        metavar="FILE",
        type=FilePath(exists=True, dir_okay=False),
        help="The secret that pseudonyms follow from, as skagile key makes it.",
    ),
    _reading(
        ["--subjects"],
        default="auto",
        show_default=True,
        metavar="auto|folder|record|TABLE.csv|PATTERN",
        help="Whose a record is, as of skagile fit.",
    ),
    _headers(
        ["--dates"],
        default="remove",
        show_default=True,
        type=click.Choice(["remove", "shift"]),
        help="Leave dates out, or move them by one offset a person.",
    ),
    _headers(
        ["--age"],
        default="bin",
        show_default=True,
        type=click.Choice(["bin", "remove"]),
        help="Ages in bins of ten years, 90 and above together, or none.",
    ),
    _headers(["--sex"], is_flag=True, help="Keep the sex."),
    _headers(
        ["--keep-comment", "allow"],
        multiple=True,
        metavar="NAME",
        help='Keep the header comments "NAME: ..." word for word. The release is searched for names all the same.',
    ),
    _work(["--jobs"], default=1, show_default=True, metavar="N", help="Records at once; -1: one per core."),
    DASK,
    _work(["--restart"], is_flag=True, help="Remove what an earlier run left in DIR.partial, in place of going on."),
    _work(
        ["--log"],
        metavar="FILE",
        type=FilePath(dir_okay=False),
        help="What became of each record, for the owner alone: it names records as the original does. [DIR.log]",
    ),
]


@click.command(cls=Command, params=_PARAMETERS)
def anonymize(data: str, jobs: int, dates: str, age: str, sex: bool, allow: tuple[str, ...], **options: Any) -> None:
    """Make anonymized recordings of all recordings under a folder.

    DATA is a folder of recordings, subfolders included: WFDB, EDF, DICOM, SCP-ECG, HL7 aECG, GE MUSE, ISHNE, CSV and
    .npz. All but WFDB, CSV and .npz need skagile[formats]. Each record becomes one of the same length, rate, leads and
    units under another name: beats of the model's pseudo-people at the original's R peaks, and between them baseline
    and noise that are made as well. No sample is copied.

    A run that was interrupted, by whatever, goes on with the same command; the release is the same to the byte. Nothing
    of it is where others can read it before it is complete and has been searched for names, numbers, dates and notes of
    the original.

    \b
    Exit codes
      0  released
      1  something is wrong with the input, or the release names people: it is not published
      2  the command line is wrong
      3  released, and some records were left out
    """  # noqa: D301 - click wants the character
    check_jobs(jobs)
    if fault := new_folder_fault(options["out"]):
        raise click.UsageError(fault)
    from skagile.release import HeaderRules, anonymize_recordings

    try:
        rules = HeaderRules(dates=dates, age=age, sex=sex, allow=tuple(allow))
    except ValueError as error:
        raise click.BadParameter(in_one_line(error), param_hint="--keep-comment") from error
    with Bar() as show:
        try:
            done = anonymize_recordings(data, rules=rules, n_jobs=jobs, progress=show, **options)
        except OSError as error:
            show.close()
            raise click.ClickException(f"{in_one_line(error)}. Nothing is lost: mend it, and call again.") from error
        except (ValueError, ImportError) as error:
            show.close()
            raise click.ClickException(in_one_line(error)) from error
        except KeyboardInterrupt:
            show.close()
            click.echo("Interrupted; the same command goes on from here.", err=True)
            sys.exit(130)
    with read_or_not():
        _tell(done)
    if done.left_out:
        sys.exit(3)


def _tell(done):
    resumed = f", {done.n_resumed} of them by an earlier run" if done.n_resumed else ""
    resumed = "; the release was complete already, and is as it was written" if done.was_complete else resumed
    click.echo(f"{done.n_records} records of {done.n_people} people{resumed}")
    click.echo(f"samples that are as in the original, by chance or not: {done.n_kept_samples}")
    for name, reason in done.left_out[:_MOST_SHOWN]:
        click.echo(f"left out {name}: {reason}", err=True)
    if len(done.left_out) > _MOST_SHOWN:
        click.echo(f"and {len(done.left_out) - _MOST_SHOWN} more, which the log names", err=True)
    click.echo(f"{'Left' if done.was_complete else 'Saved'} {done.out}")
