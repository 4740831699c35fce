"""What keeps the probe from starting: the error's text names the object at fault (interface, file, feature)."""

from hopspan.errors import HopspanError


class ProbeError(HopspanError):
    """The probe cannot start, or cannot go on as configured."""
