"""Question 2's section of the report: hops by both clocks, their difference, what each does and misses. Pure."""

from collections.abc import Iterator

from evaluation.markdown import format_us, render_measured_on, render_picture
from evaluation.results_clock import ClockResult, HopClocks, Missed, PointClocks
from evaluation.values import Estimate

CLOCK_HOPS = "clock_hops"
CLOCK_POINTS = "clock_points"
CLOCK_OBSERVER = "clock_observer"
CLOCK_MISSED = "clock_missed"
PICTURES = (CLOCK_HOPS, CLOCK_POINTS, CLOCK_OBSERVER, CLOCK_MISSED)
"""Stems of the plots' files, each an SVG and a PNG beside the report."""

HOPSPAN, TCPDUMP = "hopspan", "tcpdump"
SHOWN = (0.5, 0.9, 0.99)

_TEXT = """\
wrk in frontend's pod on node-1 asks nginx in cart's on node-2, some 800 times a second: veths, bridges and VXLAN are
between, and nothing else. hopspan's clock is its programs at all eight points of a message's way; tcpdump's is one
tcpdump (nanoseconds) on each of the eight devices. A round has four runs: neither, each alone, both at once; the next
round has them in the opposite order. All is on one machine: hopspan's monotonic stamps are brought to tcpdump's wall
clock by readings of both before and behind each run.
"""

_SIGN = """\
The sign is told by where each takes its stamp:

- **A packet that leaves by a device: hopspan is earlier (-).** It stamps at tc egress, before the device's queue;
  tcpdump's stamp is taken behind the queue, as the driver is called.
- **A packet that comes in: hopspan is later (+).** A packet socket's stamp is that of `netif_rx`, before the packet
  waits for its core (`net.core.netdev_tstamp_prequeue` is 1); hopspan stamps at tc ingress, behind that wait, and
  behind tcpdump's copy of the packet. Where a core is busy, hopspan's stamp tells so and tcpdump's does not.
- **The first point of a node** (`pod-egress`, `nic-ingress`) stamps behind its search for the context, so that no hop
  is charged with the search: later (+), by the search.

So a hop from a leaving to a coming-in point (`veth-hop`, `underlay`) is longer by hopspan's clock, and one that
begins with a packet coming in is shorter: the border between two hops lies elsewhere, and nothing is lost.
"""

_OBSERVER = """\
How much longer the median packet's hop is when the other clock is there too, by the clock that stays. tcpdump's copy
of the packet lies in the hop behind the point, or before it where hopspan's stamp comes after. hopspan's search at
`nic-ingress` lies before its own stamp and so in none of its hops, but in tcpdump's `vxlan-decap`: there the packet
does wait for it. The search at `pod-egress` lies before both stamps: it shows end to end alone.
"""

_MISSED = """\
The whole node-probe on both nodes, sending to a peer that takes all and looks into none, without its limit of
transits a second; or tcpdump on the eight devices, 192 bytes a packet into files, with the buffer that it has by
itself. Each alone with wrk and nginx on the same cores, so at saturation all compete. hopspan misses a message of
which no transit was delivered; tcpdump a packet that its buffer had no room for.
"""


def render_clock(answer: ClockResult) -> list[str]:
    """Return the section's lines, without its heading."""
    counts = (
        f"{answer.rounds} rounds of four runs of {answer.seconds_per_run} s, {answer.messages:,} messages by both "
        f"clocks; {answer.missed_rounds} rounds for what is missed; {answer.seconds:.0f} s in all."
    )
    lines = [_TEXT, "### Every hop by both", "", *_render_hops(answer), ""]
    lines += render_picture(CLOCK_HOPS, "Distribution of each hop of the request, by both at once and each alone")
    lines += ["### The difference at every point", "", _SIGN, *_render_points(answer.points), ""]
    lines += render_picture(CLOCK_POINTS, "hopspan's stamp less tcpdump's of the same packet, at every point")
    lines += ["### What each does to what it measures", "", *_render_observer(answer), ""]
    lines += render_picture(CLOCK_OBSERVER, "What each clock adds to each hop, as the other one sees it")
    lines += ["### What each misses", "", _MISSED, *_render_missed(answer.missed), ""]
    lines += render_picture(CLOCK_MISSED, "Share of what each missed, by the rate of requests")
    lines += ["### What comes out against us", "", *(list_doubts(answer) or ["Nothing in this run."]), ""]
    return [*lines, *render_measured_on(counts, answer.head)]


def list_doubts(answer: ClockResult) -> list[str]:
    """Return what speaks against hopspan's clock, a line each."""
    doubts = []
    for point in answer.points:
        if not has_lawful_sign(point):
            text = f"{_name_point(point)}: the difference is {format_fine(point.bias_us)} us, against its sign"
            doubts.append(f"- {text}.")
    for hop in answer.hops:
        if hop.by_hopspan_us.low > hop.by_tcpdump_us.high:
            text = f"hopspan lengthens it by {format_fine(hop.by_hopspan_us)} us, tcpdump by"
            doubts.append(f"- **{hop.hop}**: {text} {format_fine(hop.by_tcpdump_us)}.")
    for seen in answer.observed:
        if seen.by_hopspan_us.low > 0:
            by_us = format_fine(seen.by_hopspan_us)
            text = f"end to end hopspan makes a request's p{seen.percent:g} longer by {by_us} us"
            doubts.append(f"- {text}, tcpdump by {format_fine(seen.by_tcpdump_us)}.")
    theirs = {one.load: one for one in answer.missed if one.tool == TCPDUMP}
    for one in answer.missed:
        if one.tool == HOPSPAN and one.percent.median > theirs[one.load].percent.median:
            text = f"hopspan missed {format_percent(one.percent)} of the messages"
            doubts.append(f"- {one.load}: {text}, tcpdump {format_percent(theirs[one.load].percent)} of its packets.")
    if answer.incomplete:
        doubts.append(f"- {answer.incomplete} of {answer.messages} messages were seen whole by one clock only.")
    return doubts


def has_lawful_sign(point: PointClocks) -> bool:
    """Say whether the difference has the sign that the places of the stamps give it, or none beyond chance.

    At a first point that packets leave by, the search is against the queue: either sign is lawful.
    """
    if point.is_leaving:
        return point.is_first or point.bias_us.low <= 0
    return point.bias_us.high >= 0


def format_fine(estimate: Estimate) -> str:
    """Return a difference of stamps, in us with its sign, and its interval."""
    median, low, high = (
        f"{value:+.2f}" if abs(value) < 10 else f"{value:+,.0f}"  # noqa: PLR2004 - two digits are enough
        for value in (estimate.median, estimate.low, estimate.high)
    )
    return f"{median} ({low} to {high})"


def format_percent(estimate: Estimate) -> str:
    """Return a share in percent and its interval; a hundredth says whether it is one packet or none."""
    return f"{estimate.median:.2f} % ({estimate.low:.2f} to {estimate.high:.2f})"


def _render_hops(answer: ClockResult) -> Iterator[str]:
    places = [answer.shares.index(share) for share in SHOWN]
    yield "The same packets, p50 / p90 / p99; the difference is hopspan's time less tcpdump's, packet by packet."
    yield ""
    yield "| hop | hopspan | tcpdump | difference | hopspan alone | tcpdump alone |"
    yield "|---|---|---|---|---|---|"
    for hop in answer.hops:
        columns = (hop.hopspan, hop.tcpdump, hop.hopspan_alone, hop.tcpdump_alone)
        cells = [" / ".join(format_us(column[place]) for place in places) for column in columns]
        cells.insert(2, format_fine(hop.difference_us))
        yield f"| {hop.hop} | {' | '.join(cells)} |"


def _render_points(points: tuple[PointClocks, ...]) -> Iterator[str]:
    yield "| point | the packet | hopspan less tcpdump | 1 % to 99 % of the packets |"
    yield "|---|---|---|---|"
    for point in points:
        way = "leaves" if point.is_leaving else "comes in"
        first = ", first point" if point.is_first else ""
        spread = f"{point.low_us:+.2f} to {point.high_us:+.2f}"
        yield f"| {_name_point(point)} | {way}{first} | {format_fine(point.bias_us)} | {spread} |"


def _render_observer(answer: ClockResult) -> Iterator[str]:
    yield _OBSERVER
    yield "| hop | tcpdump adds (by hopspan's clock) | hopspan adds (by tcpdump's clock) |"
    yield "|---|---|---|"
    for hop in answer.hops:
        yield f"| {hop.hop} | {format_fine(hop.by_tcpdump_us)} | {format_fine(hop.by_hopspan_us)} |"
    yield f"| all, sum of the medians | {_sum(answer.hops, TCPDUMP):+.2f} | {_sum(answer.hops, HOPSPAN):+.2f} |"
    yield ""
    yield "End to end, by the client's own clock (wrk), neither of the two:"
    yield ""
    yield "| a request's | without | hopspan adds | tcpdump adds | both add |"
    yield "|---|---|---|---|---|"
    for one in answer.observed:
        adds = " | ".join(map(format_fine, (one.by_hopspan_us, one.by_tcpdump_us, one.by_both_us)))
        off = f"{format_us(one.off_us.median)} ({format_us(one.off_us.low)} to {format_us(one.off_us.high)})"
        yield f"| p{one.percent:g} | {off} | {adds} |"


def _sum(hops: tuple[HopClocks, ...], tool: str) -> float:
    return sum((hop.by_tcpdump_us if tool == TCPDUMP else hop.by_hopspan_us).median for hop in hops)


def _render_missed(missed: tuple[Missed, ...]) -> Iterator[str]:
    yield "| load | hopspan: requests a second | missed messages | tcpdump: requests a second | missed packets |"
    yield "|---|---|---|---|---|"
    theirs = {one.load: one for one in missed if one.tool == TCPDUMP}
    for ours in sorted((one for one in missed if one.tool == HOPSPAN), key=lambda one: one.rate.median):
        other = theirs[ours.load]
        pairs = ((f"{one.rate.median:,.0f}", format_percent(one.percent)) for one in (ours, other))
        cells = [cell for pair in pairs for cell in pair]
        yield f"| {ours.load} | {' | '.join(cells)} |"


def _name_point(point: PointClocks) -> str:
    return f"{point.point} ({point.direction})"
