"""gRPC's own libraries call and answer each other between the testbed's two nodes, with a real probe on each.

Each call that is to be measured has all of its transits, with its trace, parent, stream and its frame's place: those
are what the caller says, and what a full HPACK decoder reads that has seen the connection from its beginning.
"""

import sys
from collections.abc import Callable, Iterator

import pytest

from testbed.network import two_nodes_vxlan
from testbed.requirements import missing_requirements
from tests.peers.grpc_bench import GrpcBench, opened_bench
from tests.peers.grpc_peers import LIBRARIES
from tests.peers.http2_books import Story
from tests.requirements import lack

pytestmark = [pytest.mark.peers, pytest.mark.testbed, pytest.mark.bpf]

PAIRS = [("go", "java"), ("java", "js"), ("js", "python"), ("python", "go")]
"""Caller and server."""

CALLS, STREAMS, TOGETHER, AT_ONCE, FEW = 101, 23, 100, 10, 3
SEEN = {"transits_started", "transits_emitted", "transits_sent", "http2_requests", "http2_uncertain", "repeated"}
"""What is counted where nothing is lost: on a new or an older connection, and where TCP has sent something again."""

MESSAGES = 4
"""Of a call at first points: its request and its response, on each of two nodes."""

Report = Callable[[Story], None]
OLD = "unary 3"
"""What is called over the connection before there are probes."""


@pytest.fixture(scope="module")
def _two_nodes() -> Iterator[None]:
    missing = missing_requirements()
    if missing:
        lack("; ".join(missing))
    with two_nodes_vxlan():
        yield


@pytest.fixture(scope="module", params=PAIRS, ids=lambda pair: "-to-".join(LIBRARIES[name] for name in pair))
def bench(
    request: pytest.FixtureRequest,
    _two_nodes: None,
    compiled_once: object,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[GrpcBench]:
    """Hold a pair with a connection that is older than the probes; the tests of one pair go on with it."""
    del compiled_once
    caller, server = request.param
    with opened_bench(caller, server, tmp_path_factory.mktemp("grpc"), OLD) as bench:
        yield bench


@pytest.fixture
def report(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Report:
    """Print a story's coverage."""

    def write(story: Story) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{request.node.name}: {story.balance.describe()} ")

    return write


def test_connection_older_than_the_probe(bench: GrpcBench, report: Report) -> None:
    """Calls in turn are measured, every one, over a connection whose beginning no probe has seen."""
    story = bench.run(f"unary {CALLS}")
    report(story)
    check_all_whole(story, CALLS)


def test_streams(bench: GrpcBench, report: Report) -> None:
    """Of a streaming call the first message each way is measured."""
    story = bench.run(f"stream {STREAMS}")
    report(story)
    check_all_whole(story, STREAMS)


def test_concurrent_streams(bench: GrpcBench, report: Report) -> None:
    """A hundred calls are open at once, begun and answered one by one: each is measured that begins within reach."""
    story = bench.run(f"concurrent {TOGETHER}")
    report(story)
    check_accounted(story, TOGETHER)


def test_fan_out(bench: GrpcBench, report: Report) -> None:
    """Some calls at once, as of a service that asks many, and their answers share segments: every one is measured."""
    story = bench.run(f"burst {AT_ONCE}")
    report(story)
    check_all_whole(story, AT_ONCE)


def test_burst(bench: GrpcBench, report: Report) -> None:
    """A hundred calls at once, and their answers, share segments: what is not looked at in them is counted."""
    story = bench.run(f"burst {TOGETHER}")
    report(story)
    check_accounted(story, TOGETHER)


def test_unsampled_calls(bench: GrpcBench) -> None:
    """Calls that are not sampled give nothing but a count."""
    story = bench.run(f"unsampled {FEW}")
    assert not story.passages
    for counts in story.counts.values():
        assert counts["request_unsampled"] + counts["unsampled"] == FEW


def test_cancelled_calls(bench: GrpcBench) -> None:
    """Of a call that was cancelled before it was answered the request is measured, and its end is counted."""
    story = bench.run(f"hang {FEW}", "cancel")
    assert sorted(story.messages.values()) == [2] * FEW
    assert not story.balance.missed
    assert [counts["http2_reset"] for counts in story.counts.values()] == [FEW, FEW]


def test_calls_past_their_deadline(bench: GrpcBench) -> None:
    """Of a call whose deadline passed the request is measured, and the response if there was one."""
    story = bench.run(f"deadline {FEW}")
    assert len(story.made) == FEW
    assert {context for context, number in story.messages.items() if number >= 2} == story.made


def test_new_connection(bench: GrpcBench, report: Report) -> None:
    """After a new connection, which has streams of the same numbers, all is measured from its first call on."""
    story = bench.run("reconnect", f"unary {CALLS}", f"stream {STREAMS}")
    report(story)
    check_all_whole(story, CALLS + STREAMS)


def check_all_whole(story: Story, calls: int) -> None:
    """Check that each call was measured, both ways on both nodes, and that the probes lost nothing."""
    assert len(story.made) == calls
    assert story.messages == dict.fromkeys(story.made, MESSAGES)
    assert story.balance.whole == story.made
    for counts in story.counts.values():
        assert counts["http2_requests"] >= calls
        assert not {*counts} - SEEN, counts


def check_accounted(story: Story, calls: int) -> None:
    """Check that each call was measured, or missed since it lies beyond reach, which the node's probe has counted."""
    assert len(story.made) == calls
    assert story.messages == dict.fromkeys(story.made, MESSAGES)
    story.check_missed_are_counted()
