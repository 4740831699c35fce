"""Measures what first points take of HTTP/2: requests sampled and not, and segments without a header block.

The connection is known, so each segment begins where the last one ended. That it was read so is checked by the
programs' own counters: a header block where nothing was known of the connection would have been counted as uncertain.
"""

import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from testbed.capture_file import PLAIN_TCP
from tests.bench.bytecode import load_advancing
from tests.bench.stream_samples import (
    DATA,
    FRAME_HEAD_BYTES,
    PING,
    STREAM_AT_BYTE,
    WINDOW_UPDATE,
    call,
    coded_block,
    frame,
    frame_head,
    make_parent_id,
    plain_block,
)
from tests.bench.timed_runs import IN_A_ROW, Effort, Timer
from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import PARENT_ID, request

SEGMENT_BYTES = 600
"""Of segments without a header block: as many as of one that is no HTTP."""

IN_FRAME = 100
"""Segments that lie whole inside a frame."""

_REST = b"x" * 100
_FRAME_BYTES = IN_FRAME * SEGMENT_BYTES + len(_REST)
"""Below the 64 KiB of the largest frame that is taken for one."""

_PAYLOAD = PLAIN_TCP + 32
"""Where the payload begins: behind a TCP header with timestamps."""

_SEQ = PLAIN_TCP + 4

MakeBlock = Callable[[str, str], bytes]
"""Makes a header block of a parent id and flags."""

_BLOCKS: dict[str, MakeBlock] = {"coded": coded_block, "plain": plain_block}
"""Header blocks whose context is in Huffman's code behind a known name, and written out with its name."""

_CONTROL = frame(WINDOW_UPDATE, 0, bytes(3) + b"\x40") + frame(PING, 0, bytes(8))
_UNSAMPLED = call(coded_block(PARENT_ID, "00"), 1)

_AT_FIRST = {"http2_uncertain": 1}
_OF_TRANSITS = frozenset({"transits_started", "transits_emitted", "transit_map_full", "exchange_map_full"})
"""Counters of what the timer looks at, and of full tables."""


class StreamRuns:
    """The programs that first points call, fed with connections of HTTP/2."""

    def __init__(
        self, harness: Harness, timer: Timer, effort: Effort, stack: ExitStack, ports: Iterator[int]
    ) -> None:
        """Prepare; `ports` are client ports that nothing else uses."""
        self._harness = harness
        self._timer = timer
        self._effort = effort
        self._stack = stack
        self._ports = ports
        self._loaded: set[str] = set()

    def measure(self) -> dict[str, float]:
        """Return the figures of one round, without those that are the larger of several."""
        figures = {}
        for name, make_block in _BLOCKS.items():
            figures[f"h2_first_{name}"], figures[f"h2_last_{name}"] = self._measure_shots(make_block)
            figures[f"h2_first_hot_{name}"] = self._measure_row(make_block)
            figures[f"h2_unsampled_{name}"] = self._measure_unsampled(make_block)
        figures["h2_other_data"] = self._measure_other(b"")
        figures["h2_other_control"] = self._measure_other(_CONTROL)
        figures["h2_other_inside"] = self._measure_inside()
        self._harness.start_afresh()
        return figures

    def _measure_shots(self, make_block: MakeBlock) -> tuple[float, float]:
        figures = self._timer.time_shots("pod_egress", "pod_ingress", self._list_calls(make_block))
        self._require({"http2_requests": self._effort.shots})
        return figures

    def _list_calls(self, make_block: MakeBlock) -> Iterator[bytes]:
        """Yield the calls of one connection, each with a stream and a context of its own."""
        port, seq = next(self._ports), 0
        for number in range(self._effort.shots):
            payload = call(make_block(make_parent_id(number), "01"), 2 * number + 1)
            yield request(payload, seq=seq, client_port=port)
            seq += len(payload)

    def _measure_row(self, make_block: MakeBlock) -> float:
        payload = call(make_block(PARENT_ID, "01"), 1)
        names = self._load(len(payload), 2)
        duration = self._timer.time_row(*names, request(payload, client_port=next(self._ports)))
        self._require({"http2_requests": IN_A_ROW})
        return duration

    def _measure_unsampled(self, make_block: MakeBlock) -> float:
        self._harness.start_afresh()
        payload = call(make_block(PARENT_ID, "00"), 1)
        names = self._load(len(payload), 2)
        duration, _ = self._timer.time_pairs(*names, request(payload, client_port=next(self._ports)))
        self._require_unsampled(self._effort.pairs * self._effort.repeat)
        return duration

    def _measure_other(self, first_frames: bytes) -> float:
        """Measure segments that end with a frame of data, between two calls that show that they were followed."""
        self._harness.start_afresh()
        port = next(self._ports)
        payload = first_frames + frame(DATA, 1, b"x" * (SEGMENT_BYTES - len(first_frames) - FRAME_HEAD_BYTES))
        self._harness.run("pod_egress", request(_UNSAMPLED, seq=0, client_port=port))
        # Each run advances before it calls the program.
        packet = request(payload, seq=(len(_UNSAMPLED) - SEGMENT_BYTES) % 2**32, client_port=port)
        duration, last = self._timer.time_pairs(*self._load(SEGMENT_BYTES), packet)
        seq = int.from_bytes(last[_SEQ : _SEQ + 4]) + SEGMENT_BYTES
        self._harness.run("pod_egress", request(_UNSAMPLED, seq=seq % 2**32, client_port=port))
        self._require_unsampled(2)
        return duration

    def _measure_inside(self) -> float:
        """Measure segments inside large frames; what ends one has a call, and begins the next."""
        self._harness.start_afresh()
        port, seq, rest = next(self._ports), 0, b""
        differences = []
        names = self._load(SEGMENT_BYTES)
        for _ in range(self._effort.shots // IN_FRAME + 1):
            begun = rest + _UNSAMPLED + frame_head(DATA, 1, _FRAME_BYTES)
            self._harness.run("pod_egress", request(begun, seq=seq, client_port=port))
            seq += len(begun)
            packet = request(b"x" * SEGMENT_BYTES, seq=(seq - SEGMENT_BYTES) % 2**32, client_port=port)
            differences.append(self._timer.time_pair(*names, dict.fromkeys(names, packet), IN_FRAME))
            seq += IN_FRAME * SEGMENT_BYTES
            rest = _REST
        self._harness.run("pod_egress", request(rest + _UNSAMPLED, seq=seq, client_port=port))
        self._require_unsampled(len(differences) + 1)
        return statistics.median(differences)

    def _load(self, seq_step: int, stream_step: int = 0) -> tuple[str, str]:
        """Load what advances a connection before each run, and then calls pod_egress or the empty one."""
        steps = {_SEQ: seq_step} | ({_PAYLOAD + STREAM_AT_BYTE: stream_step} if stream_step else {})
        names = (f"advance pod_egress {steps}", f"advance empty {steps}")
        for name in names:
            if name not in self._loaded:
                target = self._harness.fd(name.split()[1])
                self._harness.add(name, load_advancing(self._stack, target, steps))
                self._loaded.add(name)
        return names

    def _require_unsampled(self, calls: int) -> None:
        self._require({"http2_requests": calls, "request_unsampled": calls})

    def _require(self, expected: dict[str, int]) -> None:
        """Require these counts, and that nothing was known of the connection before its first call."""
        counts = self._harness.counts()
        if {label: count for label, count in counts.items() if label not in _OF_TRANSITS} != expected | _AT_FIRST:
            raise AssertionError(f"these packets took another way: {counts} instead of {expected}")
