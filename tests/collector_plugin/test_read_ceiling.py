"""What is taken for the memory of unfinished messages: all that nothing else accounts for."""

import pytest

from collector_plugin.read_ceiling import Level, Memory, ReadCeiling

REST, BUDGET, MESSAGE = 60, 64, 4


def make_ceiling() -> ReadCeiling:
    """Return one that has seen the process without requests."""
    ceiling = ReadCeiling(BUDGET, MESSAGE)
    ceiling.learn(Memory(REST, 0, 0, 0))
    return ceiling


@pytest.mark.parametrize(
    ("memory", "level"),
    [
        (Memory(REST, 0, 0, 0), Level.LOW),
        (Memory(REST + 32, 0, 0, 100), Level.LOW),
        (Memory(REST + 33, 0, 0, 100), Level.HIGH),
        (Memory(REST + 33 + 100, 100, 0, 100), Level.HIGH),
        (Memory(REST + 100, 100, 0, 100), Level.LOW),
        (Memory(REST + 64, 0, 40, 100), Level.LOW),
        (Memory(REST + 65, 0, 40, 100), Level.HIGH),
        (Memory(REST + 48, 0, 0, 100), Level.HIGH),
        (Memory(REST + 49, 0, 0, 100), Level.FULL),
    ],
)
def test_level_is_what_lies_above_the_rest(memory: Memory, level: Level) -> None:
    """Unfinished messages have half of the budget, with complete ones the whole; stores grow beside it."""
    assert make_ceiling().judge(memory) is level


def test_rest_is_known_while_nothing_is_read() -> None:
    """It grows and shrinks with what the process needs; what stores and complete requests have is no part of it."""
    ceiling = make_ceiling()
    ceiling.learn(Memory(200, 50, 10, 0))
    assert ceiling.judge(Memory(140 + 32, 0, 0, 9)) is Level.LOW
    ceiling.learn(Memory(REST, 0, 0, 0))
    assert ceiling.judge(Memory(140 + 32, 0, 0, 9)) is Level.FULL


def test_unfinished_messages_are_never_taken_for_the_rest() -> None:
    """However long they stay; only what is beyond all that they can have, in two copies, must be something else."""
    ceiling = make_ceiling()
    ceiling.learn(Memory(REST + 80, 0, 0, 10))
    assert ceiling.judge(Memory(REST + 33, 0, 0, 10)) is Level.HIGH
    ceiling.learn(Memory(REST + 90, 0, 0, 10))
    assert ceiling.judge(Memory(REST + 42, 0, 0, 10)) is Level.LOW


def test_few_messages_are_not_to_blame() -> None:
    """One of the largest may always be read."""
    assert [make_ceiling().can_be_reached(count) for count in (8, 9)] == [False, True]
    large = ReadCeiling(BUDGET, 256)
    assert [large.can_be_reached(count) for count in (1, 2)] == [False, True]
    large.learn(Memory(REST, 0, 0, 0))
    assert large.judge(Memory(REST + 2 * 256, 0, 512, 2)) is not Level.LOW
