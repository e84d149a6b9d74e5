"""A user and a network namespace of our own, so that a TAP can be had without rights.

Within it this process is root over the network and over nothing else (user_namespaces(7),
network_namespaces(7)).

Not done here: leaving it, which is not possible; joining it, which `nsenter` does.
"""

import ctypes
import errno
import os
from pathlib import Path

from tapstack.device import host

# <linux/sched.h>
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000


def enter_private_namespace() -> None:
    """Move this process into new namespaces, with the loopback up. Call before any thread.

    Raises: OSError with one clear sentence.
    """
    uid, gid = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER | CLONE_NEWNET)
    try:
        # user_namespaces(7): without rights, groups are mapped only once setgroups is given up.
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
        host.bring_up("lo")
    except OSError as error:
        raise _explained(error.errno or 0) from None


def unshare(flags: int) -> None:
    """Move this process into new namespaces (unshare(2)). Raises: OSError, one clear sentence."""
    # os.unshare is of Python 3.12.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags) != 0:
        raise _explained(ctypes.get_errno())


def _explained(number: int) -> OSError:
    forbidden = "the system forbids users a network namespace of their own: run as root"
    sentences = {
        errno.EPERM: forbidden,
        errno.EACCES: forbidden,
        errno.ENOSPC: "no more namespaces are allowed here (user.max_user_namespaces): run as root",
        errno.EUSERS: "namespaces are nested too deep here: run as root",
        errno.EINVAL: "a namespace can be entered only before the process has a second thread",
        errno.ENOSYS: "this kernel has no namespaces: run as root",
    }
    reason = f"no network namespace can be made: {os.strerror(number)}"
    return OSError(number, sentences.get(number, reason))
