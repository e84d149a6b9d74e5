"""Builds the packets of a script from what the grammar found.

Each method makes the node of the rule of `grammar.lark` that it is named after.

Not done here: what packets must be (`packet_checks.py`), everything else in a script
(`tree_builder.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from lark import Token, v_args
from lark.tree import Meta
from lark.visitors import Transformer_NonRecursive

from tapstack.drill.language.literals import read_natural
from tapstack.drill.language.packet_checks import (
    IpField,
    Range,
    Written,
    check_packet,
    make_ip_info,
    make_range,
    make_tcp_option,
    read_flags,
)
from tapstack.drill.language.syntax import (
    Anything,
    Direction,
    Encapsulation,
    IcmpMessage,
    IpInfo,
    Number,
    Packet,
    Ports,
    Position,
    Quoted,
    Script,
    ScriptError,
    TcpOption,
    TcpSegment,
    UdpDatagram,
)

Part: TypeAlias = "IpInfo | Encapsulation | TcpSegment | UdpDatagram | IcmpMessage"
"""What a packet is made of, from the outside in."""


def place(token: Token) -> Position:
    """Tell where a token begins."""
    assert token.line is not None
    assert token.column is not None
    return Position(token.line, token.column)


def start(meta: Meta) -> Position:
    """Tell where what a rule has found begins."""
    return Position(meta.line, meta.column)


@v_args(inline=True, meta=True)
class PacketBuilder(Transformer_NonRecursive[Token, Script]):
    """Makes packets of the tree that the grammar gives. Raises: ScriptError."""

    def __init__(self, text: str, definitions: Mapping[str, str]) -> None:
        super().__init__()
        self._text = text
        self._definitions = definitions

    def packet(self, meta: Meta, direction: Direction, *parts: Part) -> Packet:
        """`< [ect0] . 1:1(0) ack 1 win 257`."""
        infos = [part for part in parts if isinstance(part, IpInfo)]
        if len(infos) > 1:
            raise ScriptError("what the IP header is to say stands here twice", infos[1].position)
        outer = tuple(part for part in parts if isinstance(part, Encapsulation))
        payload = parts[-1]
        assert isinstance(payload, TcpSegment | UdpDatagram | IcmpMessage)
        info = infos[0] if infos else None
        packet = Packet(start(meta), direction, info, outer, payload, self._slice(meta))
        check_packet(packet)
        return packet

    @v_args(inline=True)
    def direction(self, token: Token) -> Direction:
        """`<` or `>`."""
        return Direction(str(token))

    def ip_info(self, meta: Meta, *fields: IpField) -> IpInfo:
        """`(tos 0x10, ttl 64)`."""
        return make_ip_info(start(meta), fields)

    def ip_field(self, meta: Meta, name: Token, number: Number | None) -> IpField:
        """`ttl 64`."""
        return IpField(start(meta), str(name), None if number is None else number.value)

    def encapsulation(self, meta: Meta, kind: Token, *_: Token) -> Encapsulation:
        """`ipv4 192.0.2.1 > 192.168.0.1:`."""
        return Encapsulation(start(meta), str(kind), self._slice(meta))

    @v_args(inline=True)
    def ports(self, source: Token, destination: Token) -> Ports:
        """`8080 > 53055`."""
        return Ports(self._number(source, "a port", 16), self._number(destination, "a port", 16))

    def tcp(
        self,
        meta: Meta,
        ports: Ports | None,
        flags: Token,
        text: Range,
        ack: Token | None,
        window: Token | None,
        urgent: Token | None,
        options: tuple[TcpOption, ...] | Anything | None,
    ) -> TcpSegment:
        """`P. 1:1001(1000) ack 1 win 257 <nop,nop,TS val 1 ecr 2>`."""
        letters, ace = read_flags("".join(flags.split()), place(flags))
        return TcpSegment(
            start(meta),
            ports,
            letters,
            ace,
            text.seq,
            text.end,
            text.length,
            self._number_if(ack, "ack"),
            self._number_if(window, "win", 16),
            self._number_if(urgent, "urg", 16),
            None if isinstance(options, Anything) else options or (),
        )

    def range(self, meta: Meta, seq: Token, end: Token, length: Token) -> Range:
        """`1:1001(1000)`."""
        return make_range(
            start(meta),
            self._number(seq, "a sequence number"),
            self._number(end, "a sequence number"),
            self._number(length, "a length"),
        )

    def tcp_options(
        self, meta: Meta, *options: TcpOption | Token
    ) -> tuple[TcpOption | Token, ...] | Anything:
        """`<mss 1000,sackOK>`, or `<...>`."""
        return Anything(start(meta)) if isinstance(options[0], Token) else options

    def tcp_option(self, meta: Meta, *tokens: Token | None) -> TcpOption:
        """`TS val 100 ecr 0`."""
        parts = [
            Written(self._defined(token), place(token), token.type == "INT")
            for token in tokens
            if token is not None
        ]
        return make_tcp_option(start(meta), parts)

    def udp(
        self, meta: Meta, before: Ports | None, ports: Ports | None, size: Token
    ) -> UdpDatagram:
        """`udp 8080 > 53055 (1000)`."""
        if before is not None and ports is not None:
            raise ScriptError("the ports stand here twice", start(meta))
        return UdpDatagram(start(meta), before or ports, self._number(size, "a length", 16))

    def icmp(
        self,
        meta: Meta,
        before: Quoted | None,
        kind: Token,
        code: Token | None,
        mtu: Token | None,
        identifier: Token | None,
        quoted: Quoted | None,
    ) -> IcmpMessage:
        """`icmp unreachable frag_needed mtu 1200 [1:1461(1460)]`."""
        if before is not None and quoted is not None:
            raise ScriptError("what the message is about stands here twice", quoted.position)
        return IcmpMessage(
            start(meta),
            str(kind),
            None if code is None else str(code),
            self._number_if(mtu, "an MTU", 16),
            self._number_if(identifier, "an id", 16),
            before or quoted,
        )

    def quoted(self, meta: Meta, kind: Token | Range, size: Token | None = None) -> Quoted:
        """`[1:1461(1460)]`, `[udp (100)]`."""
        if isinstance(kind, Range):
            return Quoted(start(meta), "tcp", kind.seq, kind.length)
        assert size is not None
        return Quoted(start(meta), str(kind), 0, self._number(size, "a length", 16))

    # --- what all of them use ---

    def _slice(self, meta: Meta) -> str:
        return self._text[meta.start_pos : meta.end_pos]

    def _defined(self, token: Token) -> str:
        return self._definitions.get(str(token), str(token))

    def _number(self, token: Token, what: str, bits: int = 32) -> int:
        return read_natural(token, place(token), what, bits)

    def _number_if(self, token: Token | None, what: str, bits: int = 32) -> int | None:
        return None if token is None else self._number(token, what, bits)
