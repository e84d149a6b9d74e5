"""Scripts are read: every part of the language, with its place."""

import pytest

from tapstack.drill.language.parser import parse
from tapstack.drill.language.syntax import (
    Anything,
    Applied,
    Base,
    Code,
    Command,
    Direction,
    Either,
    Errno,
    Event,
    Field,
    IcmpMessage,
    Items,
    Number,
    Packet,
    Position,
    Script,
    SystemCall,
    TcpOption,
    TcpSegment,
    Text,
    UdpDatagram,
    Word,
)

STORY = """\
// A server, its client, and a farewell.
--tolerance_usecs=10000 --mtu=1400
--is_anyip

`sysctl -q net.ipv4.tcp_sack=0
sysctl -q net.ipv4.tcp_ecn=0`

0.000\tsocket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0   /* two
   lines */ +0 listen(3, 1) = 0

+0 < S 0:0(0) win 4000 <mss 1000>
+0 > S. 0:0(0) ack 1 <...>
+.1 < . 1:1(0) ack 1 win 1000
+0 accept(3, ..., ...) = 4
+0 %{
assert tcpi_snd_cwnd == 10
}%
+.2...0.25 read(4, ..., 1000) = -1 EAGAIN (Resource temporarily unavailable)
* > F. 11:11(0) ack 2
`echo finish`
"""


def events(source: str) -> tuple[Event, ...]:
    return parse(source, "test.pkt").events


def packet(source: str) -> Packet:
    action = events(f"0 {source}")[0].action
    assert isinstance(action, Packet)
    return action


def segment(source: str) -> TcpSegment:
    payload = packet(source).payload
    assert isinstance(payload, TcpSegment)
    return payload


def call(source: str) -> SystemCall:
    action = events(f"0 {source}")[0].action
    assert isinstance(action, SystemCall)
    return action


def test_a_whole_script_is_read() -> None:
    script = parse(STORY, "story.pkt")
    assert script.name == "story.pkt"
    assert script.text == STORY
    assert [(o.name, o.value, tuple(o.position)) for o in script.options] == [
        ("tolerance_usecs", "10000", (2, 1)),
        ("mtu", "1400", (2, 25)),
        ("is_anyip", None, (3, 1)),
    ]
    assert script.init == Command(
        Position(5, 1), "sysctl -q net.ipv4.tcp_sack=0\nsysctl -q net.ipv4.tcp_ecn=0"
    )
    assert script.cleanup == Command(Position(21, 1), "echo finish")
    kinds = [type(event.action).__name__ for event in script.events]
    assert kinds == [
        *["SystemCall"] * 3,
        *["Packet"] * 3,
        "SystemCall",
        "Code",
        "SystemCall",
        "Packet",
    ]


def test_every_place_counts_from_one_and_a_tab_is_a_column() -> None:
    script = parse(STORY, "story.pkt")
    first, _, third, syn = script.events[:4]
    assert first.position == first.time.position == (8, 1)
    assert first.action.position == (8, 7)
    assert isinstance(first.action, SystemCall)
    assert [a.position for a in first.action.arguments] == [(8, 14), (8, 19), (8, 46)]
    assert first.action.result.position == (8, 61)
    assert third.position == (10, 13)
    assert isinstance(syn.action, Packet)
    assert syn.action.position == (12, 4)
    assert syn.action.payload.position == (12, 6)
    assert isinstance(syn.action.payload, TcpSegment)
    assert syn.action.payload.options is not None
    assert syn.action.payload.options[0].position == (12, 25)


def test_what_is_reported_is_what_was_written() -> None:
    texts = [
        event.action.text
        for event in parse(STORY, "story.pkt").events
        if isinstance(event.action, Packet | SystemCall)
    ]
    assert texts[0] == "socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3"
    assert texts[3] == "< S 0:0(0) win 4000 <mss 1000>"
    assert texts[4] == "> S. 0:0(0) ack 1 <...>"
    assert texts[7] == "read(4, ..., 1000) = -1 EAGAIN (Resource temporarily unavailable)"


def test_a_line_of_code_has_the_place_of_its_text() -> None:
    code = parse(STORY, "story.pkt").events[7].action
    assert code == Code(Position(16, 6), "\nassert tcpi_snd_cwnd == 10\n")


# --- time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "base", "earliest", "latest", "end"),
    [
        ("0", Base.START, 0, None, None),
        ("7", Base.START, 7_000_000, None, None),
        ("0.100", Base.START, 100_000, None, None),
        (".1", Base.START, 100_000, None, None),
        ("+0", Base.PREVIOUS, 0, None, None),
        ("+.1", Base.PREVIOUS, 100_000, None, None),
        ("+ 0.1", Base.PREVIOUS, 100_000, None, None),
        ("0.29", Base.START, 290_000, None, None),
        ("1.000001", Base.START, 1_000_001, None, None),
        ("0.0000014", Base.START, 1, None, None),
        ("0.0000015", Base.START, 2, None, None),
        ("4.9999999", Base.START, 5_000_000, None, None),
        ("0~0.1", Base.START, 0, 100_000, None),
        ("+0.1~+0.2", Base.PREVIOUS, 100_000, 200_000, None),
        ("*", Base.ANY, 0, None, None),
    ],
)
def test_times_are_exact(
    written: str, base: Base, earliest: int, latest: int | None, end: int | None
) -> None:
    time = events(f"0 f() = 0 {written} > . 1:1(0) ack 1")[1].time
    assert (time.base, time.earliest, time.latest, time.end) == (base, earliest, latest, end)
    assert time.position == (1, 11)


@pytest.mark.parametrize(
    ("written", "base", "earliest", "end"),
    [
        ("0...0.2", Base.START, 0, 200_000),
        ("+.08...0.180", Base.PREVIOUS, 80_000, 180_000),
        (".1....2", Base.START, 100_000, 200_000),
        ("+0...+1", Base.PREVIOUS, 0, 1_000_000),
    ],
)
def test_a_call_that_blocks_has_two_times(
    written: str, base: Base, earliest: int, end: int
) -> None:
    time = events(f"0 f() = 0 {written} connect(3, ..., ...) = 0")[1].time
    assert (time.base, time.earliest, time.latest, time.end) == (base, earliest, None, end)


# --- packets --------------------------------------------------------------------------------------


def test_a_segment_is_read() -> None:
    source = "< [ect0] 8080 > 53055 FP. 1:11(10) ack 3 win 257 urg 4 <nop,mss 9>"
    found = segment(source)
    assert found.ports == (8080, 53055)
    assert (found.flags, found.ace) == ("FP.", None)
    assert (found.seq, found.end, found.length) == (1, 11, 10)
    assert (found.ack, found.window, found.urgent) == (3, 257, 4)

    def column(word: str) -> Position:
        return Position(1, len("0 ") + source.index(word) + 1)

    assert found.options == (
        TcpOption(column("nop"), "nop"),
        TcpOption(column("mss"), "mss", (9,)),
    )


def test_what_is_not_said_is_none() -> None:
    found = packet("> . 1:1(0)")
    assert found.direction is Direction.OUT
    assert (found.ip, found.encapsulations) == (None, ())
    assert isinstance(found.payload, TcpSegment)
    assert found.payload[1:] == (None, ".", None, 1, 1, 0, None, None, None, ())


@pytest.mark.parametrize(
    ("word", "flags", "ace"),
    [
        ("S", "S", None),
        ("S.", "S.", None),
        ("SEW", "SEW", None),
        ("SEWA", "SEWA", None),
        (".", ".", None),
        ("-", "", None),
        ("PR.", "PR.", None),
        ("P .", "P.", None),
        ("FP\t.5", "FP.", 5),
        ("U.", "U.", None),
        (".5", ".", 5),
        ("P.3", "P.", 3),
        ("FP.0", "FP.", 0),
    ],
)
def test_flags(word: str, flags: str, ace: int | None) -> None:
    found = segment(f"> {word} 1:1(0)")
    assert (found.flags, found.ace) == (flags, ace)


@pytest.mark.parametrize(
    ("written", "kind", "numbers", "octets", "fields"),
    [
        ("nop", "nop", (), b"", ()),
        ("eol", "eol", (), b"", ()),
        ("sackOK", "sackOK", (), b"", ()),
        ("mss 65535", "mss", (65535,), b"", ()),
        ("wscale 14", "wscale", (14,), b"", ()),
        ("TS val 4294967295 ecr 0", "TS", (4294967295, 0), b"", ()),
        ("sack 1:1001 2001:3001", "sack", (1, 1001, 2001, 3001), b"", ()),
        ("FO", "FO", (), b"", ()),
        ("FO 0aB1", "FO", (), b"\x0a\xb1", ()),
        ("FOEXP", "FOEXP", (), b"", ()),
        ("FOEXP ab", "FOEXP", (), b"\xab", ()),
        ("md5 00112233445566778899aabbccddeeff", "md5", (), bytes(range(0, 256, 17)), ()),
        ("ECN e0b 1 ceb 0 e1b 2", "ECN", (), b"", (("e0b", 1), ("ceb", 0), ("e1b", 2))),
        ("ECN e1b 16777215", "ECN", (), b"", (("e1b", 16777215),)),
    ],
)
def test_tcp_options(
    written: str,
    kind: str,
    numbers: tuple[int, ...],
    octets: bytes,
    fields: tuple[tuple[str, int], ...],
) -> None:
    for around in (f"<{written}>", f"< {written} >"):
        options = segment(f"> . 1:1(0) {around}").options
        assert options is not None
        assert [option[1:] for option in options] == [(kind, numbers, octets, fields)]
    options = segment(f"> . 1:1(0) ack 1 <nop,{written} , nop>").options
    assert options is not None
    assert [option.kind for option in options] == ["nop", kind, "nop"]


def test_any_options_are_none_and_no_options_are_empty() -> None:
    assert segment("> . 1:1(0) <...>").options is None
    assert segment("> . 1:1(0)").options == ()


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("[ect0]", ("ect0", None, None, None)),
        ("(ce)", ("ce", None, None, None)),
        ("[ect01]", ("ect01", None, None, None)),
        ("[tos 0x10]", (None, 16, None, None)),
        ("[noecn, ttl 64]", ("noecn", None, 64, None)),
        ("(tos 8,ttl 255)", (None, 8, 255, None)),
        ("[flowlabel 0xfffff]", (None, None, None, 0xFFFFF)),
    ],
)
def test_ip_info(written: str, values: tuple[object, ...]) -> None:
    info = packet(f"> {written} . 1:1(0) ack 1").ip
    assert info is not None
    assert info[1:] == values


def test_encapsulations_are_kept_as_written() -> None:
    found = packet(
        "> ipv4 192.0.2.1 > 192.168.0.1: gre: mpls (label 0, tc 0, S, ttl 9): [ce] . 1:1(0)"
    )
    assert [(outer.kind, outer.text) for outer in found.encapsulations] == [
        ("ipv4", "ipv4 192.0.2.1 > 192.168.0.1:"),
        ("gre", "gre:"),
        ("mpls", "mpls (label 0, tc 0, S, ttl 9):"),
    ]
    assert found.ip is not None
    inner = packet("< ipv6 2001:db8::1 > fe80::2: . 1:1(0) win 1").encapsulations
    assert [outer.kind for outer in inner] == ["ipv6"]


@pytest.mark.parametrize("written", ["udp (1000)", "udp(1000)", "[ect0] udp (1000)"])
def test_a_udp_datagram(written: str) -> None:
    payload = packet(f"> {written}").payload
    assert isinstance(payload, UdpDatagram)
    assert (payload.ports, payload.length) == (None, 1000)


@pytest.mark.parametrize("written", ["udp 1 > 2 (9)", "1 > 2 udp (9)"])
def test_the_ports_of_a_udp_datagram(written: str) -> None:
    payload = packet(f"< {written}").payload
    assert isinstance(payload, UdpDatagram)
    assert (payload.ports, payload.length) == ((1, 2), 9)


@pytest.mark.parametrize(
    ("written", "fields", "quoted"),
    [
        ("icmp unreachable", ("unreachable", None, None, None), None),
        (
            "icmp unreachable port_unreachable [1:1461(1460)]",
            ("unreachable", "port_unreachable", None, None),
            ("tcp", 1, 1460),
        ),
        (
            "icmp unreachable frag_needed mtu 1200 [1:1461(1460)]",
            ("unreachable", "frag_needed", 1200, None),
            ("tcp", 1, 1460),
        ),
        (
            "[1:1461(1460)] icmp unreachable frag_needed mtu 1200",
            ("unreachable", "frag_needed", 1200, None),
            ("tcp", 1, 1460),
        ),
        (
            "[ect0] [1:2(1)] icmp time_exceeded",
            ("time_exceeded", None, None, None),
            ("tcp", 1, 1),
        ),
        (
            "icmp echo_request id 7 [raw (100)]",
            ("echo_request", None, None, 7),
            ("raw", 0, 100),
        ),
        ("icmp unreachable [udp(50)]", ("unreachable", None, None, None), ("udp", 0, 50)),
    ],
)
def test_icmp(written: str, fields: tuple[object, ...], quoted: tuple[object, ...] | None) -> None:
    payload = packet(f"< {written}").payload
    assert isinstance(payload, IcmpMessage)
    assert payload[1:5] == fields
    assert (payload.quoted and payload.quoted[1:]) == quoted


# --- system calls ---------------------------------------------------------------------------------


def test_values_of_every_kind() -> None:
    found = call('f(..., 1, -1, 0x1F, AF_INET, "a" "b", "c"..., A|2, htons(80), [3], {}, x=1) = 0')
    values = [argument[1:] for argument in found.arguments]
    assert values[:7] == [
        (),
        (1,),
        (-1,),
        (31,),
        ("AF_INET",),
        (b"ab", False),
        (b"c", True),
    ]
    either, applied, array, struct, field = found.arguments[7:]
    assert isinstance(either, Either)
    assert [term[1:] for term in either.terms] == [("A",), (2,)]
    assert isinstance(applied, Applied)
    assert (applied.function, applied.arguments[0][1:]) == ("htons", (80,))
    assert isinstance(array, Items)
    assert not array.is_struct
    assert array.items[0][1:] == (3,)
    assert isinstance(struct, Items)
    assert struct[1:] == ((), True)
    assert isinstance(field, Field)
    assert (field.name, field.size, field.value[1:]) == ("x", None, (1,))


def test_a_message_header_is_nested() -> None:
    found = call(
        "sendmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 9}], msg_flags=0,"
        " msg_control=[{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=5}]}, 0) = 9"
    )
    header = found.arguments[1]
    assert isinstance(header, Items)
    fields = {field.name: field for field in header.items if isinstance(field, Field)}
    assert list(fields) == ["msg_name", "msg_iov", "msg_flags", "msg_control"]
    assert isinstance(fields["msg_name"].size, Anything)
    size, vector = fields["msg_iov"].size, fields["msg_iov"].value
    assert isinstance(size, Number)
    assert size.value == 1
    assert isinstance(vector, Items)
    assert isinstance(vector.items[0], Items)
    assert vector.items[0].is_struct


@pytest.mark.parametrize(
    ("written", "octets"),
    [
        (r'"GET /\r\n"', b"GET /\r\n"),
        (r'"\x00\x1\x41B"', b"\0\x01AB"),
        (r'"\0\12\377\0017"', b"\0\n\xff\x017"),
        (r'"\"\\\'"', b"\"\\'"),
        ('"ü"', "ü".encode()),
        ('"// no comment /* */"', b"// no comment /* */"),
    ],
)
def test_strings_have_the_escapes_of_c(written: str, octets: bytes) -> None:
    text = call(f"write(4, {written}, 1) = 1").arguments[1]
    assert isinstance(text, Text)
    assert text.octets == octets


@pytest.mark.parametrize(
    ("written", "result", "errno"),
    [
        ("= 0", (0,), None),
        ("= -1 EAGAIN (Resource temporarily unavailable)", (-1,), "EAGAIN"),
        ("= -1 EPIPE", (-1,), "EPIPE"),
        ("= ...", (), None),
        ("= 0x802 (flags O_RDWR|O_NONBLOCK)", (0x802,), None),
        ("= 1 ([{fd=3, events=POLLIN}])", (1,), None),
        ("= -1 EINPROGRESS (Operation (now) in progress)", (-1,), "EINPROGRESS"),
        ("= O_RDWR", ("O_RDWR",), None),
    ],
)
def test_results(written: str, result: tuple[object, ...], errno: str | None) -> None:
    found = call(f"f() {written} +0 g() = 0")
    assert found.result[1:] == result
    assert (found.errno and found.errno.name) == errno
    assert found.text == f"f() {written}"


def test_notes_may_follow_one_another() -> None:
    first, second = events("0 f() = -1 EAGAIN (Try again) (soon) 1 g() = 2 (a) (b (c))")
    assert isinstance(first.action, SystemCall)
    assert isinstance(second.action, SystemCall)
    assert first.action.errno == Errno(Position(1, 12), "EAGAIN")
    assert (second.action.result, second.action.errno) == (Number(Position(1, 46), 2), None)


def test_an_error_has_its_place() -> None:
    assert call("f() = -1 EPIPE (Broken pipe)").errno == Errno(Position(1, 12), "EPIPE")


@pytest.mark.parametrize("name", ["ack", "win", "S", "mss", "udp", "open", "val", "id", "raw", "F"])
def test_a_keyword_of_packets_is_a_name_in_a_call(name: str) -> None:
    found = call(f"{name}({name}, {{{name}={name}}}, {name}(1)) = {name}")
    assert found.name == name
    assert found.arguments[0] == Word(Position(1, 4 + len(name)), name)


# --- the rest -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "name", "value"),
    [
        ("--dry_run", "dry_run", None),
        ("--speed=10", "speed", "10"),
        ("--tolerance_percent=12.5", "tolerance_percent", "12.5"),
        ("--init_scripts=./defaults.sh", "init_scripts", "./defaults.sh"),
        ("--remote_ip=192.0.2.0/24", "remote_ip", "192.0.2.0/24"),
        ("--local_ip=2001:db8::1", "local_ip", "2001:db8::1"),
        ('--code_command="python -u"', "code_command", "python -u"),
        ("--mtu = 1400", "mtu", "1400"),
        ("--non_fatal=packet,syscall", "non_fatal", "packet,syscall"),
        ("--define=", "define", ""),
    ],
)
def test_options(written: str, name: str, value: str | None) -> None:
    script = parse(f"{written}// about it\n--debug\n0 f() = 0", "x")
    assert [option[1:] for option in script.options] == [(name, value), ("debug", None)]


def test_comments_may_stand_anywhere() -> None:
    source = "/* a */0/**/<//b\n.//c\n1/*\n*/:1(0)win//\n3 <nop/**/,//d\nnop>"
    (event,) = events(source)
    assert isinstance(event.action, Packet)
    assert isinstance(event.action.payload, TcpSegment)
    assert event.action.payload.window == 3


def test_commands_hold_anything() -> None:
    (event,) = events("0 `echo \"// 'x' /* %{ $(y)\n\tz`")
    assert event.action == Command(Position(1, 3), "echo \"// 'x' /* %{ $(y)\n\tz")


def test_a_command_may_hold_a_backtick_behind_a_backslash() -> None:
    first, second = events("0 `echo \\`echo x\\` \\\\` 1 `y`")
    assert first.action == Command(Position(1, 3), "echo \\`echo x\\` \\\\")
    assert second.action == Command(Position(1, 26), "y")


def test_several_events_share_a_line() -> None:
    assert (
        len(events("0 f() = 0 0.1 < . 1:1(0) win 5 * > . 1:1(0) +0 `x` 0.2 %{ y }% 1 g() = -1"))
        == 6
    )


def test_octets_are_read_and_names_in_comments_may_be_old() -> None:
    assert parse(b"\xef\xbb\xbf0 f() = 0 // J\xc3\xb6rg", "x").text == "0 f() = 0 // Jörg"
    assert parse(b"0 f() = 0 // J\xf6rg", "x").text == "0 f() = 0 // Jörg"


def test_lines_may_end_as_on_other_systems() -> None:
    script = parse(b"`if a\r\nthen b\r\nfi`\r\n0 f() = 0\r\n0 g() = 0\r\n", "x")
    assert script.init == Command(Position(1, 1), "if a\nthen b\nfi")
    assert [event.position for event in script.events] == [(4, 1), (5, 1)]


# --- definitions ----------------------------------------------------------------------------------


def defined(script: Script) -> tuple[object, ...]:
    action = script.events[0].action
    assert isinstance(action, SystemCall)
    return tuple(argument[1:] for argument in action.arguments)


def test_what_is_defined_stands_for_its_name() -> None:
    source = "0 f(LEVEL, SIZE, HEX, NAME, OTHER) = 0"
    definitions = {"LEVEL": "SOL_IP", "SIZE": "-5", "HEX": "0x10", "NAME": '"a b"'}
    script = parse(source, "x", definitions)
    assert defined(script) == (("SOL_IP",), (-5,), (16,), (b"a b", False), ("OTHER",))


def test_a_cookie_may_be_defined() -> None:
    script = parse("0 > S 0:0(0) <FO COOKIE>", "x", {"COOKIE": "a1b2"})
    action = script.events[0].action
    assert isinstance(action, Packet)
    assert isinstance(action.payload, TcpSegment)
    assert action.payload.options is not None
    assert action.payload.options[0].octets == b"\xa1\xb2"


def test_a_script_defines_what_nobody_has_defined_before() -> None:
    source = "--define=A=1 --define=B=2\n0 f(A, B) = 0"
    assert defined(parse(source, "x")) == ((1,), (2,))
    assert defined(parse(source, "x", {"B": "3"})) == ((1,), (3,))
