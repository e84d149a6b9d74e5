"""The shell on a terminal: editing, history in a file, completion from the table and live state.

Not done here: running the lines (`session.py`).
"""

import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.buffer import CompletionState
from prompt_toolkit.completion import (
    CompleteEvent,
    Completer,
    Completion,
    get_common_complete_suffix,
)
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import create_output
from prompt_toolkit.patch_stdout import patch_stdout

from tapstack.runtime.runtime import Runtime
from tapstack.shell.session import PROMPT, Session
from tapstack.shell.table import COMMANDS


def run_terminal(session: Session) -> int:
    """Read lines at the prompt and run them until the user leaves; give the exit status.

    Whatever the commands came to, he has seen: to leave is no failure, unless he says so.
    """
    # Ctrl-C is for the line being typed or the command that runs, and means nothing in between.
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    session.run_each(_lines(session.runtime), sys.stdin.fileno())
    return session.wished_status or 0


def _lines(runtime: Runtime) -> Iterator[str]:
    prompt: PromptSession[str] = PromptSession(
        PROMPT,
        output=create_output(sys.stderr),
        history=open_history(),
        completer=CommandCompleter(runtime),
        complete_while_typing=False,
        key_bindings=_bindings(),
    )
    while True:
        try:
            with _lines_above_the_prompt():
                line = prompt.prompt()
        except KeyboardInterrupt:  # the line is given up, and a new one begins
            continue
        except EOFError:
            return
        yield line


def _lines_above_the_prompt() -> AbstractContextManager[None]:
    """Let what runs in the background print above the prompt, unless it goes elsewhere."""
    return patch_stdout() if sys.stdout.isatty() else nullcontext()


def _bindings() -> KeyBindings:
    """Have Tab complete at once: prompt_toolkit's own does so after the keys that came with it."""
    bindings = KeyBindings()

    @bindings.add("tab")
    def complete(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state:
            buffer.complete_next()
            return
        request = CompleteEvent(completion_requested=True)
        found = list(buffer.completer.get_completions(buffer.document, request))
        common = get_common_complete_suffix(buffer.document, found)
        buffer.insert_text(common)
        if len(found) > 1:
            left = [each.new_completion_from_position(len(common)) for each in found]
            buffer.complete_state = CompletionState(buffer.document, left)  # the menu

    return bindings


def open_history() -> History:
    """Give the history of earlier sessions; where no file may be kept, that of this one."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    try:
        path = Path(state).expanduser() / "tapstack" / "history"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except (OSError, RuntimeError):  # RuntimeError: the user has no home
        return InMemoryHistory()
    return FileHistory(str(path))


class CommandCompleter(Completer):
    """Completes the command's name, then what the command itself knows."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def get_completions(
        self,
        document: Document,
        complete_event: CompleteEvent,  # noqa: ARG002 - prompt_toolkit's signature
    ) -> Iterator[Completion]:
        """Give what may stand at the cursor."""
        *words, begun = document.text_before_cursor.split(" ")
        for candidate in candidates(self._runtime, [word for word in words if word]):
            if candidate.startswith(begun):
                yield Completion(candidate + " ", -len(begun), display=candidate)


def candidates(runtime: Runtime, words: list[str]) -> Iterable[str]:
    """Give what may follow some words."""
    if not words:
        return COMMANDS
    command = COMMANDS.get(words[0])
    if command is None:
        return ()

    def complete(*, now: int) -> list[str]:  # noqa: ARG001
        return list(command.complete(runtime, words[1:]))

    return runtime.call(complete)
