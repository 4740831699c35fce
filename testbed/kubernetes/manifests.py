"""Fills the manifests beside this file with the cluster's names and addresses. Edge: reads files."""

import string

from testbed.kubernetes.topology import CLUSTER_DOMAIN, DNS_ADDRESS
from testbed.repository import ROOT

_MANIFESTS = ROOT / "testbed" / "kubernetes"


def render_manifest(name: str, **values: object) -> str:
    """Return a manifest with each `${NAME}` replaced. Raises KeyError for one without a value."""
    template = string.Template((_MANIFESTS / name).read_text())
    return template.substitute(DNS_ADDRESS=DNS_ADDRESS, CLUSTER_DOMAIN=CLUSTER_DOMAIN, **values)
