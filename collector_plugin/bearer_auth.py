"""Bearer tokens (RFC 6750): what clients must show, from the configuration or from a file that may be renewed.

An edge: it reads the file. No token appears in an error, in a log or in a repr.
"""

import hmac
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from hopspan.errors import HopspanError

RENEW_INTERVAL_NS = 10**9
"""How often the file is looked at: once a second, so that a renewed secret counts at once and costs nothing."""

MAX_FILE_BYTES = 64 << 10
"""Far more than any secret; whoever names the wrong file shall not have it read."""

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)
# RFC 6750, section 2.1: credentials = "Bearer" 1*SP b64token; the scheme's case does not matter (RFC 9110).
_CREDENTIALS = re.compile(rb"bearer +([A-Za-z0-9._~+/=-]{1,8192}) *", re.IGNORECASE)


class BearerAuth(msgspec.Struct, frozen=True, kw_only=True):
    """What clients must show."""

    bearer_token_file: str | None = None
    """File with one token a line; it is read again when it changes. Exclusive with tokens. Default: none."""
    tokens: tuple[str, ...] | None = None
    """The tokens themselves, any of which lets in. Default: none."""

    def __repr__(self) -> str:
        """Leave out the tokens."""
        return f"BearerAuth(bearer_token_file={self.bearer_token_file!r}, tokens={len(self.tokens or ())})"

    def validate(self) -> Iterator[str]:
        """Yield faults: not exactly one source, or what no header can carry. Tokens are never repeated."""
        if self.bearer_token_file is not None and self.tokens is not None:
            yield "bearer_token_file: exclusive with tokens"
        if self.bearer_token_file is None and self.tokens is None:
            yield "tokens: missing (or bearer_token_file)"
        if self.tokens is not None and not self.tokens:
            yield "tokens: expected at least one"
        for index, token in enumerate(self.tokens or ()):
            if not _TOKEN.fullmatch(token):
                yield f"tokens[{index}]: is not a bearer token (letters, digits and -._~+/=)"


class BearerTokens:
    """Decides who is let in. Safe to use from several threads."""

    def __init__(self, auth: BearerAuth) -> None:
        """Read the tokens. Raises HopspanError that begins with the key where the file has none."""
        self._lock = threading.Lock()
        self._path = Path(auth.bearer_token_file) if auth.bearer_token_file is not None else None
        self._next_look_ns = 0
        self._stamp: tuple[int, int, int] | None = None
        self._tokens = tuple(token.encode() for token in auth.tokens or ())
        if self._path is not None:
            self._stamp = _read_stamp(self._path)
            self._tokens = _read_tokens(self._path)

    def is_allowed(self, authorization: bytes | None, now_ns: int) -> bool:
        """Return whether the value of an Authorization header has one of the tokens."""
        match = _CREDENTIALS.fullmatch(authorization or b"")
        given = match[1] if match is not None else b""
        is_allowed = False
        for token in self._renew(now_ns):
            # All are compared, each in constant time: how long it takes tells nothing of them.
            is_allowed |= hmac.compare_digest(given, token)
        return is_allowed

    def _renew(self, now_ns: int) -> tuple[bytes, ...]:
        if self._path is None:
            return self._tokens
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


def open_tokens(auth: BearerAuth | None, key: str) -> BearerTokens | None:
    """Return the tokens of `auth`, None where there is none. Raises HopspanError that begins with `key`."""
    try:
        return BearerTokens(auth) if auth is not None else None
    except HopspanError as error:
        raise HopspanError(f"{key}.{error}") from error


def _read_stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_mtime_ns, status.st_size)


def _read_tokens(path: Path) -> tuple[bytes, ...]:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES + 1).decode("ascii")
    except UnicodeDecodeError as error:
        raise HopspanError(f"bearer_token_file: {path} is not ASCII text") from error
    except OSError as error:
        raise HopspanError(f"bearer_token_file: {path} cannot be read: {error.strerror}") from error
    tokens = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not tokens or len(text) > MAX_FILE_BYTES or not all(_TOKEN.fullmatch(token) for token in tokens):
        raise HopspanError(f"bearer_token_file: {path} is not a list of bearer tokens, one a line")
    return tuple(token.encode() for token in tokens)
