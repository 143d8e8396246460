"""The worker's queue of messages to control, which never blocks."""

from __future__ import annotations

import socket
from collections import deque

from esp.ipc import channel
from esp.ipc.messages import Message, MessageError, SequenceExhausted, SequenceLow

_PENDING = 256  # messages queued while control does not read
_NEVER_LOST = (SequenceLow, SequenceExhausted)  # at most one of each an SA


class Outbox:
    """Queue of messages to control, kept while its socket is full."""

    __slots__ = ("_control", "pending")

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self.pending: deque[Message] = deque()

    def post(self, message: Message) -> bool:
        """Send or queue a message; False if the queue is full and the message is lost."""
        if len(self.pending) >= _PENDING and not isinstance(message, _NEVER_LOST):
            return False
        self.pending.append(message)
        self.flush()
        return True

    def flush(self) -> None:
        while self.pending:
            try:
                channel.send(self._control, self.pending[0])
            except BlockingIOError:
                return
            except (OSError, MessageError):
                pass  # control is gone: the next read tells
            self.pending.popleft()
