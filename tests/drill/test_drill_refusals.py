"""Scripts that cannot be read are refused in place, with a sentence that helps to mend them."""

import re

import pytest
from hypothesis import example, given, settings, strategies as st

from tapstack.drill.language.parser import parse
from tapstack.drill.language.syntax import Script, ScriptError, UnsupportedError

GOOD = r"""// every part of the language
--tolerance_usecs=10000 --ip_version=ipv4
`sysctl -q net.ipv4.tcp_sack=0`
0.0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3
+.1...0.2 connect(3, {sa_family=AF_INET, sin_port=htons(8080)}, 16) = -1 EPIPE (Broken pipe)
+0 < [ect0] 80 > 90 S 0:0(0) win 4000 <mss 1000,sackOK,TS val 1 ecr 0,nop,wscale 7,FO ab>
+0 > S. 0:0(0) ack 1 <...>   /* and */
+0~+.1 > .5 1:1(0) ack 1 urg 2 <ECN e0b 1 ceb 2,eol,sack 1:2 3:4>
* > icmp unreachable frag_needed mtu 1200 [1:1461(1460)]
+0 < (tos 0x10, ttl 3) udp 1 > 2 (100)
+0 > ipv4 1.1.1.1 > 2.2.2.2: gre: [1:2(1)] icmp echo_reply id 3
+0 write(3, "a\x00\n" "b"..., 1) = 0x1
+0 %{ assert tcpi_state == 1 }%
+0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{...,9}], msg_flags=0}, 0) = 9
`echo done`
"""


def refused(source: str | bytes) -> str:
    with pytest.raises(ScriptError) as caught:
        parse(source, "bad.pkt")
    line, column = caught.value.position
    return f"{line}:{column}: {caught.value.message}"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        # what is missing, or found instead
        ("", "1:1: expected an option such as --mtu=1500, a `command` or a time such as"),
        ("foo", "1:1: .* or a time such as 0, \\+.1 or \\*, found 'foo'$"),
        ("0", "1:2: expected .* a packet \\(< or >\\), a system call, .*found the end"),
        ("0 f(", "1:5: expected '\\)' or a value: .*, found the end of the script$"),
        ("0 f(1, )", "1:8: expected a value: a number, .*, found '\\)'$"),
        ("0 f(1 2)", "1:7: expected ',', '\\)' or '\\|', found '2'$"),
        ("0 f()\n0 g() = 0", "2:1: expected '=', found '0'$"),
        ("0 f() =\n", "2:1: expected a result such as 0, found the end"),
        ("0 f() = [1]", "1:9: expected a result such as 0, found '\\['$"),
        (
            "0 f() = 0 foo bar",
            "1:15: expected a \\(note\\) or the next event's time, .* found 'bar'$",
        ),
        ("0 > S <mss 3>", "1:7: expected sequence numbers such as 1:1001\\(1000\\) behind 'S'"),
        ("0 > S 0:0(0) <>", "1:15: expected '...' or a TCP option: mss, .*, found '>'$"),
        ("0 > S 0:0(0) <mss>", "1:18: expected a number behind 'mss', found '>'$"),
        ("0 > , 1:1(0)", "1:5: expected a packet's flags \\(letters of FSRPEWAU and '.'\\)"),
        ("0 > . 1:1(0) ack", "1:17: expected a number behind 'ack', found the end of the script"),
        ("0 > icmp 3", "1:10: expected a name behind 'icmp', found '3'$"),
        ("0 f() = 0\n`a` `b`", "2:5: expected the end of the script, found '`'$"),
        ("0 f() = 0\n`a`\n0 f() = 0", "3:1: expected the end of the script, found '0'$"),
        ("`a`\n--mtu=1\n", "2:1: expected a time such as 0, \\+.1 or \\*, found '-'$"),
        ("# words\n0 f() = 0", "1:1: a comment begins with // or /\\*, not with '#'$"),
        ("0 f() = \x01", "1:9: .* found '\\\\x01'$"),
        # a slip of the pen
        ("0 > . 1:1(0) akc 1", "1:14: expected 'ack', .* found 'akc'; is 'ack' meant"),
        ("0 > . 1:1(0) <sackok>", "1:19: .* found 'ok' in 'sackok'; is 'sackOK' meant"),
        ("0 > . 1:1(0) <wscal 1>", "1:15: .* found 'wscal'; is 'wscale' meant"),
        ("0 > S 0:0(0) <TS vall 1 ecr 2>", "1:21: expected a number behind 'val', found 'l'"),
        ("0 f() = -1 EAGIAN", "1:12: there is no error EAGIAN; is EAGAIN meant"),
        ("0 > [etc0] . 1:1(0)", "1:6: of an IP header, .* not 'etc0'; is 'ect0' meant"),
        # what has no end
        ("0 /* x", "1:3: this comment has no end, which is \\*/$"),
        ("0 `x\n\n", "1:3: this command has no end, which is another `$"),
        ('0 f("x) = 0\n"', '1:5: this string has no end: another " in the same line$'),
        ('0 f("x\\")', '1:5: this string has no end: another " in the same line$'),
        ("0 %{ x", "1:3: this code has no end, which is }%$"),
        # times
        ("0.1 f() = 0", "1:1: the first event's time must be 0$"),
        ("\n+1 f() = 0", "2:1: the first event's time must be 0$"),
        ("* f() = 0", "1:1: '\\*', any time, is for packets that are expected$"),
        ("* < . 1:1(0) win 1", "1:1: '\\*', any time, is for packets that are expected$"),
        ("0~1 `x`", "1:1: a time with '~', any between two, is for packets that are expected$"),
        ("0...1 > . 1:1(0)", "1:1: a time with '...', from one to the other, is for system calls"),
        ("+0~1 > . 1:1(0)", "1:4: behind '~' stands '\\+' too, as in \\+0~\\+.1$"),
        ("0~+1 > . 1:1(0)", "1:4: both times, or none of them, count from the previous event$"),
        ("0 f() = 0 +2~+1.5 > . 1:1(0)", "1:15: 1.5 is before 2$"),
        ("0...12345678 f() = 0", "1:5: a time is at most 10000000 seconds, not 12345678$"),
        # packets
        ("0 > sX 0:1(1)", "1:5: a packet's flags are letters of FSRPEWAU and '.', .*'sX'$"),
        ("0 > SS 0:0(0)", "1:5: the flag 'S' stands twice in 'SS'$"),
        ("0 > P5 1:1(0)", "1:5: an AccECN count stands right behind '.', not as in 'P5'$"),
        ("0 > .8 1:1(0)", "1:5: an AccECN count is 0 to 7, not 8, in '.8'$"),
        ("0 > E.1 1:1(0)", "1:5: an AccECN count takes the place of the flags E, W and A"),
        ("0 > . 1:1002(1000)", "1:7: 1:1002\\(1000\\) does not add up: .* end at 1001 \\(SYN"),
        ("0 < F. 1:2(0) win 1", "1:8: 1:2\\(0\\) does not add up: 0 octets from 1 on end at 1"),
        ("0 > . 4294967296:1(1)", "1:7: a sequence number is 0 to 4294967295, not 4294967296$"),
        ("0 > . 1:1(0) win 65536", "1:18: win is 0 to 65535, not 65536$"),
        ("0 > 65536 > 1 . 1:1(0)", "1:5: a port is 0 to 65535, not 65536$"),
        ("0 < . 1:1(0) ack 1", "1:5: a packet that is injected needs a window: win 1000$"),
        ("0 < . 1:1(0) win 1 <...>", "1:5: '<...>', any options, can be expected, not injected$"),
        ("0 < [ect01] . 1:1(0) win 1", "1:5: 'ect01', either of two, can be expected, not inje"),
        ("0 > [ect0][ce] . 1:1(0)", "1:11: what the IP header is to say stands here twice$"),
        ("0 > [ect0, ce] . 1:1(0)", "1:12: 'ce' says again what 'ect0' has said$"),
        ("0 > [tos] . 1:1(0)", "1:6: 'tos' takes a number from 0 to 255$"),
        ("0 > [ttl 256] . 1:1(0)", "1:6: 'ttl' takes a number from 0 to 255$"),
        ("0 > [ce 1] . 1:1(0)", "1:6: 'ce' takes no number$"),
        ("0 > 1 > 2 udp 1 > 2 (9)", "1:5: the ports stand here twice$"),
        ("0 > [1:2(1)] icmp x [1:2(1)]", "1:21: what the message is about stands here twice$"),
        # TCP options
        ("0 > S 0:0(0) <mss 65536>", "1:19: a number of mss is 0 to 65535, not 65536$"),
        ("0 > S 0:0(0) <FO abc>", "1:18: what follows FO has an odd number of .*: 'abc'$"),
        ("0 > S 0:0(0) <FO wxyz>", "1:18: what follows FO is hexadecimal digits, not 'wxyz'$"),
        (f"0 > S 0:0(0) <FO {'00' * 39}>", "1:18: FO with 39 octets does not fit into a TCP hea"),
        ("0 > . 1:1(0) <ECN e0b 1 e0b 2>", "1:25: 'e0b' stands twice in an ECN option$"),
        # values
        ("0 f(18446744073709551616) = 0", "1:5: a number is -9223372036854775808 to 1844674407"),
        (f"0 f({'9' * 5000}) = 0", "1:5: a number of 5000 digits is too long$"),
        (f"{'9' * 5000} f() = 0", "1:1: a number of 5000 digits is too long$"),
        (r'0 f("a\q") = 0', r"1:5: '\\q' in a string means nothing; is '\\\\' meant\?$"),
        (r'0 f("\777") = 0', r"1:5: '\\777' is more than an octet, which ends at \\377$"),
        ("0 f(a(1, 2)=3) = 0", "1:5: 'a' takes one size in parentheses$"),
        (f"0 f({'[' * 17 + ']' * 17}) = 0", "1:5: expressions may be nested 16 levels deep"),
        (f"0 f({'[' * 50_000 + ']' * 50_000}) = 0", "1:49988: expressions may be nested 16 lev"),
        (f"0 f({'{a=' * 50_000}", "1:150005: expected a value: .* found the end of the script$"),
    ],
)
def test_a_refusal_teaches(source: str, message: str) -> None:
    assert re.match(message, refused(source))


@pytest.mark.parametrize(
    ("source", "construct", "column"),
    [
        ("0 < sctp: INIT[flgs=0]", "sctp", 5),
        ("0 > S 0:0(0) <nop,mp_capable v1>", "mp_capable", 19),
        ("0 < udplite (8)", "udplite", 5),
    ],
)
def test_protocols_that_are_not_here_are_unsupported(
    source: str, construct: str, column: int
) -> None:
    with pytest.raises(UnsupportedError) as caught:
        parse(source, "x")
    assert caught.value.construct == construct
    assert caught.value.position == (1, column)


# --- whatever comes -------------------------------------------------------------------------------


def check_is_read_or_refused(source: str | bytes) -> None:
    """Every script is a tree, or a sentence with a place inside of it; nothing else ever."""
    try:
        script = parse(source, "any.pkt")
    except (ScriptError, UnsupportedError) as refusal:
        text = source.decode("latin-1") if isinstance(source, bytes) else source
        lines = text.split("\n")
        line, column = refusal.position
        assert 1 <= line <= len(lines)
        assert 1 <= column <= len(lines[line - 1]) + 1
        message = str(refusal)
        assert message.isprintable()
    else:
        assert isinstance(script, Script)


def test_the_good_script_is_good() -> None:
    assert len(parse(GOOD, "good.pkt").events) == 11


@given(st.binary(max_size=60))
@example(b"\xff\xfe0 f() = 0")
@example(b"\x00")
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    check_is_read_or_refused(octets)


WORDS = sorted(set(re.findall(r"\w+|\S", GOOD)))


@given(st.lists(st.sampled_from(WORDS), max_size=20), st.sampled_from(["", " ", "\n"]))
def test_any_words_of_the_language_are_read_or_refused(words: list[str], between: str) -> None:
    check_is_read_or_refused("0 " + between.join(words))


characters = st.characters() | st.sampled_from('/*`"%{}[]<>().,:=|~+-\\ \n0x9')


@pytest.mark.slow
@settings(max_examples=400)
@given(st.integers(0, len(GOOD)), st.sampled_from(["insert", "delete", "replace"]), characters)
def test_any_slip_of_the_pen_is_read_or_refused(place: int, what: str, character: str) -> None:
    put_in = "" if what == "delete" else character
    rest = GOOD[place + (what != "insert") :]
    check_is_read_or_refused(GOOD[:place] + put_in + rest)


@given(st.integers(0, len(GOOD)))
def test_any_beginning_of_a_script_is_read_or_refused(length: int) -> None:
    check_is_read_or_refused(GOOD[:length])
