"""Every format of a context, as senders write it, through the programs: the ids that come out, or why none do."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from node_probe.transit import ContextFormat
from tests.compiled.loaded import loaded_programs
from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import PARENT_ID, TRACE_ID, TRACEPARENT, http_request, request
from tests.requirements import require_bcc, require_root

pytestmark = pytest.mark.bpf

SHORT = TRACE_ID[16:]
OTHER = "05e3ac9a4f6e3b90"
UNSAMPLED = TRACEPARENT[:-2] + "00"

Read = tuple[ContextFormat, str, tuple[str, ...]]


def reads(context_format: ContextFormat, trace_id: str, *lines: str) -> Read:
    """Return what the lines are read as."""
    return context_format, trace_id, lines


READ = {
    "b3": reads(ContextFormat.B3, TRACE_ID, f"b3: {TRACE_ID}-{PARENT_ID}-1"),
    "b3 with its parent": reads(ContextFormat.B3, TRACE_ID, f"b3: {TRACE_ID}-{PARENT_ID}-1-{OTHER}"),
    "b3 of 64 bits": reads(ContextFormat.B3, SHORT, f"B3:{SHORT}-{PARENT_ID}-1"),
    "b3, debug": reads(ContextFormat.B3, SHORT, f"b3: {SHORT}-{PARENT_ID}-d"),
    "b3, decision deferred": reads(ContextFormat.B3, TRACE_ID, f"b3:\t{TRACE_ID}-{PARENT_ID}"),
    "three headers": reads(
        ContextFormat.B3MULTI,
        TRACE_ID,
        f"X-B3-TraceId: {TRACE_ID}",
        f"X-B3-SpanId: {PARENT_ID}",
        "X-B3-Sampled: 1",
    ),
    "three headers in another order, in lower case, with others between": reads(
        ContextFormat.B3MULTI,
        SHORT,
        "x-b3-sampled: true",
        "x-request-id: 7",
        f"x-b3-parentspanid: {OTHER}",
        f"x-b3-spanid:{PARENT_ID}",
        "tracestate: a=1",
        f"x-b3-traceid:   {SHORT}",
    ),
    "two headers, decision deferred": reads(
        ContextFormat.B3MULTI,
        TRACE_ID,
        f"x-b3-traceid: {TRACE_ID}",
        f"x-b3-spanid: {PARENT_ID}",
    ),
    "debug flag over the decision": reads(
        ContextFormat.B3MULTI,
        TRACE_ID,
        f"x-b3-traceid: {TRACE_ID}",
        f"x-b3-spanid: {PARENT_ID}",
        "x-b3-flags: 1",
    ),
    "uber-trace-id": reads(ContextFormat.UBER_TRACE_ID, TRACE_ID, f"uber-trace-id: {TRACE_ID}:{PARENT_ID}:{OTHER}:1"),
    "uber-trace-id, escaped": reads(
        ContextFormat.UBER_TRACE_ID,
        TRACE_ID,
        f"Uber-Trace-Id: {TRACE_ID}%3A{PARENT_ID}%3A{OTHER}%3A01",
    ),
    "uber-trace-id, short": reads(
        ContextFormat.UBER_TRACE_ID, SHORT[1:], f"uber-trace-id:{SHORT[1:]}:{PARENT_ID}:0:3"
    ),
    "traceparent before all others": reads(
        ContextFormat.TRACEPARENT,
        TRACE_ID,
        f"uber-trace-id: {OTHER}:{OTHER}:0:1",
        f"b3: {OTHER}-{OTHER}-1",
        f"traceparent: {TRACEPARENT}",
        f"x-b3-traceid: {OTHER}",
        f"x-b3-spanid: {OTHER}",
    ),
    "names that end like one": reads(
        ContextFormat.B3,
        TRACE_ID,
        f"ce-traceparent: 00-{OTHER}{OTHER}-{OTHER}-01",
        f"elastic-apm-traceparent: 00-{OTHER}{OTHER}-{OTHER}-01",
        f"b3: {TRACE_ID}-{PARENT_ID}-1",
    ),
}

LEFT_ALONE = {
    "b3 that is not sampled": ("request_unsampled", f"b3: {TRACE_ID}-{PARENT_ID}-0"),
    "b3 of 64 bits that is not sampled": ("request_unsampled", f"b3: {SHORT}-{PARENT_ID}-0-{OTHER}"),
    "b3: 0": ("request_unsampled", "b3: 0"),
    "b3: 1": ("request_no_context", "b3: 1"),
    "X-B3-Sampled: 0 alone": ("request_unsampled", "X-B3-Sampled: 0"),
    "X-B3-Sampled: false": (
        "request_unsampled",
        f"X-B3-TraceId: {TRACE_ID}",
        f"X-B3-SpanId: {PARENT_ID}",
        "X-B3-Sampled: false",
    ),
    "X-B3-TraceId alone": ("request_no_context", f"X-B3-TraceId: {TRACE_ID}"),
    "uber-trace-id that is not sampled": ("request_unsampled", f"uber-trace-id: {TRACE_ID}:{PARENT_ID}:0:0"),
    "uber-trace-id without an end": ("request_bad_context", f"uber-trace-id: {'a' * 90}"),
    "traceparent twice": (
        "request_bad_context",
        f"traceparent: {TRACEPARENT}",
        "a: b",
        f"Traceparent: {TRACEPARENT}",
    ),
    "traceparent twice, the second not sampled": (
        "request_unsampled",
        f"traceparent: {TRACEPARENT}",
        f"traceparent: {UNSAMPLED}",
    ),
    "traceparent that is not sampled before a b3 that is": (
        "request_unsampled",
        f"traceparent: {UNSAMPLED}",
        f"b3: {TRACE_ID}-{PARENT_ID}-1",
    ),
    "b3 twice": ("request_bad_context", *[f"b3: {TRACE_ID}-{PARENT_ID}-1"] * 2),
    "only names that end like one": (
        "request_no_context",
        f"ce-traceparent: {TRACEPARENT}",
        f"xb3: {TRACE_ID}-{PARENT_ID}-1",
    ),
    "more lines than any sender has": ("request_bad_context", *[f"x-b3-{number}: 1" for number in range(40)]),
}


@pytest.mark.parametrize("story", READ)
def test_context_is_read(bpf: Harness, port: int, story: str) -> None:
    """The ids come out padded to their sizes, under the format that they were read from."""
    context_format, trace_id, lines = READ[story]
    frame = request(http_request(*lines), client_port=port)
    bpf.watch("pod_egress", frame)
    bpf.watch("pod_ingress", frame)
    assert bpf.count_contexts() == {context_format.name.lower(): 1}
    (transit,) = bpf.read_transits()
    context = transit.context
    assert (context.format, context.trace_id.hex(), context.parent_id.hex()) == (
        context_format,
        trace_id.zfill(32),
        PARENT_ID,
    )
    assert context.flags & 1


@pytest.mark.parametrize("story", LEFT_ALONE)
def test_request_is_left_alone(bpf: Harness, port: int, story: str) -> None:
    """What has no valid, sampled context starts nothing, and is counted under its reason."""
    reason, *lines = LEFT_ALONE[story]
    bpf.watch("pod_egress", request(http_request(*lines), client_port=port))
    assert bpf.counts() == {reason: 1}


@pytest.fixture(scope="module")
def only_b3() -> Iterator[Harness]:
    """Hold programs that were told to read b3 alone."""
    require_root()
    require_bcc()
    with loaded_programs([ContextFormat.B3]) as fds, closing(Harness(fds)) as harness:
        yield harness


def test_what_is_off_is_not_read(only_b3: Harness, port: int) -> None:
    """Formats that the configuration leaves out are no contexts, and the one that it names is."""
    for lines in ([f"traceparent: {TRACEPARENT}"], [f"uber-trace-id: {TRACE_ID}:{PARENT_ID}:0:1"]):
        only_b3.start_afresh()
        only_b3.watch("pod_egress", request(http_request(*lines), client_port=port))
        assert only_b3.counts() == {"request_no_context": 1}
    only_b3.start_afresh()
    lines = [f"traceparent: {TRACEPARENT}", f"b3: {TRACE_ID}-{PARENT_ID}-1"]
    only_b3.watch("pod_egress", request(http_request(*lines), client_port=port))
    assert only_b3.counts() == {"transits_started": 1}
