"""The claims' service over gRPC: agents ask with a Hello, and are sent claims until either side has gone.

An edge: it reads the clock. Calls are begun and messages taken by the server's one thread, which waits for nobody.
"""

import time

import grpc

from collector_plugin.claims import Claims
from collector_plugin.grpc_calls import ServerCall
from hopspan.flow_claims import ClaimError, ClaimVersionError, decode_hello


class ClaimsService:
    """Opens streams for agents."""

    def __init__(self, claims: Claims) -> None:
        """Let agents listen to `claims`."""
        self.claims = claims
        self._log = claims.log

    def open(self, call: ServerCall, message: bytes) -> grpc.StatusCode:
        """Answer an agent that was let in; return the status, or that which its stream has so far."""
        try:
            hello = decode_hello(message)
        except ClaimVersionError as error:
            # A later agent with this plugin: whoever updates one of them is to see it.
            self._log.warn("an agent asks for claims in another version", peer=call.peer(), text=str(error))
            return _refuse(call, grpc.StatusCode.UNIMPLEMENTED, str(error))
        except ClaimError as error:
            return _refuse(call, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        number: int | None = None

        def end() -> None:
            if number is not None:
                self.claims.close(number)

        # Before claims may be sent. What is heard of its end comes later: by this thread.
        call.open_stream(end)
        number = self.claims.open(call, hello, time.monotonic_ns())
        if number is None:
            return _refuse(call, grpc.StatusCode.UNAVAILABLE, "no more agents are taken")
        self._log.info("an agent listens for claims", node=hello.node)
        return grpc.StatusCode.OK


def _refuse(call: ServerCall, code: grpc.StatusCode, text: str) -> grpc.StatusCode:
    call.refuse(code, text)
    return code
