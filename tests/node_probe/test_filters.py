"""Names of filters: ours are known by them, and nobody else's is taken for ours."""

import pytest

from node_probe.devices import Side
from node_probe.filters import Filter, Owner, filter_prefix

OWNER = Owner(4711, 0xEFFFFFFC)


def named(name: str) -> Filter:
    return Filter(
        ifindex=2, device="eth0", side=Side.INGRESS, name=name, program_id=1, handle=1, priority=10, protocol=3
    )


def test_round_trip() -> None:
    """The owner is read from the name, also from one with the mark that version 0.1.0 put behind it."""
    name = filter_prefix(OWNER) + "veth_ingress"
    assert name == "hopspan-4711-effffffc-veth_ingress"
    assert named(name).owner == named(f"{name}+qdisc").owner == OWNER


@pytest.mark.parametrize(
    "name",
    [
        "",
        "hopspan",
        "hopspan-x-effffffc-veth_ingress",
        "hopspan-4711-effffffc-",
        "hopspan-4711-veth_ingress",
        "hopspan-4711-effffffc-veth_ingress+other",
        "my-hopspan-4711-effffffc-veth_ingress",
        "cil_from_netdev-eth0+qdisc",
        "hopspan-4711-effffffc-veth_ingress\n",
    ],
)
def test_name_of_another(name: str) -> None:
    """What does not fit the grammar entirely is not ours."""
    assert named(name).owner is None


def test_prefix_is_of_one_agent() -> None:
    """No agent's prefix begins another's."""
    owners = [Owner(pid, space) for pid in (1, 11, 111) for space in (1, 0x11, 0x111)]
    prefixes = [filter_prefix(owner) for owner in owners]
    assert not any(a != b and a.startswith(b) for a in prefixes for b in prefixes)
