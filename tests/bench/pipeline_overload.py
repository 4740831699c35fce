"""What becomes of the plugin when ten times as much is sent as it can take: goodput, memory, and the time after.

Edge: processes, channels and threads. So that a load on one core can be ten times too much, the server has a part of
its core, in slices, as a CPU limit gives it. Senders wait for nobody: requests are due at their times, and whoever
gets no answer in time gives up.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from hopspan.otlp_export import EXPORT_METHOD
from tests.bench.pipeline_cases import HOST, LATENCY_CASE, PLUGIN_CASES, Ports, Protocol
from tests.bench.pipeline_load import Load
from tests.bench.pipeline_requests import REQUESTS_PER_BATCH, SPANS, Traffic
from tests.bench.pipeline_runs import Effort, read_rss_peak_mib
from tests.bench.pipeline_servers import running_server
from tests.bench.pipeline_sinks import Tally

OVERLOAD = 10
"""Times what the server takes."""

SHARE = 0.2
"""Of the core, for the server."""

PERIOD_S = 0.1
"""That of Linux's CPU limits."""

CHANNELS = 16
"""Connections of the senders."""

MAX_WAITING = 2048
"""Requests that the senders have waiting for answers; what is due beyond that they drop, as an SDK's queue does."""

PATIENCE_S = 5.0
"""What a sender waits for its answer, as the Collector's exporter does."""

PROMPT_S = 1.0
"""An answer that takes longer is late, ten periods of the server's."""

LEAST_S = 3.0
"""How long is sent at least: in less little would have become of the first requests."""

RECOVERY_S = 10.0
"""How long is looked for late answers after the overload: twice the target."""

_SLICE = """
import os, signal, sys, time
pid, on_s, off_s = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
while True:
    os.kill(pid, signal.SIGSTOP)
    time.sleep(off_s)
    os.kill(pid, signal.SIGCONT)
    time.sleep(on_s)
"""


@dataclass(frozen=True)
class Overload:
    """What one run gave."""

    peak_spans_per_s: float
    """Delivered to the sink when callers wait for their answers."""
    offered_ratio: float
    """What senders had to send, divided by the peak."""
    goodput_ratio: float
    """What was delivered to the sink meanwhile, divided by the peak."""
    recovery_s: float
    """From the overload's end to the first second in which all requests, of half the peak's rate, succeed in time."""
    rss_peak_mib: float


@contextmanager
def sliced(pid: int, core: int) -> Iterator[None]:
    """Let the process run for SHARE of the time."""
    on_s = PERIOD_S * SHARE
    command = [sys.executable, "-c", _SLICE, str(pid), str(on_s), str(PERIOD_S - on_s)]
    slicer = subprocess.Popen(["taskset", "--cpu-list", str(core), *command])
    try:
        yield
    finally:
        slicer.kill()
        slicer.wait()
        os.kill(pid, signal.SIGCONT)


def measure_overload(tally: Tally, sinks: Ports, core: int, work_dir: Path, effort: Effort) -> Overload:
    """Return what a run of the default configuration gave. Raises TestbedError where it does not start, or dies."""
    seconds_each = max(LEAST_S, effort.seconds)
    case = next(case for case in PLUGIN_CASES if case.key == LATENCY_CASE)
    with running_server(case, sinks, core, work_dir) as (server, ports):
        Load(ports, case.receiver, transits=False).run(effort.warm_s)
        with sliced(server.pid, core):
            before, started = tally.read().spans, time.monotonic()
            Load(ports, case.receiver, transits=False).run(seconds_each)
            peak = (tally.read().spans - before) / (time.monotonic() - started)
            rate = peak / SPANS
            before = tally.read().spans
            sent, seconds = send_unasked(ports, rate * OVERLOAD, seconds_each)
            goodput = (tally.read().spans - before) / seconds
            recovery_s = find_recovery(ports, rate / 2, min(RECOVERY_S, 2 * seconds_each))
        return Overload(
            peak_spans_per_s=peak,
            offered_ratio=sent * SPANS / seconds / peak,
            goodput_ratio=goodput / peak,
            recovery_s=recovery_s,
            rss_peak_mib=read_rss_peak_mib(server.pid),
        )


def send_unasked(ports: Ports, rate: float, seconds: float) -> tuple[int, float]:
    """Offer so many requests a second, whatever becomes of them; return how many were, and in what time.

    At the end the senders go away, and take back what they wait for.
    """
    waiting = threading.Semaphore(MAX_WAITING)
    with ExitStack() as stack:
        calls = [stack.enter_context(_open_call(ports)) for _ in range(CHANNELS)]
        data = Traffic(zipkin=False).make_batch(0).spans(0)
        started, sent = time.monotonic(), 0
        while (now := time.monotonic()) < started + seconds:
            due = int((now - started) * rate)
            for number in range(sent, due):
                if waiting.acquire(blocking=False):
                    call = calls[number % CHANNELS].future(data, timeout=PATIENCE_S)
                    call.add_done_callback(lambda _: waiting.release())
            sent = max(sent, due)
            time.sleep(1 / max(rate, 100))
        return sent, time.monotonic() - started


def find_recovery(ports: Ports, rate: float, seconds: float) -> float:
    """Send so many requests a second; return when a second of them began that all had success within PROMPT_S."""
    started = time.monotonic()
    late: list[float] = []
    all_answered = threading.Semaphore(0)
    with _open_call(ports) as call:
        data = Traffic(zipkin=False).make_batch(1).spans(REQUESTS_PER_BATCH)
        count = max(1, int(rate * seconds))
        for number in range(count):
            due_s = number / rate
            time.sleep(max(0.0, started + due_s - time.monotonic()))

            def note(answer: Any, due_s: float = due_s) -> None:
                if answer.code() is not grpc.StatusCode.OK:
                    late.append(due_s)
                all_answered.release()

            call.future(data, timeout=PROMPT_S).add_done_callback(note)
        for _ in range(count):
            all_answered.acquire()
    return find_good_second(sorted(late), seconds)


def find_good_second(late: Sequence[float], seconds: float) -> float:
    """Return where in so many seconds the first one without a `late` moment begins; the end where there is none."""
    begin = 0.0
    for moment in late:
        if moment - begin >= 1:
            break
        begin = moment
    return min(begin, seconds)


@contextmanager
def _open_call(ports: Ports) -> Iterator["grpc.UnaryUnaryMultiCallable[bytes, bytes]"]:
    target = f"{HOST}:{ports[Protocol.OTLP_GRPC]}"
    with grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield channel.unary_unary(EXPORT_METHOD)
