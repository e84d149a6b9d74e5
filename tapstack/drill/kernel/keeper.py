"""The program that keeps a namespace: it makes what must be made inside, and hands it out.

A process of its own, since a namespace belongs to a thread or to a process, and nothing of it may
leak into the process that plays the script. A socket stays where it was made, whoever uses it.
It serves two channels, one message a request, until they close; then it ends, and with it whatever
the script's commands have left running.

Not done here: the other end (`namespace.py`).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

from tapstack.base.address import format_ipv4
from tapstack.device import host, netlink
from tapstack.device.host_addresses import add_address
from tapstack.device.tap import open_tun
from tapstack.drill.contract import DEVICE
from tapstack.drill.kernel import libc
from tapstack.drill.kernel.promptness import be_prompt
from tapstack.drill.kernel.setting import Setting, read_setting
from tapstack.runtime.sealed import enter_sealed_namespace

CHOSEN_CONGESTION = "CHOSEN_CONGESTION"
"""The variable that names the file in which `sysctl.sh` leaves a word for the sockets."""
LONGEST_MESSAGE = 64 * 1024
_CONGESTION = Path("/proc/sys/net/ipv4/tcp_congestion_control")
_SETTINGS = {  # of net.ipv4
    "ip_forward": "0",
    "conf/all/rp_filter": "0",
    f"conf/{DEVICE}/rp_filter": "0",
    "tcp_rmem": "4096 131072 6291456",
    "tcp_wmem": "4096 16384 4194304",
}
"""Linux's defaults of what a namespace has from its machine otherwise, which may be tuned."""
_LINUX_DEFAULT = "cubic"  # Linux: net/ipv4/Kconfig
_QUEUE = 10_000
"""Datagrams that may wait to be read: more than any window."""


def main() -> None:
    """Keep a namespace for whoever holds the other ends of the channels."""
    setting = read_setting(sys.argv[1])
    calls, commands = (socket.socket(fileno=int(word)) for word in sys.argv[2:])
    try:
        tun = _set_up(setting)
    except OSError as error:
        _answer(calls, error)
        return
    _answer(calls, 0, tun)
    keeper = Keeper(setting)
    Thread(target=keeper.serve, args=(commands,), daemon=True).start()
    be_prompt()
    keeper.serve(calls)
    # Connections without a user keep the namespace until they have retried enough: minutes.
    with suppress(OSError):
        Path("/proc/sys/net/ipv4/tcp_orphan_retries").write_text("1\n")
    os.killpg(0, signal.SIGKILL)


def _set_up(setting: Setting) -> int:
    """Make the namespace and its device; give the descriptor of that. Raises: OSError."""
    enter_sealed_namespace()
    tun = open_tun(DEVICE)
    for name, value in _SETTINGS.items():
        Path("/proc/sys/net/ipv4", name).write_text(f"{value}\n")
    host.set_mtu(DEVICE, setting.mtu)
    with suppress(PermissionError):  # that takes the machine's root
        host.set_queue_length(DEVICE, _QUEUE)
    host.silence_ipv6(DEVICE)
    add_address(DEVICE, setting.addresses.local_network)
    host.bring_up(DEVICE)
    if not setting.addresses.is_remote_beside:
        _add_route(setting)
    return tun


def _add_route(setting: Setting) -> None:
    gateway, remote = setting.addresses.gateway, setting.addresses.remote_network
    try:
        netlink.add_route(remote, gateway, DEVICE)
    except OSError as error:
        what = f"no route to {remote} by the gateway {format_ipv4(gateway)}"
        raise OSError(error.errno, f"{what}: {error.strerror}") from None


def _answer(channel: socket.socket, result: int | OSError, *fds: int) -> None:
    """Send what came of a request, and descriptors, which are ours no more."""
    error = (result.errno, result.strerror) if isinstance(result, OSError) else None
    message = {"result": 0 if error else result, "error": error}
    socket.send_fds(channel, [json.dumps(message).encode()], fds)
    for fd in fds:
        os.close(fd)


class Keeper:
    """Does what is asked for, inside the namespace."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._chosen = Path(setting.environment[CHOSEN_CONGESTION])
        self._machines_default = _CONGESTION.read_text()

    def serve(self, channel: socket.socket) -> None:
        """Do one request after another, until the other end closes."""
        while message := channel.recv(LONGEST_MESSAGE):
            name, *arguments = json.loads(message)
            try:
                result, *fds = getattr(self, f"do_{name}")(*arguments)
            except OSError as error:
                _answer(channel, error)
            else:
                _answer(channel, result, *fds)

    def do_socket(self, domain: int, kind: int, protocol: int) -> Any:
        """As socket(2)."""
        made = socket.socket(fileno=libc.socket(domain, kind, protocol))
        if made.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL) == socket.IPPROTO_TCP:
            self._choose_congestion(made)
        return 0, made.detach()

    def _choose_congestion(self, made: socket.socket) -> None:
        """Give a socket the congestion control that a command has chosen, or else Linux's default.

        The machine may have another default, and forbid namespaces to have that one.
        """
        chosen = _LINUX_DEFAULT
        if self._chosen.exists():
            chosen = self._chosen.read_text().strip()
        elif _CONGESTION.read_text() != self._machines_default:  # not by the program sysctl
            return
        with suppress(FileNotFoundError):  # the kernel has no CUBIC
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, chosen.encode())

    def do_open(self, path: str, flags: int) -> Any:
        """As open(2): below /proc and /sys is what belongs to the namespace."""
        return 0, os.open(Path(self._setting.directory, path), flags, 0o666)

    def do_shell(self, command: str) -> Any:
        """Run a command to its end; give its status and a file with what it printed."""
        with tempfile.TemporaryFile() as output:
            ended = subprocess.run(
                ["sh", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._setting.directory,
                env=self._setting.environment,
                check=False,
            )
            return ended.returncode, os.dup(output.fileno())
