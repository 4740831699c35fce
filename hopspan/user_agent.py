"""How both programs name themselves to the peers that they send to. Pure."""

from hopspan.version import VERSION

USER_AGENT = f"hopspan/{VERSION} OTel-OTLP-Exporter-Python/{VERSION}"
"""The form that OTLP's exporter specification asks for, with our product in front."""
