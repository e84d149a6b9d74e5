"""Every setting that a Linux host has below /proc/sys/net, whether it has an effect here or not.

What the stack has comes first (`tapstack/sysctl.py`); the rest is kept and read back.

Not done here: the program (`programs/sysctl.py`), and the files (`file_tree.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from errno import EACCES, EINVAL, ENOENT
from itertools import zip_longest

from tapstack.base.errors import os_error
from tapstack.drill.surroundings.inert_sysctls import Inert, inert_settings
from tapstack.stack import Stack
from tapstack.sysctl import Sysctls

_ALLOWED = "net.ipv4.tcp_allowed_congestion_control"
FLUSH = "net.ipv4.route.flush"
"""Setting it has what was learned of paths forgotten; it cannot be read."""


class Settings:
    """The settings of one host, by names such as `net.ipv4.tcp_sack`."""

    def __init__(self, stack: Stack) -> None:
        self.changed: set[str] = set()
        """Names of those that were set since somebody took note of it, and emptied this."""
        self.inert_used: dict[str, str] = {}
        """Those without effect that were set, and why they have none."""
        self._stack = stack
        self._real = Sysctls(stack)
        self._inert = inert_settings(tuple(stack.interfaces))
        self._kept: dict[str, str] = {}
        self._allowed = self._algorithms
        self._told: dict[str, Callable[[], str]] = {
            _ALLOWED: lambda: " ".join(self._allowed),
            "net.ipv4.tcp_available_congestion_control": lambda: " ".join(self._algorithms),
            FLUSH: str,
        }

    def names(self) -> set[str]:
        """Give every name."""
        return {*self._real, *self._inert, *self._told}

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a setting of a name."""
        return name in self._real or name in self._inert or name in self._told

    def get(self, name: str) -> str:
        """Give a value as its file has it, less the line's end. Raises: OSError with ENOENT."""
        if name in self._real:
            return self._real.get(name)
        if name in self._told:
            return self._told[name]()
        if name in self._inert:
            return self._kept.get(name, self._inert[name].default)
        raise os_error(ENOENT)

    def set(self, name: str, text: str) -> None:
        """Set a value. Raises: OSError with ENOENT, EINVAL, or EACCES where it is only told."""
        if name in self._real:
            self._real.set(name, text)
        elif name == FLUSH:
            self._stack.ip.forget_path_mtus()
        elif name == _ALLOWED:
            self._allow(text.split())
        elif name in self._inert and self._inert[name].can_be_set:
            inert = self._inert[name]
            self._kept[name] = _parse(inert, self.get(name), text)
            self.inert_used[name] = inert.reason
        else:
            raise os_error(EACCES if name in self._inert or name in self._told else ENOENT)
        self.changed.add(name)

    @property
    def _algorithms(self) -> tuple[str, ...]:
        return self._stack.tcp.config.tcp_available_congestion_control

    def _allow(self, names: list[str]) -> None:
        """Keep which algorithms are for everybody. Raises: OSError with ENOENT."""
        if not set(names) <= set(self._algorithms):
            raise os_error(ENOENT)
        self._allowed = tuple(name for name in self._algorithms if name in names)
        self.inert_used[_ALLOWED] = "the administrator, who plays a script, may choose any"


def _parse(inert: Inert, old: str, text: str) -> str:
    """Give what a setting then says. Raises: OSError with EINVAL."""
    if not inert.is_numeric:
        return text.strip()
    words = text.split()
    if not words:
        raise os_error(EINVAL)
    pairs = zip_longest(words, old.split("\t"))
    return "\t".join(_number(inert, new or was) for new, was in pairs if was is not None)


def _number(inert: Inert, word: str) -> str:
    try:
        number = int(word, 0)
    except ValueError:
        raise os_error(EINVAL) from None
    if not inert.least <= number <= inert.most:
        raise os_error(EINVAL)
    return str(number)
