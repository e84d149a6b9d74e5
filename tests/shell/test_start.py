"""Where a stack comes up: in a namespace of its own only for want of rights."""

import subprocess
import sys

START = """
import os, tapstack.runtime.namespace
from tapstack.runtime.default import Settings
from tapstack.shell.command import UsageError
from tapstack.shell.start import start
if os.geteuid() == 0:
    os.setuid(65534)
namespace = os.readlink("/proc/self/ns/user")
try:
    start(Settings(dev="none", pcap="/nonexistent/x.pcap"))
except UsageError as refused:
    print(refused)
print(os.readlink("/proc/self/ns/user") == namespace)
"""


def test_what_no_rights_would_mend_is_told_at_once() -> None:
    program = subprocess.run(
        [sys.executable, "-c", START], capture_output=True, text=True, timeout=30
    )
    assert program.stdout == "/nonexistent/x.pcap: No such file or directory\nTrue\n", program
