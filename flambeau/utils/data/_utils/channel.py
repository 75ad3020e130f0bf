"""Messages between a loader and a worker process: bytes, and at most one file descriptor each."""

from __future__ import annotations

import os
import selectors
import socket
import struct
from collections import deque

Message = tuple[bytes, int | None]

_HEADER = struct.Struct("<QB")  # bytes that follow, descriptors that come with them
_CHUNK = 1 << 18
_SENDS_DESCRIPTORS = hasattr(socket, "send_fds")
_MOST_DESCRIPTORS = 16  # in one read
_FLAGS = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Channel:
    """One end of a connection. Who sends also reads, so two ends that send at once never wait for each other.

    Args:
        end: the connected socket; the channel owns it.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._socket = end
        self._read = bytearray()
        self._descriptors: deque[int] = deque()
        self._messages: deque[Message] = deque()
        self.ended = False

    def fileno(self) -> int:
        """The socket's descriptor, for selectors."""
        return self._socket.fileno()

    def send(self, payload: bytes, descriptor: int | None = None) -> None:
        """Sends a message; the descriptor is the receiver's then.

        Raises:
            OSError: the other end is closed.
        """
        header = _HEADER.pack(len(payload), descriptor is not None)
        try:
            start = self._send_with_descriptor(header, descriptor) if descriptor is not None else 0
        finally:
            if descriptor is not None:
                os.close(descriptor)
        self._send_all(memoryview(header + payload)[start:])

    def _send_with_descriptor(self, data: bytes, descriptor: int) -> int:
        while True:
            try:
                return socket.send_fds(self._socket, [data], [descriptor])
            except BlockingIOError:
                self._until_writable()

    def _send_all(self, data: memoryview) -> None:
        while data:
            try:
                data = data[self._socket.send(data) :]
            except BlockingIOError:
                self._until_writable()

    def _until_writable(self) -> None:
        with selectors.DefaultSelector() as selector:
            events = selectors.EVENT_WRITE | (0 if self.ended else selectors.EVENT_READ)
            selector.register(self._socket, events)
            if any(found & selectors.EVENT_READ for _, found in selector.select()):
                self.read()

    def read(self) -> None:
        """Reads what has come, without waiting."""
        while not self.ended:
            try:
                data = self._receive_some()
            except BlockingIOError:
                break
            except OSError:
                data = b""
            self.ended = not data
            self._read += data
        self._split()

    def _receive_some(self) -> bytes:
        if not _SENDS_DESCRIPTORS:
            return self._socket.recv(_CHUNK)
        data, descriptors, *_ = socket.recv_fds(self._socket, _CHUNK, _MOST_DESCRIPTORS, _FLAGS)
        self._descriptors.extend(descriptors)
        return data

    def _split(self) -> None:
        """Takes the whole messages out of what was read."""
        start = 0
        while len(self._read) - start >= _HEADER.size:
            size, with_descriptor = _HEADER.unpack_from(self._read, start)
            end = start + _HEADER.size + size
            if len(self._read) < end:
                break
            payload = bytes(self._read[start + _HEADER.size : end])
            self._messages.append((payload, self._descriptors.popleft() if with_descriptor else None))
            start = end
        del self._read[:start]

    def take(self) -> Message | None:
        """The next message that was read, if there is one."""
        return self._messages.popleft() if self._messages else None

    def receive(self, seconds: float) -> Message | None:
        """The next message; None if none comes in this time, or if the other end is closed (`ended`)."""
        if not self._messages and not self.ended:
            with selectors.DefaultSelector() as selector:
                selector.register(self._socket, selectors.EVENT_READ)
                if selector.select(seconds):
                    self.read()
        return self.take()

    def close(self) -> None:
        """Closes this end, with all descriptors that nobody took."""
        self._socket.close()
        for descriptor in [*self._descriptors, *(d for _, d in self._messages if d is not None)]:
            os.close(descriptor)
        self._descriptors.clear()
        self._messages.clear()


def pair() -> tuple[Channel, socket.socket]:
    """This process's end, and the socket of the other one."""
    here, there = socket.socketpair()
    return Channel(here), there
