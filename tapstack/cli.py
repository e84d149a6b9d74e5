"""The command line: `tapstack up` and its siblings.

Each subcommand imports what it needs when it runs, so that `--help` stays quick.

Not done here: what the subcommands do.
"""

import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from tapstack.shell.interrupt import INTERRUPTED
from tapstack.shell.program import run_program

_HELP = {"help_option_names": ["-h", "--help"]}


@click.group(invoke_without_command=True, context_settings=_HELP)
@click.version_option(package_name="tapstack", message="%(prog)s %(version)s")
@click.pass_context
def tapstack(context: click.Context) -> None:
    """A TCP/IP stack in user space, behind a TAP device.

    \b
    The host has 10.0.0.2 on tap0; the stack has 10.0.0.1 behind it:
        tapstack up                                  a shell on a running stack
        tapstack up -c 'ping -c 3 10.0.0.2'          one command, and down again
        snc -l 12345                                 netcat over a stack of its own
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@tapstack.command(context_settings=_HELP)
@click.option("--dev", metavar="NAME", help="The TAP device; made if there is none. [tap0]")
@click.option("--addr", metavar="ADDRESS/LENGTH", help="The stack's own address. [10.0.0.1/24]")
@click.option(
    "--host-addr", metavar="ADDRESS/LENGTH", help="The host's address on it. [10.0.0.2/24]"
)
@click.option("--mtu", type=int, help="Octets of the largest IP datagram. [1500]")
@click.option("--pcap", metavar="FILE", help="Write every frame to a file.")
@click.option("--impair", metavar="WHAT", help="Make the link bad: loss=5%,delay=20ms,seed=7.")
@click.option("--no-offload", is_flag=True, help="Compute checksums and cut segments here.")
@click.option(
    "-c", "commands", metavar="COMMAND", multiple=True, help="Run a command and end; repeatable."
)
@click.pass_context
def up(context: click.Context, /, commands: Sequence[str], no_offload: bool, **given: Any) -> None:
    """Bring a stack up, with a shell on it.

    \b
    On a terminal the shell prompts; otherwise it reads commands from standard input. With -c it
    runs those commands, standard input is theirs, and the exit status is that of the last one.
    'help' in the shell lists the commands.

    \b
        tapstack up
        tapstack up -c 'snc -b 10.0.0.1:12345' > received
        tapstack up --impair loss=5% --pcap bad.pcap -c 'ping -c 20 10.0.0.2'

    Without root, the device is made in a namespace of our own; how to join it is said at the start.
    """
    from dataclasses import replace

    from tapstack.runtime.default import Settings
    from tapstack.shell.command import UsageError
    from tapstack.shell.up import up as bring_up_with_shell

    base = Settings.from_environment(os.environ)
    chosen = {name: value for name, value in given.items() if value is not None}
    settings = replace(base, offload=not no_offload, ip_forward=True, **chosen)
    try:
        context.exit(bring_up_with_shell(settings, commands))
    except UsageError as mistake:
        raise click.UsageError(str(mistake)) from None


@tapstack.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def snc(context: click.Context, arguments: Sequence[str]) -> None:
    """Netcat over a stack of its own; the same as the program snc."""
    from tapstack.snc import run

    context.exit(run(list(arguments)))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; give the exit status."""
    try:
        status = tapstack.main(arguments, prog_name="tapstack", standalone_mode=False)
    except click.ClickException as mistake:
        print(f"tapstack: {mistake.format_message()}", file=sys.stderr)
        return 2
    except click.Abort:
        return INTERRUPTED
    return int(status or 0)


def main() -> None:
    """Run as a program."""
    run_program("tapstack", run)
