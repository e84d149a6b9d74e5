"""The neighbour cache: Linux's states and times, queues and caps, in virtual time."""

import pytest
from hypothesis import event, given, strategies as st

from tapstack.arp.config import ArpConfig
from tapstack.arp.wire import REQUEST, ArpPacket
from tapstack.base.address import MAC_BROADCAST, MAC_ZERO
from tapstack.base.datagram_queue import OVERHEAD
from tapstack.base.errors import Drop
from tapstack.base.units import MILLISECOND, SECOND
from tests.eth.link import OTHER, OTHER_MAC, OUR_MAC, THEIR_MAC, THEM, US, Link

WHO_HAS_THEM = ArpPacket(REQUEST, OUR_MAC, US, MAC_ZERO, THEM)


def reachable_link(seed: int = 1) -> Link:
    """A link whose other station has just answered."""
    link = Link(seed=seed)
    link.send()
    link.reply()
    link.device.written.clear()
    assert link.state() == "REACHABLE"
    return link


def stale_link() -> Link:
    """A link whose other station answered a while ago."""
    link = reachable_link()
    link.run(46 * SECOND)
    assert link.state() == "STALE"
    return link


# --- asking ---


def test_the_first_datagram_asks_and_waits_and_goes_when_answered() -> None:
    link = Link()
    link.send(b"first")
    assert link.take_arp() == [(link.now, MAC_BROADCAST, WHO_HAS_THEM)]
    assert link.take_datagrams() == []
    assert link.state() == "INCOMPLETE"
    link.reply()
    assert link.take_datagrams() == [(THEIR_MAC, b"first")]
    link.send(b"second")
    assert link.take_datagrams() == [(THEIR_MAC, b"second")]
    assert link.take_arp() == []


def test_datagrams_that_waited_go_in_order_with_their_offload() -> None:
    link = Link()
    for number in range(5):
        link.send(bytes([number]))
    link.reply()
    assert [octets for _, octets in link.take_datagrams()] == [bytes([n]) for n in range(5)]


def test_a_neighbour_is_asked_thrice_a_second_apart_and_then_given_up() -> None:
    link = Link()
    start = link.now
    link.send(b"one")
    link.run(500 * MILLISECOND)
    link.send(b"two")  # asks no more than the first did
    link.run(10 * SECOND)
    assert [(when - start, to) for when, to, _ in link.take_arp()] == [
        (0, MAC_BROADCAST),
        (SECOND, MAC_BROADCAST),
        (2 * SECOND, MAC_BROADCAST),
    ]
    assert link.unreachable == [(start + 3 * SECOND, b"one"), (start + 3 * SECOND, b"two")]
    assert link.drops(Drop.ARP_UNRESOLVED) == 2
    assert link.counters["IpOutNoRoutes"] == 2
    assert link.interface.statistics.tx_dropped == 2
    assert link.state() == "FAILED"


def test_a_failed_neighbour_is_asked_for_anew_when_it_is_sent_to() -> None:
    link = Link()
    link.send()
    link.run(3 * SECOND)
    assert link.state() == "FAILED"
    link.take_arp()
    link.send(b"again")
    assert link.state() == "INCOMPLETE"
    assert len(link.take_arp()) == 1
    link.reply()
    assert link.take_datagrams() == [(THEIR_MAC, b"again")]


def test_a_neighbour_that_asks_us_meanwhile_has_answered() -> None:
    link = Link()
    link.send(b"waiting")
    link.request()
    assert link.take_datagrams() == [(THEIR_MAC, b"waiting")]
    # It has been sent to, and whether it hears us is not proved.
    assert link.state() == "DELAY"


def test_an_answer_to_all_resolves_without_proving_that_we_are_heard() -> None:
    link = Link()
    link.send(b"waiting")
    link.reply(to=MAC_BROADCAST)
    assert link.take_datagrams() == [(THEIR_MAC, b"waiting")]
    assert link.state() == "DELAY"


# --- the waiting queue ---


def test_the_oldest_waiting_datagram_gives_way_to_the_latest() -> None:
    link = Link(config=ArpConfig(unres_qlen_bytes=3 * (OVERHEAD + 100)))
    for number in range(5):
        link.send(bytes([number]) * 100)
    assert link.drops(Drop.ARP_QUEUE_FULL) == 2
    assert link.unreachable == []  # nobody failed to answer yet
    link.reply()
    assert [octets[0] for _, octets in link.take_datagrams()] == [2, 3, 4]


def test_the_latest_datagram_waits_whatever_its_length() -> None:
    link = Link(config=ArpConfig(unres_qlen_bytes=1000))
    link.send(b"short")
    link.send(bytes(60_000))
    link.reply()
    assert [len(octets) for _, octets in link.take_datagrams()] == [60_000]


@given(st.lists(st.integers(0, 70_000), max_size=30))
def test_waiting_octets_are_capped_and_let_go(lengths: list[int]) -> None:
    link = Link()
    limit = link.neighbours.config.unres_qlen_bytes
    for length in lengths:
        link.send(bytes(length))
        assert link.neighbour().waiting_octets <= limit
    link.run(3 * SECOND)
    if lengths:
        assert link.neighbour().waiting_octets == 0
        assert not link.neighbour().waiting
    dropped = link.drops(Drop.ARP_UNRESOLVED) + link.drops(Drop.ARP_QUEUE_FULL)
    assert dropped == len(lengths)


# --- ageing ---


@pytest.mark.parametrize("seed", range(20))
def test_a_neighbour_is_reachable_for_15_to_45_seconds(seed: int) -> None:
    link = reachable_link(seed)
    left = link.neighbour().time_left(link.now)
    assert left is not None
    assert 15 * SECOND <= left <= 45 * SECOND
    link.run(left - 1)
    assert link.state() == "REACHABLE"
    link.run(1)
    assert link.state() == "STALE"


def test_reachable_times_differ() -> None:
    lefts = {reachable_link(seed).neighbour().time_left(0) for seed in range(20)}
    assert len(lefts) > 10


def test_a_stale_neighbour_is_sent_to_at_once_and_asked_after_five_seconds() -> None:
    link = stale_link()
    start = link.now
    link.send(b"now")
    assert link.take_datagrams() == [(THEIR_MAC, b"now")]
    assert link.state() == "DELAY"
    link.run(5 * SECOND - 1)
    assert link.take_arp() == []
    link.run(1)
    assert link.state() == "PROBE"
    # RFC 1122 §2.3.2.1 (2), unicast poll: it alone is asked.
    assert link.take_arp() == [(start + 5 * SECOND, THEIR_MAC, WHO_HAS_THEM)]
    link.reply()
    assert link.state() == "REACHABLE"


def test_a_neighbour_that_is_gone_is_sent_to_until_three_probes_are_lost() -> None:
    link = stale_link()
    link.send()
    start = link.now
    link.run(7 * SECOND)
    link.take_datagrams()
    link.send(b"meanwhile")
    assert link.take_datagrams() == [(THEIR_MAC, b"meanwhile")]
    link.run(SECOND)
    assert link.state() == "FAILED"
    assert [when - start for when, _, _ in link.take_arp()] == [5 * SECOND, 6 * SECOND, 7 * SECOND]
    link.send(b"later")
    assert link.take_datagrams() == []
    assert [to for _, to, _ in link.take_arp()] == [MAC_BROADCAST]


@pytest.mark.parametrize("state", ["STALE", "FAILED"])
def test_a_neighbour_that_nobody_sends_to_is_forgotten(state: str) -> None:
    link = stale_link()
    if state == "FAILED":
        link.send()
        link.run(8 * SECOND)
    assert link.state() == state
    link.run(60 * SECOND)
    assert link.state() == "-"
    assert len(link.neighbours) == 0
    assert list(link.timers.armed()) == []


def test_an_answer_renews_a_reachable_neighbour() -> None:
    link = reachable_link()
    for _ in range(10):
        link.run(14 * SECOND)
        link.reply()
        assert link.state() == "REACHABLE"


# --- confirmation from above ---


@pytest.mark.parametrize("seconds_after_sending", [0, 1, 5])
def test_a_doubtful_neighbour_that_is_confirmed_is_not_asked(seconds_after_sending: int) -> None:
    link = stale_link()
    link.send()
    link.now += seconds_after_sending * SECOND
    link.send(confirmed=True)
    confirmed_at = link.now
    link.run((5 - seconds_after_sending) * SECOND)
    assert link.state() == "REACHABLE"
    assert link.take_arp() == []
    left = link.neighbour().time_left(confirmed_at)
    assert left is not None
    assert 15 * SECOND <= left <= 45 * SECOND


def test_confirmation_ends_the_asking() -> None:
    link = stale_link()
    link.send()
    link.run(5 * SECOND)
    assert link.state() == "PROBE"
    link.send(confirmed=True)
    link.run(10 * SECOND)
    assert link.state() == "REACHABLE"
    assert len(link.take_arp()) == 1


def test_a_neighbour_confirmed_again_and_again_is_never_asked() -> None:
    link = reachable_link()
    for _ in range(100):
        link.run(10 * SECOND)
        link.send(confirmed=True)
        assert link.state() == "REACHABLE"
    assert link.take_arp() == []


def test_a_neighbour_is_doubted_as_long_after_its_last_confirmation_as_after_an_answer() -> None:
    link = reachable_link()
    duration = link.neighbour().time_left(link.now)
    assert duration is not None
    link.run(10 * SECOND)
    link.send(confirmed=True)
    assert link.neighbour().time_left(link.now) == duration
    link.run(duration - 1)
    assert link.state() == "REACHABLE"
    link.run(1)
    assert link.state() == "STALE"


def test_confirmation_of_long_ago_does_not_count() -> None:
    link = reachable_link()
    link.send(confirmed=True)
    link.run(46 * SECOND)
    link.send()
    link.run(5 * SECOND)
    assert link.state() == "PROBE"


def test_what_was_confirmed_of_one_address_is_not_of_the_next() -> None:
    link = stale_link()
    link.send(confirmed=True)
    link.request(mac=OTHER_MAC)
    link.send()
    link.run(5 * SECOND)
    assert [to for _, to, _ in link.take_arp()][-1] == OTHER_MAC


def test_confirmation_makes_no_address_known() -> None:
    link = Link()
    link.send(confirmed=True)
    assert link.state() == "INCOMPLETE"
    link.run(3 * SECOND)
    assert link.state() == "FAILED"


# --- another address ---


def test_the_first_of_several_answers_holds_for_a_second() -> None:
    link = reachable_link()
    link.reply(mac=OTHER_MAC)
    assert link.neighbour().mac == THEIR_MAC
    link.run(SECOND)
    link.reply(mac=OTHER_MAC)
    assert link.neighbour().mac == OTHER_MAC
    assert link.state() == "REACHABLE"


def test_a_request_of_its_own_moves_a_neighbour_at_once() -> None:
    link = reachable_link()
    link.request(mac=OTHER_MAC)
    assert link.neighbour().mac == OTHER_MAC
    assert link.state() == "STALE"


def test_an_announcement_moves_a_neighbour_that_we_know() -> None:
    link = reachable_link()
    link.request(mac=OTHER_MAC, target=THEM)
    assert link.neighbour().mac == OTHER_MAC
    assert link.state() == "STALE"


def test_its_own_request_does_not_unsettle_a_reachable_neighbour() -> None:
    link = reachable_link()
    left = link.neighbour().time_left(link.now)
    link.request()
    assert link.state() == "REACHABLE"
    assert link.neighbour().time_left(link.now) == left


# --- by hand ---


def test_a_permanent_neighbour_is_sent_to_and_never_changes() -> None:
    link = Link()
    link.neighbours.add_permanent(THEM, THEIR_MAC, link.now)
    link.send(b"datagram")
    link.request(mac=OTHER_MAC)
    link.reply(mac=OTHER_MAC)
    link.send(b"another", confirmed=True)
    link.run(1000 * SECOND)
    assert link.take_datagrams() == [(THEIR_MAC, b"datagram"), (THEIR_MAC, b"another")]
    assert link.state() == "PERMANENT"
    assert link.neighbour().mac == THEIR_MAC
    assert link.neighbour().time_left(link.now) is None


def test_setting_a_neighbour_by_hand_sends_what_waits_for_it() -> None:
    link = Link()
    link.send(b"waiting")
    link.neighbours.add_permanent(THEM, THEIR_MAC, link.now)
    assert link.take_datagrams() == [(THEIR_MAC, b"waiting")]
    link.run(10 * SECOND)
    assert len(link.take_arp()) == 1  # the one before it was set


def test_a_removed_neighbour_is_gone_with_what_waits_for_it() -> None:
    link = Link()
    link.send(b"waiting")
    assert link.neighbours.remove(THEM, link.now)
    assert not link.neighbours.remove(THEM, link.now)
    assert link.state() == "-"
    assert link.unreachable == [(link.now, b"waiting")]
    assert list(link.timers.armed()) == []


def test_a_table_full_of_permanent_neighbours_takes_no_more() -> None:
    link = Link(config=ArpConfig(gc_thresh3=2))
    for address in (THEM, OTHER):
        link.neighbours.add_permanent(address, THEIR_MAC, link.now)
    with pytest.raises(OSError, match="No buffer space available"):
        link.neighbours.add_permanent(0x0A000009, OTHER_MAC, link.now)
    link.send(to=0x0A000009)
    assert link.drops(Drop.ARP_TABLE_FULL) == 1
    assert link.take_arp() == []


# --- caps ---


def test_a_flood_of_senders_pushes_out_no_neighbour_that_we_use() -> None:
    link = Link(config=ArpConfig(gc_thresh3=8))
    link.send()
    link.reply()
    link.run(2 * SECOND)
    for number in range(10_000):
        link.request(sender=0x0A000100 + number, mac=OTHER_MAC)
    assert len(link.neighbours) == 8
    assert link.state() == "REACHABLE"


def test_a_flood_of_senders_fills_no_timer_queue() -> None:
    link = Link(config=ArpConfig(gc_thresh3=8))
    for number in range(10_000):
        link.request(sender=0x0A000100 + number, mac=OTHER_MAC)
    assert len(list(link.timers.armed())) == 8
    assert link.timers.entries < 100  # stale entries take memory as well


def test_the_least_recently_used_neighbour_makes_room() -> None:
    link = Link(config=ArpConfig(gc_thresh3=3))
    addresses = [THEM, OTHER, 0x0A000004]
    for address in addresses:
        link.send(to=address)
        link.reply(sender=address)
    link.run(2 * SECOND)
    link.send(to=THEM)
    link.send(to=0x0A000005)
    assert [neighbour.address for neighbour in link.neighbours] == [THEM, 0x0A000004, 0x0A000005]


def test_who_was_asked_for_within_the_second_makes_no_room() -> None:
    link = Link(config=ArpConfig(gc_thresh3=2))
    for address in (THEM, OTHER, 0x0A000004):
        link.send(to=address)
    assert link.drops(Drop.ARP_TABLE_FULL) == 1
    assert link.state(THEM) == link.state(OTHER) == "INCOMPLETE"
    assert link.interface.statistics.tx_dropped == 1


def test_who_was_asked_for_within_the_second_stays_though_it_answered() -> None:
    link = Link(config=ArpConfig(gc_thresh3=1))
    link.send()
    link.reply()
    link.send(to=OTHER)
    assert link.drops(Drop.ARP_TABLE_FULL) == 1
    assert link.state() == "REACHABLE"
    link.run(SECOND)
    link.send(to=OTHER)
    assert link.state() == "-"
    assert link.state(OTHER) == "INCOMPLETE"


def test_no_neighbour_makes_room_while_datagrams_wait_for_it() -> None:
    link = Link(config=ArpConfig(gc_thresh3=1))
    link.send(b"waiting")
    link.now += SECOND  # a datagram may come before the deadlines of its instant are met
    link.send(to=OTHER)
    assert link.drops(Drop.ARP_TABLE_FULL) == 1
    link.reply()
    assert link.take_datagrams() == [(THEIR_MAC, b"waiting")]


events = st.lists(
    st.tuples(
        st.sampled_from(["send", "reply", "request", "announce", "confirm", "wait"]),
        st.integers(THEM, THEM + 7),
        st.sampled_from([THEIR_MAC, OTHER_MAC]),
        st.sampled_from([1, 300 * MILLISECOND, SECOND, 5 * SECOND, 40 * SECOND]),
    ),
    max_size=80,
)


@given(events)
def test_whatever_happens_caps_hold_and_nobody_is_asked_twice_a_second(
    happenings: list[tuple[str, int, bytes, int]],
) -> None:
    link = Link(config=ArpConfig(gc_thresh3=4, unres_qlen_bytes=2000))
    asked: dict[int, int] = {}
    for what, address, mac, duration in happenings:
        if what == "send":
            link.send(bytes(700), to=address)
        elif what == "reply":
            link.reply(sender=address, mac=mac)
        elif what == "request":
            link.request(sender=address, mac=mac)
        elif what == "announce":
            link.request(sender=address, mac=mac, target=address)
        elif what == "confirm":
            link.send(bytes(700), to=address, confirmed=True)
        else:
            link.run(duration)
        assert len(link.neighbours) <= 4
        assert all(neighbour.waiting_octets <= 2000 for neighbour in link.neighbours)
        for when, _, packet in link.take_arp():
            if packet.operation == REQUEST:
                assert when - asked.get(packet.target_ip, -SECOND) >= SECOND
                asked[packet.target_ip] = when
    link.run(200 * SECOND)
    assert len(link.neighbours) == 0
    assert list(link.timers.armed()) == []


@given(events)
def test_every_datagram_is_sent_once_or_given_up_once(
    happenings: list[tuple[str, int, bytes, int]],
) -> None:
    link = Link(config=ArpConfig(gc_thresh3=4, unres_qlen_bytes=2000))
    count = 0
    for what, address, mac, duration in happenings:
        if what == "send":
            link.send(bytes([count]) * 700, to=address)
            count += 1
        elif what == "reply":
            link.reply(sender=address, mac=mac)
        elif what == "wait":
            link.run(duration)
    link.run(200 * SECOND)
    sent = [octets[0] for _, octets in link.take_datagrams()]
    assert len(set(sent)) == len(sent)
    assert len(sent) + link.interface.statistics.tx_dropped == count


# --- the shell's view ---


def test_neighbours_are_listed_by_address_with_state_and_time_left() -> None:
    link = Link()
    link.neighbours.add_permanent(OTHER, OTHER_MAC, link.now)
    link.send(to=0x0A000009)
    link.request()
    link.run(500 * MILLISECOND)
    listed = [(each.address, each.state.name, each.time_left(link.now)) for each in link.neighbours]
    assert listed == [
        (THEM, "STALE", 59_500 * MILLISECOND),
        (OTHER, "PERMANENT", None),
        (0x0A000009, "INCOMPLETE", 500 * MILLISECOND),
    ]


def test_changes_of_state_are_traced() -> None:
    link = Link()
    link.watch()
    link.send()
    link.reply()
    assert link.traced("arp") == [
        "neighbour 10.0.0.2 NONE -> INCOMPLETE",
        "> Request who-has 10.0.0.2 tell 10.0.0.1, length 28",
        "< Reply 10.0.0.2 is-at 02:00:00:00:00:02, length 28",
        "neighbour 10.0.0.2 INCOMPLETE -> REACHABLE",
    ]


# --- who was sent to last ---

ACTS = st.lists(
    st.tuples(
        st.sampled_from(["ready", "send", "reply", "request", "set", "remove", "run"]),
        st.sampled_from([THEM, OTHER, 0x0A000004]),
        st.sampled_from([THEIR_MAC, OTHER_MAC]),
        st.sampled_from([MILLISECOND, SECOND, 50 * SECOND]),
    ),
    max_size=30,
)


@given(ACTS)
def test_whoever_is_kept_as_the_latest_is_what_asking_again_would_give(
    acts: list[tuple[str, int, bytes, int]],
) -> None:
    link = Link(config=ArpConfig(gc_thresh3=2))
    cache, kept = link.neighbours, 0
    for act, address, mac, time in acts:
        if act == "ready":
            assert cache.ready(address) in (None, cache.latest)
        elif act == "send":
            link.send(to=address)
        elif act == "reply":
            link.reply(sender=address, mac=mac)
        elif act == "request":
            link.request(sender=address, mac=mac)
        elif act == "set" and len(cache) < 2:
            cache.add_permanent(address, mac, link.now)
        elif act == "remove":
            cache.remove(address, link.now)
        else:
            link.run(time)
        latest, order = cache.latest, list(cache._table)
        if latest is not None:
            kept += 1
            assert cache.ready(latest.address) is latest
            assert list(cache._table) == order
    event(f"kept after so many acts: {min(kept, 5)}")
