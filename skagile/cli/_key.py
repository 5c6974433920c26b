"""``skagile key``."""

import click

from skagile.cli._bar import in_one_line
from skagile.cli._types import FilePath


@click.command()
@click.argument("file", type=FilePath(dir_okay=False))
def key(file: str) -> None:
    """Make the secret that a release's pseudonyms follow from, in a new FILE for its owner alone.

    With the same key, a later release gives the same person the same pseudonym. Whoever has it and the originals can
    find out who is who: keep it apart from releases, and keep a copy.
    """
    from skagile.release import new_key

    try:
        new_key(file)
    except (ValueError, OSError) as error:
        raise click.ClickException(in_one_line(error)) from error
    click.echo(f"{file}: a new key. Keep it apart from releases, and keep a copy.")
