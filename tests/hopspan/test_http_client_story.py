"""Many threads, a peer that changes its mind at each request, and an end at any moment: random stories with seeds."""

import os
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from hopspan.export_errors import RetryableExportError
from hopspan.http_client import HttpClient
from hopspan.http_export_settings import ZipkinExporterSettings
from tests.hopspan.http_peer import DEADLINE_S, RESET, Answer, HttpPeer, Request

STORIES = 3 * int(os.environ.get("HOPSPAN_SOAK", "1"))
THREADS = 6
POSTS = 23


class MoodyPeer(HttpPeer):
    """A peer that takes a request, or refuses, resets, hangs up, breaks off; by chance with a seed."""

    def __init__(self, seed: int) -> None:
        """Begin in a good mood."""
        super().__init__()
        self._chance = random.Random(seed)  # noqa: S311 - a story's seed
        self._guard = threading.Lock()
        self.taken: Counter[bytes] = Counter()
        self.behave = self._choose

    def _choose(self, request: Request) -> Answer | list[bytes]:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n"
        moods: list[tuple[Answer | list[bytes], bool]] = [
            (Answer(200, request.body), True),
            (Answer(200, request.body), True),
            (Answer(200, request.body, {"Connection": "close"}), True),
            (Answer(503, request.body), False),
            ([RESET], False),
            ([], False),
            ([head], False),
            ([head + b"\r\n", b"brok"], True),
            ([b"HTTP/1.1 100 Continue\r\n\r\n", head + b"\r\n123456789 and more"], True),
        ]
        with self._guard:
            answer, is_taken = self._chance.choice(moods)
            self.taken[request.body] += is_taken
        return answer


@pytest.mark.parametrize("seed", range(STORIES))
def test_each_thread_gets_the_answer_to_its_own_request(seed: int) -> None:
    """What is told as delivered was taken, once a post; what is told as lost was not; no answer goes astray."""
    peer = MoodyPeer(seed)
    client = HttpClient(ZipkinExporterSettings(endpoint=peer.url("/")), "text/plain")
    delivered: Counter[bytes] = Counter()

    def post(number: int) -> None:
        body = b"request %d" % number
        while delivered[body] == 0:
            try:
                answer = client.post(body)
            except RetryableExportError as error:
                assert error.code == "UNAVAILABLE"  # noqa: PT017 - anything else is a success
            else:
                assert answer.body in (body, b"brok", b"123456789")
                delivered[body] += answer.is_success

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(post, range(THREADS * POSTS), timeout=DEADLINE_S))
    client.close()
    peer.close()
    assert delivered == peer.taken
    assert set(delivered.values()) == {1}
    assert not client._busy
    assert not client._idle


@pytest.mark.parametrize("seed", range(STORIES))
def test_end_may_come_at_any_moment(seed: int) -> None:
    """Posts before it succeed, those after it are cancelled, and nothing is left open."""
    peer = HttpPeer()
    client = HttpClient(ZipkinExporterSettings(endpoint=peer.url("/")), "text/plain")
    last = random.Random(seed).randrange(THREADS * POSTS)  # noqa: S311 - a story's seed
    outcomes: Counter[str] = Counter()

    def post(number: int) -> None:
        if number == last:
            client.close()
        try:
            client.post(b"x")
        except RetryableExportError as error:
            outcomes[error.code] += 1
        else:
            outcomes["OK"] += 1

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(post, range(THREADS * POSTS), timeout=DEADLINE_S))
    peer.close()
    assert set(outcomes) <= {"OK", "CANCELLED"}
    assert sum(outcomes.values()) == THREADS * POSTS
    assert outcomes["CANCELLED"] >= THREADS * POSTS - last - THREADS
    assert not client._busy
    assert not client._idle
