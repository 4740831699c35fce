"""What a program says of its own health, and how that is written: JSON, and an HTTP status for whoever reads no JSON.

Pure. The program decides what a reason is; here it is only told.
"""

import msgspec


class Health(msgspec.Struct, frozen=True):
    """Healthy unless there is a reason why not."""

    reasons: tuple[str, ...] = ()
    """What is wrong at this moment, a sentence each, without payload and credentials."""

    @property
    def status(self) -> str:
        """Return `ok` or `degraded`."""
        return "degraded" if self.reasons else "ok"


def render_health(health: Health) -> tuple[str, bytes]:
    """Return the status line's code and reason, 200 or 503, and the body: `{"status": ..., "reasons": [...]}`."""
    line = "503 Service Unavailable" if health.reasons else "200 OK"
    return line, msgspec.json.encode({"status": health.status, "reasons": health.reasons}) + b"\n"
