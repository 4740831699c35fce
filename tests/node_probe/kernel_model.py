"""A model of what the programs do with TLS at a first point: segments of one direction -> records of the ring.

By the rules that bpf/tls.c states, and by nothing of its text.
"""

from typing import Any

import msgspec

from tests.node_probe.bursts import make_burst


class Segment(msgspec.Struct):
    """A payload segment as the first point meets it."""

    at_ns: int
    seq: int
    ack: int
    length: int
    begins_record: bool
    is_handshake: bool
    changes_cipher: bool
    """Whether a change of cipher and a record of a handshake behind it begin in it."""
    records: tuple[int, ...]
    """Lengths of the records that begin in it, its first bytes first, if it begins with one."""
    tsval: int


def is_aside(segment: Segment) -> bool:
    """Return whether the segment has nothing but an alert or a new key, as their lengths tell."""
    return len(segment.records) == 1 and segment.records[0] in (19, 22) and segment.length == segment.records[0] + 5


class KernelDirection:
    """One direction's state in the kernel."""

    def __init__(self, *, is_coming: bool) -> None:
        self._is_coming = is_coming
        self._known = False
        self._last_ack = 0
        self._in_handshake = False
        self._handshake_ends = False
        self._cipher_changed = False
        self._seq = -1
        self._tsval = -1
        self._place = 0
        self._number = 0
        self._end = 0
        self._followers = 0
        self._last_ns = 0
        self._previous: tuple[int, int] = (0, 0)

    def meet(self, segment: Segment) -> bytes | None:
        """Return the record that a segment makes, if it makes one."""
        if not segment.begins_record:
            return None
        was_known = self._known
        is_old = was_known and 0 < (self._end - segment.seq) % 2**32 < 2**31
        self._note_end(segment)
        self._known = True
        if segment.is_handshake:
            self._note_handshake(segment, is_old=is_old)
        elif not was_known:
            self._last_ack, self._last_ns = segment.ack, segment.at_ns
        elif not is_aside(segment):
            return self._judge(segment, is_old=is_old)
        return None

    def _judge(self, segment: Segment, *, is_old: bool) -> bytes | None:
        if segment.seq == self._seq:
            is_again, self._tsval = segment.tsval != self._tsval, segment.tsval
            return self._make(segment) if is_again else None
        newer = (segment.ack - self._last_ack) % 2**32
        is_newer = 0 < newer < 2**31
        if not is_old and (is_newer or self._handshake_ends):
            return self._begin(segment, is_newer=is_newer)
        self._followers += 1
        self._last_ns = segment.at_ns
        return self._make(segment, kind=2, seq=self._seq) if self._followers == 1 else None

    def _note_end(self, segment: Segment) -> None:
        behind = sum(length + 5 for length in segment.records[:4])
        end = (segment.seq + max(behind, segment.length)) % 2**32
        if not self._known or 0 < (end - self._end) % 2**32 < 2**31:
            self._end = end

    def _note_handshake(self, segment: Segment, *, is_old: bool) -> None:
        if not is_old:
            self._in_handshake = self._handshake_ends = True
            self._cipher_changed |= segment.changes_cipher
            self._last_ack, self._last_ns = segment.ack, segment.at_ns

    def _begin(self, segment: Segment, *, is_newer: bool) -> bytes:
        self._previous = (self._followers, self._last_ns if self._number else 0)
        self._number += 1
        self._followers, self._last_ns, self._last_ack = 0, segment.at_ns, segment.ack
        self._seq, self._tsval = segment.seq, segment.tsval
        self._place = (1 + self._cipher_changed) * self._in_handshake
        self._handshake_ends = False
        self._in_handshake = self._in_handshake and not is_newer
        return self._make(segment)

    def _make(self, segment: Segment, **changes: Any) -> bytes:
        followers, last_ns = self._previous
        fields: dict[str, Any] = {
            "seq": segment.seq,
            "ack": segment.ack,
            "tsval": segment.tsval,
            "number": self._number % 2**16,
            "place": self._place,
            "previous_followers": followers,
            "previous_last_ns": last_ns,
            "records": segment.records[:4],
            "payload_length": segment.length,
        }
        return make_burst(segment.at_ns, is_coming=self._is_coming, **fields | changes)
