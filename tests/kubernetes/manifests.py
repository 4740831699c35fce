"""Fills the manifests beside this file with the cluster's names and addresses. Edge: reads files."""

import string

from tests.house.repository import ROOT
from tests.kubernetes.topology import CLUSTER_DOMAIN, DNS_ADDRESS

_MANIFESTS = ROOT / "tests" / "kubernetes"


def render_manifest(name: str, **values: object) -> str:
    """Return a manifest with each `${NAME}` replaced. Raises KeyError for one without a value."""
    template = string.Template((_MANIFESTS / name).read_text())
    return template.substitute(DNS_ADDRESS=DNS_ADDRESS, CLUSTER_DOMAIN=CLUSTER_DOMAIN, **values)
