"""The seven ports of a stack, all on loopback: a base, and one up for each process."""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Mapping

from deploy.local.errors import PortTaken, StackError

HOST = "127.0.0.1"
SERVICES = ("intake", "matching", "notifications", "audit")
OFFSETS: Mapping[str, int] = {
    "issuer": 0,
    **{name: n for n, name in enumerate(SERVICES, 1)},
    "broker": 5,
    "database": 6,
}
# Below the range from which Linux and macOS take the ports of outgoing connections.
_FREE_BASES = range(10_000, 32_000, 10)


def from_base(base: int) -> dict[str, int]:
    """The port of each process. Raises: StackError where the base leaves no room for all of them."""
    if not 1024 <= base <= 65535 - max(OFFSETS.values()):
        raise StackError(f"port base {base} is not between 1024 and {65535 - max(OFFSETS.values())}")
    return {name: base + offset for name, offset in OFFSETS.items()}


def free_base() -> int:
    """A base whose ports are all free now. Raises: StackError after 100 tries."""
    for base in random.sample(_FREE_BASES, 100):
        if not any(_taken(port) for port in from_base(base).values()):
            return base
    raise StackError("no run of seven free ports was found on this machine")


def taken(ports: Mapping[str, int]) -> list[str]:
    """Those that something else listens on, as "8001 (for intake)"."""
    return [f"{port} (for {name})" for name, port in ports.items() if _taken(port)]


def check_free(ports: Mapping[str, int]) -> None:
    """Raises: PortTaken, naming each port that something else listens on."""
    if found := taken(ports):
        subject = f"port {found[0]} is" if len(found) == 1 else f"ports {', '.join(found)} are"
        raise PortTaken(f"{subject} taken on {HOST}: stop what listens there, or choose another --port-base")


def _taken(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error.errno in (errno.EADDRINUSE, errno.EACCES)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # On macOS a bind succeeds beside a listener on all addresses.
        return probe.connect_ex((HOST, port)) == 0
