"""The observer's two sights of a message tell its time, whichever way it goes and however often it was sent."""

from evaluation.true_times import time_answers, time_departures, time_messages, time_waits
from testbed.observer import Sighting

PORT = 40_000


def see(at_ns: int, direction: str = "request", seq: int = 1, port: int = PORT) -> Sighting:
    """Return a sighting."""
    return Sighting(at_ns, direction, port, seq)


def test_request_goes_from_client_to_server() -> None:
    """It is seen at the client's end first, a response at the server's."""
    near = [see(1000), see(9000, "response", 7)]
    far = [see(1500), see(8000, "response", 7)]
    assert time_messages(near, far, "request") == [500]
    assert time_messages(near, far, "response") == [1000]


def test_message_sent_again_counts_from_its_first_sending() -> None:
    """A sending that was lost is time that the message took."""
    near = [see(1000), see(201_000)]
    assert time_messages(near, [see(201_500)], "request") == [200_500]


def test_message_that_is_no_match_is_left_out() -> None:
    """Another connection, another place in it, or one that never arrived has no time."""
    near = [see(1000), see(2000, seq=2), see(3000, port=PORT + 1)]
    far = [see(1500, seq=3), see(2500, port=PORT + 2), see(3600, port=PORT + 1)]
    assert time_messages(near, far, "request") == [600]


def test_wait_is_since_the_latest_request() -> None:
    """A start belongs to the request right before it; a start before all requests to none."""
    arrivals = [see(1000), see(5000, seq=2), see(5500, "response")]
    assert time_waits(arrivals, [500, 1700, 6000]) == [700, 1000]


def test_departure_is_the_first_request_behind_the_start() -> None:
    """A start belongs to the request right behind it; one behind which nothing was sent to none."""
    assert time_departures([see(1000), see(5000, seq=2)], [400, 4500, 6000]) == [600, 500]


def test_answer_is_since_the_request_came() -> None:
    """The pod held the request from its arrival until its response left, whenever the application began."""
    far = [see(1000), see(5000, "response"), see(6000, seq=2), see(6900, "response", 2)]
    assert time_answers(far, [1700, 6500]) == [4000, 900]
