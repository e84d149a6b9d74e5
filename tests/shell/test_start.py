"""Where a stack comes up: in a namespace of its own only for want of rights."""

import subprocess
import sys

import pytest

START = """
import os, sys, tapstack.runtime.namespace
from tapstack.runtime.default import Settings
from tapstack.shell.command import UsageError
from tapstack.shell.start import start
if os.geteuid() == 0:
    os.setuid(65534)
namespace = os.readlink("/proc/self/ns/user")
try:
    start(Settings(dev="none", pcap=sys.argv[1]))
except UsageError as refused:
    print(refused)
print(os.readlink("/proc/self/ns/user") == namespace)
"""


@pytest.mark.parametrize(
    ("pcap", "sentence"),
    [
        ("/nonexistent/x.pcap", "/nonexistent/x.pcap: No such file or directory"),
        ("", "'': No such file or directory"),
        ("/dev/full", "/dev/full: No space left on device"),
    ],
)
def test_what_no_rights_would_mend_is_told_at_once(pcap: str, sentence: str) -> None:
    program = subprocess.run(
        [sys.executable, "-c", START, pcap], capture_output=True, text=True, timeout=30
    )
    assert program.stdout == f"{sentence}\nTrue\n", program
