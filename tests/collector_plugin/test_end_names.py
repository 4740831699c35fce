"""Whose an address was at the time of the stamps, as stories: reuse, host network, services, ends, lost watches."""

import pytest

from collector_plugin.tenures import Lookup
from tests.collector_plugin.builders import CLIENT, NODE_1, RESPONSE, SERVER, make_half, make_transit
from tests.collector_plugin.cluster_objects import HOST, list_names, make_pod, make_service, write_page
from tests.collector_plugin.cluster_story import CART, CLIENT_POD, Story, tell


def test_pod_and_service_are_named_on_both_ends() -> None:
    """The client by its pod, the server by the service that has the address, as the client sees it."""
    story = Story().list([make_pod("frontend-1", CLIENT)], [make_service("cart", SERVER, selector=CART)])
    assert list_names(story.names) == {**CLIENT_POD, "destination.namespace": "shop", "destination.service": "cart"}
    assert story.names.lookups[Lookup.NAMED] == 2


def test_names_change_ends_with_the_direction() -> None:
    """The source of a response is the server."""
    story = Story().list([make_pod("frontend-1", CLIENT)], [make_service("cart", SERVER)])
    half = make_half(NODE_1, make_transit({7: 0, 8: 3}, direction=RESPONSE))
    _, source, destination = story.names.describe(half)
    assert dict(source.pairs) == {"source.k8s.namespace.name": "shop", "source.k8s.service.name": "cart"}
    assert ("destination.k8s.pod.name", "frontend-1") in destination.pairs


def test_pod_is_named_with_the_one_service_that_it_stands_behind() -> None:
    """Behind DNAT the address is a pod's; of two services that select it none is told."""
    pods = [make_pod("cart-1", SERVER, labels={**CART, "tier": "back"})]
    story = Story().list(pods, [make_service("cart", "10.96.0.9", selector=CART)])
    named = {"destination.namespace": "shop", "destination.pod": "cart-1", "destination.node": "node-1"}
    assert list_names(story.names) == {**named, "destination.service": "cart"}
    story.happen("ADDED", make_service("cart-headless", selector=CART), 1)
    assert list_names(story.names) == named
    story.happen("DELETED", make_service("cart", selector=CART), 2)
    assert list_names(story.names) == {**named, "destination.service": "cart-headless"}


def test_pod_that_changes_its_labels_changes_its_service() -> None:
    """Such as in a switch from blue to green."""
    services = [make_service(name, selector={"colour": name}) for name in ("blue", "green")]
    story = Story().list([make_pod("cart-1", SERVER, labels={"colour": "blue"})], services)
    assert list_names(story.names)["destination.service"] == "blue"
    story.happen("MODIFIED", make_pod("cart-1", SERVER, labels={"colour": "green"}), 1)
    assert list_names(story.names)["destination.service"] == "green"


def test_service_without_selector_stands_before_no_pod() -> None:
    """An empty selector selects nothing, not everything."""
    story = Story().list([make_pod("cart-1", SERVER)], [make_service("external", "10.96.0.9")])
    assert "destination.service" not in list_names(story.names)


@pytest.mark.parametrize(
    ("at_s", "pod"),
    [(9.0, "old"), (9.9, "old"), (10.0, None), (15.9, None), (16.0, "new"), (20.0, "new")],
)
def test_address_that_was_given_to_another_pod_is_the_one_of_that_time(at_s: float, pod: str | None) -> None:
    """What the stamps met counts, not who has the address when the span is made; between the two nobody has it."""
    story = Story().list([make_pod("old", SERVER)], [])
    story.happen("DELETED", make_pod("old", SERVER, ended_s=10), 12)
    story.happen("ADDED", make_pod("new"), 14)
    story.happen("MODIFIED", make_pod("new", SERVER, start_s=15, node="node-2"), 16)
    assert list_names(story.names, at_s).get("destination.pod") == pod


def test_address_of_two_pods_at_once_is_nobodys() -> None:
    """A pod that waited for its address began before the former had let go of it: rather no name than a wrong one."""
    story = Story().list([make_pod("old", SERVER)], [])
    story.happen("ADDED", make_pod("new", SERVER, start_s=5), 11)
    story.happen("DELETED", make_pod("old", SERVER, ended_s=10), 12)
    found = {at_s: list_names(story.names, at_s).get("destination.pod") for at_s in (4, 7, 12)}
    assert found == {4: "old", 7: None, 12: "new"}
    assert story.names.lookups[Lookup.AMBIGUOUS] == 1


def test_pod_that_got_its_network_late_had_no_address_before() -> None:
    """It began at 0, and its network was there at some time in the second from 60 on."""
    story = Story().list([make_pod("slow", SERVER, start_s=0, ready_s=60)], [], at_s=70)
    assert [list_names(story.names, at_s).get("destination.pod") for at_s in (60, 61)] == [None, "slow"]


def test_job_that_ended_has_its_address_no_more() -> None:
    """The pod stays, and its status goes on naming the address."""
    story = Story().list([make_pod("job", SERVER)], [])
    story.happen("MODIFIED", make_pod("job", SERVER, ended_s=10), 12)
    assert [list_names(story.names, at_s).get("destination.pod") for at_s in (9, 10)] == ["job", None]
    assert story.names.lookups[Lookup.OTHER_TIME] == 1
    assert story.cluster.pod_count == 0


def test_pod_that_gets_another_address_lost_the_first_when_it_was_seen_last() -> None:
    """A restart of its node gives it new ones; when the old one was free is not told."""
    story = Story().list([make_pod("db", SERVER)], [])
    story.happen("MODIFIED", make_pod("db", SERVER, labels={"a": "b"}), 10)
    story.happen("MODIFIED", make_pod("db", "10.244.9.9"), 30)
    assert [list_names(story.names, at_s).get("destination.pod") for at_s in (4, 6)] == ["db", None]
    others = [list_names(story.names, at_s, "10.244.9.9").get("destination.pod") for at_s in (29, 31)]
    assert others == [None, "db"]


def test_pod_of_the_host_network_shares_its_nodes_address() -> None:
    """Of which only the node can be told."""
    pods = [make_pod("proxy", HOST, host_network=True), make_pod("cart-1", SERVER)]
    story = Story().list(pods, [])
    assert list_names(story.names, server=HOST) == {"destination.node": "node-1"}


def test_nodes_address_is_known_as_long_as_a_pod_tells_it() -> None:
    """Two pods do: the first to go changes nothing. The address may then be another node's."""
    story = Story().list([make_pod("a", SERVER), make_pod("b", "10.244.2.3")], [])
    for second, name in ((5, "a"), (9, "b")):
        story.happen("DELETED", make_pod(name, SERVER if name == "a" else "10.244.2.3", ended_s=second - 1), second)
    assert [list_names(story.names, at_s, HOST) for at_s in (6, 10)] == [{"destination.node": "node-1"}, {}]
    story.happen("ADDED", make_pod("c", "10.244.2.4", start_s=20, node="node-3"), 21)
    assert list_names(story.names, 22, HOST) == {"destination.node": "node-3"}


def test_address_outside_of_the_cluster_has_no_name() -> None:
    """It is counted: who wonders sees that there was nobody to name."""
    story = Story().list([], [])
    assert list_names(story.names) == {}
    assert story.names.lookups[Lookup.UNKNOWN] == 2


def test_service_that_was_deleted_keeps_its_address_for_what_is_on_its_way() -> None:
    """And the next one has it from its own beginning."""
    story = Story().list([], [make_service("old", SERVER)])
    story.happen("DELETED", make_service("old", SERVER), 10)
    story.happen("ADDED", make_service("new", SERVER, start_s=20), 20)
    found = [list_names(story.names, at_s).get("destination.service") for at_s in (4, 15, 25)]
    assert found == ["old", None, "new"]


def test_nothing_is_named_before_the_list_is_whole() -> None:
    """A pod on a later page may have the address too."""
    story = Story()
    story.pods.begin_list(tell(-30))
    assert story.pods.add_page(write_page([make_pod("frontend-1", CLIENT)], following="more"), tell(-30)) == "more"
    assert list_names(story.names) == {}
    assert story.pods.add_page(write_page([]), tell(-29)) == ""
    assert [list_names(story.names, at_s) for at_s in (-30, -29)] == [CLIENT_POD, {}]


def test_watch_that_begins_is_trusted_once_it_has_caught_up() -> None:
    """It tells first what has happened since the list, or while it was lost, one event after the other."""
    story = Story().list([make_pod("frontend-1", CLIENT), make_pod("cart-1", SERVER)], [])
    story.pods.lose()
    story.pods.begin_watch(tell(50))
    story.happen("DELETED", make_pod("cart-1", SERVER, ended_s=20), 50.1)
    assert list_names(story.names, 40) == {}
    story.happen("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": "11"}}, 51)
    assert list_names(story.names, 40) == CLIENT_POD


def test_what_was_not_heard_of_since_is_not_named() -> None:
    """The watch was lost at 20: a pod may have ended since, and its address be another's."""
    story = Story().list([make_pod("frontend-1", CLIENT)], [])
    story.happen("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": "11"}}, 20)
    assert list_names(story.names, 60) == CLIENT_POD
    story.pods.lose()
    assert [list_names(story.names, at_s) for at_s in (15, 16)] == [CLIENT_POD, {}]
    assert story.names.lookups[Lookup.STALE] == 1


def test_pod_that_a_new_list_lacks_ended_when_it_was_heard_of_last() -> None:
    """Its deletion was missed, and so is its time."""
    story = Story().list([make_pod("frontend-1", CLIENT), make_pod("cart-1", SERVER)], [])
    story.pods.lose()
    story.list([make_pod("cart-1", SERVER)], [], at_s=50)
    assert [list_names(story.names, at_s).get("source.pod") for at_s in (-36, -34)] == ["frontend-1", None]
    assert list_names(story.names, 49)["destination.pod"] == "cart-1"


def test_pod_whose_start_is_not_told_has_its_address_since_it_was_seen() -> None:
    """Later events say no more of its start, and change nothing about it."""
    story = Story().list([], [])
    for at_s, tier in ((5, "a"), (20, "b")):
        pod = make_pod("cart-1", SERVER, labels={"tier": tier})
        del pod["status"]["containerStatuses"]
        story.happen("MODIFIED", pod, at_s)
    assert [list_names(story.names, at_s).get("destination.pod") for at_s in (4, 6)] == [None, "cart-1"]


def test_pod_of_a_node_whose_clock_is_ahead_is_named_at_once() -> None:
    """It has its address when that is told, whatever time the node says."""
    story = Story().list([make_pod("cart-1", SERVER, start_s=60)], [], at_s=-30)
    assert [list_names(story.names, at_s).get("destination.pod") for at_s in (-31, -29)] == [None, "cart-1"]
