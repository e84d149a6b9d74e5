"""`snc`: connect or listen, as the program of that name does."""

from tapstack.shell.command import Command, Context
from tapstack.shell.snc_core import Snc, run_watched
from tapstack.shell.snc_options import parse_plan


def run(context: Context, words: list[str]) -> int:
    """Join a connection to the command's standard input and output. Raises: UsageError."""
    plan = parse_plan(words)

    def tell(text: str) -> None:
        print(text, file=context.err, flush=True)

    snc = Snc(plan, context.open_socket, context.stdin, context.stdout, tell, context.interrupt)
    return run_watched(snc, context.watch)


COMMAND = Command(
    "snc", "[OPTIONS] -b|-c ADDRESS:PORT", "netcat: listen or connect, TCP or UDP", run
)
