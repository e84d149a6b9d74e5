"""The program `tapstack`.

It imports next to nothing before Ctrl-C ends it quietly.

Not done here: its command line (`shell/command_line.py`).
"""

from tapstack.shell.loading import leaving_on_interrupt


def main() -> None:
    """Run as a program."""
    with leaving_on_interrupt():
        from tapstack.shell.command_line import run
        from tapstack.shell.program import run_program
    run_program("tapstack", run)
