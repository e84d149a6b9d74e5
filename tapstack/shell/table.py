"""The table of commands: every command of the net shell, by name, in the order that help lists.

Not done here: the commands themselves; each has a module in `commands/`.
"""

from tapstack.shell.command import Command
from tapstack.shell.commands import (
    arpcache,
    debug,
    ifconfig,
    ip,
    leave,
    ping,
    route,
    snc,
    ss,
    stat,
    sysctl,
)
from tapstack.shell.commands.help_ import make_help

COMMANDS: dict[str, Command] = {}
COMMANDS.update(
    (command.name, command)
    for command in (
        make_help(COMMANDS),
        ping.COMMAND,
        arpcache.COMMAND,
        route.COMMAND,
        ifconfig.COMMAND,
        ip.COMMAND,
        stat.COMMAND,
        sysctl.COMMAND,
        snc.COMMAND,
        debug.COMMAND,
        ss.COMMAND,
        leave.COMMAND,
    )
)
