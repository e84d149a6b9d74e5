"""A bad link is bad as described, the same each time, and loses nothing that it should not."""

from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from tapstack.base.contracts import Frame
from tapstack.device.disorder import HELD_BACK
from tapstack.device.impairment import (
    QUEUE_LENGTH,
    USAGE,
    ImpairedDevice,
    Impairments,
    OneWay,
    parse_impairments,
)
from tests.device.units import ListDevice, joined, naive_sum, read_wire, tcp_unit

GOOD = OneWay()
MS = 1000


def outbound(impairment: OneWay, seed: int = 0) -> tuple[ImpairedDevice, ListDevice]:
    below = ListDevice()
    return ImpairedDevice(below, Impairments(impairment, GOOD, seed)), below


def inbound(impairment: OneWay, seed: int = 0) -> tuple[ImpairedDevice, ListDevice]:
    below = ListDevice()
    return ImpairedDevice(below, Impairments(GOOD, impairment, seed)), below


def numbered(count: int) -> list[Frame]:
    return [Frame((bytes(12) + b"\x08\0" + number.to_bytes(2, "big"),)) for number in range(count)]


def numbers(frames: Sequence[Frame]) -> list[int]:
    return [int.from_bytes(joined(frame)[14:], "big") for frame in frames]


def drain(device: ImpairedDevice, now: int) -> list[Frame]:
    frames = []
    while frame := device.read(now):
        frames.append(frame)
    return frames


# --- what is described happens -------------------------------------------------------------------


def test_a_good_link_changes_nothing() -> None:
    device, below = outbound(GOOD)
    for frame in numbered(50):
        device.write(frame, 0)
    below.arriving.extend(numbered(50))
    assert numbers(below.sent) == numbers(drain(device, 0)) == list(range(50))
    assert device.next_deadline() is None


def test_frames_are_lost_about_as_often_as_described() -> None:
    device, below = outbound(OneWay(loss=0.25))
    for frame in numbered(2000):
        device.write(frame, 0)
    assert 1400 < len(below.sent) < 1600
    assert numbers(below.sent) == sorted(numbers(below.sent))


def test_each_direction_has_its_own_impairment() -> None:
    device, below = inbound(OneWay(loss=0.25))
    below.arriving.extend(numbered(2000))
    for frame in numbered(2000):
        device.write(frame, 0)
    received = numbers(drain(device, 0))
    assert 1400 < len(received) < 1600
    assert received == sorted(received)
    assert len(below.sent) == 2000


def test_frames_are_duplicated_about_as_often_as_described() -> None:
    device, below = outbound(OneWay(duplication=0.5))
    for frame in numbered(1000):
        device.write(frame, 0)
    assert 1400 < len(below.sent) < 1600
    assert sorted(set(numbers(below.sent))) == list(range(1000))


def test_a_delayed_frame_comes_when_it_is_due_and_not_before() -> None:
    device, below = inbound(OneWay(delay=20 * MS))
    below.arriving.extend(numbered(2))
    assert device.read(100) is None
    assert device.next_deadline() == 100 + 20 * MS
    assert device.read(99 + 20 * MS) is None
    assert numbers(drain(device, 100 + 20 * MS)) == [0, 1]
    assert device.next_deadline() is None


def test_a_delayed_frame_leaves_at_the_read_that_is_due() -> None:
    device, below = outbound(OneWay(delay=20 * MS))
    device.write(numbered(1)[0], 0)
    assert below.sent == []
    assert device.next_deadline() == 20 * MS
    assert device.read(20 * MS) is None
    assert numbers(below.sent) == [0]
    assert device.next_deadline() is None


def test_the_next_deadline_is_the_soonest_of_both_directions() -> None:
    below = ListDevice()
    device = ImpairedDevice(below, Impairments(OneWay(delay=7), OneWay(delay=5)))
    device.write(numbered(1)[0], 0)
    assert device.next_deadline() == 7
    below.arriving.extend(numbered(1))
    device.read(0)
    assert device.next_deadline() == 5


def test_jitter_spreads_the_delay_and_keeps_the_order() -> None:
    device, below = outbound(OneWay(delay=20 * MS, jitter=5 * MS))
    taken = []
    for number, frame in enumerate(numbered(200)):
        start = number * 100 * MS
        device.write(frame, start)
        deadline = device.next_deadline()
        assert deadline is not None
        taken.append(deadline - start)
        device.read(deadline)
    assert min(taken) >= 15 * MS
    assert max(taken) <= 25 * MS
    assert max(taken) - min(taken) > 8 * MS
    for frame in numbered(200):
        device.write(frame, 10**9)
    device.read(2 * 10**9)
    assert numbers(below.sent) == [*range(200)] * 2


def test_a_frame_held_back_is_overtaken_and_comes() -> None:
    device, below = outbound(OneWay(reordering=0.1))
    for frame in numbered(200):
        device.write(frame, 0)
    in_time = numbers(below.sent)
    assert in_time == sorted(in_time)
    assert 160 < len(in_time) < 200
    assert device.next_deadline() == HELD_BACK
    device.read(HELD_BACK)
    assert sorted(numbers(below.sent)) == list(range(200))


def test_a_corrupted_segment_differs_in_one_bit_and_is_found_out() -> None:
    device, below = outbound(OneWay(corruption=1))
    unit = tcp_unit(b"x" * 3000, 1000)
    device.write(unit, 0)
    good_device, good = outbound(GOOD)
    good_device.write(unit, 0)
    assert len(below.sent) == len(good.sent) == 3
    for spoilt, frame in zip(below.sent, good.sent, strict=True):
        assert spoilt.offload is None
        read_wire(joined(frame))
        difference = int.from_bytes(joined(spoilt), "big") ^ int.from_bytes(joined(frame), "big")
        assert difference.bit_count() == 1
        assert not checksums_are_right(joined(spoilt))


def checksums_are_right(octets: bytes) -> bool:
    pseudo = octets[26:34] + b"\0\x06" + (len(octets) - 34).to_bytes(2, "big")
    return naive_sum(octets[14:34]) == naive_sum(pseudo + octets[34:]) == 0xFFFF


def test_corruption_that_nobody_could_find_out_is_a_loss() -> None:
    device, below = outbound(OneWay(corruption=1))
    device.write(Frame((bytes(12) + b"\x08\x06" + bytes(28),)), 0)
    device.write(Frame((bytes(12) + b"\x08\x00",)), 0)
    device.write(Frame((b"short",)), 0)
    assert below.sent == []


# --- how it does so ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_units_are_cut_before_chance_comes_in(seed: int) -> None:
    device, below = inbound(OneWay(loss=0.3), seed)
    below.arriving.append(tcp_unit(b"x" * 40_000, 1000))
    received = [read_wire(joined(frame)) for frame in drain(device, 0)]
    assert 20 < len(received) < 38
    assert all(len(segment.text) == 1000 for segment in received)
    device.write(tcp_unit(b"x" * 2500, 1000), 0)
    assert [len(read_wire(joined(frame)).text) for frame in below.sent] == [1000, 1000, 500]


chances = st.sampled_from([0.0, 0.1, 0.5])
impairments = st.builds(
    OneWay, chances, st.sampled_from([0, 5 * MS]), st.sampled_from([0, 6 * MS]), chances,
    chances, chances,
)  # fmt: skip


def history(plan: Impairments, answers: bool) -> list[tuple[int, bytes]]:
    """What arrives when, with or without frames the other way."""
    below = ListDevice()
    device = ImpairedDevice(below, plan)
    events = []
    for step, frame in enumerate(numbered(60)):
        now = step * MS
        below.arriving.append(frame)
        if answers:
            device.write(frame, now)
        events += [(now, joined(frame)) for frame in drain(device, now)]
    while (now := device.next_deadline()) is not None:
        events += [(now, joined(frame)) for frame in drain(device, now)]
    return events


@given(impairments, impairments, st.integers(0, 10))
def test_the_same_seed_repeats_exactly(there: OneWay, here: OneWay, seed: int) -> None:
    plan = Impairments(there, here, seed)
    assert history(plan, answers=False) == history(plan, answers=False)


@given(impairments, st.integers(0, 10))
def test_one_direction_does_not_change_the_fate_of_the_other(both: OneWay, seed: int) -> None:
    plan = Impairments(both, both, seed)
    inward = [octets for _, octets in history(plan, answers=False)]
    assert [octets for _, octets in history(plan, answers=True)] == inward


def test_another_seed_is_another_history() -> None:
    lossy = OneWay(loss=0.5)
    histories = [history(Impairments(lossy, lossy, seed), answers=False) for seed in range(3)]
    assert histories[0] != histories[1] != histories[2] != histories[0]


def test_a_frame_read_has_octets_of_its_own() -> None:
    device, below = inbound(OneWay(delay=1))
    buffer = bytearray(b"mine")
    below.arriving.append(Frame((memoryview(buffer),)))
    device.read(0)
    buffer[:] = b"lost"
    assert device.read(1) == Frame((b"mine",))


def test_one_read_does_not_take_all_of_a_flood() -> None:
    device, below = inbound(OneWay(loss=1))
    below.arriving.extend(numbered(1000))
    assert device.read(0) is None
    assert len(below.arriving) > 900


def test_what_is_under_way_is_bounded() -> None:
    device, below = outbound(OneWay(delay=1))
    frame = Frame((b"x",))
    for _ in range(QUEUE_LENGTH + 10):
        device.write(frame, 0)
    device.read(1)
    assert len(below.sent) == QUEUE_LENGTH


def test_closing_closes_the_device() -> None:
    device, below = outbound(GOOD)
    device.close()
    assert below.closed


# --- how it is described -------------------------------------------------------------------------


def test_everything_can_be_said() -> None:
    assert parse_impairments(USAGE) == Impairments(
        OneWay(0.05, 20 * MS, 2 * MS, 0.01, 0.03, 0.001), GOOD, 7
    )


def test_both_directions_are_meant_unless_one_is_said() -> None:
    lossy = OneWay(loss=0.5)
    assert parse_impairments("loss=50%") == Impairments(lossy, lossy, 0)
    assert parse_impairments("loss=50%, direction=both") == Impairments(lossy, lossy, 0)
    assert parse_impairments("direction=in,loss=50%") == Impairments(GOOD, lossy, 0)


@pytest.mark.parametrize(
    ("text", "delay"), [("50us", 50), ("0.5ms", 500), ("1.5s", 1_500_000), ("0ms", 0)]
)
def test_durations_have_units(text: str, delay: int) -> None:
    assert parse_impairments(f"delay={text}").inbound.delay == delay


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("delay=120.1s", "the delay of an impairment is at most 120s"),
        ("delay=120001ms", "the delay of an impairment is at most 120s"),
        (f"jitter={'9' * 400}us", "the jitter of an impairment is at most 120s"),
        (f"seed={'9' * 5000}", "the seed of an impairment has at most 18 digits"),
        (f"loss={'9' * 400}%", "is not an impairment"),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_beyond_reason_is_refused_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as raised:
        parse_impairments(text)
    assert "\n" not in str(raised.value)


def test_the_bounds_can_be_had() -> None:
    impairments = parse_impairments(f"delay=120s,jitter=120s,seed={'9' * 18}")
    assert impairments.inbound == OneWay(delay=120_000_000, jitter=120_000_000)
    assert impairments.seed == 10**18 - 1


@pytest.mark.parametrize(
    "text",
    "loss loss=5 loss=101% loss=-1% loss=x% delay=20 delay=ms delay=-1ms jitter=1h dup=1ms "
    "seed=x seed=-1 direction=up rate=5% =5% loss=1%,loss=2% loss=1%, , ٣ loss=٣%".split(),
)
def test_what_is_not_allowed_is_named_in_one_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an impairment: .*loss=5%") as raised:
        parse_impairments(text)
    assert "\n" not in str(raised.value)
