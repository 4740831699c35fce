"""A file of bearer tokens (RFC 6750), one a line, that may be renewed while we live.

An edge: it reads the file. No token appears in an error, in a log or in a repr.
"""

import re
import threading
from pathlib import Path

from hopspan.errors import HopspanError

RENEW_INTERVAL_NS = 10**9
"""How often the file is looked at: once a second, so that a renewed secret counts at once and costs nothing."""

MAX_FILE_BYTES = 64 << 10
"""Far more than any secret; whoever names the wrong file shall not have it read."""

TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)
"""RFC 6750, section 2.1: b64token."""


class TokenFile:
    """The tokens of a file. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises HopspanError that begins with the key `bearer_token_file` where it has no token."""
        self._lock = threading.Lock()
        self._path = path
        self._next_look_ns = 0
        self._stamp = _read_stamp(path)
        self._tokens = _read_tokens(path)

    def read(self, now_ns: int) -> tuple[str, ...]:
        """Return the tokens, at least one: those of the file, or the last ones while it cannot be read."""
        with self._lock:
            if now_ns >= self._next_look_ns:
                self._next_look_ns = now_ns + RENEW_INTERVAL_NS
                stamp = _read_stamp(self._path)
                if stamp is not None and stamp != self._stamp:
                    try:
                        self._tokens, self._stamp = _read_tokens(self._path), stamp
                    except HopspanError:
                        # Half written, or gone for a moment: the old ones count until it can be read.
                        return self._tokens
            return self._tokens


def _read_stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_mtime_ns, status.st_size)


def _read_tokens(path: Path) -> tuple[str, ...]:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES + 1).decode("ascii")
    except UnicodeDecodeError as error:
        raise HopspanError(f"bearer_token_file: {path} is not ASCII text") from error
    except OSError as error:
        raise HopspanError(f"bearer_token_file: {path} cannot be read: {error.strerror}") from error
    tokens = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not tokens or len(text) > MAX_FILE_BYTES or not all(TOKEN.fullmatch(token) for token in tokens):
        raise HopspanError(f"bearer_token_file: {path} is not a list of bearer tokens, one a line")
    return tokens
