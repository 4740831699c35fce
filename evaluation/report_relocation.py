"""Question 1's section of the report: what relocation changes, what a search costs, what windows would read. Pure."""

from collections.abc import Iterator, Sequence

from evaluation.markdown import format_us, render_measured_on, render_picture
from evaluation.relocation_runs import FIRST, LAST, SIDECAR_CPU, THROUGHPUT, UNTRACED, VARIANTS
from evaluation.results_relocation import Blocks, Measure, RelocationResult, SearchCost
from evaluation.values import Estimate

RELOCATION_RATIO = "relocation_ratio"
RELOCATION_LATENCY = "relocation_latency"
RELOCATION_SEARCH = "relocation_search"
RELOCATION_WINDOWS = "relocation_windows"
PICTURES = (RELOCATION_RATIO, RELOCATION_LATENCY, RELOCATION_SEARCH, RELOCATION_WINDOWS)
"""Stems of the plots' files, each an SVG and a PNG beside the report."""

EQUIVALENT = 0.05
"""A change whose whole interval lies within it is taken for none. The paper's "no significant change" has no number;
this one is ours."""

_P99_NEEDS = 100
"""Requests of which one may be slower."""

_UNITS = {THROUGHPUT: "answers/s", SIDECAR_CPU: "us"}
"""Of all else: ms."""

_EQUIVALENT_TEXT = f"{100 * EQUIVALENT:.0f} %"

_TEXT = f"""\
HotROD, Jaeger's demo application, runs on a real Kubernetes of two nodes on this machine, with a stock Envoy as
sidecar in every pod: frontend on node-1, customer, driver and route on node-2. All of it runs three times, side by
side, and the three take the load by turns:

- **{LAST}**: Envoy as it is; it writes the context behind all other headers.
- **{FIRST}**: the same with the filter of `otel-config/envoy`, which puts it behind the request line and Host.
- **{UNTRACED}**: the sidecars trace nothing, and HotROD samples nothing.

Spans go to a Collector that drops them. hopspan itself does not run: this is about the relocation alone. A **ride**
is HotROD's own request, of 12 calls between pods, 11 of them with the filter (the driver speaks gRPC, whose header
block is not text); it sleeps some 250 ms of its time, by HotROD's design. A **call** is one request for a customer
by two sidecars, and sleeps nothing. HotROD's built-in bottlenecks are off, the lock around its database and the three
workers (`--fix-db-query-delay`, `--fix-disable-db-conn-mutex`, `--fix-route-worker-pool-size`).

Latency is measured in an open loop: the times of sending are drawn before (a Poisson process, the same for the three
variants of a round), and a request's time counts from then, not from when a connection was free (no coordinated
omission). The variants take turns of half a second of rides or a quarter of a second of calls, which follow each
other without a pause, so that what else the machine does meets all of them; what a turn leaves under way meets the
next one's beginning, too. *Sidecar CPU* is the CPU time that the frontend's sidecar, where the filter runs, takes for
a request: who else wants the cores changes it least. Throughput is that of a closed loop, by turns, with as many
requests at once as saturate.

The variants are three deployments. Whatever else sets two deployments apart, such as the cores that their processes
came to lie on, is in the ratios of latency and throughput too, and an interval over the rounds of one run does not
hold it: two deployments of one variant have differed in latency beyond their interval, in sidecar CPU they have not
(a control by hand, on a machine short of CPU time; the command has none yet).

**Claim**: no significant change. It holds where the whole interval of the ratio *{FIRST} / {LAST}* lies
within {_EQUIVALENT_TEXT} of 1; a ratio whose interval leaves out 1 and reaches beyond is a change; all else is open.
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
    lines += render_picture(RELOCATION_RATIO, "Context first as a multiple of context last, with intervals")
    lines += render_picture(RELOCATION_LATENCY, "Latency of the three variants")
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


def judge(ratio: Estimate) -> str:
    """Return what a ratio says of the claim."""
    if ratio.low >= 1 - EQUIVALENT and ratio.high <= 1 + EQUIVALENT:
        return "no change"
    if ratio.low > 1 or ratio.high < 1:
        return "change"
    return "open"


def is_worse(measure: Measure) -> bool:
    """Tell whether the relocation made the measure worse, beyond chance and beyond EQUIVALENT."""
    is_higher = measure.relocation.median > 1
    return judge(measure.relocation) == "change" and is_higher == (measure.name != THROUGHPUT)


def list_doubts(answer: RelocationResult) -> list[str]:
    """Return what speaks against the claim, a sentence each."""
    doubts = [
        f"{_name(measure)}: worse with the context first, {format_change(measure.relocation)}"
        for measure in answer.measures
        if is_worse(measure)
    ]
    judged = [judge(measure.relocation) for measure in answer.measures]
    if count := judged.count("open"):
        doubts.append(
            f"{count} of {len(judged)} comparisons are open: their intervals hold 1, and are too wide to say that "
            f"nothing changed by {_EQUIVALENT_TEXT}"
        )
    head = answer.head
    if head.load_average > head.cores:
        doubts.append(
            f"others used the machine as well (load average {head.load_average} on {head.cores} cores at the start), "
            "so latencies and throughput are those of a machine that is short of CPU time"
        )
    for load in answer.loads:
        # Two open loops a round.
        a_run = min(load.asked.values()) // (2 * answer.rounds)
        if a_run < _P99_NEEDS:
            doubts.append(
                f"{load.name}: p99 is the slowest of the some {a_run} requests of a round, level and variant"
            )
        doubts += [
            f"{load.name}, {variant}: {failed} of {load.asked[variant]} requests of the open loops failed"
            for variant, failed in load.failed.items()
            if failed
        ]
    doubts += _list_needless(answer)
    return doubts


def format_change(ratio: Estimate) -> str:
    """Return a ratio as a change in percent, with its interval."""
    median, low, high = (100 * (value - 1) for value in (ratio.median, ratio.low, ratio.high))
    return f"{median:+.1f} % ({low:+.1f} to {high:+.1f})"


def _list_needless(answer: RelocationResult) -> Iterator[str]:
    """Yield where the relocation brings nothing, or too little."""
    for blocks in answer.blocks:
        too_small = [window for window, share in blocks.shares.items() if share < 1]
        if blocks.variant == FIRST and too_small:
            share = blocks.shares[max(too_small)]
            yield (
                f"a window of {max(too_small)} bytes reads {100 * share:.0f} % of the contexts even with the "
                "relocation: the request line and Host stand before them"
            )
        enough = [window for window, share in blocks.shares.items() if share == 1]
        if blocks.variant == LAST and enough:
            yield (
                f"HotROD's header blocks are short: a window of {min(enough)} bytes reads all contexts without the "
                "relocation"
            )
    one_segment = [cost for cost in answer.search if cost.segments == 1]
    if one_segment and not any(cost.growth_ns.low > 0 for cost in one_segment):
        yield "within one segment the kernel's search is not shorter beyond chance with the context at the head"


def _name(measure: Measure) -> str:
    return f"{measure.load}, {measure.level}, {measure.name}"


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
    yield f"| load, level | measure | {' | '.join(VARIANTS)} | relocation | claim | tracing |"
    yield f"|---|---|{'---|' * len(VARIANTS)}---|---|---|"
    for measure in measures:
        unit = _UNITS.get(measure.name, "ms")
        medians = " | ".join(format_us(measure.medians[variant]) for variant in VARIANTS)
        changes = (format_change(measure.relocation), judge(measure.relocation), format_change(measure.tracing))
        yield f"| {measure.load}, {measure.level} | {measure.name}, {unit} | {medians} | {' | '.join(changes)} |"


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
