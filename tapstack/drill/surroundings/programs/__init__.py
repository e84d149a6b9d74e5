"""The programs that a script's commands find first on their PATH."""

from tapstack.drill.surroundings.machine import Program
from tapstack.drill.surroundings.programs import (
    ip,
    modprobe,
    nstat,
    refused,
    sleep,
    ss,
    sysctl,
    tc,
)

PROGRAMS: dict[str, Program] = {
    "ethtool": refused.ethtool,
    "ip": ip.ip,
    "modprobe": modprobe.modprobe,
    "nstat": nstat.nstat,
    "sleep": sleep.sleep,
    "ss": ss.ss,
    "sysctl": sysctl.sysctl,
    "tc": tc.tc,
    "usleep": sleep.usleep,
    **refused.REFUSED,
}
"""By name."""
