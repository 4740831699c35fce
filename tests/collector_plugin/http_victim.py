"""A program with one HTTP receiver, for tests that measure a process: tells its port, then its memory when asked.

Its deliveries take 50 ms. Lines on stdin: `peak` asks for the peak of resident memory in bytes and for what is held.
"""

import resource
import sys
import threading
from collections.abc import Callable

from collector_plugin.admission import Admission
from collector_plugin.allocator import keep_large_blocks_apart
from collector_plugin.http_services import make_otlp_service
from collector_plugin.http_settings import OtlpHttpProtocol
from collector_plugin.otlp_json_request import read_otlp_json
from collector_plugin.receiver_http import HttpReceiver
from hopspan.export_errors import ExportResult
from hopspan.values import Endpoint

BUDGET_BYTES = 64 << 20
DELIVERY_S = 0.05


def accept(_request: bytes, _is_wanted: Callable[[], bool], _now_ns: int) -> ExportResult:
    """Take some time."""
    threading.Event().wait(DELIVERY_S)
    return ExportResult()


def main() -> None:
    """Serve until stdin ends."""
    keep_large_blocks_apart()
    settings = OtlpHttpProtocol(endpoint=Endpoint("localhost", 0))
    admission = Admission(BUDGET_BYTES)
    receiver = HttpReceiver(settings, make_otlp_service(accept, read_otlp_json), admission, "http")
    receiver.start()
    print(receiver.endpoint.port, flush=True)  # noqa: T201 - to the test
    for _ in sys.stdin:
        peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(peak_bytes, admission.held_bytes, receiver.count_answers()["503"], flush=True)  # noqa: T201 - as above
    receiver.stop(0)


if __name__ == "__main__":
    main()
