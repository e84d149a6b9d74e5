"""The command line: `tapstack up` and its siblings.

Each subcommand imports what it needs when it runs, so that `--help` stays quick.

Not done here: what the subcommands do; running as a program (`tapstack/cli.py`).
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from tapstack.shell.interrupt import INTERRUPTED
from tapstack.shell.loading import leaving_on_interrupt

_HELP = {"help_option_names": ["-h", "--help"]}
_PATH = click.Path(path_type=Path)


@click.group(invoke_without_command=True, context_settings=_HELP)
@click.version_option(package_name="tapstack", message="%(prog)s %(version)s")
@click.pass_context
def tapstack(context: click.Context) -> None:
    """A TCP/IP stack in user space, behind a TAP device.

    \b
    The host has 10.0.0.2 on tap0; the stack has 10.0.0.1 behind it:
        tapstack up                                  a shell on a running stack
        tapstack up -c 'ping -c 3 10.0.0.2'          one command, and down again
        tapstack drill script.pkt                    a packetdrill script, in virtual time
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
    with leaving_on_interrupt():
        from tapstack.runtime.default import Settings
        from tapstack.shell.command import UsageError
        from tapstack.shell.up import up as bring_up_with_shell

    chosen = {name: value for name, value in given.items() if value is not None}
    settings = Settings.from_environment(
        os.environ, offload=not no_offload, ip_forward=True, **chosen
    )
    try:
        context.exit(bring_up_with_shell(settings, commands))
    except UsageError as mistake:
        raise click.UsageError(str(mistake)) from None


@tapstack.command(
    context_settings={**_HELP, "ignore_unknown_options": True},
    options_metavar="[OPTIONS] [--PACKETDRILL_OPTION=VALUE]...",
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="SCRIPT...")
@click.option("--live", is_flag=True, help="Play on the Linux kernel, in a network namespace.")
@click.option("--compare", is_flag=True, help="Play on both, and show where they first part.")
@click.option("--linux-tolerance", is_flag=True, help="Allow 4 ms or 12.5 % as packetdrill does.")
@click.option(
    "-D", "definitions", metavar="SYMBOL=VALUE", multiple=True, help="Define; repeatable."
)
@click.option("-v", "--verbose", is_flag=True, help="Tell each event as it is played, and why.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing: the exit status tells.")
@click.option("--pcap", metavar="FILE", type=_PATH, help="Write what is on the wire: one script's.")
@click.option("-j", "--jobs", type=click.IntRange(1), help="Scripts at once. [number of CPUs]")
@click.option("--junit", metavar="FILE", type=_PATH, help="Write the results for a CI system.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(0, min_open=True),
    help="Of real time, for each script. [60; live: 300]",
)
@click.pass_context
def drill(context: click.Context, /, words: Sequence[str], **given: Any) -> None:
    """Play packetdrill scripts on the stack, in virtual time.

    \b
    A script says what happens to a TCP/IP stack, and what it is to do. hello.pkt:
        0   socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
        +0  bind(3, ..., ...) = 0
        +0  listen(3, 1) = 0
        +0  < S 0:0(0) win 4000 <mss 1000>           // a SYN arrives
        +0  > S. 0:0(0) ack 1 <...>                  // this is to be sent
        +.1 < . 1:1(0) ack 1 win 4000                // 100 ms later
        +0  accept(3, ..., ...) = 4
        +0  write(4, "hello", 5) = 5
        +0  > P. 1:6(5) ack 1

    \b
        tapstack drill hello.pkt                     silent when it passes
        tapstack drill -v hello.pkt                  every event, and why it was sent
        tapstack drill --tolerance_usecs=10000 -j 8 tests/
        sudo tapstack drill --live hello.pkt         the same on this machine's kernel

    A SCRIPT may be a folder: then all *.pkt in it and below are played. packetdrill's own options,
    such as --tolerance_usecs=10000, override those of the script.

    \b
    Exit status: 0 all passed; 1 something failed, or is no script; 2 wrong usage;
    3 nothing failed, but something is not supported.

    The language is told in the README, under "Drill", and by packetdrill(1).
    """
    with leaving_on_interrupt():
        from tapstack.drill.command_line import UsageError, read_request

    try:
        request = read_request(words, **given)
    except UsageError as mistake:
        raise click.UsageError(str(mistake)) from None
    with leaving_on_interrupt():
        from tapstack.drill.program import drill as play

    context.exit(play(request))


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
