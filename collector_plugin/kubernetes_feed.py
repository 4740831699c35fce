"""Keeps a cluster as the API server tells it: lists in pages, then events. One feed for pods, one for services.

Pure: what comes are bytes and times, what goes wrong are exceptions. Format: the Kubernetes API's list and watch,
with bookmarks.
"""

from collections.abc import Callable

import msgspec

from collector_plugin.kubernetes_cluster import MAX_LATE_NS, Cluster
from collector_plugin.kubernetes_objects import JSON_ERRORS, ObjectError, read_pod, read_service
from collector_plugin.tenures import Freshness

GONE = 410
"""The API server has forgotten what came after our version: a list is needed."""


CATCH_UP_NS = 500 * 10**6
"""A watch begins with all that has happened since its version, one event after the other, for at most this long."""


class GoneError(Exception):
    """The version that was watched from is too old."""


class WatchError(Exception):
    """The API server ended a watch with an error; the text is its own."""


class _ListMeta(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")


class _Page(msgspec.Struct, frozen=True):
    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None


class _Event(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    uid: str = ""
    resource_version: str = ""


class _Object(msgspec.Struct, frozen=True):
    metadata: _Meta = _Meta()


class _Status(msgspec.Struct, frozen=True):
    code: int = 0
    message: str = ""


_read_page = msgspec.json.Decoder(_Page).decode
_read_event = msgspec.json.Decoder(_Event).decode
_read_object = msgspec.json.Decoder(_Object).decode
_read_status = msgspec.json.Decoder(_Status).decode


class Handler(msgspec.Struct, frozen=True):
    """How objects of one kind change a cluster."""

    put: Callable[[bytes, int], str]
    """Takes in an object; returns its uid. Raises ObjectError."""
    end: Callable[[bytes, int], None]
    """Takes in an object that is gone. Raises ObjectError."""
    remove: Callable[[str, int, int], None]
    """Lets go of the object with a uid, which was there until some time at most."""
    list: Callable[[], set[str]]
    expire: Callable[[int], None]
    freshness: Freshness


def handle_pods(cluster: Cluster) -> Handler:
    """Return the handler of pods."""

    def put(data: bytes, now_ns: int) -> str:
        pod = read_pod(data)
        cluster.put_pod(pod, now_ns)
        return pod.uid

    def end(data: bytes, now_ns: int) -> None:
        cluster.put_pod(read_pod(data, is_gone=True), now_ns)

    expire = cluster.tenures.expire

    return Handler(put, end, cluster.remove_pod, cluster.list_pods, expire, cluster.pods_freshness)


def handle_services(cluster: Cluster) -> Handler:
    """Return the handler of services."""

    def put(data: bytes, now_ns: int) -> str:
        service = read_service(data)
        cluster.put_service(service, now_ns)
        return service.uid

    def end(data: bytes, now_ns: int) -> None:
        cluster.remove_service(read_service(data).uid, now_ns - MAX_LATE_NS, now_ns)

    expire = cluster.tenures.expire

    return Handler(put, end, cluster.remove_service, cluster.list_services, expire, cluster.services_freshness)


class Feed:
    """What is known of one kind of object, and up to when. Times are epoch nanoseconds."""

    def __init__(self, handler: Handler, trust_ns: int) -> None:
        """Trust for `trust_ns` that nothing has happened while nothing is told."""
        self.version = ""
        """The resource version to watch from; empty where a list is needed."""
        self.heard_ns = 0
        """When the API server told anything; 0: never."""
        self.malformed = 0
        """Objects that could not be read."""
        self._handler = handler
        self._trust_ns = trust_ns
        self._listed: set[str] = set()
        self._began_ns = 0
        self._caught_up_ns = 0

    def begin_list(self, now_ns: int) -> None:
        """Begin a list anew; what is known stays, and counts up to when it was heard last."""
        self.version = ""
        self._listed = set()
        self._began_ns = now_ns

    def add_page(self, data: bytes, now_ns: int) -> str:
        """Take in a page of a list; return the token of the next, empty at the last one. Raises ObjectError."""
        try:
            page = _read_page(data)
        except JSON_ERRORS as error:
            raise ObjectError(f"not a list: {error}") from error
        for item in page.items or ():
            try:
                self._listed.add(self._handler.put(bytes(item), now_ns))
            except ObjectError:
                self.malformed += 1
        if not page.metadata.continue_:
            self._end_list(page.metadata.resource_version, now_ns)
        return page.metadata.continue_

    def add_event(self, line: bytes, now_ns: int) -> None:
        """Take in an event of a watch. Raises GoneError, WatchError, and ObjectError for what is no event."""
        try:
            event = _read_event(line)
        except JSON_ERRORS as error:
            raise ObjectError(f"not an event: {error}") from error
        data = bytes(event.object)
        if event.type == "ERROR":
            raise _read_error(data)
        try:
            if event.type in ("ADDED", "MODIFIED"):
                self._handler.put(data, now_ns)
            elif event.type == "DELETED":
                self._handler.end(data, now_ns)
            self.version = _read_object(data).metadata.resource_version or self.version
        except (ObjectError, *JSON_ERRORS):
            self.malformed += 1
        self.confirm(now_ns)

    def begin_watch(self, now_ns: int) -> None:
        """Note that a watch has begun: what is told at first may be old."""
        self._caught_up_ns = now_ns + CATCH_UP_NS

    def confirm(self, now_ns: int) -> None:
        """Note that all that happened before `now_ns` was told, unless the watch has just begun."""
        if now_ns < self._caught_up_ns:
            return
        self.heard_ns = now_ns
        self._handler.freshness.until_ns = now_ns + self._trust_ns
        self._handler.expire(now_ns)

    def lose(self) -> None:
        """Note that nothing more is told: what happens from when it was heard last is not known."""
        self._handler.freshness.until_ns = max(0, self.heard_ns - MAX_LATE_NS)

    def _end_list(self, version: str, now_ns: int) -> None:
        for uid in self._handler.list() - self._listed:
            self._handler.remove(uid, self.heard_ns - MAX_LATE_NS, now_ns)
        self._listed = set()
        self.version = version
        # All pages show the moment of the first; what came after it the watch will tell.
        self.heard_ns = self._handler.freshness.until_ns = self._began_ns


def _read_error(data: bytes) -> Exception:
    try:
        status = _read_status(data)
    except JSON_ERRORS:
        status = _Status()
    return GoneError() if status.code == GONE else WatchError(status.message)
