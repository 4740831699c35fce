"""What a program says of its own health, and how that is written: JSON, and an HTTP status for whoever reads no JSON.

Pure. The program decides what a reason is; here it is only told.
"""

import msgspec


class Health(msgspec.Struct, frozen=True):
    """Healthy unless there is a reason why not."""

    reasons: tuple[str, ...] = ()
    """What is wrong at this moment, a sentence each, without payload and credentials."""
    is_ready: bool = True
    """Whether it does its work, well or not: false at the start and at the end."""
    is_alive: bool = True
    """Whether it still turns: false where a new start would help, as nothing of its own will."""

    @property
    def status(self) -> str:
        """Return `ok` or `degraded`."""
        return "degraded" if self.reasons else "ok"


PAGES = ("/health", "/ready", "/live")
"""All have the same body. Apart, since an orchestrator acts on the last two: it sends no clients to who is not ready,
and ends who is not alive. Neither would help where a peer is away, which is a reason of `/health` alone."""


def render_health(health: Health, page: str = "/health") -> tuple[str, bytes]:
    """Return the status line's code and reason, 200 or 503, and the body: `{"status": ..., "reasons": [...]}`."""
    is_well = {"/health": not health.reasons, "/ready": health.is_ready, "/live": health.is_alive}[page]
    line = "200 OK" if is_well else "503 Service Unavailable"
    return line, msgspec.json.encode({"status": health.status, "reasons": health.reasons}) + b"\n"
