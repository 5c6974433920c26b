"""``skagile audit``."""

import sys
from functools import partial
from typing import Any

import click

from skagile.cli._bar import Bar, in_one_line
from skagile.cli._options import Command, Option, check_jobs, option_of
from skagile.cli._outputs import new_folder_fault, read_or_not
from skagile.cli._types import FilePath, Lead, Number


class _AuditCommand(Command):
    """The command with an option for each limit that the audit knows."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """List the options; those of the limits are made here, so that ``skagile --help`` need not load the audit."""
        from skagile.audit import LIMITS

        limits = [
            Option(
                [option_of(limit.name), limit.name],
                heading="Limits (exit code 3 where one is not kept)",
                metavar=limit.metavar,
                type=Number(0, 1),
                help=limit.help,
            )
            for limit in LIMITS.values()
        ]
        others = super().get_params(ctx)
        at = next(i for i, option in enumerate(others) if getattr(option, "heading", "") == "Reading")
        return [*others[:at], *limits, *others[at:]]


_reports = partial(Option, heading="Reports")
_reading = partial(Option, heading="Reading")
_work = partial(Option, heading="Work")
_PARAMETERS = [
    click.Argument(["original"], type=FilePath()),
    click.Argument(["released"], type=FilePath()),
    _reports(["--report"], metavar="FILE.html", type=FilePath(dir_okay=False), help="Write the report as one page."),
    _reports(["--json", "json_"], metavar="FILE.json", type=FilePath(dir_okay=False), help="Write it as JSON."),
    _reports(["--csv"], metavar="FILE.csv", type=FilePath(dir_okay=False), help="Write the table of attacks."),
    _reading(
        ["--lead", "leads"],
        multiple=True,
        metavar="N|NAME",
        type=Lead(),
        help="Attack this lead of the original alone; give it several times for several. By default every lead that "
        "both sides have is attacked, all together and each by itself. With another lead left out the verdict is never "
        "green.",
    ),
    _reading(
        ["--labels"],
        default="auto",
        show_default=True,
        type=click.Choice(["auto", "aami", "fine", "diagnosis", "none"]),
        help="Diagnosis to keep: classes of annotated beats, the diagnosis of the header, or none.",
    ),
    _reading(
        ["--subjects"],
        default="auto",
        show_default=True,
        metavar="auto|folder|record|TABLE.csv|PATTERN",
        help="Whose a record is: its folder's, its own, by a table with columns record and subject, or the first group "
        "of a regular expression in its path. auto knows the layouts of usual databases, takes folders for people, and "
        "refuses those that may be batches, dates or parts of a data set.",
    ),
    _reading(
        ["--key"],
        metavar="FILE",
        type=FilePath(exists=True, dir_okay=False),
        help="The key that skagile anonymize made the release with: its records are found by their pseudonyms.",
    ),
    _reading(
        ["--sessions"],
        default="auto",
        show_default=True,
        type=click.Choice(["auto", "date", "record", "half"]),
        help="What a session is. The earliest of a person enrols, the others are probed. Dates (2019-12-31, "
        "31.12.2019, 12/31/2019) and names (visit 9) are put in order by what they say; half needs none.",
    ),
    _reading(
        ["--guard"],
        default=0.0,
        show_default=True,
        metavar="SECONDS",
        type=Number(0),
        help="With halves: leave out the beats in so many seconds around the middle of each record.",
    ),
    _reading(
        ["--r-peaks"],
        default="detected",
        show_default=True,
        type=click.Choice(["detected", "annotated"]),
        help="Find R peaks in the original, or take its annotations.",
    ),
    _reading(["--sampling-rate"], metavar="HZ", type=Number(10, 100_000), help="Resample the beats."),
    _reading(
        ["--band"],
        nargs=2,
        default=(0.5, 40.0),
        show_default=True,
        metavar="LOW HIGH",
        type=Number(0),
        help="Pass band in Hz; 0 0 filters nothing.",
    ),
    _reading(["--max-beats"], metavar="N", type=click.IntRange(1), help="At most N beats of each person and session."),
    _reading(
        ["--members"],
        metavar="FILE.txt",
        type=FilePath(exists=True, dir_okay=False),
        help="People who are in the release, one a line; the tool was fitted on them. The others are outside. Without "
        "this, presence and disclosure are not tested.",
    ),
    _reading(
        ["--new-patients"],
        metavar="PATH",
        type=FilePath(exists=True),
        help="Originals of people who are on neither side, as ORIGINAL is given: how well a model trained on the "
        "release diagnoses them.",
    ),
    _reading(
        ["--auxiliary"],
        metavar="PATH",
        type=FilePath(exists=True),
        help="Another release of ORIGINAL, made by the same tool with another key (--auxiliary-key): attackers who own "
        "the tool learn from it whom to look for. Needed where each person has one recording, which a retrained "
        "attacker could only enrol with half of the very file that is probed.",
    ),
    _reading(
        ["--auxiliary-key"],
        metavar="FILE",
        type=FilePath(exists=True, dir_okay=False),
        help="The key of that release.",
    ),
    _reading(
        ["--skip-bad"], is_flag=True, help="Leave out what cannot be used, and say what, instead of refusing all."
    ),
    _work(
        ["--quick/--full"],
        help="Quick: at most 120 beats of each person and session, the fastest attackers and one network, three "
        "knowledges. Full (the default): every attacker with every knowledge, 250 beats a person to enrol and to "
        "probe.",
    ),
    _work(["--jobs"], default=1, show_default=True, metavar="N", help="Attackers fitted at once; -1: one per core."),
    _work(
        ["--seed"],
        default=0,
        show_default=True,
        metavar="N",
        type=click.IntRange(0, 2**31 - 1),
        help="Seed of everything.",
    ),
    _work(
        ["--cache"],
        metavar="DIR",
        type=FilePath(file_okay=False),
        help="Where finished fits are kept: scores of people, no beats, in a folder that you alone may enter.",
    ),
    _work(["--no-cache"], is_flag=True, help="Keep nothing: an interrupted audit starts anew."),
]


@click.command(cls=_AuditCommand, params=_PARAMETERS)
def audit(
    original: str,
    released: str,
    report: str | None,
    json_: str | None,
    csv: str | None,
    quick: bool,
    jobs: int,
    seed: int,
    cache: str | None,
    no_cache: bool,
    members: str | None,
    new_patients: str | None,
    auxiliary: str | None,
    auxiliary_key: str | None,
    **options: Any,
) -> None:
    """Attack a release, and report what the attackers got.

    ORIGINAL and RELEASED are two folders of WFDB records with the same names, or two .npz files of beats. Any tool may
    have made the release. All leads together, and each lead by itself, are cut into beats where the original has them,
    and once more where the release has its own R peaks if these are elsewhere; they are attacked by attackers trained
    on originals and by attackers retrained on the release, and given to a diagnostic classifier. The verdict is the
    worst of all: a release may be safe lead by lead and not together.

    The time is about twice that of one lead times the number of leads, and twice that again where the release is not
    in time with its original. Leads share the reading of files; use is measured on all leads together only.

    Headers, annotation notes, columns, file names and the bytes of the release's files are searched for the names,
    identifiers, dates and notes of the original. Any of these makes the verdict red; what is shown is masked. Sex and
    age are amber, an age above 89 red. The original's record names, by which the audit matches files, are amber unless
    they but count; rename them before the release goes out. Packed files are not looked at, and then the verdict is
    not green.

    A limit is held against the unfavourable end of the interval: the upper end for a maximum, the lower for a minimum.
    What was not measured, or cannot be judged (too few people, rows in another order), does not keep it. Without limits
    the exit code says nothing of the verdict.

    \b
    Exit codes
      0  audited
      1  something is wrong with the input: one list on stderr, nothing is written
      2  the command line is wrong
      3  audited, and a limit is not kept or cannot be judged,
         or the files of the release name people
    """  # noqa: D301 - click wants the character
    from skagile.audit import LIMITS
    from skagile.cli import _audit_job

    outputs = {kind: path for kind, path in (("html", report), ("json", json_), ("csv", csv)) if path is not None}
    table = options["subjects"] if options["subjects"].lower().endswith(".csv") else None
    if auxiliary_key and not auxiliary:
        raise click.UsageError("--auxiliary-key is of the release that --auxiliary names; give both.")
    others = (table, members, new_patients, auxiliary)
    if fault := _audit_job.output_fault(outputs, original, released, *others):
        raise click.UsageError(fault)
    check_jobs(jobs)
    if cache and no_cache:
        raise click.UsageError("--cache and --no-cache exclude each other.")
    cache = None if no_cache else cache or _default_cache()
    if cache is not None and (fault := new_folder_fault(cache)):
        raise click.UsageError(f"{fault} --cache names one, --no-cache needs none.")
    thresholds = {name: options.pop(name) for name in LIMITS}
    with Bar() as show:
        try:
            result, said, broken = _audit_job.audit_files(
                original,
                released,
                size="quick" if quick else "full",
                seed=seed,
                n_jobs=jobs,
                cache=cache,
                read=_read(**options),
                members=members,
                new_patients=new_patients,
                auxiliary=None if auxiliary is None else (auxiliary, auxiliary_key),
                thresholds=thresholds,
                outputs=outputs,
                progress=show,
            )
        except (ValueError, OSError) as error:
            show.close()
            raise click.ClickException(_as_list(error)) from error
        except KeyboardInterrupt:
            show.close()
            kept = "" if cache is None else f" Finished fits are kept in {cache}: the same command goes on from there."
            click.echo(f"Interrupted; no report was written.{kept}", err=True)
            sys.exit(130)
    with read_or_not():
        _tell(result, said, outputs.values(), broken)
    if broken:
        sys.exit(3)


def _default_cache():
    """Folder of finished fits; where there is no home it must be named."""
    from skagile.cli import _audit_job

    try:
        return _audit_job.default_cache()
    except RuntimeError:
        raise click.UsageError(
            "nobody's home is known here, where finished fits are kept. Name a folder with --cache, or give --no-cache."
        ) from None


def _read(*, leads, labels, band, skip_bad, **options):
    """Keywords of ``read_release_views`` from the options on reading."""
    return {
        "leads": leads or None,
        "labels": None if labels == "none" else labels,
        "band": None if tuple(band) == (0, 0) else band,
        "on_error": "skip" if skip_bad else "raise",
        **{key: value for key, value in options.items() if value is not None},
    }


def _tell(report, said, files, broken):
    """Print what was measured, left out, and should be known, what was saved, and the limits that are not kept."""
    click.echo(str(report))
    for what, sentences in said.items():
        if sentences:
            click.echo(f"\n{len(sentences)} {what}:", err=True)
            for sentence in sentences:
                click.echo(f"  {sentence}", err=True)
    if files:
        click.echo("\nSaved")
        for path in files:
            click.echo(f"  {path}")
    if broken:
        click.echo("\n" + "\n".join(broken), err=True)


def _as_list(error):
    """Problems of an input one a line, any other error on one line."""
    from skagile.release import ReleaseProblems

    if isinstance(error, ReleaseProblems):
        return f"{error}\nNothing was audited, and nothing was written."
    return in_one_line(error)
