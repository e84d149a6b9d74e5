"""TCP_INFO: the same structure with the same meanings as the kernel's."""

import socket
import struct
from typing import Any

import pytest

from tapstack.socket.tcp_info import CODEC
from tests.socket.nets import Net, fill, until

TCP = socket.IPPROTO_TCP
ALL = 1024


def info(connection: Any) -> dict[str, int]:
    octets = connection.getsockopt(TCP, socket.TCP_INFO, ALL)
    assert len(octets) >= 248, "at least Linux 6.7's"
    return CODEC.parse(octets.ljust(CODEC.size, b"\0"))


def test_a_fresh_socket(net: Net) -> None:
    told = info(net.socket())
    assert told["state"] == 7
    assert told["rto"] == 1_000_000
    assert told["snd_mss"] == 536
    assert told["rttvar"] == 250_000
    assert told["snd_cwnd"] == 10
    assert told["snd_ssthresh"] == 2**31 - 1
    assert told["min_rtt"] == 2**32 - 1
    assert told["delivery"] == 1
    assert told["options"] == told["advmss"] == told["rtt"] == told["segs_out"] == 0


def test_a_listener_tells_its_queue(net: Net) -> None:
    listener = net.listener(backlog=7)
    net.socket().connect(listener.getsockname())
    until(lambda: info(listener)["unacked"] == 1)
    told = info(listener)
    assert (told["state"], told["sacked"], told["snd_cwnd"]) == (10, 7, 10)
    net.accept(listener)
    assert info(listener)["unacked"] == 0


def test_a_connection_after_its_handshake(net: Net) -> None:
    client, server = net.pair()
    until(lambda: info(server)["segs_in"] == 2)
    here, there = info(client), info(server)
    assert here["state"] == there["state"] == 1
    assert here["ca_state"] == here["retransmits"] == here["probes"] == here["backoff"] == 0
    assert here["options"] == there["options"] == 7
    assert 0 < here["wscales"] >> 4 == there["wscales"] & 15
    assert 200_000 <= here["rto"] < 400_000
    assert here["advmss"] == here["pmtu"] - 52
    assert 0 < here["min_rtt"] <= here["rtt"]
    assert here["delivered"] == there["delivered"] == 1
    assert (here["segs_out"], here["segs_in"], here["bytes_acked"]) == (2, 1, 1)
    assert (there["segs_out"], there["segs_in"], there["bytes_acked"]) == (0, 2, 0)
    assert here["rcv_wnd"] > 0
    assert here["snd_wnd"] > 0


def test_what_was_transferred_is_counted(net: Net) -> None:
    client, server = net.pair()
    for _ in range(3):
        client.sendall(bytes(1000))
        assert len(server.recv(1000, socket.MSG_WAITALL)) == 1000
        server.sendall(b"yes")
        assert client.recv(9) == b"yes"
    here, there = info(client), info(server)
    assert here["bytes_sent"] == 3000
    assert here["bytes_acked"] == 3001
    assert here["bytes_received"] == 9
    assert here["data_segs_out"] == here["data_segs_in"] == 3
    assert here["bytes_retrans"] == here["total_retrans"] == 0
    assert here["unacked"] == here["notsent_bytes"] == 0
    assert there["bytes_received"] == 3000
    assert there["bytes_sent"] == 9
    assert there["data_segs_in"] == 3
    assert there["rcv_mss"] == 1000
    assert here["last_data_sent"] < 20_000
    client.shutdown(socket.SHUT_WR)
    assert server.recv(1) == b""
    until(lambda: info(client)["bytes_acked"] == 3002)
    assert info(client)["state"] == 5
    assert info(server)["state"] == 8
    assert info(server)["bytes_received"] == 3001


def test_a_peer_who_does_not_read_limits_us(net: Net) -> None:
    client, _ = net.pair(send_buffer=100_000, receive_buffer=5_000)
    fill(client, bytes(1_000_000))
    until(lambda: info(client)["rwnd_limited"] >= 10_000)
    told = info(client)
    assert told["busy_time"] >= told["rwnd_limited"]
    assert told["notsent_bytes"] > 0
    assert told["sndbuf_limited"] == 0


@pytest.mark.parametrize("size", [1, 4, 8, 104, 232])
def test_a_short_buffer_takes_the_beginning(net: Net, size: int) -> None:
    client, _ = net.pair()
    whole = client.getsockopt(TCP, socket.TCP_INFO, ALL)
    assert len(client.getsockopt(TCP, socket.TCP_INFO, size)) == size
    assert client.getsockopt(TCP, socket.TCP_INFO, size)[:8] == whole[:8][:size]


def test_it_only_tells(net: Net) -> None:
    with pytest.raises(OSError, match="Protocol not available"):
        net.socket().setsockopt(TCP, socket.TCP_INFO, struct.pack("i", 1))


def test_after_the_end(net: Net) -> None:
    client, server = net.pair()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()
    until(lambda: info(client)["state"] == 7)
    assert info(client)["segs_in"] == 2


def test_the_structure_is_the_kernels() -> None:
    """Offsets as <linux/tcp.h> of Linux 6.18 has them."""
    declared = {
        "rto": 8, "rcv_mss": 20, "unacked": 24, "last_data_sent": 44, "pmtu": 60, "rtt": 68,
        "snd_cwnd": 80, "reordering": 88, "total_retrans": 100, "pacing_rate": 104,
        "bytes_acked": 120, "segs_out": 136, "min_rtt": 148, "delivery_rate": 160,
        "busy_time": 168, "delivered": 192, "bytes_sent": 200, "dsack_dups": 216,
        "snd_wnd": 228, "rehash": 236, "total_rto": 240, "total_rto_time": 244,
        "accecn_fail_mode": 276,
    }  # fmt: skip
    assert CODEC.size == 280
    for name, offset in declared.items():
        octets = CODEC.build(**{name: 0x55})
        assert octets[offset] == 0x55, name
        assert sum(octets) == 0x55, name
