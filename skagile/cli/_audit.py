"""``skagile audit``."""

import sys

import click

from skagile.cli._bar import Bar, in_one_line


@click.command()
@click.argument("original", type=click.Path())
@click.argument("released", type=click.Path())
@click.option("--report", metavar="FILE.html", type=click.Path(dir_okay=False), help="Write the report as one page.")
@click.option("--json", "json_", metavar="FILE.json", type=click.Path(dir_okay=False), help="Write it as JSON.")
@click.option("--csv", metavar="FILE.csv", type=click.Path(dir_okay=False), help="Write the table of attacks.")
@click.option(
    "--quick/--full",
    help="Quick: at most 120 beats of each person and session, the fastest attackers and one network, three "
    "knowledges. Full (the default): every attacker with every knowledge, 250 beats a person to enrol and to probe.",
)
@click.option(
    "--max-reidentification",
    metavar="SHARE",
    type=click.FloatRange(0, 1),
    help="Exit with code 3 when the upper end of the headline interval, single beats, is above this share, say 0.05.",
)
@click.option(
    "--max-fused",
    metavar="SHARE",
    type=click.FloatRange(0, 1),
    help="The same for people named from all their beats together.",
)
@click.option(
    "--min-eer",
    metavar="RATE",
    type=click.FloatRange(0, 1),
    help="The same when the lower end of the lowest equal error rate of verification is below this rate, say 0.4.",
)
@click.option(
    "--max-attribute-auroc",
    metavar="AREA",
    type=click.FloatRange(0, 1),
    help="The same for sex and age read off the release, by the area under the ROC curve, say 0.7.",
)
@click.option("--lead", default="0", show_default=True, metavar="N|NAME", help="Lead of the original.")
@click.option(
    "--labels",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "aami", "fine", "diagnosis", "none"]),
    help="Diagnosis to keep: classes of annotated beats, the diagnosis of the header, or none.",
)
@click.option(
    "--subjects",
    default="auto",
    show_default=True,
    metavar="auto|folder|record|TABLE.csv|PATTERN",
    help="Whose a record is: its folder's, its own, by a table with columns record and subject, or the first group of "
    "a regular expression in its path.",
)
@click.option(
    "--sessions",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "date", "record", "half"]),
    help="What a session is. The earliest of a person enrols, the others are probed.",
)
@click.option(
    "--guard",
    default=0.0,
    show_default=True,
    metavar="SECONDS",
    type=click.FloatRange(0),
    help="With halves: leave out the beats in so many seconds around the middle of each record.",
)
@click.option(
    "--r-peaks",
    default="detected",
    show_default=True,
    type=click.Choice(["detected", "annotated"]),
    help="Find R peaks in the original, or take its annotations.",
)
@click.option("--sampling-rate", metavar="HZ", type=click.FloatRange(0, min_open=True), help="Resample the beats.")
@click.option(
    "--band",
    nargs=2,
    default=(0.5, 40.0),
    show_default=True,
    metavar="LOW HIGH",
    type=float,
    help="Pass band in Hz; 0 0 filters nothing.",
)
@click.option("--max-beats", metavar="N", type=click.IntRange(1), help="At most N beats of each person and session.")
@click.option("--skip-bad", is_flag=True, help="Leave out what cannot be used, and say what, instead of refusing all.")
@click.option("--jobs", default=1, show_default=True, metavar="N", help="Attackers fitted at once; -1: one per core.")
@click.option(
    "--seed", default=0, show_default=True, metavar="N", type=click.IntRange(0, 2**31 - 1), help="Seed of everything."
)
@click.option("--cache", metavar="DIR", type=click.Path(file_okay=False), help="Where finished fits are kept.")
@click.option("--no-cache", is_flag=True, help="Keep nothing: an interrupted audit starts anew.")
def audit(original, released, report, json_, csv, quick, lead, labels, band, jobs, seed, cache, no_cache, **options):
    """Attack a release, and report what the attackers got.

    ORIGINAL and RELEASED are two folders of WFDB records with the same names, or two .npz files of beats. Any tool may
    have made the release. The release is cut into beats where the original has them, attacked by attackers trained on
    originals and by attackers retrained on the release, and read by a diagnostic classifier.

    \b
    Exit codes
      0  audited
      1  something is wrong with the input: one list on stderr, nothing is written
      2  the command line is wrong
      3  audited, and a limit is not kept
    """  # noqa: D301 - click wants the character
    from skagile.cli import _audit_job

    outputs = {kind: path for kind, path in (("html", report), ("json", json_), ("csv", csv)) if path is not None}
    if fault := _audit_job.output_fault(outputs, original, released):
        raise click.UsageError(fault)
    if jobs == 0 or jobs < -1:
        raise click.BadParameter(f"{jobs} is no number of jobs; expected 1, 2, ... or -1.", param_hint="--jobs")
    if cache and no_cache:
        raise click.UsageError("--cache and --no-cache exclude each other.")
    cache = None if no_cache else cache or _audit_job.default_cache()
    limits = {
        name: options.pop(name) for name in ("max_reidentification", "max_fused", "min_eer", "max_attribute_auroc")
    }
    thresholds = {name: limit for name, limit in limits.items() if limit is not None}
    read = {
        "lead": int(lead) if lead.lstrip("-").isdecimal() else lead,
        "labels": None if labels == "none" else labels,
        "band": None if tuple(band) == (0, 0) else band,
        "on_error": "skip" if options.pop("skip_bad") else "raise",
        **{key: value for key, value in options.items() if value is not None},
    }
    with Bar() as show:
        try:
            found, skipped, broken = _audit_job.audit_files(
                original,
                released,
                size="quick" if quick else "full",
                seed=seed,
                n_jobs=jobs,
                cache=cache,
                read=read,
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
    click.echo(str(found))
    if skipped:
        click.echo(f"\n{len(skipped)} left out:", err=True)
        for _, problem in skipped:
            click.echo(f"  {problem}", err=True)
    if outputs:
        click.echo("\nSaved")
        for path in outputs.values():
            click.echo(f"  {path}")
    if broken:
        click.echo("\n" + "\n".join(broken), err=True)
        sys.exit(3)


def _as_list(error):
    """Problems of an input one a line, any other error on one line."""
    from skagile.release import ReleaseProblems

    if isinstance(error, ReleaseProblems):
        return f"{error}\nNothing was audited, and nothing was written."
    return in_one_line(error)
