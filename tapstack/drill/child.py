"""Python processes of our own: each looks for modules where this process does.

Not done here: starting and ending them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import tapstack

_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from {module} import main; main()"
)


def command_of(module: str) -> list[str]:
    """Give the words that run `main` of a module, whatever has become of this process's directory.

    What is put behind them is in its `sys.argv`, from 1 on.
    """
    path = [str(Path(tapstack.__file__).parents[1]), *sys.path]
    program = _PROGRAM.format(module=module)
    return [sys.executable, "-I", "-S", "-c", program, json.dumps(path)]
