"""`exit`: leave the shell."""

from tapstack.shell.command import Command, CommandParser, Context, Leave, number


def run(context: Context, words: list[str]) -> int:  # noqa: ARG001 - a command's signature
    """Leave. Raises: Leave."""
    parser = CommandParser(prog="exit", description="Leave the shell and take the stack down.")
    parser.add_argument(
        "status",
        nargs="?",
        type=number(0, 255),
        help="exit status; else 0 on a terminal, and the last command's in a script",
    )
    raise Leave(parser.parse_args(words).status)


COMMAND = Command("exit", "[STATUS]", "leave, and take the stack down", run)
