"""The arguments of programs of iproute2: words that are taken one after another, commands first.

Not done here: what they mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from tapstack.base.address import Ipv4Address, Network, parse_ipv4, parse_network
from tapstack.drill.surroundings.machine import Machine, WrongUse

_WRONG = 255
"""The status that iproute2's programs end with when they are called as they cannot be."""


class Words:
    """The words that are left."""

    def __init__(self, words: Sequence[str]) -> None:
        self._left = list(words)

    def __bool__(self) -> bool:
        return bool(self._left)

    def take(self) -> str:
        """Take the next one. Raises: WrongUse where there is none."""
        if not self._left:
            raise WrongUse('Command line is not complete. Try option "help"', _WRONG)
        return self._left.pop(0)

    def is_option(self) -> bool:
        """Tell whether the next one begins with `-`."""
        return bool(self._left) and self._left[0].startswith("-")

    def take_if(self, *wanted: str) -> bool:
        """Take the next one if it is one of these; tell whether it was."""
        if self._left and self._left[0] in wanted:
            self._left.pop(0)
            return True
        return False

    def number(self, name: str, most: int = 2**32 - 1) -> int:
        """Take a number, the value of what is called `name`. Raises: WrongUse."""
        word = self.take()
        try:
            number = int(word, 0)
        except ValueError:
            number = -1
        if not 0 <= number <= most:
            raise wrong_value(word, name)
        return number

    def switch(self, name: str) -> bool:
        """Take 0 or 1. Raises: WrongUse."""
        word = self.take()
        if word not in ("0", "1"):
            what = f'"{name}" value should be 0 or 1'
            raise WrongUse(f'Error: argument "{word}" is wrong: {what}\n', _WRONG)
        return word == "1"

    def address(self) -> Ipv4Address:
        """Take an address. Raises: WrongUse."""
        word = self.take()
        try:
            return parse_ipv4(word)
        except ValueError:
            raise WrongUse(f'Error: any valid address is expected rather than "{word}".') from None


def wrong_value(word: str, name: str) -> WrongUse:
    """Say that a value cannot be."""
    return WrongUse(f'Error: argument "{word}" is wrong: "{name}" value is invalid\n', _WRONG)


def read_network(word: str) -> Network:
    """Read `10.0.0.0/8`, or an address, which is a network of one. Raises: WrongUse."""
    try:
        return parse_network(word if "/" in word else f"{word}/32")
    except ValueError:
        raise WrongUse(f'Error: any valid prefix is expected rather than "{word}".') from None


def not_simulated(what: str) -> WrongUse:
    """Say that the simulated stack does not have something."""
    return WrongUse(f"{what}: not simulated", 2)


# --- commands -------------------------------------------------------------------------------------

Command = Callable[[Machine, Words], str]
"""Does something, and gives what is printed. Raises: WrongUse."""


def run_command(
    machine: Machine, words: Words, commands: Mapping[str, Command], program: str
) -> str:
    """Run the command that the next word begins; without any word, `show`. Raises: WrongUse."""
    name = pick(words.take() if words else "show", commands, program)
    return commands[name](machine, words)


def pick(
    word: str, names: Iterable[str], program: str, what: str = "Command", status: int = _WRONG
) -> str:
    """Give the first of the names that begins with a word. Raises: WrongUse where none does."""
    for name in names:
        if name.startswith(word):
            return name
    raise WrongUse(f'{what} "{word}" is unknown, try "{program} help".', status)


def refusal_of(what: str) -> Command:
    """Make a command that says that something is not simulated."""

    def refuse(_: Machine, __: Words) -> str:
        raise not_simulated(what)

    return refuse
