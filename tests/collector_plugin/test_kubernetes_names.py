"""Names from an API server over TLS with a token: what is told reaches the spans, whatever goes wrong in between."""

import io
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector_plugin.kubernetes_names import KubernetesNames
from collector_plugin.kubernetes_settings import KubernetesSettings
from hopspan.logs import Log
from testbed.deadline import wait_until
from tests.collector_plugin.api_server import HEAD, ApiServer, deny
from tests.collector_plugin.builders import CLIENT, NODE_1, SECOND, SERVER, make_half, make_transit
from tests.collector_plugin.cluster_objects import make_pod, make_service
from tests.hopspan.certificates import Parties
from tests.hopspan.http_peer import Answer, HttpPeer, Request, serve_tls

WAIT_S = 30.0


class Story:
    """A plugin's names, and the API server that they come from."""

    def __init__(self, parties: Parties, directory: Path) -> None:
        self.peer = HttpPeer(context=serve_tls(parties.server))
        self.api = ApiServer(self.peer)
        self.token_file = directory / "token"
        self.token_file.write_text("first\n")
        settings = KubernetesSettings(
            api_server=self.peer.url(), bearer_token_file=str(self.token_file), tls=parties.trusting(), enabled=True
        )
        self._log = io.StringIO()
        self.names = KubernetesNames(settings, 130 * SECOND, Log(stream=self._log))

    def find(self, server: str = SERVER) -> dict[str, str]:
        """Return the names of both ends of a request that was stamped now, by the clock of this machine."""
        return {key.replace(".k8s.", ".").removesuffix(".name"): value for key, value in self._list_pairs(server)}

    def wait_for(self, names: dict[str, str], server: str = SERVER) -> None:
        """Wait until these are among the names."""
        wait_until(lambda: names.items() <= self.find(server).items(), f"no {names}", WAIT_S)

    def count(self, metric: str) -> dict[str, float]:
        """Return a metric's values by their label."""
        (found,) = [one for one in self.names.read_metrics() if one.name == f"hopspan_plugin_kubernetes_{metric}"]
        return {next(iter(labels.values())): value for labels, value in found.samples}

    def wait_for_result(self, result: str, number: int = 1) -> None:
        """Wait until so many requests ended so."""
        wait_until(lambda: self.count("requests")[result] >= number, f"no {result}", WAIT_S)

    def read_log(self) -> list[dict[str, Any]]:
        """Return the lines of the log."""
        return [json.loads(line) for line in self._log.getvalue().splitlines()]

    def _list_pairs(self, server: str) -> list[tuple[str, str]]:
        transit = make_transit({2: 0, 3: 3}, server=server)
        first_ns = make_half(NODE_1, transit, offset_ns=0).times_ns[0]
        _, *groups = self.names.describe_ends(make_half(NODE_1, transit, offset_ns=time.time_ns() - first_ns))
        return [(key, str(value)) for group in groups for key, value in group.pairs]


@pytest.fixture
def story(parties: Parties, tmp_path: Path) -> Iterator[Story]:
    story = Story(parties, tmp_path)
    yield story
    story.api.close()
    story.names.stop()
    story.peer.close()


FRONTEND = make_pod("frontend-1", CLIENT)
NAMED = {"source.pod": "frontend-1", "source.namespace": "shop"}


def test_lists_in_pages_and_what_is_watched_name_both_ends(story: Story) -> None:
    """A list of several pages, then events: an addition, a deletion, and a bookmark that others follow."""
    others = [make_pod(f"other-{number}", f"10.244.3.{number + 1}") for number in range(4)]
    story.api.objects = {"pods": [*others, FRONTEND], "services": [make_service("cart", SERVER)]}
    story.names.start()
    story.wait_for({**NAMED, "destination.service": "cart"})
    story.api.wait_for_watch()
    assert story.count("objects") == {"pods": 5, "services": 1, "former_addresses": 0}
    story.api.tell("ADDED", make_pod("cart-1", "10.244.2.2"))
    story.wait_for({"destination.pod": "cart-1"}, "10.244.2.2")
    story.api.tell("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": "77"}})
    story.api.tell("DELETED", make_pod("cart-1", "10.244.2.2", ended_s=1))
    wait_until(lambda: "destination.pod" not in story.find("10.244.2.2"), "still named", WAIT_S)
    assert story.api.lists == {"pods": 1, "services": 1}
    assert story.peer.connections == 2
    assert [line["message"] for line in story.read_log()] == []


def test_watch_that_ends_goes_on_where_it_was(story: Story) -> None:
    """The API server ends each after some minutes: nothing is listed anew."""
    story.api.objects["pods"] = [FRONTEND]
    story.names.start()
    story.api.wait_for_watch()
    story.api.tell("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": "77"}})
    story.api.send(None)
    story.api.wait_for_watch(count=2)
    story.wait_for(NAMED)
    assert story.api.versions == ["10", "77"]
    assert story.api.lists["pods"] == 1


def test_version_that_is_too_old_leads_to_a_new_list(story: Story) -> None:
    """By an event of the watch, as Kubernetes tells it; what is gone meanwhile has no name any more."""
    story.api.objects["pods"] = [FRONTEND, make_pod("cart-1", SERVER)]
    story.api.forget = [FRONTEND]
    story.names.start()
    story.api.wait_for_watch(count=2)
    assert story.count("requests")["gone"] == 1
    wait_until(lambda: "destination.pod" not in story.find(), "still named", WAIT_S)
    story.wait_for(NAMED)
    assert story.api.lists["pods"] == 2


def test_token_that_was_renewed_is_used(story: Story) -> None:
    """Kubernetes writes a new one into the file after minutes; the old one is refused some time later."""
    story.api.tokens = {"second"}
    story.api.objects["pods"] = [FRONTEND]
    story.names.start()
    story.wait_for_result("denied")
    story.token_file.write_text("second\n")
    story.wait_for(NAMED)


def test_denial_is_told_once_with_verb_and_resource(story: Story) -> None:
    """And again when it is over; no line holds the token."""
    text = 'pods is forbidden: User "system:serviceaccount:hopspan:plugin" cannot list resource "pods" (first)'
    story.api.behave = lambda _: deny(403, text)
    story.api.objects["pods"] = [FRONTEND]
    story.names.start()
    story.wait_for_result("denied", 5)
    denied = [line for line in story.read_log() if line.get("resource") == "pods"]
    assert len(denied) == 1
    (line,) = denied
    assert (line["level"], line["verb"], line["reason"]) == ("warn", "list", "denied")
    assert 'cannot list resource "pods"' in line["error"]
    story.api.behave = None
    story.wait_for(NAMED)
    wait_until(lambda: len(story.read_log()) == 4, "not told", WAIT_S)
    assert {line["message"] for line in story.read_log()[2:]} == {
        f"names from Kubernetes: {resource} can be read again" for resource in ("pods", "services")
    }


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (Answer(200, b"<html>login</html>"), "garbage"),
        (Answer(200, b'{"metadata": {"continue": 5}}'), "garbage"),
        (Answer(503, b"", {"Retry-After": "0"}), "refused"),
        (Answer(410, b"{}"), "gone"),
        ([b"SSH-2.0-OpenSSH\r\n"], "garbage"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"], "unreachable"),
        (Answer(200, b" " * (9 << 20)), "too_large"),
    ],
    ids=["page of a proxy", "no list", "unavailable", "gone", "no HTTP", "cut off", "too large"],
)
def test_whatever_is_answered_names_come_as_soon_as_they_can(
    story: Story, answer: Answer | list[bytes], result: str
) -> None:
    """Each kind of trouble is counted, and nothing of it stays."""
    story.api.behave = lambda _: answer
    story.api.objects["pods"] = [FRONTEND]
    story.names.start()
    story.wait_for_result(result, 2)
    assert story.find() == {}
    story.api.behave = None
    story.wait_for(NAMED)


def test_garbage_within_a_watch_leads_to_a_new_list(story: Story) -> None:
    """What came before it counts."""
    story.api.objects["pods"] = [FRONTEND]
    story.names.start()
    story.api.wait_for_watch()
    story.api.send(b"}{\n")
    story.wait_for_result("garbage")
    story.api.wait_for_watch(count=2)
    story.wait_for(NAMED)


def test_api_server_that_hangs_holds_nothing_up(story: Story) -> None:
    """It lets requests wait for ever: addresses have no names, and the end comes at once."""
    released = threading.Event()

    def hang(_: Request) -> Iterator[bytes]:
        yield HEAD
        released.wait(WAIT_S)

    story.api.behave = hang
    story.names.start()
    story.peer.take()
    assert story.find() == {}
    story.names.stop()
    released.set()


def test_api_server_that_goes_away_takes_the_names_of_what_comes_then(story: Story) -> None:
    """It is not known any more who has an address; once it is back all is well."""
    story.api.objects["pods"] = [FRONTEND]
    story.names.start()
    story.api.wait_for_watch()
    story.wait_for(NAMED)
    story.api.behave = lambda _: [b""]
    story.peer.hang_up()
    wait_until(lambda: story.find() == {}, "still named", WAIT_S)
    assert story.count("lookups")["stale"] > 0
    story.api.behave = None
    story.wait_for(NAMED)


def test_missing_token_file_is_told(story: Story) -> None:
    """Such as in a pod that mounts none."""
    story.token_file.unlink()
    story.names.start()
    story.wait_for_result("credentials", 2)
    assert {line["error"] for line in story.read_log()} == {
        f"bearer_token_file: {story.token_file} cannot be read: No such file or directory"
    }


def test_age_tells_how_long_nothing_was_heard(story: Story) -> None:
    """It is -1 until anything was."""
    assert story.count("age_seconds") == {"pods": -1, "services": -1}
    story.names.start()
    story.api.wait_for_watch("services")
    assert 0 <= story.count("age_seconds")["services"] < WAIT_S
