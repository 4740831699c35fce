"""Zipkin's spans for the tests of those who read them: one as SDKs write it, and any."""

import string
from typing import Any

from hypothesis import strategies as st

from collector_plugin.zipkin_walk import KINDS

TRACE, ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
START_NS, END_NS = 1_700_000_000_000_001_000, 1_700_000_000_000_041_000


def make(**fields: Any) -> dict[str, Any]:
    """Return a CLIENT of 40 us; a field that is None is left out."""
    span = {
        "traceId": TRACE,
        "parentId": "0000000000000001",
        "id": ID,
        "kind": "CLIENT",
        "name": "get /cart",
        "timestamp": START_NS // 1000,
        "duration": 40,
        "localEndpoint": {"serviceName": "Frontend", "ipv4": "10.244.1.2", "port": 1},
        "annotations": [{"timestamp": 1, "value": "ws"}],
        "tags": {"http.path": "/cart", "ü": '"}]'},
    }
    return {key: value for key, value in {**span, **fields}.items() if value is not None}


HEX = st.text(string.hexdigits, min_size=1, max_size=34)
SPANS = st.fixed_dictionaries(
    {"traceId": HEX, "id": HEX.map(lambda text: text[:17])},
    optional={
        "kind": st.sampled_from([*KINDS, None, "LOCAL"]),
        "timestamp": st.integers(-5, 2**55),
        "duration": st.integers(-5, 2**55),
        "shared": st.booleans(),
        "localEndpoint": st.none() | st.fixed_dictionaries({"serviceName": st.sampled_from(["a", "é", ""])}),
        "tags": st.dictionaries(st.sampled_from(["otel.scope.name", "a"]), st.sampled_from(["hopspan", "app"])),
    },
)
