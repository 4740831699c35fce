"""Follows one kind of Kubernetes' objects: a list, then a watch, and again after whatever goes wrong. Edge: a thread.

Nothing here ends the thread but `stop`; trouble is told once when it begins and once when it is over.
"""

import random
import threading
import time
from urllib.parse import quote

import msgspec

from collector_plugin.kubernetes_api import ApiError, KubernetesApi, Result
from collector_plugin.kubernetes_feed import CATCH_UP_NS, Feed, GoneError, WatchError
from collector_plugin.kubernetes_objects import ObjectError
from hopspan.backoff import draw_delay_ns
from hopspan.counters import Counters
from hopspan.logs import Log

PAGE = 200
"""Objects in a page: 2 MiB of pods, decoded in 6 ms; fewer after an answer that was too large."""

LIST_NS = 600 * 10**9
"""All pages together: the API server forgets within some minutes what a list began with."""

SILENCE_NS = 90 * 10**9
"""What a watch may be silent: the API server sends a bookmark each minute."""

MIN_WATCH_S = 240
"""A watch ends after this time up to twice as much, as Kubernetes' own clients have it: so that load spreads."""

STEADY_NS = 5 * 10**9
"""A watch of this length shows that all is well: the next failure is a first one."""

STOP_S = 5.0
"""What the thread gets to end."""


class Watched(msgspec.Struct, frozen=True):
    """What is followed."""

    resource: str
    path: str
    """Leads to the objects, without a query."""
    feed: Feed
    lock: threading.Lock
    """Of all that the feed changes."""


class KubernetesWatch:
    """A thread that keeps a feed."""

    def __init__(self, watched: Watched, api: KubernetesApi, results: Counters[Result], log: Log) -> None:
        """Prepare; `start` starts the thread."""
        self._resource = watched.resource
        self._path = watched.path
        self._feed = watched.feed
        self._lock = watched.lock
        self._api = api
        self._results = results
        self._log = log
        self._page = PAGE
        self._failures = 0
        self._trouble = ""
        self._verb = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"kubernetes-{watched.resource}", daemon=True)

    def start(self) -> None:
        """Start to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait for the thread."""
        self._stopping.set()
        self._api.close()
        if self._thread.ident is not None:
            self._thread.join(STOP_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._turn()
            except ApiError as error:
                self._recover(error)
            except Exception as error:  # noqa: BLE001 - a fault of ours must never end the names for good
                self._recover(ApiError(Result.GARBAGE, f"{type(error).__name__}: {error}"))
        self._api.drop()

    def _turn(self) -> None:
        """List where that is needed, then watch until the API server ends it."""
        try:
            if not self._feed.version:
                self._list()
            self._watch()
        except GoneError as error:
            raise ApiError(Result.GONE, "what was watched from is too old") from error
        except WatchError as error:
            raise ApiError(Result.REFUSED, str(error)) from error
        except ObjectError as error:
            raise ApiError(Result.GARBAGE, str(error)) from error

    def _list(self) -> None:
        self._verb = "list"
        self._feed.begin_list(time.time_ns())
        token = ""
        deadline_ns = time.monotonic_ns() + LIST_NS
        while time.monotonic_ns() < deadline_ns:
            suffix = f"&continue={quote(token, safe='')}" if token else ""
            page = self._api.get(f"{self._path}?limit={self._page}{suffix}")
            with self._lock:
                token = self._feed.add_page(page, time.time_ns())
            self._results.add(Result.OK)
            if not token:
                return
        raise ApiError(Result.TIMEOUT, "a list has no end")

    def _watch(self) -> None:
        self._verb = "watch"
        timeout_s = int(MIN_WATCH_S * (1 + random.random()))  # noqa: S311 - spreads load, guards nothing
        version = quote(self._feed.version, safe="")
        query = f"watch=true&allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds={timeout_s}"
        self._api.begin_watch(f"{self._path}?{query}")
        began_ns = time.monotonic_ns()
        with self._lock:
            self._feed.begin_watch(time.time_ns())
        self._tell_recovery()
        try:
            for line in self._api.read_lines(2 * CATCH_UP_NS, SILENCE_NS):
                with self._lock:
                    if line:
                        self._feed.add_event(line, time.time_ns())
                    else:
                        self._feed.confirm(time.time_ns())
        finally:
            is_steady = time.monotonic_ns() - began_ns >= STEADY_NS
            if is_steady:
                self._failures = 0
        self._results.add(Result.OK)
        with self._lock:
            self._feed.confirm(time.time_ns())
        if not is_steady:
            # Else a server that ends each watch at once would be asked without end.
            self._stopping.wait(1)

    def _recover(self, error: ApiError) -> None:
        """Prepare for another attempt, and wait for its time."""
        if self._stopping.is_set():
            return
        self._results.add(error.result)
        self._feed.lose()
        self._api.drop()
        if error.result in (Result.GONE, Result.GARBAGE, Result.TOO_LARGE):
            self._feed.version = ""
        if error.result is Result.TOO_LARGE:
            self._page = max(1, self._page // 4)
        self._failures += 1
        if error.result is Result.GONE and self._failures == 1:
            # Nothing is wrong: the API server forgets after minutes.
            return
        trouble = f"{error.result}: {error}"
        if trouble != self._trouble:
            self._trouble = trouble
            self._log.warn(
                f"names from Kubernetes: {self._resource} cannot be read",
                verb=self._verb,
                resource=self._resource,
                reason=error.result.value,
                error=str(error),
            )
        self._stopping.wait(draw_delay_ns(self._failures, error.retry_after_ns) / 1e9)

    def _tell_recovery(self) -> None:
        if self._trouble:
            self._trouble = ""
            self._log.info(f"names from Kubernetes: {self._resource} can be read again", resource=self._resource)
