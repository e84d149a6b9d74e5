"""Enter a namespace of our own, be refused a second time in two ways, and tell of it."""

import json
import os
import socket
import threading
from pathlib import Path

from tapstack.device.tap import TapDevice
from tapstack.runtime.namespace import enter_private_namespace


def refusal() -> str:
    try:
        enter_private_namespace()
    except OSError as error:
        return str(error.strerror)
    return "no error"


def refusal_beside_a_thread() -> str:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        return refusal()
    finally:
        done.set()
        thread.join()


def main() -> None:
    before = os.readlink("/proc/self/ns/net")
    enter_private_namespace()
    told = {
        "new": os.readlink("/proc/self/ns/net") != before,
        "user": os.getuid(),
        "interfaces": [name for _, name in socket.if_nameindex()],
        "loopback": Path("/proc/net/fib_trie").read_text().count("127.0.0.1") > 0,
        "beside a thread": refusal_beside_a_thread(),
    }
    TapDevice("tap0").close()
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    told["too many"] = refusal()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
