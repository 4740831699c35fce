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


@pytest.mark.parametrize("changes", [changes for changes, _ in AILMENTS], ids=str)
def test_what_an_orchestrator_acts_on(changes: dict[str, object]) -> None:
    """Not ready until the points are attached, not alive where the ring is not read; a restart mends nothing else."""
    health = judge_health(msgspec.structs.replace(WELL, **changes))
    assert health.is_ready == ("ready" not in changes)
    assert health.is_alive == ("silence_ns" not in changes)


def test_start_that_takes_long_is_no_death() -> None:
    """Before the points are attached the ring was never read."""
    assert judge_health(msgspec.structs.replace(WELL, ready=False, silence_ns=10**15)).is_alive


def test_all_reasons_are_told() -> None:
    """Several things may be wrong at once."""
    assert len(judge_health(msgspec.structs.replace(WELL, points=0, refused=True)).reasons) == 2
