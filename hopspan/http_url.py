"""URLs of peers that are posted to, as values of the configuration.

Pure. A reader takes the text and returns the value, or raises ValueError with a reason that can follow `key: `.
"""

import re
from typing import Annotated

import msgspec

from hopspan.values import Endpoint, Reader, read_endpoint

MAX_URL_CHARACTERS = 2_048
"""More is no endpoint; servers refuse request lines of 8 KiB."""

_DEFAULT_PORTS = {"http": 80, "https": 443}

# RFC 3986: scheme, authority, path, and what follows. ASCII alone, since it becomes the request line as it is.
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]+)(?P<path>[^?#]*)(?P<rest>.*)", re.ASCII
)
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*", re.ASCII)
_SHOWABLE = re.compile(r"[A-Za-z0-9.:/_\[\]-]{1,255}", re.ASCII)


class HttpUrl(msgspec.Struct, frozen=True):
    """Where requests are posted to; `scheme` is `http` or `https`, `path` is empty or begins with a slash."""

    scheme: str
    endpoint: Endpoint
    path: str = ""

    @property
    def is_secure(self) -> bool:
        """Tell whether TLS is used."""
        return self.scheme == "https"

    @property
    def host_header(self) -> str:
        """Return what the header Host says: no port where it is the scheme's own (RFC 9110, 7.2)."""
        text = str(self.endpoint)
        return text.rpartition(":")[0] if self.endpoint.port == _DEFAULT_PORTS[self.scheme] else text

    def __str__(self) -> str:
        """Return the URL with its port."""
        return f"{self.scheme}://{self.endpoint}{self.path}"


def read_http_url(text: str) -> HttpUrl:
    """Return the URL of `http://host[:port][/path]` or the same with `https`; the port's default is the scheme's."""
    match = _URL.fullmatch(text) if len(text) <= MAX_URL_CHARACTERS else None
    if match is None:
        # Repeated only where it cannot hold a password.
        shown = f"{text!r} " if _SHOWABLE.fullmatch(text) else ""
        raise ValueError(f"{shown}is not a URL (such as http://localhost:4318)")
    scheme, authority, path, rest = match["scheme"].lower(), match["authority"], match["path"], match["rest"]
    if scheme not in _DEFAULT_PORTS:
        raise ValueError(f"{scheme!r} is neither http nor https")
    if "@" in authority:
        raise ValueError("has a user or password (credentials belong in headers)")
    if rest:
        raise ValueError("has a query or fragment (credentials belong in headers)")
    if not _PATH.fullmatch(path):
        raise ValueError("has a path with characters that must be percent-encoded")
    port = "" if ":" in authority.rpartition("]")[2] else f":{_DEFAULT_PORTS[scheme]}"
    return HttpUrl(scheme, read_endpoint(authority + port), path)


Url = Annotated[HttpUrl, Reader(read_http_url, '{"type": "string", "x-unit": "URL"}')]
"""A URL to post to."""
