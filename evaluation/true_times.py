"""The true times of messages, by an observer that is not ours: packet sockets at both pods' veth devices. Pure.

One machine, so one clock: the difference of two sightings of a message is its time between them.
"""

from bisect import bisect_right
from collections.abc import Sequence

from testbed.observer import Sighting

_Key = tuple[str, int, int]


def time_messages(near: Sequence[Sighting], far: Sequence[Sighting], direction: str) -> list[int]:
    """Return how long each message of a direction took between the client's veth (`near`) and the server's, in ns.

    A message that was sent again counts from its first sending to its first arrival.
    """
    departed, arrived = (near, far) if direction == "request" else (far, near)
    first_departed, first_arrived = _find_first(departed, direction), _find_first(arrived, direction)
    return [at - first_departed[key] for key, at in first_arrived.items() if key in first_departed]


def time_waits(arrivals: Sequence[Sighting], starts_ns: Sequence[int]) -> list[int]:
    """Return how long each request was in the server's pod before the application began, in ns.

    One client asks one request after the other, so the latest request before a start is the one that was waited for.
    """
    times = _list_times(arrivals, "request")
    places = ((bisect_right(times, start_ns), start_ns) for start_ns in starts_ns)
    return [start_ns - times[place - 1] for place, start_ns in places if place]


def time_departures(departures: Sequence[Sighting], starts_ns: Sequence[int]) -> list[int]:
    """Return how long after each start, of the application's CLIENT span, the request left the client's pod, in ns.

    One client sends one request after the other, so it is the first request behind the start.
    """
    times = _list_times(departures, "request")
    places = ((bisect_right(times, start_ns), start_ns) for start_ns in starts_ns)
    return [times[place] - start_ns for place, start_ns in places if place < len(times)]


def time_answers(far: Sequence[Sighting], starts_ns: Sequence[int]) -> list[int]:
    """Return how long the server's pod held each request until its response left, in ns, by the starts there."""
    requests, responses = (_list_times(far, direction) for direction in ("request", "response"))
    places = ((bisect_right(requests, start_ns), bisect_right(responses, start_ns)) for start_ns in starts_ns)
    return [responses[left] - requests[came - 1] for came, left in places if came and left < len(responses)]


def _list_times(sightings: Sequence[Sighting], direction: str) -> list[int]:
    return sorted(sighting.epoch_ns for sighting in sightings if sighting.direction == direction)


def _find_first(sightings: Sequence[Sighting], direction: str) -> dict[_Key, int]:
    first: dict[_Key, int] = {}
    for seen in sorted(sightings):
        if seen.direction == direction:
            first.setdefault((seen.direction, seen.client_port, seen.seq), seen.epoch_ns)
    return first
