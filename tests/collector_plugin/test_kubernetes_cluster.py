"""What is known of a cluster has bounds: what is over is forgotten, what has no room or no sense is counted."""

from typing import Any

from collector_plugin.tenures import Lookup
from tests.collector_plugin.builders import CLIENT, SERVER
from tests.collector_plugin.cluster_objects import list_names, make_pod, make_service, write_page
from tests.collector_plugin.cluster_story import CART, CLIENT_POD, Story, tell
from tests.collector_plugin.join_memory import measure


def test_many_pods_take_what_the_docs_say() -> None:
    """A kilobyte each and a little: 30,000 objects, which is the bound, have some 30 MiB."""

    def keep() -> Story:
        pods = (make_pod(f"cart-6d4cf56db6-{n:05}", f"10.1.{n >> 8}.{n & 255}", labels=CART) for n in range(2_000))
        story = Story(max_objects=2_000)
        for pod in pods:
            story.happen("ADDED", pod, 1)
        return story

    assert measure(keep) < 2_000 * 1_200


def test_former_owners_are_forgotten_after_their_time() -> None:
    """What could still ask for them has been emitted or given up by then."""
    story = Story().list([make_pod("old", SERVER)], [])
    story.happen("DELETED", make_pod("old", SERVER, ended_s=9), 10)
    bookmark = {"kind": "Pod", "metadata": {"resourceVersion": "12"}}
    for second, number in ((139, 2), (141, 0)):
        story.happen("BOOKMARK", bookmark, second)
        assert story.cluster.tenures.ended_count == number
    assert list_names(story.names, 5) == {}
    assert story.names.lookups[Lookup.UNKNOWN] == 2


def test_what_has_no_room_is_left_out_and_counted() -> None:
    """What is known already stays up to date."""
    story = Story(max_objects=2).list([make_pod("frontend-1", CLIENT), make_pod("cart-1", SERVER)], [])
    story.happen("ADDED", make_service("cart", SERVER), 1)
    story.happen("ADDED", make_pod("more", "10.244.2.9"), 1)
    assert story.cluster.left_out == 2
    story.happen("MODIFIED", make_pod("cart-1", "10.244.2.8"), 2)
    assert list_names(story.names, 3, "10.244.2.8")["destination.pod"] == "cart-1"


def test_objects_that_cannot_be_read_are_passed_over_and_counted() -> None:
    """One faulty object costs no other one its name."""
    story = Story()
    story.pods.begin_list(tell(-30))
    faulty: list[dict[str, Any]] = [
        {"metadata": 5},
        {"metadata": {"name": "x", "uid": "y"}, "status": {"podIPs": "none"}},
    ]
    story.pods.add_page(write_page([*faulty, make_pod("frontend-1", CLIENT)]), tell(-30))
    story.pods.confirm(tell(-29))
    assert list_names(story.names) == CLIENT_POD
    assert story.pods.malformed == 2
