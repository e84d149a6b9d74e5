"""What a user may write as an address, and how addresses are shown."""

import ipaddress
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from tapstack.base import address
from tapstack.base.address import Endpoint, Network

addresses = st.integers(0, 2**32 - 1)


@given(addresses)
def test_a_dotted_quad_reads_back(number: int) -> None:
    text = address.format_ipv4(number)
    assert text == str(ipaddress.IPv4Address(number))
    assert address.parse_ipv4(text) == number


@given(addresses, st.integers(0, 32))
def test_networks_agree_with_the_standard_library(number: int, prefix_length: int) -> None:
    network = Network(number, prefix_length)
    expected = ipaddress.IPv4Interface((number, prefix_length)).network

    assert network.mask == int(expected.netmask)
    assert network.prefix == int(expected.network_address)
    assert network.broadcast == int(expected.broadcast_address)
    assert address.parse_network(str(network)) == network


@given(addresses, addresses, st.integers(0, 32))
def test_membership_agrees_with_the_standard_library(
    number: int, other: int, prefix_length: int
) -> None:
    expected = ipaddress.IPv4Interface((number, prefix_length)).network
    assert (other in Network(number, prefix_length)) == (ipaddress.IPv4Address(other) in expected)


def test_only_an_address_is_in_a_network() -> None:
    assert "10.0.0.1" not in Network(address.parse_ipv4("10.0.0.1"), 0)


@given(addresses, st.integers(0, 65535))
def test_an_endpoint_reads_back(number: int, port: int) -> None:
    assert address.parse_endpoint(str(Endpoint(number, port))) == Endpoint(number, port)


@given(st.binary(min_size=6, max_size=6))
def test_an_ethernet_address_reads_back(octets: bytes) -> None:
    assert address.parse_mac(address.format_mac(octets)) == octets


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (address.parse_ipv4, ""),
        (address.parse_ipv4, "10.0.0"),
        (address.parse_ipv4, "10.0.0.0.1"),
        (address.parse_ipv4, "10.0.0.256"),
        (address.parse_ipv4, "10.0.0.0001"),
        (address.parse_ipv4, "10.0.0.-1"),
        (address.parse_ipv4, "10.0.0.+1"),
        (address.parse_ipv4, "10.0.0. 1"),
        (address.parse_ipv4, "10.0.0.1\n"),
        (address.parse_ipv4, "10.0.0.\N{ARABIC-INDIC DIGIT ONE}"),
        (address.parse_ipv4, "localhost"),
        (address.parse_network, "10.0.0.1"),
        (address.parse_network, "10.0.0.1/"),
        (address.parse_network, "10.0.0.1/33"),
        (address.parse_network, "10.0.0.1/-1"),
        (address.parse_network, "10.0.0/24"),
        (address.parse_endpoint, "10.0.0.1"),
        (address.parse_endpoint, "10.0.0.1:"),
        (address.parse_endpoint, "10.0.0.1:65536"),
        (address.parse_endpoint, ":80"),
        (address.parse_port, "http"),
        (address.parse_port, ""),
        (address.parse_port, "-1"),
        (address.parse_mac, "02:00:00:00:00"),
        (address.parse_mac, "02:00:00:00:00:1"),
        (address.parse_mac, "02-00-00-00-00-01"),
        (address.parse_mac, "02:00:00:00:00:0g"),
    ],
)
def test_what_is_no_address_is_refused_in_one_sentence_that_quotes_it(
    parse: Callable[[str], object], text: str
) -> None:
    with pytest.raises(ValueError, match=r"is not an? ") as refusal:
        parse(text)
    quoted = {text, *text.split(":"), *text.split("/")}
    assert any(f"'{part}'" in str(refusal.value) for part in quoted)


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (
        address.parse_ipv4,
        address.parse_network,
        address.parse_endpoint,
        address.parse_port,
        address.parse_mac,
    ):
        with suppress(ValueError):
            parse(text)


@given(addresses)
def test_classes_agree_with_the_standard_library(number: int) -> None:
    expected = ipaddress.IPv4Address(number)
    assert address.is_multicast(number) == expected.is_multicast
    assert address.is_loopback(number) == expected.is_loopback
    assert address.is_reserved(number) == expected.is_reserved
