"""A stack on a TAP that comes up only in part gives the TAP back, too."""

import os
import subprocess
import sys

import pytest

PATIENCE = 20.0

PROGRAM = """
import os, threading
from tapstack.runtime.default import Settings, bring_up
def seen():
    return sorted(os.listdir("/proc/self/fd")), threading.enumerate(), os.listdir("/sys/class/net")
before = seen()
for wrong in (Settings(pcap="/no/such/file"), Settings(pcap="/proc/self"), Settings(dev="a/b")):
    try:
        bring_up(wrong)
    except (OSError, ValueError):
        assert seen() == before, (wrong, before, seen())
    else:
        raise AssertionError(wrong)
for _ in range(3):
    runtime = bring_up(Settings(impair="delay=1ms")).runtime
    assert seen() != before
    runtime.close()
    assert seen() == before, (before, seen())
"""


@pytest.mark.live
@pytest.mark.skipif(
    os.geteuid() != 0 or not os.access("/dev/net/tun", os.R_OK | os.W_OK),
    reason="no right to open /dev/net/tun",
)
def test_all_is_given_back() -> None:
    mounted = "mount -t sysfs sysfs /sys && exec "  # /sys shows the namespace that mounted it
    argv = [
        "unshare",
        "-n",
        "-m",
        "sh",
        "-c",
        mounted + '"$@"',
        "sh",
        sys.executable,
        "-c",
        PROGRAM,
    ]
    ended = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )
    assert (ended.returncode, ended.stderr) == (0, "")
