"""Health is a table: one number at a time, and what is said of it."""

import msgspec
import pytest

from node_probe.health import AWAY_AFTER_ATTEMPTS, MAX_SILENCE_NS, Pulse, judge_health

WELL = Pulse(
    ready=True,
    silence_ns=50_000_000,
    points=8,
    failed_points=0,
    failed_attempts=AWAY_AFTER_ATTEMPTS - 1,
    refused=False,
    kept_ratio=1.0,
)

AILMENTS = [
    ({"ready": False, "points": 0}, "not ready: the points are not attached yet"),
    ({"points": 0}, "no points attached"),
    ({"failed_points": 2}, "2 points could not be attached"),
    ({"silence_ns": MAX_SILENCE_NS + 2_000_000_000}, "ring not read for 7 s"),
    ({"failed_attempts": 5}, "collector away: 5 retries"),
    ({"refused": True}, "collector refused the last request for good: the log says why"),
    ({"kept_ratio": 0.25}, "CPU ceiling reached: 25% of the records are kept"),
]


def test_well() -> None:
    """Nothing to say."""
    health = judge_health(WELL)
    assert (health.status, health.reasons) == ("ok", ())


@pytest.mark.parametrize(("changes", "reason"), AILMENTS, ids=[reason for _, reason in AILMENTS])
def test_reason(changes: dict[str, object], reason: str) -> None:
    """One thing that is wrong is one reason."""
    health = judge_health(msgspec.structs.replace(WELL, **changes))
    assert (health.status, health.reasons) == ("degraded", (reason,))


def test_all_reasons_are_told() -> None:
    """Several things may be wrong at once."""
    assert len(judge_health(msgspec.structs.replace(WELL, points=0, refused=True)).reasons) == 2
