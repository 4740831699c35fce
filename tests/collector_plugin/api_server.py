"""A scripted API server of Kubernetes over real HTTP: lists in pages, watches, tokens, and whatever can go wrong."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.collector_plugin.cluster_objects import write_event, write_object, write_page
from tests.hopspan.http_peer import Answer, Behaviour, HttpPeer, Request

PAGE = 2
"""Objects in a page at most, whatever was asked for: so that every list has several."""

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


class ApiServer:
    """Answers as a cluster with some pods and services does, unless `behave` is set: then that answers."""

    def __init__(self, peer: HttpPeer) -> None:
        """Answer for the peer."""
        self.peer = peer
        self.objects: dict[str, list[dict[str, Any]]] = {"pods": [], "services": []}
        self.tokens = {"first"}
        self.behave: Behaviour | None = None
        self.lists = {"pods": 0, "services": 0}
        self.versions: list[str] = []
        """That watches of pods were begun from."""
        self.forget: list[dict[str, Any]] | None = None
        """The pods after all events were forgotten, which the next watch of pods is told."""
        self._watches: dict[str, list[queue.Queue[bytes | None]]] = {"pods": [], "services": []}
        self._changed = threading.Condition()
        peer.behave = self._answer

    def wait_for_watch(self, resource: str = "pods", count: int = 1) -> None:
        """Wait until as many watches as that were begun."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._watches[resource]) >= count, 20)

    def tell(self, kind: str, value: dict[str, Any]) -> None:
        """Send an event to the newest watch of the object's kind."""
        self.send(write_event(kind, value), "services" if value.get("kind") == "Service" else "pods")

    def send(self, data: bytes | None, resource: str = "pods") -> None:
        """Send bytes to the newest watch, or end it."""
        self._watches[resource][-1].put(data)

    def close(self) -> None:
        """End all watches."""
        for watches in self._watches.values():
            for one in watches:
                one.put(None)

    def _answer(self, request: Request) -> Answer | Iterable[bytes]:
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return deny(401, "Unauthorized")
        if self.behave is not None:
            return self.behave(request)
        parts = urlsplit(request.path)
        query = {key: value[0] for key, value in parse_qs(parts.query).items()}
        resource = parts.path.rsplit("/", 1)[1]
        return self._watch(resource, query) if "watch" in query else self._list(resource, query)

    def _list(self, resource: str, query: dict[str, str]) -> Answer:
        first = int(query.get("continue", "0"))
        following = first + min(PAGE, int(query["limit"]))
        objects = self.objects[resource]
        self.lists[resource] += not first
        more = str(following) if following < len(objects) else ""
        return Answer(body=write_page(objects[first:following], following=more))

    def _watch(self, resource: str, query: dict[str, str]) -> Iterator[bytes]:
        events: queue.Queue[bytes | None] = queue.Queue()
        if resource == "pods":
            self.versions.append(query["resourceVersion"])
        if resource == "pods" and self.forget is not None:
            self.objects["pods"], self.forget = self.forget, None
            status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
            events.put(write_event("ERROR", status))
        with self._changed:
            self._watches[resource].append(events)
            self._changed.notify_all()
        yield HEAD
        while (data := events.get()) is not None:
            yield b"%x\r\n%b\r\n" % (len(data), data)
        yield b"0\r\n\r\n"


def deny(status: int, message: str) -> Answer:
    """Return a refusal as Kubernetes words it."""
    return Answer(status, write_object({"kind": "Status", "status": "Failure", "message": message, "code": status}))
