"""ss: the table to the column, and the rows of a live stack."""

from dataclasses import replace

import pytest

from tapstack import socket
from tapstack.base.address import ANY_ENDPOINT, parse_endpoint
from tapstack.shell.command import UsageError
from tapstack.shell.ss_filters import read_filter
from tapstack.shell.ss_insides import insides
from tapstack.shell.ss_rows import format_time_left
from tapstack.shell.ss_table import Row, render
from tapstack.tcp.info import OPT_SACK, OPT_TIMESTAMPS, OPT_WSCALE, TcpInfo
from tests.shell.conftest import Shell

UDP = Row("udp", "UNCONN", 0, 0, parse_endpoint("127.0.0.1:5001"), ANY_ENDPOINT)
LISTENER = Row("tcp", "LISTEN", 0, 1, parse_endpoint("127.0.0.1:5000"), ANY_ENDPOINT)
CONNECTION = Row(
    "tcp", "ESTAB", 0, 0, parse_endpoint("127.0.0.1:5000"), parse_endpoint("127.0.0.1:35876")
)


def test_an_empty_table_is_its_header() -> None:
    assert render([]) == ["Netid State Recv-Q Send-Q Local Address:Port Peer Address:PortProcess"]


def test_columns_are_as_wide_as_what_stands_in_them() -> None:
    other_end = replace(CONNECTION, local=CONNECTION.remote, remote=CONNECTION.local)
    assert render([UDP, LISTENER, CONNECTION, other_end]) == [
        "Netid State  Recv-Q Send-Q Local Address:Port  Peer Address:Port Process",
        "udp   UNCONN 0      0          127.0.0.1:5001       0.0.0.0:*",
        "tcp   LISTEN 0      1          127.0.0.1:5000       0.0.0.0:*",
        "tcp   ESTAB  0      0          127.0.0.1:5000     127.0.0.1:35876",
        "tcp   ESTAB  0      0          127.0.0.1:35876    127.0.0.1:5000",
    ]


def test_without_its_header_the_table_is_narrower() -> None:
    assert render([LISTENER], header=False, netid=False) == [
        "LISTEN 0      1      127.0.0.1:5000 0.0.0.0:*"
    ]


def test_columns_that_say_nothing_are_left_out() -> None:
    assert render([CONNECTION], netid=False, state=False)[0].startswith("Recv-Q Send-Q Local")


def test_details_stand_on_a_line_of_their_own_unless_told() -> None:
    detailed = replace(CONNECTION, timer=" timer:(on,204ms,0)", details="ts sack")
    assert render([detailed], header=False, netid=False) == [
        "ESTAB 0      0      127.0.0.1:5000 127.0.0.1:35876 timer:(on,204ms,0)\n\t ts sack"
    ]
    assert render([detailed], header=False, netid=False, one_line=True) == [
        "ESTAB 0      0      127.0.0.1:5000 127.0.0.1:35876 timer:(on,204ms,0) ts sack"
    ]


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, "000ms"),
        (4_000, "004ms"),
        (204_000, "204ms"),
        (1_204_000, "1.204ms"),
        (2_000_000, "2sec"),
        (57_900_000, "57sec"),
        (60_000_000, "1min"),
        (65_500_000, "1min5sec"),
        (599_000_000, "9min59sec"),
        (7_199_000_000, "119min"),
    ],
)
def test_time_left_is_written_as_ss_writes_it(time: int, text: str) -> None:
    assert format_time_left(time) == text


@pytest.fixture
def sockets(shell: Shell):
    """A listener, a connection with three octets under way to its reader, a UDP socket."""
    listener = socket.create_server(("127.0.0.1", 5000), backlog=7)
    client = socket.create_connection(("127.0.0.1", 5000))
    accepted, _ = listener.accept()
    client.sendall(b"abc")
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 5001))
    yield client, accepted
    for each in (listener, client, accepted, datagrams):
        each.close()


def lines_of(shell: Shell, *words: str) -> list[list[str]]:
    return [line.split() for line in shell.output_of("ss", *words).splitlines()]


def test_a_live_stack_is_shown_as_it_is(shell: Shell, sockets) -> None:
    port = str(sockets[0].getsockname()[1])
    assert lines_of(shell, "-t", "-H") == [
        ["ESTAB", "0", "0", f"127.0.0.1:{port}", "127.0.0.1:5000"],
        ["ESTAB", "3", "0", "127.0.0.1:5000", f"127.0.0.1:{port}"],
    ]
    assert lines_of(shell, "-tlH") == [["LISTEN", "0", "7", "127.0.0.1:5000", "0.0.0.0:*"]]
    assert lines_of(shell, "-ulH") == [["UNCONN", "0", "0", "127.0.0.1:5001", "0.0.0.0:*"]]
    assert [line[:2] for line in lines_of(shell, "-aH")] == [
        ["udp", "UNCONN"],
        ["tcp", "LISTEN"],
        ["tcp", "ESTAB"],
        ["tcp", "ESTAB"],
    ]
    assert lines_of(shell, "-u") == [
        "Recv-Q Send-Q Local Address:Port Peer Address:PortProcess".split()
    ]


def test_sockets_are_chosen_by_state_and_address(shell: Shell, sockets) -> None:
    """Where all are in one state, that is left out."""
    port = sockets[0].getsockname()[1]
    opening = ["0", "0", f"127.0.0.1:{port}", "127.0.0.1:5000"]
    assert lines_of(shell, "-tH", "state", "established", "dport", "=", ":5000") == [opening]
    assert lines_of(shell, "-H", "state", "listening") == [
        ["tcp", "0", "7", "127.0.0.1:5000", "0.0.0.0:*"]
    ]
    assert lines_of(shell, "-tH", "dst", "127.0.0.1:5000", "-n") == [["ESTAB", *opening]]
    assert len(lines_of(shell, "-aH", "src", "127.0.0.0/8")) == 4
    assert lines_of(shell, "-tH", "sport", "=", ":1") == lines_of(shell, "-H", "state", "bucket")
    assert lines_of(shell, "-tuapn4H") == lines_of(shell, "--tcp", "--udp", "--all", "--no-header")


def titled(line: str) -> list[str]:
    """Give the states of the rows that a filter takes."""
    chosen = read_filter(line.split())
    return [row.state for row in (UDP, LISTENER, CONNECTION) if chosen.takes(row)]


@pytest.mark.parametrize(
    ("line", "states"),
    [
        ("", "UNCONN LISTEN ESTAB"),
        ("state established", "ESTAB"),
        ("state LISTENING state unconnected", "UNCONN LISTEN"),
        ("state all exclude listening", "UNCONN ESTAB"),
        ("exclude listening", "UNCONN ESTAB"),
        ("state connected", "ESTAB"),
        ("state bucket", ""),
        ("sport = :5000", "LISTEN ESTAB"),
        ("sport == 5000", "LISTEN ESTAB"),
        ("sport eq *:5000", "LISTEN ESTAB"),
        ("sport :5000", "LISTEN ESTAB"),
        ("sport=:5000", "LISTEN ESTAB"),
        ("sport != :5000", "UNCONN"),
        ("dport > :1024", "ESTAB"),
        ("dport ge 35876", "ESTAB"),
        ("dport gt 35876", ""),
        ("sport le :5000", "LISTEN ESTAB"),
        ("sport < 5001", "LISTEN ESTAB"),
        ("dst 127.0.0.1", "ESTAB"),
        ("dst = 127.0.0.0/8", "ESTAB"),
        ("src 127.0.0.1:5001", "UNCONN"),
        ("src *:5001", "UNCONN"),
        ("src :5001", "UNCONN"),
        ("src *", "UNCONN LISTEN ESTAB"),
        ("not sport = :5000", "UNCONN"),
        ("! ( sport = :5000 )", "UNCONN"),
        ("(sport = :5000)", "LISTEN ESTAB"),
        ("sport = :5000 dport = :35876", "ESTAB"),
        ("sport = :5001 or dport = :35876", "UNCONN ESTAB"),
        ("sport = :5001 || dport = :35876 && sport = :5000", "ESTAB"),
        ("sport = :5001 or ( dport = :35876 and sport = :5000 )", "UNCONN ESTAB"),
        ("not sport = :5000 or dport = :35876", "UNCONN ESTAB"),
        ("state established ( sport = :5000 or dport = :5000 )", "ESTAB"),
    ],
)
def test_a_filter_is_read_as_ss_reads_it(line: str, states: str) -> None:
    assert titled(line) == states.split()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("state foo", "ss: 'foo' is no state such as established, time-wait or listening"),
        ("state", "ss: something is missing at the end of the filter"),
        ("sport =", "ss: something is missing at the end of the filter"),
        ("sport = :5000 and", "ss: something is missing at the end of the filter"),
        ("sport = :http", "ss: 'http' is no port from 0 to 65535; names are not looked up"),
        ("sport = 65536", "ss: '65536' is no port from 0 to 65535; names are not looked up"),
        ("sport = 1.2.3.4:5", "ss: '1.2.3.4:5' is no port from 0 to 65535; names are not looked"),
        ("dst 10.0.0.300", "ss: '10.0.0.300' is no address such as 10.0.0.1, 10.0.0.0/24 or 10."),
        ("dst localhost", "ss: 'localhost' is no address such as 10.0.0.1, 10.0.0.0/24 or 10."),
        ("( sport = :1", "ss: a '(' of the filter has no ')'"),
        ("sport = :1 )", "ss: a ')' of the filter has no '('"),
        ("cgroup /x", "ss: 'cgroup' is none of src, dst, sport and dport, or of state and exclude"),
        ("sport = :1 state all", "ss: 'state' is none of src, dst, sport and dport, or of state"),
    ],
)
def test_a_mistaken_filter_is_told_in_one_sentence(line: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_filter(line.split())
    assert str(refused.value).startswith(sentence)


def test_the_insides_of_a_connection_can_be_seen(shell: Shell, sockets) -> None:
    text = shell.output_of("ss", "-tiH")
    for word in ("\n\t ts sack ", " wscale:", " rto:", " mss:", " pmtu:65535 ", " cwnd:10"):
        assert word in text


def test_the_insides_are_told_in_the_words_of_ss() -> None:
    info = TcpInfo(
        state=1,
        options=OPT_TIMESTAMPS + OPT_SACK + OPT_WSCALE,
        snd_wscale=7,
        rcv_wscale=8,
        rto=408_000,
        backoff=1,
        rtt=20_000,
        rttvar=10_500,
        snd_mss=1448,
        rcv_mss=536,
        advmss=1448,
        pmtu=1500,
        snd_cwnd=10,
        snd_ssthresh=7,
        bytes_sent=3000,
        bytes_retrans=1448,
        bytes_acked=1449,
        segs_out=5,
        segs_in=4,
        data_segs_out=3,
        last_data_sent=92,
        delivery_rate=72_400,
        delivered=2,
        app_limited=1,
        busy_time=304_000,
        rwnd_limited=212_000,
        unacked=2,
        retrans=1,
        total_retrans=1,
        lost=1,
        reordering=9,
        rcv_space=14_480,
        rcv_ssthresh=64_088,
        notsent_bytes=77,
        min_rtt=19_250,
        snd_wnd=64_256,
    )
    assert insides(info, "cubic") == (
        "ts sack cubic wscale:7,8 rto:408 backoff:1 rtt:20/10.5 mss:1448 pmtu:1500 rcvmss:536 "
        "advmss:1448 cwnd:10 ssthresh:7 bytes_sent:3000 bytes_retrans:1448 bytes_acked:1449 "
        "segs_out:5 segs_in:4 data_segs_out:3 send 5792000bps lastsnd:92 delivery_rate 579200bps "
        "delivered:2 app_limited busy:304ms rwnd_limited:212ms(69.7%) unacked:2 retrans:1/1 lost:1 "
        "reordering:9 rcv_space:14480 rcv_ssthresh:64088 notsent:77 minrtt:19.25 snd_wnd:64256"
    )


def test_the_sequence_variables_have_their_names_of_the_rfc(shell: Shell, sockets) -> None:
    tcb = next(iter(shell.runtime.stack.tcp.connections))
    text = shell.output_of("ss", "-teH")
    assert f"SND.UNA:{tcb.snd_una} SND.NXT:{tcb.snd_nxt} SND.WND:{tcb.snd_wnd} " in text
    assert f"RCV.NXT:{tcb.rcv_nxt} " in text


def test_memory_is_what_linux_counts(shell: Shell, sockets) -> None:
    text = shell.output_of("ss", "-tmH")
    # The three octets stand in the smallest piece of memory there is, 576, beside its record, 256.
    assert "skmem:(r832,rb" in text
    assert ",w0)" in text
    assert "skmem:(r0,rb212992)" in shell.output_of("ss", "-ulmH")


def test_timers_show_what_is_waited_for(shell: Shell, sockets) -> None:
    client, accepted = sockets
    client.close()
    accepted.recv(10)
    accepted.close()
    assert "timer:(timewait,59sec,0)" in shell.output_of("ss", "-taoH")


def test_what_is_over_soon_is_shown_only_with_everything(shell: Shell, sockets) -> None:
    client, accepted = sockets
    client.close()
    accepted.recv(10)
    accepted.close()
    assert lines_of(shell, "-tH") == []
    assert [line[0] for line in lines_of(shell, "-taH")] == ["LISTEN", "TIME-WAIT"]


def test_the_summary_counts(shell: Shell, sockets) -> None:
    assert shell.output_of("ss", "-s").splitlines() == [
        "Total: 4",
        "TCP:   3 (estab 2, closed 0, orphaned 0, timewait 0)",
        "",
        "Transport Total     IP        IPv6",
        "RAW\t  0         0         0",
        "UDP\t  1         1         0",
        "TCP\t  3         3         0",
        "INET\t  4         4         0",
        "FRAG\t  0         0         0",
    ]
