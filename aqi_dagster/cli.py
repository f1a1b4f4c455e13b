"""The command line: ``aqi-dagster``."""

from importlib import import_module

import click

from aqi_dagster.errors import AqiError
from aqi_dagster.foreign_warnings import leave_out_python_warnings
from aqi_dagster.installation import read_env_file

COMMANDS = {
    "alert": "alert",
    "broker": "broker",
    "demo": "demo",
    "dev": "dev",
    "evaluate": "evaluate",
    "export": "export",
    "feed": "run_feed",
    "home": "home",
    "label": "label",
    "look": "look",
    "materialize": "materialize",
    "mute": "mute",
    "produce": "produce_files",
    "replay": "replay",
    "retry-rejected": "retry_rejected",
    "sensor": "sensor",
    "settings": "print_settings",
    "status": "status",
    "web": "web",
}
"""Each command by its name, and its function in the module of that name in :mod:`aqi_dagster.commands`."""


class _Group(click.Group):
    """Imports a command when it is asked for, and tells our own errors in a line instead of a traceback.

    All commands together take seconds to import, of which one that only looks needs a small part.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, if there is one."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"aqi_dagster.commands.{cmd_name.replace('-', '_')}")
        command: click.Command = getattr(module, COMMANDS[cmd_name])
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except AqiError as error:
            message = str(error)
        raise click.ClickException(message)


@click.group(cls=_Group)
def main() -> None:
    """Smoke or a broken sensor? PM2.5 readings from Kafka, scored and classified in 12-hour windows.

    Settings come from the environment and from the file .env of the present folder; `aqi-dagster settings` lists
    them.
    """
    click.echo(read_env_file(), err=True)
    leave_out_python_warnings()


if __name__ == "__main__":
    main()
