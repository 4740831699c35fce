"""The only timer of the plugin."""

import io
import json
import queue

from collector_plugin.ticker import Ticker
from hopspan.logs import Log
from tests.collector_plugin.gated_exporter import DEADLINE_S


def test_ticks_go_on_after_a_fault_and_end_when_told() -> None:
    """Each tick has the time, a fault in one is logged and does not end them, and after the stop none comes."""
    times: queue.Queue[int] = queue.Queue()
    stderr = io.StringIO()

    def act(now_ns: int) -> None:
        times.put(now_ns)
        if times.qsize() == 1:
            raise ZeroDivisionError("a fault")

    ticker = Ticker(act, Log(stream=stderr))
    ticker.start()
    seen = [times.get(timeout=DEADLINE_S) for _ in range(3)]
    ticker.stop()
    assert seen == sorted(seen)
    count = times.qsize()
    line = json.loads(stderr.getvalue().splitlines()[0])
    assert (line["level"], line["exception"], line["text"]) == ("error", "ZeroDivisionError", "a fault")
    assert times.qsize() == count
