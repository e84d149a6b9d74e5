"""Resets: which are believed (RFC 5961 §3.2, and what Linux adds), which are sent, and how."""

from __future__ import annotations

import pytest

from tapstack.tcp.segment import ACK, RST
from tapstack.tcp.state import State
from tests.tcp.test_acknowledging import Sender
from tests.tcp.test_state_segment_grid import T0, Peer


@pytest.mark.parametrize("state", ["CLOSE_WAIT", "LAST_ACK", "CLOSING"])
def test_a_peer_that_does_not_count_its_fin_is_believed_its_reset(state: str) -> None:
    peer = Peer(state, 1000)
    assert peer.inject(RST, peer.rcv_nxt - 1) == []
    assert peer.state() == "-"


@pytest.mark.parametrize("state", ["ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2"])
def test_before_a_fin_a_reset_below_the_window_is_none(state: str) -> None:
    peer = Peer(state, 1000)
    assert peer.inject(RST, peer.rcv_nxt - 1) == []
    assert peer.state() == state


@pytest.mark.parametrize(("sack", "ends"), [(True, True), (False, False)])
def test_a_reset_behind_the_last_text_beyond_a_gap_is_believed_with_sack(
    sack: bool, ends: bool
) -> None:
    sender = Sender(sack=sack)
    sender.text(1000, 1000)
    sender.text(3000, 1000)
    sender.text(2000, 0, RST)
    assert sender.tcb.state is State.ESTABLISHED
    sender.text(4000, 0, RST)
    assert (sender.tcb.state is State.CLOSED) == ends


@pytest.mark.parametrize("fin_acknowledged", [False, True])
def test_text_for_a_user_who_has_shut_both_ways_resets_the_peer(fin_acknowledged: bool) -> None:
    peer = Peer("ESTABLISHED", 1000)
    assert peer.tcb is not None
    peer.host.tcp.shutdown(peer.tcb, read=True, write=True)
    peer.host.tcp.flush(T0)
    peer.host.sent()
    ack = peer.snd_nxt + fin_acknowledged
    assert peer.inject(ACK, peer.rcv_nxt, ack, b"text") == ["R"]
    assert peer.state() == "-"
    assert peer.host.tcp.take_error(peer.tcb) != 0


def test_a_user_who_has_shut_reading_alone_still_has_text_acknowledged() -> None:
    peer = Peer("ESTABLISHED", 1000)
    assert peer.tcb is not None
    peer.host.tcp.shutdown(peer.tcb, read=True, write=False)
    assert peer.inject(ACK, peer.rcv_nxt, peer.snd_nxt, b"text") == ["."]
    assert peer.state() == "ESTABLISHED"
