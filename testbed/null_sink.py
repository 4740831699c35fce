"""An OTLP/gRPC peer that takes every request and looks into none. Run: `python -m testbed.null_sink ADDRESS`.

It prints `listening PORT` and runs until it is killed.
"""

import sys
from concurrent import futures
from typing import Any

import grpc

_THREADS = 4
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]


class _Taker(grpc.GenericRpcHandler):
    """Answers whatever is called with an empty message, which is OTLP's full success."""

    def __init__(self) -> None:
        self._handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(
            lambda _request, _context: b""
        )

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Serve every method."""
        del handler_call_details
        return self._handler


def main() -> int:
    """Serve until killed."""
    server = grpc.server(futures.ThreadPoolExecutor(_THREADS), handlers=[_Taker()], options=_OPTIONS)
    port = server.add_insecure_port(f"{sys.argv[1]}:0")
    server.start()
    sys.stdout.write(f"listening {port}\n")
    sys.stdout.flush()
    server.wait_for_termination()
    return 0


if __name__ == "__main__":
    sys.exit(main())
