"""The CPython that every peer runs on: the machine's fastest, and how it finds our packages.

Debian builds its own with profile-guided optimization, which is worth 15 to 25 % in bulk; one that
was built on the machine may lack it.
"""

import os
import platform
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
_DEBIAN = "/usr/bin/python3"


def _minor(python: str) -> str:
    """Tell the version whose packages an interpreter can use; '' if it is not there."""
    ask = "import sys; print(f'{sys.implementation.name} {sys.version_info[:2]}')"
    try:
        return subprocess.run([python, "-c", ask], capture_output=True, text=True).stdout
    except OSError:
        return ""


@cache
def fastest() -> str:
    """Give the path of Debian's Python if our packages fit it, and otherwise of our own."""
    return _DEBIAN if _minor(_DEBIAN) == _minor(sys.executable) else sys.executable


def environment() -> dict[str, str]:
    """Give what lets that Python find this tree, and the packages of our own environment."""
    paths = [str(ROOT), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


def describe() -> str:
    """Say what the figures were taken with: Python, its path, the kernel, the processors."""
    version = subprocess.run([fastest(), "-V"], capture_output=True, text=True).stdout.split()[-1]
    return (
        f"CPython {version} ({fastest()}), Linux {platform.release()}, "
        f"{os.cpu_count()} processors ({platform.machine()})"
    )
