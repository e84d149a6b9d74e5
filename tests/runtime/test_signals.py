"""Signal handlers and finalizers that use sockets wherever they interrupt their thread."""

from tests.socket.test_default_sockets import assert_runs

BEGIN = """
import errno, gc, signal, time
from tapstack import socket
from tapstack.runtime.default import default_stack

def pair():
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname(), timeout=5)
        accepted, _ = server.accept()
    accepted.settimeout(5)
    return client, accepted

def refused(use, *arguments):
    try:
        use(*arguments)
    except OSError as error:
        assert error.errno == errno.EDEADLK, error
        return True
    return False

def within(work):
    return default_stack.runtime().call(lambda now: work())
"""


def test_a_signal_amid_a_call_is_told_so_rather_than_left_to_wait_for_itself() -> None:
    assert_runs(f"""{BEGIN}
client, accepted = pair()
handled = []
def handler(number, frame):
    handled.append([
        refused(client.send, b"x"), refused(client.recv, 1), refused(socket.socket)
    ])
signal.signal(signal.SIGUSR1, handler)
within(lambda: signal.raise_signal(signal.SIGUSR1))
assert handled == [[True, True, True]], handled
client.send(b"y")
assert accepted.recv(9) == b"y"
client.close()
accepted.close()
""")


def test_a_socket_that_is_closed_amid_a_call_is_closed_after_it() -> None:
    assert_runs(f"""{BEGIN}
class Holder:
    def __init__(self, socket):
        self.socket, self.itself = socket, self
    def __del__(self):
        self.socket.close()

client, accepted = pair()
signal.signal(signal.SIGUSR1, lambda number, frame: client.close())
within(lambda: signal.raise_signal(signal.SIGUSR1))
assert accepted.recv(1) == b""
accepted.close()

client, accepted = pair()
Holder(client)
within(gc.collect)
assert accepted.recv(1) == b""
accepted.close()
""")


def test_signals_at_any_time() -> None:
    """Whatever a handler could not send, it was told so; and all that it could send arrives."""
    assert_runs(f"""{BEGIN}
client, accepted = pair()
urgent, received = pair()
sent, late = 0, 0
def handler(number, frame):
    global sent, late
    if refused(urgent.send, b"!"):
        late += 1
    else:
        sent += 1
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
until = time.monotonic() + 10
while (sent < 20 or late < 20) and time.monotonic() < until:
    client.send(b"x" * 1000)
    assert len(accepted.recv(1000, socket.MSG_WAITALL)) == 1000
    time.sleep(0.0003)
signal.setitimer(signal.ITIMER_REAL, 0)
urgent.close()
text = b""
while piece := received.recv(1000):
    text += piece
assert text == b"!" * sent
assert sent and late, (sent, late)
for each in (client, accepted, received):
    each.close()
""")
