"""Our own commands as processes: the ports that they are given."""

import contextlib
import socket

from algoserver.processes import PORTS, free_port


def test_a_free_port_is_none_that_the_kernel_gives_to_anybody_and_none_twice():
    """So it is free still when a process that starts slowly, or anew, listens there; one that is taken is passed over."""
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    assert max(PORTS) < 32_768  # Linux's first
    following = PORTS[(PORTS.index(free_port()) + 1) % len(PORTS)]
    with socket.socket() as taken:
        with contextlib.suppress(OSError):  # by somebody else, then
            taken.bind(("127.0.0.1", following))
        assert free_port() != following
