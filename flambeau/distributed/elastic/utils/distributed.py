"""Ports of this machine at which processes can meet."""

from __future__ import annotations

import socket

__all__ = ["get_free_port", "get_socket_with_port"]


def get_socket_with_port() -> socket.socket:
    """A socket that listens at a port of ``localhost`` that nobody used.

    Raises:
        RuntimeError: there is none.
    """
    for family, kind, protocol, _, _ in socket.getaddrinfo("localhost", None, socket.AF_UNSPEC, socket.SOCK_STREAM):
        listener = socket.socket(family, kind, protocol)
        try:
            listener.bind(("localhost", 0))
            listener.listen(0)
            return listener
        except OSError:
            listener.close()
    raise RuntimeError("Failed to create a socket")


def get_free_port() -> int:
    """The number of a port of ``localhost`` that nobody uses; another process may take it at any time."""
    with get_socket_with_port() as listener:
        return int(listener.getsockname()[1])
