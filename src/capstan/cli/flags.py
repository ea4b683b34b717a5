"""Flags made from the table of settings, and from flags, environment and file to `Settings`.

Secret settings have no flag: every user of the machine can read a command line.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from itertools import groupby
from typing import TypeVar

import click

from capstan.cli.failures import WRONG_USAGE, Failure
from capstan.settings import SETTINGS, Setting, Settings, SettingsError, load

Flags = dict[str, str | None]
"""Values as `settings.load` takes them: name of the setting to the text on the command line."""

Decorated = TypeVar("Decorated", bound=Callable[..., object])

WHERE_THE_DATA_IS = ("data_dir", "database_url")
"""What a command needs that works on users and keys: the settings of the registry."""

_FLAGGED = tuple(setting for setting in SETTINGS if not setting.secret)
_CONFIG_HELP = "The TOML file with settings. [capstan.toml in the data directory]"


def with_settings(names: Collection[str] | None = None) -> Callable[[Decorated], Decorated]:
    """Give a command the flags of these settings (None: of all that may have one), and `--config`."""
    chosen = [setting for setting in _FLAGGED if names is None or setting.name in names]

    def decorate(function: Decorated) -> Decorated:
        for setting in reversed(chosen):
            function = click.option(
                setting.flag, setting.name, metavar="TEXT", help=_help(setting), show_default=False
            )(function)
        return click.option("--config", metavar="FILE", help=_CONFIG_HELP)(function)

    return decorate


def read_settings(flags: Flags) -> Settings:
    """The settings by flags, environment and file. Ends the command with exit code 2 where they are wrong."""
    try:
        return load(flags, os.environ)
    except SettingsError as wrong:
        raise Failure(str(wrong), WRONG_USAGE) from None


class SettingsCommand(click.Command):
    """A command whose help lists the flags of settings by group, as the documentation does."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups = {setting.name: setting.group for setting in _FLAGGED}
        parameters = [(groups.get(one.name or "", "Options"), one.get_help_record(ctx)) for one in self.get_params(ctx)]
        order = ["Options", *dict.fromkeys(groups.values())]
        parameters.sort(key=lambda one: order.index(one[0]))
        for group, members in groupby(parameters, lambda one: one[0]):
            with formatter.section(group):
                formatter.write_dl([record for _, record in members if record is not None])


def _help(setting: Setting) -> str:
    default = setting.default if isinstance(setting.default, str) else setting.default.text
    meaning = setting.meaning.partition(". ")[0].rstrip(".")
    return f"{meaning}. [{default or 'none'}]".replace("`", "")
