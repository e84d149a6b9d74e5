"""`help`: what commands there are, and how each is used."""

from collections.abc import Iterable, Mapping, Sequence

from tapstack.shell.command import Command, CommandParser, Context, UsageError


def make_help(commands: Mapping[str, Command]) -> Command:
    """Make the command that explains a table which may still grow."""

    def run(context: Context, words: list[str]) -> int:
        parser = CommandParser(prog="help", description="Explain the commands.")
        parser.add_argument("command", nargs="?", help="the one to explain; all are listed if none")
        name = parser.parse_args(words).command
        if name is None:
            context.say(list_commands(commands.values()))
            return 0
        if name not in commands:
            raise UsageError(f"help: {name}: no such command; 'help' lists what there is")
        return commands[name].run(context, ["--help"])

    def complete(_: object, words: Sequence[str]) -> Iterable[str]:
        return () if words else commands

    return Command("help", "[COMMAND]", "list the commands, or explain one", run, complete)


def list_commands(commands: Iterable[Command]) -> str:
    """Give a line for each command: how it is called, and what it does."""
    calls = [(f"{command.name} {command.usage}".strip(), command.summary) for command in commands]
    width = max(len(call) for call, _ in calls)
    lines = [f"  {call:{width}}  {summary}" for call, summary in calls]
    footer = "Ctrl-C ends a running command, Ctrl-D leaves. 'help COMMAND' tells more."
    return "\n".join([*lines, footer])
