"""The command line, ``skagile``."""

from importlib.metadata import version

import click

from skagile.cli._anonymize import anonymize
from skagile.cli._audit import audit
from skagile.cli._demo import demo
from skagile.cli._fit import fit
from skagile.cli._key import key
from skagile.cli._outputs import hold_open
from skagile.cli._signals import tidy_end

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("skagile"), prog_name="skagile")
def main() -> None:
    """Remove who from an electrocardiogram, keep what is wrong with the heart."""
    hold_open()
    click.get_current_context().with_resource(tidy_end())


for command in (anonymize, audit, demo, fit, key):
    main.add_command(command)
