"""Removes namespaces and links by how their names begin, and whoever is inside: also what a killed run left."""

import socket

from testbed.command import run_command
from testbed.errors import TestbedError
from testbed.namespace import held_namespaces, kill_all_in, list_namespaces


def remove_all(namespace_prefix: str, link_prefix: str) -> None:
    """Kill what runs inside the namespaces, remove them and the root namespace's links. Raises TestbedError."""
    namespaces = list_namespaces(namespace_prefix)
    with held_namespaces(namespaces) as identities:
        kill_all_in(identities)
        links = [f"link del {link}" for link in list_root_links(link_prefix)]
        lines = links + [f"netns del {name}" for name in namespaces]
        if lines:
            # Forced, so that one line's failure does not keep the others; what is left is told below.
            run_command(["ip", "-force", "-batch", "-"], "\n".join(lines) + "\n", check=False)
        kill_all_in(identities)  # once more, for those that were just about to enter
    left = list_root_links(link_prefix) + list_namespaces(namespace_prefix)
    if left:
        raise TestbedError(f"could not remove {', '.join(left)}")


def list_root_links(prefix: str) -> list[str]:
    """Return the names of the links in the root namespace that start with the prefix, sorted."""
    return sorted(name for _, name in socket.if_nameindex() if name.startswith(prefix))
