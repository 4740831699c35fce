"""Question 1's section of the report: what relocation changes, what a search costs, what windows would read. Pure."""

from collections.abc import Iterator, Sequence

from evaluation.markdown import format_us, render_measured_on, render_picture
from evaluation.relocation_claim import EQUIVALENT_TEXT, format_change, judge_measure, list_doubts
from evaluation.relocation_runs import AGAIN, FIRST, LAST, SIDECAR_CPU, THROUGHPUT, UNTRACED, VARIANTS
from evaluation.results_relocation import Blocks, Measure, RelocationResult, SearchCost

RELOCATION_RATIO = "relocation_ratio"
RELOCATION_LATENCY = "relocation_latency"
RELOCATION_SEARCH = "relocation_search"
RELOCATION_WINDOWS = "relocation_windows"
PICTURES = (RELOCATION_RATIO, RELOCATION_LATENCY, RELOCATION_SEARCH, RELOCATION_WINDOWS)
"""Stems of the plots' files, each an SVG and a PNG beside the report."""

_UNITS = {THROUGHPUT: "answers/s", SIDECAR_CPU: "us"}
"""Of all else: ms."""

_TEXT = f"""\
HotROD, Jaeger's demo application, runs on a real Kubernetes of two nodes on this machine, with a stock Envoy as
sidecar in every pod: frontend on node-1, customer, driver and route on node-2. It runs once, and each of its sidecars
holds all variants, which take the load by turns:

- **{LAST}**: Envoy as it is; it writes the context behind all other headers.
- **{AGAIN}**: a control, configured as the first; what it differs by comes of chance and of the method.
- **{FIRST}**: the same with the filter of `otel-config/envoy`, which puts it behind the request line and Host.
- **{UNTRACED}**: the sidecars trace nothing, and HotROD samples nothing.

The port at which the frontend's sidecar is asked says which one a request is. The sidecar writes that into the
request's baggage, as HotROD's page does with its session, HotROD passes the baggage on, and the sidecar's routes
choose by it between clusters with and without the filter, each with its own connections. So the same processes bear
the three variants that trace, and these differ in nothing but that choice. Requests that are not traced need
listeners without tracing, and so a second process of the frontend, which calls there; all else is shared.

Spans go to a Collector that drops them. hopspan itself does not run: this is about the relocation alone. A **ride**
is HotROD's own request, of 12 calls between pods, 11 of them with the filter (the driver speaks gRPC, whose header
block is not text); it sleeps some 250 ms of its time, by HotROD's design. A **call** is one request for a customer
by two sidecars, and sleeps nothing. HotROD's built-in bottlenecks are off, the lock around its database and the three
workers (`--fix-db-query-delay`, `--fix-disable-db-conn-mutex`, `--fix-route-worker-pool-size`).

Latency is measured in an open loop: the times of sending are drawn before (a Poisson process, the same for the
variants' turns), and a request's time counts from then, not from when a connection was free (no coordinated
omission). A turn is some seconds of rides or about a second of calls, and the next one begins when all of it is
answered, so that no variant's requests meet those of another; connections are kept from turn to turn. In four
turns each variant is once in each place, and once behind each other one. *Sidecar CPU* is the CPU time that the
frontend's sidecar, where the filter runs, takes for a request: who else wants the cores changes it least. Throughput
is that of a closed loop, by turns, with as many requests at once as saturate; the first ones of a turn do not count.

**Claim**: no significant change. It holds where the whole interval of the ratio *{FIRST} / {LAST}* lies
within {EQUIVALENT_TEXT} of 1. A *change* is a ratio whose interval leaves out 1 and reaches beyond that, and whose
median lies outside of the control's interval: it is more than what comes where nothing changes. All else is open.
"""

_SEARCH = """\
A run of the first point (pod-egress) for a request in the kernel by PROG_TEST_RUN, net of an empty program, single
shots by turns: gates, search, and the entry of transit and exchange. Header blocks of several segments are those of
a pod's MTU (1,398 bytes of payload), the sum over the segments.
"""

_WINDOWS = """\
A reader of the first bytes of a packet alone, as the paper's, needs the context whole in its window. Header blocks as
the frontend's sidecar sent them over the overlay, read by a packet socket on node-1:
"""


def render_relocation(answer: RelocationResult) -> list[str]:
    """Return the section's lines, without its heading."""
    lines = [_TEXT, *_render_loads(answer), ""]
    lines += render_picture(
        RELOCATION_RATIO, "Context first and the control as multiples of context last, with intervals"
    )
    lines += render_picture(RELOCATION_LATENCY, "Latency of the variants")
    for load in answer.loads:
        lines += [*_render_measures([measure for measure in answer.measures if measure.load == load.name]), ""]
    lines += ["### The kernel's search", "", _SEARCH, *_render_search(answer.search), ""]
    lines += render_picture(RELOCATION_SEARCH, "The kernel's time for a request by size of the header block")
    lines += ["### Fixed windows", "", _WINDOWS, *_render_blocks(answer.blocks), ""]
    lines += render_picture(RELOCATION_WINDOWS, "Share of the requests whose context a fixed window would read")
    lines += ["### What comes out against us", "", *_render_doubts(answer), ""]
    counts = (
        f"{answer.rounds} rounds of each load, level and variant, {answer.search_rounds} rounds of "
        f"{answer.search_requests} searches of each size and place; {answer.seconds:.0f} s in all."
    )
    return [*lines, *render_measured_on(counts, answer.head)]


def _render_loads(answer: RelocationResult) -> Iterator[str]:
    yield "| load | asked for | saturation, answers/s | at once there | open loop, s a round | requests in all |"
    yield "|---|---|---|---|---|---|"
    for load in answer.loads:
        asked = sum(load.asked.values())
        cells = (load.saturation_per_s, load.at_once, load.seconds, f"{asked:,}")
        yield f"| {load.name} | `{load.path}` | {' | '.join(map(str, cells))} |"
    yield ""
    yield (
        f"The {answer.head.cores} cores of this machine bear all pods, the Collector, Kubernetes itself and the "
        "program that asks, so saturation is low."
    )


def _render_measures(measures: Sequence[Measure]) -> Iterator[str]:
    yield f"| load, level | measure | {' | '.join(VARIANTS)} | relocation | control | claim | tracing |"
    yield f"|---|---|{'---|' * len(VARIANTS)}---|---|---|---|"
    for measure in measures:
        unit = _UNITS.get(measure.name, "ms")
        medians = " | ".join(format_us(measure.medians[variant]) for variant in VARIANTS)
        relocation, control, tracing = map(format_change, (measure.relocation, measure.control, measure.tracing))
        cells = (medians, relocation, control, judge_measure(measure), tracing)
        yield f"| {measure.load}, {measure.level} | {measure.name}, {unit} | {' | '.join(cells)} |"


def _render_search(costs: Sequence[SearchCost]) -> Iterator[str]:
    yield "| header block, bytes | segments | context at the head, ns | at the end, ns | more at the end, ns |"
    yield "|---|---|---|---|---|"
    for cost in costs:
        growth = " to ".join(f"{bound:,.0f}" for bound in (cost.growth_ns.low, cost.growth_ns.high))
        times = f"{cost.at_head_ns:,.0f} | {cost.at_end_ns:,.0f} | {cost.growth_ns.median:,.0f} ({growth})"
        yield f"| {cost.size_bytes:,} | {cost.segments} | {times} |"


def _render_blocks(described: Sequence[Blocks]) -> Iterator[str]:
    windows = list(described[0].shares) if described else []
    heads = " | ".join(f"window of {window}" for window in windows)
    yield f"| variant | header blocks | size, bytes | context ends at byte | {heads} |"
    yield f"|---|---|---|---|{'---|' * len(windows)}"
    for blocks in described:
        spans = (_render_span(blocks.size_bytes), _render_span(blocks.context_end_bytes))
        shares = " | ".join(f"{100 * share:.0f} %" for share in blocks.shares.values())
        yield f"| {blocks.variant} | {blocks.count} | {' | '.join(spans)} | {shares} |"


def _render_span(span: tuple[int, int, int]) -> str:
    low, middle, high = span
    return f"{middle} ({low} to {high})"


def _render_doubts(answer: RelocationResult) -> list[str]:
    no_doubt = "Nothing in this run: no measure is worse beyond chance, none is open, and no request failed."
    return [f"- {doubt}." for doubt in list_doubts(answer)] or [no_doubt]
