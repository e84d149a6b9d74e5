"""Live tests need programs of the host and rights: without them they are skipped, except in CI."""

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.netns import SEARCH_PATH, TOOLS, Namespace

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.live)


def what_is_missing() -> str:
    tools = [tool for tool in TOOLS if not shutil.which(tool, path=SEARCH_PATH)]
    if tools:
        return f"not installed: {', '.join(tools)} (make test says how)"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "no right to open /dev/net/tun"
    flags = "-n" if os.geteuid() == 0 else "-Urn"
    if subprocess.run(["unshare", flags, "true"], stderr=subprocess.DEVNULL).returncode:
        return "no right to make a network namespace"
    return ""


@pytest.fixture(scope="session")
def able() -> None:
    missing = what_is_missing()
    if missing and os.environ.get("CI"):
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)


@pytest.fixture
def namespace(able: None, tmp_path: Path) -> Iterator[Namespace]:
    with Namespace(tmp_path) as fresh:
        yield fresh


@pytest.fixture(scope="session")
def twenty_million_octets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "20M"
    path.write_bytes(random.Random(9293).randbytes(20_000_000))
    return path
