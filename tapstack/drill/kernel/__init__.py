"""A Linux kernel that scripts are played on, in a network namespace of its own, in real time."""

from tapstack.drill.kernel.host import KernelHost

__all__ = ["KernelHost"]
