"""Opens the exporter that a part of the configuration describes.

Edge, beside `plugin`: the only place that knows every kind of exporter.
"""

import msgspec

from collector_plugin.config import FileExporter as FileSettings
from collector_plugin.exporter import Exporter
from collector_plugin.exporter_file import FileExporter
from collector_plugin.exporter_zipkin import ZipkinExporter
from collector_plugin.span_request import SpanFormat
from hopspan.errors import HopspanError
from hopspan.http_export_settings import OtlpHttpExporterSettings, ZipkinExporterSettings
from hopspan.otlp_export import OtlpGrpcExporter
from hopspan.otlp_http_export import OtlpHttpExporter
from hopspan.settings import OtlpExporter

ExporterSettings = OtlpExporter | OtlpHttpExporterSettings | ZipkinExporterSettings | FileSettings


class OpenExporter(msgspec.Struct, frozen=True):
    """An exporter and what it takes."""

    name: str
    exporter: Exporter
    format: SpanFormat


def open_exporter(name: str, settings: ExporterSettings) -> OpenExporter:
    """Return the exporter `name`. Raises HopspanError that begins with its key."""
    span_format = SpanFormat.ZIPKIN if isinstance(settings, ZipkinExporterSettings) else SpanFormat.OTLP
    try:
        return OpenExporter(name, _open(settings), span_format)
    except HopspanError as error:
        raise HopspanError(f"exporters.{name}: {error}") from error


def _open(settings: ExporterSettings) -> Exporter:
    if isinstance(settings, OtlpExporter):
        return OtlpGrpcExporter(settings)
    if isinstance(settings, OtlpHttpExporterSettings):
        return OtlpHttpExporter(settings)
    if isinstance(settings, ZipkinExporterSettings):
        return ZipkinExporter(settings)
    return FileExporter(settings.path)
