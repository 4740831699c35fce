// OpenTelemetry with one exporter, which keeps what it handed on: spans as the test compares them, times in epoch ns.
import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { ExportResultCode } from '@opentelemetry/core';
import { OTLPTraceExporter as GrpcExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { ZipkinExporter } from '@opentelemetry/exporter-zipkin';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';

const exporters = {
  'otlp-grpc': (endpoint) => new GrpcExporter({ url: `http://${endpoint}` }),
  'otlp-proto': (endpoint) => new ProtobufExporter({ url: `http://${endpoint}/v1/traces` }),
  'otlp-json': (endpoint) => new JsonExporter({ url: `http://${endpoint}/v1/traces` }),
  zipkin: (endpoint) => new ZipkinExporter({ url: `http://${endpoint}/api/v2/spans` }),
};

class RecordingExporter {
  constructor(exporter) {
    this.exporter = exporter;
    this.sent = [];
    this.error = null;
  }

  export(spans, done) {
    this.exporter.export(spans, (result) => {
      this.sent.push(...spans.map(describe));
      if (result.code !== ExportResultCode.SUCCESS) this.error = result.error ?? new Error('not sent');
      done(result);
    });
  }

  forceFlush() {
    return this.exporter.forceFlush?.();
  }

  shutdown() {
    return this.exporter.shutdown();
  }
}

// Numbers of this size do not fit JavaScript's own, so they are written as texts.
const nanoseconds = ([seconds, rest]) => String(BigInt(seconds) * 1_000_000_000n + BigInt(rest));

function describe(span) {
  return {
    trace_id: span.spanContext().traceId,
    span_id: span.spanContext().spanId,
    parent_id: span.parentSpanContext?.spanId ?? '',
    name: span.name,
    kind: SpanKind[span.kind],
    start_ns: nanoseconds(span.startTime),
    end_ns: nanoseconds(span.endTime),
    attributes: span.attributes,
    events: span.events.map((event) => ({
      name: event.name,
      time_ns: nanoseconds(event.time),
      attributes: event.attributes ?? {},
    })),
    links: span.links.map((link) => ({
      trace_id: link.context.traceId,
      span_id: link.context.spanId,
      attributes: link.attributes ?? {},
    })),
    status: SpanStatusCode[span.status.code],
    message: span.status.message ?? '',
    scope: span.instrumentationScope.name,
    scope_version: span.instrumentationScope.version ?? '',
    service: span.resource.attributes['service.name'],
  };
}

export function openTelemetry(protocol, endpoint) {
  if (!(protocol in exporters)) throw new Error(`${protocol}: no such protocol`);
  const exporter = new RecordingExporter(exporters[protocol](endpoint));
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': process.env.SERVICE_NAME ?? 'js-client' }),
    spanProcessors: [new BatchSpanProcessor({ exporter })],
  });
  return {
    tracer: provider.getTracer('peers', '1.2.3'),
    // Sends what is left and returns all that was sent.
    async close() {
      await provider.shutdown();
      if (exporter.error) throw exporter.error;
      return exporter.sent;
    },
  };
}
