"""Options that stand under headings in the help of a command."""

from typing import Any

import click


class Option(click.Option):
    """An option under a heading."""

    def __init__(self, *names: Any, heading: str, **settings: Any) -> None:
        super().__init__(*names, **settings)
        self.heading = heading


class Command(click.Command):
    """A command whose help lists its options under their headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section for each heading, in the order of the options."""
        sections = {}
        options = [parameter for parameter in self.get_params(ctx) if isinstance(parameter, click.Option)]
        for option in options:
            if (line := option.get_help_record(ctx)) is not None:
                sections.setdefault(getattr(option, "heading", "Other"), []).append(line)
        for heading, lines in sections.items():
            with formatter.section(heading):
                formatter.write_dl(lines)


def option_of(name: str) -> str:
    """Option of the command line for an argument of Python."""
    return f"--{name.replace('_', '-')}"


DASK = Option(
    ["--dask"],
    heading="Work",
    metavar="tcp://HOST:PORT",
    help="Work on the cluster of this Dask scheduler, whose machines see the same paths. Needs skagile[dask].",
)


def check_jobs(jobs: int) -> None:
    """Refuse a number of jobs that is none.

    Raises
    ------
    click.BadParameter
    """
    if jobs == 0 or jobs < -1:
        raise click.BadParameter(f"{jobs} is no number of jobs; expected 1, 2, ... or -1.", param_hint="--jobs")
