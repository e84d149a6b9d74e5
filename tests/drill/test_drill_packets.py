"""What a script says of a packet is what is on the wire, and the other way round."""

from collections import deque

import pytest
from hypothesis import given, strategies as st

from tapstack.base.address import Endpoint
from tapstack.drill.language.parser import parse
from tapstack.drill.language.syntax import (
    Direction,
    Encapsulation,
    IcmpMessage,
    Packet,
    Ports,
    ScriptError,
    TcpOption,
    TcpSegment,
    UnsupportedError,
)
from tapstack.drill.reports.failure import Difference
from tapstack.drill.settings import Settings
from tapstack.drill.wire.matching import Matcher, Verdict
from tapstack.drill.wire.notation import format_packet
from tapstack.drill.wire.numbering import Payload
from tapstack.drill.wire.packets import build, letters
from tapstack.drill.wire.reading import read
from tapstack.drill.wire.tcp_options import build_options, format_options, read_options
from tapstack.ip import wire as ip_wire
from tapstack.tcp import wire as tcp_wire
from tapstack.tcp.seq import add
from tests.drill.packet_trees import (
    ADDRESSES,
    HERE,
    LOCAL,
    NOP,
    REMOTE,
    expected,
    icmp,
    injected,
    ip,
    option,
    quoted,
    segment,
    sent,
    udp,
)

U16, U32 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1)
ENDS = Endpoint(REMOTE, 53055), Endpoint(LOCAL, 8080)

# --- options --------------------------------------------------------------------------------------

OPTIONS = [
    (option("mss", 1460), "020405b4", "mss 1460"),
    (option("wscale", 7), "030307", "wscale 7"),
    (option("sackOK"), "0402", "sackOK"),
    (option("sack", 1, 2, 3, 4), "051200000001000000020000000300000004", "sack 1:2 3:4"),
    (option("TS", 100, 200), "080a00000064000000c8", "TS val 100 ecr 200"),
    (option("nop"), "01", "nop"),
    (option("eol"), "00", "eol"),
    (option("FO"), "2202", "FO"),
    (option("FO", octets=b"\x01\x02\x03\x04"), "220601020304", "FO 01020304"),
    (option("FOEXP"), "fe04f989", "FOEXP"),
    (option("FOEXP", octets=b"\xaa\xbb\xcc\xdd"), "fe08f989aabbccdd", "FOEXP aabbccdd"),
    (option("md5", octets=bytes(16)), "1312" + "00" * 16, "md5 " + "00" * 16),
    (option("ECN", e0b=1), "ac05000001", "ECN e0b 1"),
    (option("ECN", e0b=1, ceb=2), "ac08000001000002", "ECN e0b 1 ceb 2"),
    (option("ECN", e1b=1, ceb=2, e0b=3), "ae0b000001000002000003", "ECN e1b 1 ceb 2 e0b 3"),
]


def bare(options: tuple[TcpOption, ...]) -> list[TcpOption]:
    """Options without their places."""
    return [each._replace(position=HERE) for each in options]


@pytest.mark.parametrize(("each", "octets", "text"), OPTIONS)
def test_an_option_is_what_its_rfc_says(each: TcpOption, octets: str, text: str) -> None:
    padding = (NOP,) * (-len(octets) // 2 % 4)
    assert build_options((each, *padding)).hex() == octets + "01" * len(padding)
    assert bare(read_options(bytes.fromhex(octets))) == [each]
    assert format_options((each,)) == f"<{text}>"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((option("wscale", 7),), "3 octets too many"),
        ((option("sack", *range(8)), option("TS", 1, 2)), "44 octets, and 40 is the most"),
        ((option("mss", 65536),), "65536 does not fit"),
        ((option("ECN", e0b=1, e1b=1),), "counters of ECN come as e0b ceb e1b"),
        ((option("mptcp"),), "no TCP option mptcp"),
        ((option("FO", octets=bytes(39)),), "too long"),
        ((NOP,) * 44, "44 octets, and 40 is the most"),
    ],
)
def test_options_that_no_header_has_are_refused(options: tuple[TcpOption, ...], words: str) -> None:
    with pytest.raises(ScriptError, match=words):
        build_options(options)


def test_strange_options_of_the_host_are_shown_and_nothing_is_passed_over() -> None:
    strange = bytes.fromhex("1e04abcd" + "0203ff" + "00" + "08ff")
    kinds = [(each.kind, each.octets) for each in read_options(strange)]
    assert kinds == [
        ("kind-30", b"\xab\xcd"),
        ("kind-2", b"\xff"),
        ("eol", b""),
        ("malformed", b"\x08\xff"),
    ]


@given(st.binary(max_size=40))
def test_any_octets_can_be_read_as_options(octets: bytes) -> None:
    assert format_options(read_options(octets)).startswith("<")


# --- segments -------------------------------------------------------------------------------------


def some_options() -> st.SearchStrategy[tuple[TcpOption, ...]]:
    """Options that fill whole words, none of which holds a number to be translated."""
    words = [
        (option("mss", 1460),),
        (NOP, option("wscale", 7)),
        (NOP, NOP, option("sackOK")),
        (option("FOEXP"),),
        (option("ECN", e0b=1, ceb=2),),
    ]
    stamps = st.tuples(st.just(NOP), st.just(NOP), st.builds(lambda v: option("TS", v, 7), U32))
    sack = st.builds(lambda a, b: (NOP, NOP, option("sack", a, b)), U32, U32)
    lists = st.lists(
        st.sampled_from(words) | stamps | sack, max_size=3, unique_by=lambda w: w[-1].kind
    )
    return lists.map(lambda groups: tuple(each for group in groups for each in group))


@st.composite
def segments(draw: st.DrawFn) -> TcpSegment:
    flags = letters("".join(draw(st.sets(st.sampled_from("FSRPEWAU.")))))
    ack = draw(U32) if "." in flags else None
    urg = draw(st.integers(1, 65535)) if "U" in flags else None
    length = draw(st.integers(0, 3000))
    return segment(flags, draw(U32), length, ack, draw(U16), *draw(some_options()), urg=urg)


def opened(isn: int, irs: int) -> Matcher:
    """Open a connection: the host's ISN is live, the script's own as the script has it."""
    made = Matcher(ADDRESSES, Settings())
    made.inject(injected(segment("S", irs, 0, None, 9)))
    answer = segment("S.", isn, 0, add(irs, 1), 9)
    want = expected(segment("S.", 5, 0, add(irs, 1)))
    assert made.take(want, deque([sent(answer)])).verdict is Verdict.MATCHED
    made.inject(injected(segment(".", 1, 0, 1, 9)))
    return made


@given(segments(), U32, U32)
def test_an_injected_segment_reads_as_the_script_has_it(
    payload: TcpSegment, isn: int, irs: int
) -> None:
    made = opened(isn, irs)
    (conversation,) = made.conversations
    octets = conversation.build(injected(payload))
    reading = read(octets)
    assert reading.payload is not None
    assert not reading.faults
    again = conversation.numbering.to_script(reading.payload, Direction.IN)
    assert isinstance(again, TcpSegment)
    assert format_packet(None, again._replace(ports=None)) == format_packet(None, payload)


@given(segments())
def test_what_is_rendered_is_a_script(payload: TcpSegment) -> None:
    text = format_packet(None, payload)
    (event,) = parse(f"0 < {text}\n", "rendered").events
    assert isinstance(event.action, Packet)
    again = event.action.payload
    assert isinstance(again, TcpSegment)
    assert again._replace(position=HERE, options=None) == payload._replace(options=None)
    assert bare(again.options or ()) == bare(payload.options or ())


@given(segments(), U32, U32)
def test_the_numbers_on_the_wire_count_from_the_isns(
    payload: TcpSegment, isn: int, irs: int
) -> None:
    made = opened(isn, irs)
    (conversation,) = made.conversations
    octets = conversation.build(injected(payload))
    header = tcp_wire.CODEC.parse(octets[ip_wire.HEADER_LENGTH :])
    is_syn = "S" in payload.flags
    assert header["seq"] == add(payload.seq, 0 if is_syn else irs)
    if payload.ack is not None:
        assert header["ack"] == add(payload.ack, isn - (5 if is_syn else 0))


FIELDS = ("flags", "seq", "length", "ack", "win", "urg", "options")


def mutate(payload: TcpSegment, field: str, change: int) -> TcpSegment:
    """Change one field of a segment by something from 1 to 100."""
    if field == "flags":
        letter = "FRPEWAU"[change % 7]
        flags = payload.flags
        return payload._replace(
            flags=flags.replace(letter, "") if letter in flags else flags + letter
        )
    if field == "options":
        return payload._replace(options=(NOP,) * 4 + (payload.options or ()))
    if field == "ack":
        return payload._replace(ack=add(payload.ack or 0, change))
    if field == "seq":
        return payload._replace(seq=add(payload.seq, change))
    if field == "length":
        return payload._replace(length=payload.length + change)
    if field == "win":
        return payload._replace(window=((payload.window or 0) + change) % 65536)
    return payload._replace(urgent=((payload.urgent or 0) + change) % 65536)


def moved(each: TcpOption, irs: int) -> TcpOption:
    """Move what an option says of the script's sequence numbers."""
    if each.kind != "sack":
        return each
    return each._replace(numbers=tuple(add(edge, irs) for edge in each.numbers))


@given(segments(), st.sampled_from(FIELDS), st.integers(1, 100), U32, U32)
def test_one_field_that_is_wrong_is_the_one_difference(
    payload: TcpSegment, field: str, change: int, isn: int, irs: int
) -> None:
    flags = letters(payload.flags.replace("S", "") + ".")
    want = payload._replace(flags=flags, ack=payload.ack or 0)
    live = want._replace(
        seq=add(want.seq, isn),
        ack=add(want.ack or 0, irs),
        options=tuple(moved(each, irs) for each in want.options or ()),
    )
    made = opened(isn, irs)
    assert made.take(expected(want), deque([sent(live)])).verdict is Verdict.MATCHED
    outcome = made.take(expected(want), deque([sent(mutate(live, field, change))]))
    assert [difference.what for difference in outcome.differences] == [field]


# --- the rest -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        icmp("echo_request", None, quoted("raw", 56), id=7),
        icmp("unreachable", "frag_needed", quoted("tcp", 1460, 1), mtu=1200),
        icmp("unreachable", "port_unreachable", quoted("udp", 100)),
        icmp("unreachable", "precedence_cutoff", quoted("raw", 64)),
        icmp("time_exceeded", None, quoted("tcp", 0, 1)),
        icmp("time_exceeded", "1", quoted("tcp", 0, 1)),
        icmp("source_quench", None, quoted("tcp", 0, 1)),
        icmp("timestamp_request", None, quoted("raw", 12)),
    ],
)
def test_an_icmp_message_reads_as_the_script_has_it(message: IcmpMessage) -> None:
    reading = read(build(*ENDS, None, message))
    assert not reading.faults
    assert reading.payload is not None
    assert format_packet(None, reading.payload) == format_packet(None, message)


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (udp(5, Ports(1, 2)), "[ce, ttl 4] udp 1 > 2 (5)"),
        (segment(".", 1, 10, 1, 9, ports=Ports(1, 2)), "[ce, ttl 4] 1 > 2 . 1:11(10) ack 1 win 9"),
        (segment("", 1, 0, None, 9), "[ce, ttl 4] - 1:1(0) win 9"),
        (
            icmp("unreachable", "frag_needed", quoted("tcp", 1460, 1), mtu=1200),
            "[ce, ttl 4] icmp unreachable frag_needed mtu 1200 [1:1461(1460)]",
        ),
    ],
)
def test_the_notation_is_the_scripts(payload: Payload, text: str) -> None:
    assert format_packet(ip("ce", ttl=4), payload) == text
    (event,) = parse(f"0 < {text}\n", "rendered").events
    assert isinstance(event.action, Packet)
    assert format_packet(event.action.ip, event.action.payload) == text


def test_the_ip_header_says_what_the_script_does() -> None:
    for info, tos, ttl in (
        (None, 0, 255),
        (ip("ce"), 3, 255),
        (ip("ect1", tos=0x10), 0x11, 255),
        (ip(tos=0xFF, ttl=1), 0xFF, 1),
    ):
        header = ip_wire.parse(build(*ENDS, info, udp(10)))
        assert (header.tos, header.ttl, header.total_length) == (tos, ttl, 38)


def test_text_is_zeros() -> None:
    octets = build(*ENDS, None, segment("P.", 1, 1000, 1, 9))
    assert octets[ip_wire.HEADER_LENGTH + tcp_wire.HEADER_LENGTH :] == bytes(1000)


@pytest.mark.parametrize(
    ("packet", "construct"),
    [
        (injected(segment("S", win=9), ip(flow=5)), "flowlabel"),
        (
            injected(segment("S", win=9))._replace(
                encapsulations=(Encapsulation(HERE, "gre", "gre:"),)
            ),
            "gre:",
        ),
    ],
)
def test_what_needs_another_host_is_unsupported(packet: Packet, construct: str) -> None:
    with pytest.raises(UnsupportedError, match=construct):
        Matcher(ADDRESSES, Settings()).check(packet)


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        (injected(segment("S", 0, 0, None, 65536)), "65536 does not fit 16 bits"),
        (injected(segment(".", 0, 65530, 1, 9)), "65570 octets, and 65535 is the most"),
        (injected(udp(65530)), "65530 octets do not fit"),
        (injected(icmp("unreachable", "frag_needed", quoted("tcp", 0), mtu=70000)), "70000"),
        (injected(icmp("unreachable", "nowhere", quoted("tcp", 0))), "no nowhere"),
    ],
)
def test_a_packet_that_cannot_be_is_the_scripts_mistake(packet: Packet, words: str) -> None:
    with pytest.raises(ScriptError, match=words) as caught:
        Matcher(ADDRESSES, Settings()).inject(packet)
    assert caught.value.position == HERE


def test_a_packet_is_looked_at_before_it_is_played() -> None:
    made = Matcher(ADDRESSES, Settings())
    made.check(expected(segment("S.", 0, 0, 1, None, any_options=True)))
    with pytest.raises(ScriptError, match="2 octets too many"):
        made.check(expected(segment("S.", 0, 0, 1, None, option("sackOK"))))
    with pytest.raises(ScriptError, match="ICMP has no echo"):
        made.check(injected(icmp("echo")))


def test_an_expected_echo_carries_what_it_says() -> None:
    made = Matcher(ADDRESSES, Settings())
    made.inject(injected(icmp("echo_request", None, quoted("raw", 5))))
    queue = deque([sent(icmp("echo_reply", None, quoted("raw", 5)))])
    outcome = made.take(expected(icmp("echo_reply")), queue)
    assert outcome.differences == (Difference("carried", "none", "[raw(5)]"),)
