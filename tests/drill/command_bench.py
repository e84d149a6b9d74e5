"""A host in virtual time, and a script's commands that act on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tapstack.drill.contract import Shell
from tapstack.drill.surroundings.surroundings import Surroundings, shell_of
from tapstack.sim import World
from tapstack.sim.host import Host
from tapstack.sysctl import Sysctls


@dataclass
class Bench:
    host: Host
    directory: Path
    slept: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.surroundings = Surroundings(self.host, self.directory, self.slept.append)

    def run(self, command: str) -> Shell:
        return self.surroundings.run(command)

    def get(self, name: str) -> str:
        return Sysctls(self.host.stack).get(name)

    def set(self, name: str, value: str) -> None:
        Sysctls(self.host.stack).set(name, value)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with World() as world:
        world.link(world.host("a"), world.host("b"))
        yield Bench(world.hosts["a"], tmp_path)


def has_files() -> bool:
    return not shell_of(os.getpid()).why_no_files


needs_namespaces = pytest.mark.skipif(not has_files(), reason="needs user and mount namespaces")
