"""Counters, reasons to drop, and errors: every name leads somewhere."""

import errno

import pytest

from tapstack.base.contracts import Offload
from tapstack.base.counters import NAMES, Counters
from tapstack.base.errors import Drop, MalformedPacket, os_error
from tapstack.base.trace import Tracer


def test_every_counter_starts_at_zero_and_has_one_name() -> None:
    counters = Counters()
    assert len(NAMES) == len(set(NAMES))
    assert counters == dict.fromkeys(NAMES, 0)
    assert counters.drops == {}


def test_a_misspelt_counter_cannot_hide() -> None:
    with pytest.raises(KeyError):
        Counters()["TcpInSeg"] += 1


@pytest.mark.parametrize("reason", Drop)
def test_a_drop_is_counted_under_its_reason_and_its_counters(reason: Drop) -> None:
    counters = Counters()
    counters.drop(reason)
    counters.drop(reason)

    assert counters.drops == {reason: 2}
    counted = {name: count for name, count in counters.items() if count}
    assert counted == dict.fromkeys(reason.counters, 2)


@pytest.mark.parametrize(
    ("reason", "names"),
    [
        (Drop.TCP_BAD_CHECKSUM, {"TcpInErrs", "TcpInCsumErrors"}),
        (Drop.UDP_BAD_CHECKSUM, {"UdpInErrors", "UdpInCsumErrors"}),
        (Drop.UDP_BUFFER_FULL, {"UdpInErrors", "UdpRcvbufErrors"}),
        (Drop.ICMP_BAD_CHECKSUM, {"IcmpInErrors", "IcmpInCsumErrors"}),
    ],
)
def test_what_linux_counts_among_all_errors_and_among_its_like(
    reason: Drop, names: set[str]
) -> None:
    assert set(reason.counters) == names


def test_reasons_are_distinct_and_say_what_was_wrong() -> None:
    # Two reasons with equal values would be one enum member under two names.
    assert len(Drop) == len(Drop.__members__)
    assert all(reason.meaning.partition(": ")[2] for reason in Drop)


def test_a_malformed_packet_says_its_reason() -> None:
    error = MalformedPacket(Drop.IP_BAD_CHECKSUM)
    assert error.reason is Drop.IP_BAD_CHECKSUM
    assert str(error) == "IPv4: wrong header checksum"


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ECONNREFUSED, ConnectionRefusedError),
        (errno.ECONNRESET, ConnectionResetError),
        (errno.EPIPE, BrokenPipeError),
        (errno.ETIMEDOUT, TimeoutError),
        (errno.EADDRINUSE, OSError),
    ],
)
def test_an_errno_makes_its_own_subclass(number: int, kind: type[OSError]) -> None:
    error = os_error(number)
    assert type(error) is kind
    assert error.errno == number
    assert error.strerror


def test_a_tracer_hands_lines_to_its_watcher_until_it_is_dismissed() -> None:
    tracer = Tracer()
    seen: list[tuple[str, str]] = []
    tracer.emit("tcp", "unseen")
    tracer.watch(frozenset({"tcp"}), lambda topic, line: seen.append((topic, line)))
    assert "tcp" in tracer.on
    tracer.emit("tcp", "seen")
    tracer.watch(frozenset(), None)
    tracer.emit("tcp", "unseen")

    assert seen == [("tcp", "seen")]
    assert not tracer.on


def test_offload_behind_a_header_counts_from_the_headers_first_octet() -> None:
    assert Offload(0, 16, 1448).behind(20).behind(14) == Offload(34, 16, 1448)
