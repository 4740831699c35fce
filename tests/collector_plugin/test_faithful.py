"""Success means delivered: whatever backend and plugin go through, nothing that was acknowledged is lost."""

import signal
from pathlib import Path

import pytest

from tests.collector_plugin.faithful_story import Backend, Story

SPANS_BETWEEN = 300
"""Acknowledged before the next thing happens."""


@pytest.mark.parametrize("seed", range(3))
def test_what_was_sent_is_received_once(tmp_path: Path, seed: int) -> None:
    """A backend that is away, busy or slow at times costs clients another attempt: each span arrives exactly once."""
    story = Story(tmp_path, Backend(seed, share=0.3))
    try:
        story.wait_for_more(3 * SPANS_BETWEEN)
        story.finish()
    finally:
        story.close()
    kept = story.backend.count_spans()
    assert set(kept) == story.acknowledged
    assert set(kept.values()) == {1}
    assert not story.in_doubt


@pytest.mark.parametrize("seed", range(2))
def test_orderly_stop_loses_and_doubles_nothing(tmp_path: Path, seed: int) -> None:
    """SIGTERM under load ends with 0, what is under way is delivered, and clients go on with the next start."""
    story = Story(tmp_path, Backend(seed, share=0.1))
    try:
        for _ in range(3):
            story.wait_for_more(SPANS_BETWEEN)
            assert story.end_plugin(signal.SIGTERM) == 0
            story.process = story.start()
        story.finish()
    finally:
        story.close()
    kept = story.backend.count_spans()
    assert set(kept) == story.acknowledged
    assert {span_id for span_id, times in kept.items() if times > 1} <= story.in_doubt


@pytest.mark.parametrize("seed", range(2))
def test_crash_loses_nothing_that_was_acknowledged(tmp_path: Path, seed: int) -> None:
    """After kill -9 clients that heard nothing come again: all is there, and twice only what was in doubt."""
    story = Story(tmp_path, Backend(seed, share=0.1))
    try:
        for _ in range(3):
            story.wait_for_more(SPANS_BETWEEN)
            assert story.end_plugin(signal.SIGKILL) == -signal.SIGKILL
            story.process = story.start()
        story.finish()
    finally:
        story.close()
    kept = story.backend.count_spans()
    assert set(kept) == story.acknowledged
    assert {span_id for span_id, times in kept.items() if times > 1} <= story.in_doubt
