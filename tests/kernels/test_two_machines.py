"""Two kernels, two boot ids, two clocks, an hour apart: probes, plugin and requests over a cable between two guests.

Network namespaces share their kernel's clock, so only here does the plugin relate clocks that really differ.
"""

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from node_probe.transit import HEADER_FORMATS
from testbed.topology import CART_SERVICE, FRONTEND
from tests.kernels.guests import Guest, compile_here, make_cable, require_guests, run_guests
from tests.kernels.machine import EXCHANGES, WRONG_BY_S
from tests.kernels.machine_report import Report, read_report
from tests.kernels.wall_clocks import Bounds, combine_bounds
from tests.testbed.accounts import leave_out_exports
from tests.testbed.hop_rules import CART_HOPS, Hop, check_times, list_children, read_duration_ns, render_attributes
from tests.testbed.otlp_peer import Received, read_group
from tests.testbed.programs_under_test import count_transits

RELEASES = ("6.1", "6.12")
TIMEOUT_S = 900
BOOT_APART_NS = 60 * 10**9
"""The guests' wall clocks are read from the host's when they boot, to the second, and that is all that they have."""

CHECKED_APART = (
    *("hopspan.duration_ns", "hopspan.clipped"),
    *("hopspan.clock.offset_ns", "hopspan.clock.uncertainty_ns"),
)

pytestmark = [pytest.mark.kernels, pytest.mark.timeout(TIMEOUT_S + 120)]


@dataclass(frozen=True)
class Way:
    """A message's hops in the order of their points, and the parent."""

    parent: Received
    hops: Sequence[Received]
    expected: Sequence[Hop]

    @property
    def is_clipped(self) -> bool:
        """Whether a hop was cut or moved into the parent, which may be shorter than the first uncertainties are."""
        return any("hopspan.clipped" in hop.attributes for hop in self.hops)

    @property
    def published(self) -> Bounds:
        """What its wire says of the clocks: the far wall clock minus the near one."""
        (wire,) = (hop for hop in self.hops if hop.span.name == "underlay")
        offset_ns, uncertainty_ns = read_int(wire, "hopspan.clock.offset_ns"), read_uncertainty_ns(wire)
        return Bounds(self.parent.ends[0], offset_ns - uncertainty_ns, offset_ns + uncertainty_ns)


@dataclass(frozen=True)
class Story:
    """What both machines reported, and the two ways of each exchange."""

    near: Report
    far: Report
    exchanges: Sequence[tuple[Way, Way]]

    @property
    def ways(self) -> list[Way]:
        return [way for exchange in self.exchanges for way in exchange]


@pytest.fixture(scope="module")
def story(compiled_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Run both guests to their end."""
    require_guests()
    compile_here(HEADER_FORMATS)
    command = [sys.executable, "-m", "tests.kernels.machine"]
    guests = [
        Guest(release, [*command, str(number)], nic, compiled_once)
        for number, (release, nic) in enumerate(zip(RELEASES, make_cable(), strict=True), 1)
    ]
    consoles = run_guests(guests, tmp_path_factory.mktemp("machines"), TIMEOUT_S)
    near, far = (read_report(console) for console in consoles)
    return Story(near, far, list_exchanges([span for group in near.groups for span in read_group(group)]))


def list_exchanges(spans: Sequence[Received]) -> list[tuple[Way, Way]]:
    """Return request and response of each parent, in order of time."""
    parents = sorted((span for span in spans if not span.is_network), key=lambda span: span.ends)
    return [(read_way(spans, parent, "request"), read_way(spans, parent, "response")) for parent in parents]


def read_way(spans: Sequence[Received], parent: Received, direction: str) -> Way:
    expected = [hop for hop in CART_HOPS if hop.direction == direction]
    order = {hop.start: number for number, hop in enumerate(expected)}
    hops = [hop for hop in list_children(spans, parent) if hop.attributes["hopspan.direction"] == direction]
    return Way(parent, sorted(hops, key=lambda hop: order[str(hop.attributes["hopspan.from"])]), expected)


def test_machines_have_clocks_of_their_own(story: Story) -> None:
    """The guests run different kernels under different boot ids, and an observer finds their wall clocks apart."""
    for report, release in zip((story.near, story.far), RELEASES, strict=True):
        assert report.kernel.startswith(f"{release}.")
    assert story.near.clock_id != story.far.clock_id
    observed = combine_bounds(story.near.bounds, story.near.bounds[0].at_ns)
    assert observed.low_ns <= observed.high_ns
    assert abs(observed.low_ns - WRONG_BY_S * 10**9) < BOOT_APART_NS


def test_nothing_is_lost_between_the_machines(story: Story) -> None:
    """Each probe sends a transit for each message, and the plugin joins them all."""
    transits = count_transits(2 * EXCHANGES)
    assert leave_out_exports(story.near.counts["node-probe"]) == transits
    far = dict(story.far.counts["node-probe"])
    assert far.pop("response_no_exchange") > 0  # the far node's exports, which the near one answers
    assert far == transits
    plugin = dict(story.near.counts["collector-plugin"])
    del plugin["receiver_requests{otlp_grpc,OK}"]
    assert plugin == {
        "receiver_accepted_spans": EXCHANGES,
        "received_transits": 4 * EXCHANGES,
        "joined_transits": 4 * EXCHANGES,
        "attempts{request,node-1,first}": EXCHANGES,
        "attempts{response,node-2,first}": EXCHANGES,
        "network_spans{veth-hop}": 4 * EXCHANGES,
        "network_spans{host-forward}": 4 * EXCHANGES,
        "network_spans{vxlan-encap}": 2 * EXCHANGES,
        "network_spans{underlay}": 2 * EXCHANGES,
        "network_spans{vxlan-decap}": 2 * EXCHANGES,
        "exporter_sent_spans{otlp,application}": EXCHANGES,
        "exporter_sent_spans{otlp,network}": 14 * EXCHANGES,
    }


def test_every_exchange_has_the_hops_of_both_machines(story: Story) -> None:
    """Both directions have all hops, each with its node, and the wire and the far ones tell how they were placed."""
    assert len(story.exchanges) == EXCHANGES
    for way in story.ways:
        assert [hop.span.name for hop in way.hops] == [hop.name for hop in way.expected]
        ends = way.hops[0].attributes
        client_port = ends["source.port" if ends["source.address"] == str(FRONTEND.address) else "destination.port"]
        for received, hop in zip(way.hops, way.expected, strict=True):
            attributes = dict(received.attributes)
            for name in CHECKED_APART:
                attributes.pop(name, None)
            expected = render_attributes(hop, CART_SERVICE, client_port)
            assert attributes == expected | ({"hopspan.clock.source": "measured"} if hop.is_far else {})
            assert received.resource == way.parent.resource


def test_published_interval_contains_what_an_observer_measured(story: Story) -> None:
    """Offset and uncertainty of each hop agree with echoes over the same cable; both intervals contain the truth."""
    for way in story.ways:
        truth = combine_bounds(story.near.bounds, way.parent.ends[0])
        published = way.published
        assert published.low_ns <= truth.high_ns
        assert truth.low_ns <= published.high_ns
        for hop in way.hops:
            if "hopspan.clock.source" in hop.attributes:
                assert read_int(hop, "hopspan.clock.offset_ns") == (published.low_ns + published.high_ns) // 2
                assert 2 * read_uncertainty_ns(hop) == published.high_ns - published.low_ns


def test_no_wire_is_negative_and_hops_stay_inside_their_parent(story: Story) -> None:
    """Each way is a chain without gaps from pod to pod while the client waited; none takes less than no time."""
    for way in story.ways:
        for hop in way.hops:
            assert read_duration_ns(hop) >= 0
            assert way.parent.ends[0] <= hop.ends[0] < hop.ends[1] <= way.parent.ends[1]
    whole = [way for way in story.ways if not way.is_clipped]
    assert whole
    for way in whole:
        check_times(way.hops, way.parent)


def test_no_response_leaves_before_its_request_came(story: Story) -> None:
    """Where each is placed by what was known of the clocks then, they agree within the uncertainty of both."""
    for request, response in story.exchanges:
        arrived, left = request.hops[-1], response.hops[0]
        arrived_ns = arrived.ends[0] + read_duration_ns(arrived)
        give_or_take_ns = read_uncertainty_ns(arrived) + read_uncertainty_ns(left)
        assert request.is_clipped or response.is_clipped or left.ends[0] >= arrived_ns - give_or_take_ns


def test_figures_are_told(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    """What was measured is printed: no verdict depends on it, since it is the emulation's speed."""
    wires = [read_duration_ns(hop) for way in story.ways for hop in way.hops if hop.span.name == "underlay"]
    assert len(wires) == 2 * EXCHANGES
    figures: dict[str, list[int]] = {"wire": wires, "uncertainty": [], "observer": [], "apart": []}
    inside = 0
    for way in story.ways:
        truth, published = combine_bounds(story.near.bounds, way.parent.ends[0]), way.published
        figures["uncertainty"].append((published.high_ns - published.low_ns) // 2)
        figures["observer"].append((truth.high_ns - truth.low_ns) // 2)
        figures["apart"].append(abs(published.low_ns + published.high_ns - truth.low_ns - truth.high_ns) // 2)
        inside += published.low_ns <= truth.low_ns and truth.high_ns <= published.high_ns
    text = f"two machines, in us (the observer's interval lies inside in {inside} of {len(story.ways)}):"
    for name, values in figures.items():
        low, middle, high = (value // 1000 for value in (min(values), statistics.median_low(values), max(values)))
        text += f" {name} {low} to {high}, median {middle};"
    with capsys.disabled():
        sys.stdout.write(f"\n{text}\n")


def read_int(hop: Received, name: str) -> int:
    value = hop.attributes[name]
    assert isinstance(value, int)
    return value


def read_uncertainty_ns(hop: Received) -> int:
    uncertainty_ns = read_int(hop, "hopspan.clock.uncertainty_ns")
    assert uncertainty_ns >= 0
    return uncertainty_ns
