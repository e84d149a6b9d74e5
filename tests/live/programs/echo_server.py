"""An echo server on tapstack: a thread a connection; ends after as many connections as told.

usage: echo_server.py CONNECTIONS
"""

import sys
from threading import Thread

from tapstack import socket


def echo(connection: socket.socket) -> None:
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)


def main(connections: int) -> None:
    with socket.create_server(("10.0.0.1", 7)) as listener:
        print("listening", flush=True)
        threads = []
        for _ in range(connections):
            connection, _ = listener.accept()
            threads.append(Thread(target=echo, args=(connection,)))
            threads[-1].start()
        for thread in threads:
            thread.join()
    print("done", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
