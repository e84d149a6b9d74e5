"""IPv4 options: where they are malformed, and which a fragment carries."""

import pytest
from hypothesis import given, strategies as st

from tapstack.ip.options import walk


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        pytest.param(b"", None, id="none"),
        pytest.param(b"\1\1\1\0", None, id="no operation, end"),
        pytest.param(b"\0\7\0\0", None, id="nothing counts behind the end"),
        pytest.param(b"\x99\4\0\0", None, id="unknown, well formed"),
        pytest.param(b"\x94\4\0\0", None, id="router alert"),
        pytest.param(b"\7\7\4\0\0\0\0\0", None, id="record route"),
        pytest.param(b"\x44\4\5\0", None, id="timestamp"),
        pytest.param(b"\x99\0\0\0", 20, id="length 0"),
        pytest.param(b"\x99\1\0\0", 20, id="length 1"),
        pytest.param(b"\x99\5\0\0", 20, id="length past the end"),
        pytest.param(b"\1\1\1\x99", 23, id="length missing"),
        pytest.param(b"\1\x99\3\0\1\1\x99\3", 26, id="the second one"),
        pytest.param(b"\7\2\0\0", 21, id="record route without a pointer"),
        pytest.param(b"\7\7\3\0\0\0\0\0", 22, id="record route pointer too small"),
        pytest.param(b"\x44\4\4\0", 22, id="timestamp pointer too small"),
    ],
)
def test_the_pointer_says_where_it_is_malformed(options: bytes, pointer: int | None) -> None:
    assert walk(options).error == pointer


@pytest.mark.parametrize("kind", [131, 137])
def test_source_routes_are_seen(kind: int) -> None:
    assert walk(bytes((1, kind, 7, 4, 10, 0, 0, 9))).source_route
    assert not walk(bytes((1, 7, 7, 4, 10, 0, 0, 9))).source_route


def test_only_options_with_the_copied_flag_are_copied() -> None:
    record_route, alert, unknown = b"\7\7\4abcd", b"\x94\4\0\0", b"\x99\3\5"
    assert walk(record_route + alert + unknown + b"\1\1").copied == alert + unknown + b"\0"


@given(st.binary(max_size=40))
def test_any_octets_can_be_walked(options: bytes) -> None:
    found = walk(options)
    assert found.error is None or 20 <= found.error < 20 + len(options) + 2
    assert len(found.copied) <= (len(options) + 3) // 4 * 4
    if found.error is None:
        assert walk(found.copied).copied == found.copied
