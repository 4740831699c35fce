"""Which services select a pod by its labels, of those of one namespace.

Pure. A service is kept under one pair of its selector, the one that fewest others are under: so a pod is compared
with few of thousands.
"""

from collector_plugin.kubernetes_objects import Labels

Pair = tuple[str, str]


class ServiceSelectors:
    """The selectors of a namespace's services."""

    def __init__(self) -> None:
        """Start with none."""
        self._by_pair: dict[Pair, dict[str, tuple[Labels, str]]] = {}
        self._pairs: dict[str, Pair] = {}

    def put(self, uid: str, selector: Labels, name: str) -> None:
        """Set what a service selects; nothing with an empty selector."""
        self.remove(uid)
        if selector:
            pair = min(selector, key=lambda pair: len(self._by_pair.get(pair, ())))
            self._by_pair.setdefault(pair, {})[uid] = (selector, name)
            self._pairs[uid] = pair

    def remove(self, uid: str) -> None:
        """Forget a service, if it is known."""
        pair = self._pairs.pop(uid, None)
        if pair is not None:
            services = self._by_pair[pair]
            del services[uid]
            if not services:
                del self._by_pair[pair]

    def find(self, labels: Labels) -> list[str]:
        """Return the names of the services that select a pod with these labels."""
        return [
            name
            for pair in labels
            for selector, name in tuple(self._by_pair.get(pair, {}).values())
            if selector <= labels
        ]
