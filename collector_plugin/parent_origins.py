"""What spans have in common with many others: the resource that they lie on, and the peer that they name.

Pure. A chunk of spans refers to them by number. A resource that several chunks refer to is kept once, and counted in
bytes once.
"""

from collector_plugin.service_name import read_service_name

RESOURCE_OVERHEAD_BYTES = 240
"""What a resource takes beside its bytes, measured: the object, its name, its count, and its place in a dict."""

ORIGIN_BYTES = 300
"""What a chunk's reference to a resource and a peer takes, measured, the peer's bytes included."""


class OriginTable:
    """The resources that all chunks refer to."""

    def __init__(self) -> None:
        """Start with none."""
        self.size_bytes = 0
        """Estimate of the memory of all resources, and of the chunks' references to them."""
        self._kept: dict[bytes, KeptResource] = {}

    def take(self, resource: bytes) -> "KeptResource":
        """Count one reference more; return what all share."""
        self.size_bytes += ORIGIN_BYTES
        kept = self._kept.get(resource)
        if kept is None:
            self.size_bytes += len(resource) + RESOURCE_OVERHEAD_BYTES
            kept = self._kept[resource] = KeptResource(resource)
        kept.uses += 1
        return kept

    def release(self, kept: "KeptResource") -> None:
        """Count one reference less."""
        self.size_bytes -= ORIGIN_BYTES
        kept.uses -= 1
        if not kept.uses:
            self.size_bytes -= len(kept.resource) + RESOURCE_OVERHEAD_BYTES
            del self._kept[kept.resource]


class KeptResource:
    """A resource, and what is read from it once somebody asks."""

    __slots__ = ("_service", "resource", "uses")

    def __init__(self, resource: bytes) -> None:
        """Begin without references."""
        self.resource = resource
        self.uses = 0
        self._service: str | None = None

    @property
    def service(self) -> str:
        """Return the name of the service."""
        if self._service is None:
            self._service = read_service_name(self.resource)
        return self._service


class Origins:
    """What the spans of one chunk refer to, by number."""

    def __init__(self, table: OriginTable) -> None:
        """Start with none."""
        self.size_bytes = 0
        """What the chunk would take alone."""
        self._table = table
        self._list: list[tuple[KeptResource, bytes]] = []
        self._numbers: dict[tuple[bytes, bytes], int] = {}

    def find(self, resource: bytes, peer: bytes) -> int:
        """Return the number of the two, a new one where the chunk does not know them."""
        number = self._numbers.get((resource, peer))
        if number is None:
            number = len(self._list)
            kept = self._table.take(resource)
            self._list.append((kept, peer))
            self._numbers[kept.resource, peer] = number
            self.size_bytes += ORIGIN_BYTES + RESOURCE_OVERHEAD_BYTES + len(resource)
        return number

    def read(self, number: int) -> tuple[KeptResource, bytes]:
        """Return resource and peer."""
        return self._list[number]

    def clear(self) -> None:
        """Give all references back."""
        for kept, _ in self._list:
            self._table.release(kept)
        self._list.clear()
        self._numbers.clear()
