"""Which node has which address, as agents' answers told, and which addresses nobody answers for.

Pure: `now_ns` is a parameter. What spans say and what agents answer is kept apart: whoever floods the plugin with
spans of many addresses displaces nothing that was learnt.
"""

import collections

import msgspec

MAX_LEARNT = 65_536
"""Addresses of pods that are remembered with their nodes, some 250 bytes each: Kubernetes supports 150,000 pods."""

MAX_UNKNOWN = 16_384
"""Addresses that were asked for in vain."""

LEARNT_NS = 600 * 10**9
"""How long an answer counts: an address that no span names any more may go to another pod."""

SILENCE_NS = 5 * 10**9
"""After so long without an answer the address may have moved: more than twice what an agent looks for a packet."""

PATIENCE_NS = 10 * 10**9
"""How long all agents are asked at full rate for an address that nobody has answered for."""

RETRY_NS = 10**9
"""Afterwards they are asked so often."""


class _Place(msgspec.Struct, gc=False):
    node: str
    learnt_ns: int
    asked_ns: int = 0
    """Since when questions are without an answer; 0 where none is."""


class _Unknown(msgspec.Struct, gc=False):
    first_ns: int
    last_ns: int


class KnownAddresses:
    """Addresses (16 bytes) by what is known of them; the least recently used go first."""

    def __init__(self) -> None:
        """Know none."""
        self._learnt: collections.OrderedDict[bytes, _Place] = collections.OrderedDict()
        self._unknown: collections.OrderedDict[bytes, _Unknown] = collections.OrderedDict()

    def __len__(self) -> int:
        """Return how many have a node."""
        return len(self._learnt)

    def learn(self, address: bytes, node: str, now_ns: int) -> None:
        """Remember that the node has answered for the address."""
        place = self._learnt.get(address)
        if place is not None and place.node == node:
            place.learnt_ns, place.asked_ns = now_ns, 0
        else:
            self._learnt[address] = _Place(node, now_ns)
            self._unknown.pop(address, None)
        self._learnt.move_to_end(address)
        if len(self._learnt) > MAX_LEARNT:
            self._learnt.popitem(last=False)

    def find(self, address: bytes, now_ns: int) -> str | None:
        """Return the node that is to be asked; None where it is not known, or silent, so that all are."""
        place = self._learnt.get(address)
        if place is None:
            return None
        is_silent = place.asked_ns and now_ns - place.asked_ns > SILENCE_NS
        if is_silent or now_ns - place.learnt_ns > LEARNT_NS:
            del self._learnt[address]
            return None
        place.asked_ns = place.asked_ns or now_ns
        return place.node

    def may_ask_all(self, address: bytes, now_ns: int) -> bool:
        """Tell whether all agents may be asked now for an address without a node; notes that they are."""
        unknown = self._unknown.get(address)
        if unknown is None:
            self._unknown[address] = _Unknown(now_ns, now_ns)
            if len(self._unknown) > MAX_UNKNOWN:
                self._unknown.popitem(last=False)
            return True
        if now_ns - unknown.first_ns > PATIENCE_NS and now_ns - unknown.last_ns < RETRY_NS:
            return False
        unknown.last_ns = now_ns
        return True
