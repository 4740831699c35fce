"""`node-probe clean`: removes what dead agents left at clsact, in all network namespaces that can be seen.

For what even the guardian could not do, having been killed with its agent. What is not ours, or belongs to an agent
that lives or cannot be judged, is left as it is.
"""

import errno
from collections.abc import Callable
from pathlib import Path

from node_probe.errors import ProbeError
from node_probe.filters import Filter
from node_probe.namespaces import entered, list_namespaces
from node_probe.netlink import Netlink
from node_probe.owners import Fate, judge_owners

# The namespace or its device ended while we looked, and the filters with it.
_VANISHED = frozenset({errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ESRCH})


def clean_up(tell: Callable[[str], None]) -> None:
    """Remove what dead agents left, and tell each removal and each doubt as a line. Raises ProbeError."""
    found: dict[Path | None, list[Filter]] = {}
    closed = 0
    for path in [None, *list_namespaces().values()]:
        try:
            with entered(path), Netlink() as netlink:
                found[path] = netlink.list_filters()
        except PermissionError:
            closed += 1
        except OSError as error:
            _check_vanished(error)
    # After the listing: an agent that starts meanwhile made none of these filters.
    fates = judge_owners({item for items in found.values() for item in items})
    removed = sum(_clean_namespace(path, items, fates, tell) for path, items in found.items())
    if closed:
        tell(f"not looked into: {closed} network namespaces (CAP_SYS_ADMIN is missing)")
    tell(f"removed: {removed} filters of dead agents")


def _clean_namespace(
    path: Path | None, items: list[Filter], fates: dict[Filter, Fate], tell: Callable[[str], None]
) -> int:
    place = f" in {path}" if path is not None else ""
    for item in items:
        if fates.get(item) is Fate.UNKNOWN:
            tell(f"left {item.name} at {item.device} {item.side.value}{place}: {Fate.UNKNOWN.value}")
    dead = {item for item in items if fates.get(item) is Fate.DEAD}
    try:
        with entered(path), Netlink() as netlink:
            gone = netlink.remove_filters(dead.__contains__) if dead else []
            emptied = netlink.remove_unused_qdiscs()
    except PermissionError as error:
        raise ProbeError("filters cannot be removed: CAP_NET_ADMIN is missing") from error
    except OSError as error:
        _check_vanished(error)
        return 0
    for item in gone:
        tell(f"removed {item.name} from {item.device} {item.side.value}{place}")
    for device in emptied:
        tell(f"removed our clsact, which held nothing, from {device}{place}")
    return len(gone)


def _check_vanished(error: OSError) -> None:
    if error.errno not in _VANISHED:
        raise error
