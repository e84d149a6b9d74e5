"""Make a kernel for scripts, and tell what it says of itself, or why it cannot be."""

from pathlib import Path

from tapstack.base.address import parse_ipv4
from tapstack.drill.contract import Addresses
from tapstack.drill.kernel import KernelHost


def main() -> None:
    local, remote = parse_ipv4("192.168.0.1"), parse_ipv4("192.0.2.1")
    try:
        with KernelHost(Addresses(local, remote, local, 16), 1500, Path("/")) as host:
            print(host.shell("sysctl net.ipv4.tcp_sack=0").output, end="")
            begun = host.begin(lambda calls: calls.socket(2, 1, 0))
            host.run(None, lambda: begun.ended() is not None)
            print("a socket" if begun.result() > 2 else "none")
    except OSError as error:
        print(error.strerror)


if __name__ == "__main__":
    main()
