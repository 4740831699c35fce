"""How often messages are sent: each sending counts once, with the node that sent it."""

import msgspec
import pytest

from collector_plugin import attempts
from collector_plugin.hop_durations import OTHER
from collector_plugin.reasons import TransitReason
from node_probe.transit import NodeIdentity, Transit
from tests.collector_plugin.builders import (
    NODE_1,
    NODE_2,
    PARENT_KEY,
    RESPONSE,
    SECOND,
    address,
    make_batch,
    make_node,
    make_transit,
)
from tests.collector_plugin.join_story import ANSWER_FAR, ANSWER_NEAR, FAR, NEAR, PARENT, REQUEST_HOPS, WHOLE, Story

NEAR_AGAIN = make_transit({2: 201_000, 3: 201_010, 4: 201_020}, tsval=300)
LOST = make_transit({2: 1000, 3: 1010})
FAR_AGAIN = make_transit({5: 201_120, 6: 201_130, 7: 201_140}, tsval=300)


def read_counts(story: Story) -> dict[tuple[str, str], tuple[int, int]]:
    """Return the counts of first and of further attempts, by direction and node, as far as there were any."""
    found = story.join.messages.attempts.read()
    return {(direction.label, node): (first, again) for direction, node, first, again in found if first or again}


def test_message_counts_once_at_its_sender() -> None:
    """Both nodes tell of it, and the probe of one tells twice."""
    story = Story()
    story.see_parent(0)
    for node, transit in ((NODE_2, FAR), (NODE_1, NEAR), (NODE_2, FAR), (NODE_1, ANSWER_NEAR), (NODE_2, ANSWER_FAR)):
        story.see(0, node, transit)
    assert read_counts(story) == {("request", "node-1"): (1, 0), ("response", "node-2"): (1, 0)}


@pytest.mark.parametrize("is_lost_on_the_node", [False, True])
def test_packet_that_was_lost_and_sent_again_counts_as_again(*, is_lost_on_the_node: bool) -> None:
    """The second attempt is known whole at once, the first one only when nothing more is waited for."""
    lost = make_transit({2: 1000}) if is_lost_on_the_node else NEAR
    story = Story()
    story.see_parent(0)
    story.see(0, NODE_1, lost)
    story.see(0.3, NODE_1, NEAR_AGAIN)
    assert story.see(0.3, NODE_2, FAR_AGAIN)
    assert read_counts(story) == {("request", "node-1"): (1, 0)}
    story.look(3)
    assert read_counts(story) == {("request", "node-1"): (1, 1)}


def test_attempts_that_come_in_the_wrong_order_are_as_many() -> None:
    """The probe's retry may bring the earlier one last; the later ones were counted by then."""
    story = Story()
    story.see_parent(0)
    for tsval in (300, 200, 100):
        story.see(0, NODE_1, make_transit({2: tsval * 1000, 7: tsval * 1000 + 10}, tsval=tsval))
    assert read_counts(story) == {("request", "node-1"): (1, 2)}


@pytest.mark.parametrize("telling", [NODE_1, NODE_2], ids=lambda node: node.name)
def test_sending_says_itself_that_there_were_earlier_ones(telling: NodeIdentity) -> None:
    """The lost ones' records come a second later, with the sweep, when the hops of the one that arrived are out."""
    story = Story()
    story.see_parent(0)
    spans = []
    for node, transit in ((NODE_1, NEAR_AGAIN), (NODE_2, FAR_AGAIN), (NODE_1, LOST)):
        earlier = 2 if node is telling and transit is not LOST else 0
        story.join.add_batch(make_batch(node, msgspec.structs.replace(transit, earlier=earlier)), 0)
        spans += [span for emission in story.join.take_due(0) for span in emission.spans]
    spans += [span for emission in story.join.take_due(3 * SECOND) for span in emission.spans]
    found = [dict(span.attributes).get("hopspan.attempt") for span in spans]
    assert found == [3] * len(REQUEST_HOPS) + [None]


def test_half_that_comes_late_is_no_further_attempt() -> None:
    """Its message was counted with the first half."""
    story = Story()
    story.see_parent(0)
    story.see(0, NODE_1, NEAR)
    story.look(3)
    assert story.see(4, NODE_2, FAR)
    assert read_counts(story) == {("request", "node-1"): (1, 0)}


def test_where_only_the_receiver_is_known_it_stands_for_the_sender() -> None:
    """A node without a probe has no name here."""
    story = Story()
    story.see_parent(0)
    story.see(0, NODE_2, make_transit({5: 9120, 7: 9140}, direction=RESPONSE, seq=9))
    story.look(3)
    assert read_counts(story) == {("response", "node-2"): (1, 0)}


def test_what_is_released_does_not_count() -> None:
    """Neither a context that nobody has, nor a call of another address."""
    story = Story()
    story.see(0, NODE_1, WHOLE)
    story.look(100)
    story.join.add_parents(b"resource", [PARENT], 100 * SECOND, {PARENT_KEY: address("10.96.0.99")})
    story.see(100, NODE_1, NEAR)
    story.look(200)
    assert story.released == {TransitReason.NO_PARENT: 1, TransitReason.PEER: 1}
    assert read_counts(story) == {}


def test_further_nodes_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page of metrics stays bounded, and sums lack nothing."""
    monkeypatch.setattr(attempts, "MAX_NODES", 2)
    story = Story()
    story.see_parent(0)
    for number in range(4):
        story.join.add_batch(make_batch(make_node("x" * 200 + str(number)), make_whole(2 * number)), 0)
        story.join.add_batch(make_batch(make_node(f"node-{number}"), make_whole(2 * number + 1)), 0)
    story.join.take_due(SECOND)
    assert read_counts(story) == {
        ("request", "x" * attempts.MAX_LABEL): (4, 0),
        ("request", "node-0"): (1, 0),
        ("request", OTHER): (3, 0),
    }


def make_whole(seq: int) -> Transit:
    """Return one of many messages."""
    return make_transit({2: 1000, 7: 1010}, seq=seq)
