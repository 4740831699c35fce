"""Holds the hops of both directions of an exchange until it is known whether its network part was slow.

Pure: `now_ns` is a parameter. An exchange is what one parent sent and got back over one connection. It is decided
once both directions are there, or `settle` after the first; what comes later is judged with what was there.
"""

import collections

import msgspec

from collector_plugin.messages import PARENT_KEY_BYTES, Message
from collector_plugin.parent import Parent
from collector_plugin.ready_hops import Hop
from node_probe.transit import Direction

MAX_REMEMBERED = 50_000
"""Exchanges remembered for what comes late; some 25 MiB."""

MAX_HELD_HOPS = 100_000
"""Hops that are held; some 60 MiB. In two seconds, 3,500 exchanges between nodes a second have as many."""

_CONNECTION_OFFSET = 33
"""Of client port, client address and stream in a message key."""

_BOTH = 1 << Direction.REQUEST | 1 << Direction.RESPONSE


class Offer(msgspec.Struct, frozen=True):
    """What a message handed out at one moment."""

    message: Message
    hops: list[Hop]
    parent: Parent
    attempt: int


class _Exchange:
    __slots__ = ("due_ns", "forget_ns", "is_decided", "is_slow", "offers", "parts_ns", "whole")

    def __init__(self, due_ns: int, forget_ns: int) -> None:
        self.due_ns = due_ns
        self.forget_ns = forget_ns
        self.offers: list[Offer] = []
        self.parts_ns = [0, 0]
        """By direction, the hops of the message that took longest: of several sendings one arrived."""
        self.whole = 0
        """A bit for each direction of which a message came that nothing is waited for of."""
        self.is_decided = self.is_slow = False


class ExchangeTable:
    """The exchanges under way, and those decided of late."""

    def __init__(self, threshold_ns: int, settle_ns: int, window_ns: int) -> None:
        """Let through what takes longer than `threshold_ns`; remember for `window_ns` what was decided."""
        self.evicted = 0
        """Exchanges decided or forgotten early for want of room."""
        self._threshold_ns = threshold_ns
        self._settle_ns = settle_ns
        self._window_ns = window_ns
        self._exchanges: collections.OrderedDict[bytes, _Exchange] = collections.OrderedDict()
        self._undecided: collections.deque[_Exchange] = collections.deque()
        self._held_hops = 0

    def add(self, offer: Offer, duration_ns: int, now_ns: int) -> "Verdict":
        """Take in what a message handed out; return what is decided by it.

        `duration_ns` is that of all the hops which the message has handed out so far.
        """
        verdict = Verdict()
        exchange = self._find(offer.message.key, now_ns)
        direction = offer.message.key[PARENT_KEY_BYTES]
        exchange.parts_ns[direction] = max(exchange.parts_ns[direction], duration_ns)
        exchange.offers.append(offer)
        self._held_hops += len(offer.hops)
        if not offer.message.is_held:
            exchange.whole |= 1 << direction
        if exchange.is_decided or exchange.whole == _BOTH:
            self._decide(exchange, verdict)
        while self._held_hops > MAX_HELD_HOPS:
            oldest = self._undecided.popleft()
            self.evicted += not oldest.is_decided
            self._decide(oldest, verdict)
        return verdict

    def take_due(self, now_ns: int) -> "Verdict":
        """Decide what has waited long enough, with what is there; `now_ns` without end decides everything."""
        verdict = Verdict()
        while self._undecided and (self._undecided[0].is_decided or self._undecided[0].due_ns <= now_ns):
            self._decide(self._undecided.popleft(), verdict)
        while self._exchanges and next(iter(self._exchanges.values())).forget_ns <= now_ns:
            self._exchanges.popitem(last=False)
        return verdict

    def _find(self, message_key: bytes, now_ns: int) -> _Exchange:
        key = message_key[:PARENT_KEY_BYTES] + message_key[_CONNECTION_OFFSET:]
        exchange = self._exchanges.get(key)
        if exchange is None:
            due_ns = now_ns + self._settle_ns
            exchange = self._exchanges[key] = _Exchange(due_ns, due_ns + self._window_ns)
            self._undecided.append(exchange)
            if len(self._exchanges) > MAX_REMEMBERED:
                self._exchanges.popitem(last=False)
                self.evicted += 1
        return exchange

    def _decide(self, exchange: _Exchange, verdict: "Verdict") -> None:
        offers, exchange.offers = exchange.offers, []
        self._held_hops -= sum(len(offer.hops) for offer in offers)
        exchange.is_decided = True
        exchange.is_slow = exchange.is_slow or sum(exchange.parts_ns) > self._threshold_ns
        (verdict.shown if exchange.is_slow else verdict.left_out).extend(offers)


class Verdict:
    """What was decided at one moment, exchange by exchange."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.shown: list[Offer] = []
        """Of slow exchanges."""
        self.left_out: list[Offer] = []
