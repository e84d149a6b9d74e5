"""What a route says to IP, and how `ip route` shows all that it says."""

from __future__ import annotations

import pytest

from tapstack.base.route_metrics import RouteMetrics
from tapstack.base.units import MICROSECOND, MILLISECOND, SECOND
from tapstack.ip.config import IpConfig
from tapstack.ip.routing import DEFAULT, Route
from tests.ip.rig import FAR, HOST, PROTOCOL_UDP, Rig


def rig_with(metrics: RouteMetrics, config: IpConfig | None = None) -> Rig:
    rig = Rig(config)
    rig.ip.routes.add(Route(DEFAULT, rig.tap, gateway=HOST, metrics=metrics))
    return rig


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        (RouteMetrics(mtu=1400, locked=frozenset({"mtu"})), "mtu lock 1400"),
        (
            RouteMetrics(rto_min=5 * MILLISECOND, locked=frozenset({"rto_min"})),
            "rto_min lock 5ms",
        ),
        (
            RouteMetrics(rtt=2 * SECOND, rttvar=50 * MICROSECOND, ecn=True, quickack=True),
            "rtt 2s rttvar 50us features ecn quickack 1",
        ),
        (
            RouteMetrics(
                *(1400, 5000, 0, 0, 7, 10, 1300, 5, 9, 20, False, 0, 30, False, "reno", True)
            ),
            "mtu 1400 window 5000 ssthresh 7 cwnd 10 advmss 1300 reordering 5 hoplimit 9 "
            "initcwnd 20 initrwnd 30 congctl reno fastopen_no_cookie 1",
        ),
    ],
)
def test_metrics_are_shown_as_ip_route_shows_them(metrics: RouteMetrics, words: str) -> None:
    route = Route(DEFAULT, Rig().tap, gateway=HOST, metrics=metrics)
    assert str(route) == f"default via 10.0.0.2 dev tap0 {words}"


def test_a_route_says_what_fits_it() -> None:
    rig = rig_with(RouteMetrics(mtu=1200))
    assert rig.ip.path_to(FAR).mtu == 1200
    assert rig.ip.path_to(HOST).mtu == 1500
    rig.ip.learn_path_mtu(FAR, 1000, rig.now)
    assert rig.ip.path_to(FAR).mtu == 1000
    assert rig_with(RouteMetrics(mtu=9000)).ip.path_to(FAR).mtu == 1500


def test_nothing_is_learned_of_a_path_whose_mtu_is_locked() -> None:
    rig = rig_with(RouteMetrics(mtu=1200, locked=frozenset({"mtu"})))
    rig.ip.learn_path_mtu(FAR, 1000, rig.now)
    assert rig.ip.path_to(FAR).mtu == 1200


def test_what_was_learned_can_be_forgotten() -> None:
    rig = rig_with(RouteMetrics())
    rig.ip.learn_path_mtu(FAR, 1000, rig.now)
    rig.ip.forget_path_mtus()
    assert rig.ip.path_to(FAR).mtu == 1500
    assert rig.timers.next_deadline() is None


@pytest.mark.parametrize(
    ("asked", "hoplimit", "default", "ttl"),
    [(0, 0, 64, 64), (0, 0, 33, 33), (0, 9, 33, 9), (5, 9, 33, 5)],
)
def test_the_ttl_is_who_sends_says_else_the_route_else_the_host(
    asked: int, hoplimit: int, default: int, ttl: int
) -> None:
    rig = rig_with(RouteMetrics(hoplimit=hoplimit), IpConfig(ip_default_ttl=default))
    rig.ip.send_datagram(PROTOCOL_UDP, 0, FAR, [bytes(8)], rig.now, ttl=asked)
    (sent,) = rig.drain()
    assert sent.header.ttl == ttl


def test_transports_are_told_the_rest() -> None:
    metrics = RouteMetrics(initcwnd=3, ecn=True)
    assert rig_with(metrics).ip.path_to(FAR).metrics == metrics
