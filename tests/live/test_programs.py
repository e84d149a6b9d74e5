"""Programs written with tapstack.socket: many connections at once, and a web server for curl."""

import sys

from tests.live.netns import HOST, STACK, Namespace


def test_twenty_connections_at_once_from_the_host(namespace: Namespace) -> None:
    server = namespace.python("echo_server.py", "20")
    server.wait_for("listening")
    clients = namespace.python("clients.py", "kernel", STACK, "20", "300000")
    assert clients.wait(60) == 0, clients
    assert clients.stdout == "20 of 20 exact\n"
    assert server.wait() == 0, server
    assert server.stderr == ""


def test_twenty_connections_at_once_to_the_host(namespace: Namespace) -> None:
    namespace.python("kernel_echo_server.py")
    namespace.wait_listening(7)
    clients = namespace.python("clients.py", "tapstack", HOST, "20", "300000")
    assert clients.wait(60) == 0, clients
    assert clients.stdout == "20 of 20 exact\n"
    assert clients.stderr == ""


def test_curl_fetches_from_a_web_server(namespace: Namespace) -> None:
    server = namespace.python("http_server.py")
    server.wait_for("listening")
    assert namespace.run("curl", "-sS", f"http://{STACK}/hello").stdout == "hello from tapstack\n"
    large = namespace.run("curl", "-sS", f"http://{STACK}/3000000")
    assert large.stdout_path.stat().st_size == 3_000_000


def test_a_server_outlives_a_client_that_is_killed_midway(namespace: Namespace) -> None:
    server = namespace.python("http_server.py")
    server.wait_for("listening")
    client = namespace.start("curl", "-sSN", "--limit-rate", "20k", f"http://{STACK}/30000000")
    client.wait_for("x")
    client.stop()

    server.wait_for("client gone: (ConnectionReset|BrokenPipe)Error")
    assert namespace.run("curl", "-sS", f"http://{STACK}/hello").stdout == "hello from tapstack\n"
    assert "Traceback" not in server.stderr


def test_a_program_without_a_device_has_the_loopback(namespace: Namespace) -> None:
    program = (
        "from tapstack import socket\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "client = socket.create_connection(server.getsockname())\n"
        "peer, _ = server.accept()\n"
        "client.sendall(b'to myself')\n"
        "print(peer.recv(100))\n"
    )
    (namespace.folder / "program.py").write_text(program)
    process = namespace.start(
        sys.executable, str(namespace.folder / "program.py"), TAPSTACK_DEV="none"
    )
    assert process.wait() == 0, process
    assert process.stdout == "b'to myself'\n"
    assert "tap0" not in namespace.run("ip", "link").stdout
