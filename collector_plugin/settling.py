"""Messages that wait for their other half, or for a better relation of clocks, until their time is over.

Pure: `now_ns` is a parameter. All wait equally long, so the first to come is the first that is due.
"""

import collections

from collector_plugin.messages import Message


class Settling:
    """The messages in the order in which they are due; one that needs to wait no longer is not taken out."""

    def __init__(self, settle_ns: int) -> None:
        """Let each wait for `settle_ns`."""
        self._settle_ns = settle_ns
        self._queue: collections.deque[tuple[int, Message]] = collections.deque()
        self._fresh: list[Message] = []

    def add(self, message: Message, now_ns: int) -> None:
        """Let a message wait from now on."""
        self._queue.append((now_ns + self._settle_ns, message))
        self._fresh.append(message)

    def pop_due(self, now_ns: int) -> list[Message]:
        """Return the messages whose time is over; the others are packed.

        Not before: the other half of most comes in the same request.
        """
        for message in self._fresh:
            message.slim()
        self._fresh.clear()
        due = []
        while self._queue and self._queue[0][0] <= now_ns:
            due.append(self._queue.popleft()[1])
        return due
