"""Makes up what others may have on a device: qdiscs, filters and chains at random, and reads them all back.

Of the classifiers only bpf and u32 are asked for, which hardly a kernel lacks; everything else varies.
"""

import random
import subprocess
from collections.abc import Iterable, Iterator

BYTECODE = ("1,6 0 0 0,", "1,6 0 0 4294967295,", "3,48 0 0 9,21 0 0 6,6 0 0 0,")
"""Classic BPF: matches nothing, everything, nothing after a look."""

PROTOCOLS = ("all", "ip", "ipv6", "arp", "802.1q", "0x88cc")
PRIORITIES = (1, 2, 9, 10, 11, 12, 28, 29, 30, 49152, 65535)
"""Before, at, between, behind and far from those that we try."""

CHAINS = (0, 0, 0, 1, 22, 1000)
SIDES = ("ingress", "egress")


def seed_chance(seed: int) -> random.Random:
    """Return a source of chance that is the same for the same seed."""
    return random.Random(seed)  # noqa: S311 - it has to be repeatable


def run_tc(namespace: str, *lines: str) -> str:
    """Run lines as one batch of tc, going on after a refused one, and return what was printed."""
    command = ["tc", "-n", namespace, "-d", "-force", "-batch", "-"]
    done = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True, check=False)
    return done.stdout


def make_foreign(rng: random.Random, device: str) -> Iterator[str]:
    """Yield lines for tc that put random things on the device. Some contradict others and will be refused."""
    if rng.random() < 0.3:
        yield f"qdisc add dev {device} root handle {rng.randrange(1, 0xFFF):x}: htb"
    kind = rng.choice(("none", "clsact", "clsact", "clsact", "ingress"))
    if kind == "none":
        return
    yield f"qdisc add dev {device} {kind}"
    sides = SIDES if kind == "clsact" else SIDES[:1]
    for _ in range(rng.choice((0, 1, 3, 8))):
        yield make_filter(rng, device, rng.choice(sides), PRIORITIES)
    if rng.random() < 0.3:
        yield f"chain add dev {device} {rng.choice(sides)} chain {rng.randrange(1, 99)}"


def make_filter(rng: random.Random, device: str, side: str, priorities: Iterable[int]) -> str:
    """Return the line for one random filter."""
    place = f"filter add dev {device} {side} chain {rng.choice(CHAINS)} prio {rng.choice([*priorities])}"
    place += f" protocol {rng.choice(PROTOCOLS)}"
    if rng.random() < 0.2:
        return f"{place} u32 match u32 0 0 flowid 1:{rng.randrange(1, 99)}"
    if rng.random() < 0.5:
        place += f" handle {rng.randrange(1, 9)}"
    verdict = "direct-action" if rng.random() < 0.3 else f"flowid 1:{rng.randrange(1, 99)}"
    return f'{place} bpf bytecode "{rng.choice(BYTECODE)}" {verdict}'


def read_devices(namespace: str, devices: Iterable[str]) -> str:
    """Return all qdiscs, filters and chains of the devices, in the kernel's own words and order."""
    lines = [f"{what} show dev {d} {s}" for d in devices for what in ("filter", "chain") for s in SIDES]
    return run_tc(namespace, "qdisc show", *lines)
