"""A small web server on tapstack, a thread a client: /hello greets, /SIZE is that many octets.

usage: http_server.py
"""

from threading import Thread

from tapstack import socket


def answer(connection: socket.socket) -> None:
    try:
        with connection:
            request = b""
            while b"\r\n\r\n" not in request:
                if not (more := connection.recv(4096)):
                    return
                request += more
            path = request.split()[1].decode().strip("/")
            body = b"hello from tapstack\n" if path == "hello" else b"x" * int(path)
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            connection.sendall(head.encode() + body)
    except ConnectionError as error:
        print(f"client gone: {type(error).__name__}", flush=True)


def main() -> None:
    with socket.create_server(("10.0.0.1", 80)) as listener:
        print("listening", flush=True)
        while True:
            connection, _ = listener.accept()
            Thread(target=answer, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
