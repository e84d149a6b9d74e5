"""Settings that change one thing each: D-SACK, timestamps' offset, the least round trip's age."""

from __future__ import annotations

import pytest

from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.rtt import RttEstimator
from tapstack.tcp.segment import ACK, Options, SackBlock, Segment, Timestamps
from tests.tcp.pair import Host
from tests.tcp.test_syn_queue import IRS, T0, final_ack, listening, syn

BEGIN = IRS + 1


def established(config: TcpConfig) -> tuple[Host, Segment]:
    host, _ = listening(config=config)
    (syn_ack,) = syn(host, options=Options(mss=1000, sack_permitted=True))
    final_ack(host, syn_ack)
    return host, syn_ack


@pytest.mark.parametrize("dsack", [True, False])
def test_text_that_comes_twice_is_told_of_only_if_wanted(dsack: bool) -> None:
    host, syn_ack = established(TcpConfig(tcp_dsack=dsack))
    ack = syn_ack.seq + 1

    def text(begin: int) -> tuple[SackBlock, ...]:
        seq = BEGIN + begin
        (answer,) = host.inject(T0, flags=ACK, seq=seq, ack=ack, text=bytes(100))
        return answer.options.sack

    assert text(0) == ()
    assert text(0) == ((SackBlock(BEGIN, BEGIN + 100),) if dsack else ())
    beyond = SackBlock(BEGIN + 500, BEGIN + 600)
    assert text(500) == (beyond,)
    assert text(500) == ((beyond, beyond) if dsack else (beyond,))


@pytest.mark.parametrize("cookies", [1, 2])
def test_timestamps_have_no_random_offset_where_2_is_set(cookies: int) -> None:
    config = TcpConfig(tcp_timestamps=2, tcp_syncookies=cookies)
    host, _ = listening(config=config)
    (answer,) = syn(host, options=Options(mss=1000, timestamps=Timestamps(7, 0)))
    assert answer.options.timestamps is not None
    # a cookie keeps what was agreed on in the lowest bits
    assert abs(answer.options.timestamps.value - T0 // MILLISECOND) < 64
    assert answer.options.timestamps.echo == 7


def test_timestamps_can_be_left_out() -> None:
    host, _ = listening(config=TcpConfig(tcp_timestamps=0))
    (answer,) = syn(host, options=Options(mss=1000, timestamps=Timestamps(7, 0)))
    assert answer.options.timestamps is None


def test_the_least_round_trip_is_forgotten_after_the_time_that_is_set() -> None:
    rtt = RttEstimator(200 * MILLISECOND, 120 * SECOND, 10 * SECOND)
    rtt.observe(5 * MILLISECOND, 0)
    rtt.observe(9 * MILLISECOND, 10 * SECOND)
    assert rtt.min_rtt == 5 * MILLISECOND
    rtt.observe(9 * MILLISECOND, 10 * SECOND + 1)
    assert rtt.min_rtt == 9 * MILLISECOND


def test_a_connection_takes_it_from_the_settings() -> None:
    host, _ = established(TcpConfig(tcp_min_rtt_wlen=7))
    (tcb,) = host.tcp.connections
    assert tcb.rtt.min_rtt_lifetime == 7 * SECOND
