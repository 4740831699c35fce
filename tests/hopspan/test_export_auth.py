"""A bearer token from a file, over every transport: sent, renewed without a restart, and told to nobody else."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import grpc
import pytest

from hopspan.config import ConfigError, parse_config
from hopspan.errors import HopspanError
from hopspan.export_auth import ExportAuth
from hopspan.export_errors import ExportError, ExportResult
from hopspan.http_export_settings import OtlpHttpExporterSettings, ZipkinExporterSettings
from hopspan.otlp_export import OtlpGrpcExporter
from hopspan.otlp_http_export import OtlpHttpExporter
from hopspan.settings import ExporterAuth, OtlpExporter, TlsClient
from hopspan.token_file import RENEW_INTERVAL_NS, TokenFile
from hopspan.values import Endpoint
from tests.collector_plugin.gated_exporter import wait_until
from tests.hopspan.grpc_peer import GrpcPeer
from tests.hopspan.http_peer import Answer, HttpPeer, Request

TOKEN = "open-sesame-0123456789"  # noqa: S105 - opens nothing
RENEWED = "open-barley-0123456789"


class Exporter(Protocol):
    """What both exporters can do."""

    def export(self, request: bytes, timeout_ns: int | None = None) -> ExportResult: ...

    def close(self) -> None: ...


Open = Callable[[ExporterAuth], Exporter]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file as a Secret's is mounted, with a line break at its end."""
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return path


@pytest.fixture(params=["grpc", "http"])
def door(request: pytest.FixtureRequest) -> Iterator[Open]:
    """A way to a peer that lets in who shows the renewed token, and repeats what it got instead."""
    if request.param == "grpc":
        grpc_peer = GrpcPeer()
        grpc_peer.behave = ask_over_grpc
        yield lambda auth: OtlpGrpcExporter(
            OtlpExporter(endpoint=Endpoint("localhost", grpc_peer.port), tls=TlsClient(insecure=True), auth=auth)
        )
        grpc_peer.close()
        return
    http_peer = HttpPeer()
    http_peer.behave = ask_over_http
    yield lambda auth: OtlpHttpExporter(OtlpHttpExporterSettings(endpoint=http_peer.url(), auth=auth))
    http_peer.close()


def ask_over_grpc(_request: bytes, context: grpc.ServicerContext) -> bytes:
    """Let in who shows the renewed token."""
    got = str(dict(context.invocation_metadata()).get("authorization"))
    if got != f"Bearer {RENEWED}":
        context.abort(grpc.StatusCode.UNAUTHENTICATED, f"not {got!r}")
    return b""


def ask_over_http(request: Request) -> Answer:
    """Let in who shows the renewed token."""
    got = request.headers.get("authorization")
    return Answer(200) if got == f"Bearer {RENEWED}" else Answer(401, f"not {got!r}".encode())


def is_let_in(exporter: Exporter) -> bool:
    """Tell whether an export succeeds."""
    try:
        exporter.export(b"x")
    except ExportError:
        return False
    return True


def test_renewed_token_counts_without_a_restart(door: Open, path: Path) -> None:
    """The first is sent and refused, which the error tells without it; the one that takes its place is let in."""
    exporter = door(ExporterAuth(bearer_token_file=str(path)))
    with pytest.raises(ExportError) as caught:
        exporter.export(b"x")
    assert str(caught.value).endswith("not 'Bearer ***'")
    new = path.with_name("new")
    new.write_text(RENEWED)
    new.replace(path)
    wait_until(lambda: is_let_in(exporter))
    exporter.close()


def test_token_that_was_replaced_is_still_secret(path: Path) -> None:
    """A peer may repeat it in an answer that comes later than the new one."""
    auth = ExportAuth(ExporterAuth(bearer_token_file=str(path)), {})
    assert auth.read_authorization() == f"Bearer {TOKEN}"
    path.write_text(f"{RENEWED}\n")
    wait_until(lambda: auth.read_authorization() == f"Bearer {RENEWED}")
    assert {TOKEN, RENEWED} <= set(auth.list_secrets())


def test_file_that_cannot_be_read_is_told_at_the_start(door: Open, path: Path) -> None:
    """By its key, and never by what is in it."""
    path.write_text("two words\n")
    for name in (path, path.with_name("absent")):
        with pytest.raises(HopspanError, match=rf"^auth\.bearer_token_file: {name} ") as caught:
            door(ExporterAuth(bearer_token_file=str(name)))
        assert "words" not in str(caught.value)


def test_file_is_looked_at_once_a_second(path: Path) -> None:
    """What cannot be read in between leaves the last token."""
    file = TokenFile(path)
    assert file.read(0) == (TOKEN,)
    path.write_text(f"{RENEWED}\nother\n")
    assert file.read(RENEW_INTERVAL_NS - 1) == (TOKEN,)
    assert file.read(RENEW_INTERVAL_NS) == (RENEWED, "other")
    path.unlink()
    assert file.read(2 * RENEW_INTERVAL_NS) == (RENEWED, "other")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("endpoint: a:1", OtlpExporter),
        ("endpoint: http://a:1", OtlpHttpExporterSettings),
        ("endpoint: http://a:1/api/v2/spans", ZipkinExporterSettings),
    ],
)
def test_one_authorization_is_enough(text: str, kind: type[object]) -> None:
    """Two would contradict each other; no path is none."""
    for more, fault in (
        ("auth: {bearer_token_file: f}\nheaders: {Authorization: x}", "auth: has authorization among headers"),
        ("auth: {}", "auth.bearer_token_file: missing"),
        ('auth: {bearer_token_file: ""}', "auth.bearer_token_file: "),
    ):
        with pytest.raises(ConfigError) as caught:
            parse_config(f"{text}\n{more}", kind)
        (told,) = caught.value.faults
        assert told.startswith(fault)
