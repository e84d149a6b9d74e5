"""The programs that a script's commands find first on their PATH."""

from tapstack.drill.surroundings.machine import Program
from tapstack.drill.surroundings.programs import sleep, sysctl

PROGRAMS: dict[str, Program] = {
    "sleep": sleep.sleep,
    "sysctl": sysctl.sysctl,
    "usleep": sleep.usleep,
}
"""By name."""
