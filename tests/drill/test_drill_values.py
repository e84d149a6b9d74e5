"""Names stand for Linux's numbers, and expressions come to what C makes of them."""

import errno
import fcntl
import os
import select
import socket
import sys
from types import ModuleType

import pytest
from hypothesis import given, strategies as st

from tapstack.drill.language.parser import parse
from tapstack.drill.language.symbols import CODE_NAMES, NUMBERS, bits_text, errno_name
from tapstack.drill.language.syntax import Expression, ScriptError, SystemCall, UnsupportedError
from tapstack.drill.language.values import number_of, quote, unparse


def expression(written: str) -> Expression:
    action = parse(f"0 f({written}) = 0", "x").events[0].action
    assert isinstance(action, SystemCall)
    return action.arguments[0]


@pytest.mark.skipif(sys.platform != "linux", reason="the library has its own system's numbers")
@pytest.mark.parametrize("module", [socket, select, fcntl, os, errno])
def test_the_names_that_the_library_knows_too_have_its_numbers(module: ModuleType) -> None:
    both = [name for name in NUMBERS if hasattr(module, name) and name != "O_LARGEFILE"]
    assert both
    assert [(n, NUMBERS[n]) for n in both] == [(n, int(getattr(module, n))) for n in both]


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("TCP_TX_DELAY", 37),
        ("TCP_CM_INQ", 36),
        ("TCP_DELACK_MAX_US", 46),
        ("SO_TXREHASH", 74),
        ("SO_INQ", 84),
        ("MSG_ZEROCOPY", 0x4000000),
        ("MSG_SPLICE_PAGES", 0x8000000),
        ("SOF_TIMESTAMPING_OPT_ID_TCP", 1 << 16),
        ("SCM_TSTAMP_ACK", 2),
        ("SO_EE_ORIGIN_TIMESTAMPING", 4),
        ("SIOCOUTQNSD", 0x894B),
        ("SIOCATMARK", 0x8905),
        ("TCP_NEW_SYN_RECV", 12),
        ("TCP_CA_Loss", 4),
        ("TCPI_OPT_SYN_DATA", 32),
        ("TCP_NLA_REHASH", 27),
        ("IP_LOCAL_PORT_RANGE", 51),
        ("EPOLLEXCLUSIVE", 1 << 28),
        ("ENOTSUPP", 524),
        ("EOPNOTSUPP", 95),
        ("EDEADLK", 35),
        ("SOL_MPTCP", 284),
    ],
)
def test_younger_names_have_linux_numbers(name: str, number: int) -> None:
    assert number_of(expression(name)) == number


def test_code_knows_the_states() -> None:
    assert CODE_NAMES["TCP_ESTABLISHED"] == 1
    assert CODE_NAMES["TCP_CA_Recovery"] == 3
    assert CODE_NAMES["TCPI_OPT_ECN"] == 8
    assert "TCP_NODELAY" not in CODE_NAMES


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("-1", -1),
        ("0x10", 16),
        ("POLLIN|POLLOUT|0x40", 0x45),
        ("SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC", 0o2004001),
        ("htons(8080)", socket.htons(8080)),
        ("htonl(1)", socket.htonl(1)),
        ("ntohs(htons(8080))", 8080),
        (
            'inet_addr("192.0.2.1")',
            int.from_bytes(socket.inet_aton("192.0.2.1"), sys.byteorder),
        ),
    ],
)
def test_expressions_come_to_numbers(written: str, number: int) -> None:
    assert number_of(expression(written)) == number


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("AF_INNET", "the name 'AF_INNET' stands for no number; is 'AF_INET' meant?"),
        ("foo", "the name 'foo' stands for no number"),
        ("...", "expected a number, found '...'"),
        ('"a"', "expected a number, found a string"),
        ("[1]", "expected a number, found a list [...]"),
        ("{1}", "expected a number, found a struct {...}"),
        ("a=1", "expected a number, found 'a=...'"),
        ("htons(70000)", "70000 does not fit in 16 bits"),
        ("htons()", "htons takes one argument, a number"),
        ("inet_addr(1)", "inet_addr takes one argument, a string"),
        ('inet_addr("1.2.3")', "'1.2.3' is not an IPv4 address such as 10.0.0.1"),
        ("hton(1)", "there is no function 'hton' to compute with; is 'htons' meant?"),
    ],
)
def test_what_is_no_number_is_refused_in_place(written: str, message: str) -> None:
    with pytest.raises(ScriptError) as caught:
        number_of(expression(f"1|{written}") if written[0] not in "a" else expression(written))
    assert caught.value.message == message
    assert caught.value.position.line == 1


@pytest.mark.parametrize(
    "written", ["SCTP_NODELAY", "TCP_NOPUSH", 'inet6_addr("::1")', 'inet_addr("::1")']
)
def test_what_other_systems_and_protocols_have_is_unsupported(written: str) -> None:
    with pytest.raises(UnsupportedError):
        number_of(expression(written))


def test_numbers_are_shown_by_their_names() -> None:
    assert bits_text(5, "POLL") == "POLLIN|POLLOUT"
    assert bits_text(0x80000001, "EPOLL") == "EPOLLIN|EPOLLET"
    assert bits_text(0x1001, "POLL") == "POLLIN|0x1000"
    assert bits_text(0, "POLL") == "0"
    assert errno_name(11) == "EAGAIN"
    assert errno_name(524) == "ENOTSUPP"
    assert errno_name(9999) == "9999"


@pytest.mark.parametrize(
    "written",
    [
        "...",
        "-5",
        "A|2",
        '"a\\n\\x00"...',
        "[1, {fd=3, events=POLLIN}]",
        'f(1, inet_addr("1.2.3.4"))',
        "msg_iov(1)=[{..., 9}]",
    ],
)
def test_expressions_are_written_as_scripts_have_them(written: str) -> None:
    assert unparse(expression(written)) == written


@given(st.binary(max_size=40))
def test_a_quoted_string_reads_as_it_was(octets: bytes) -> None:
    text = expression(quote(octets))
    assert text[1:] == (octets, False)
