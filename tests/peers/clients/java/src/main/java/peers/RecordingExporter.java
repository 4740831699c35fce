package peers;

import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.trace.SpanId;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Hands spans on and keeps what it handed on, as the test compares it; times are epoch nanoseconds. */
final class RecordingExporter implements SpanExporter {
  private final SpanExporter next;
  private final List<Map<String, Object>> sent = new ArrayList<>();
  private boolean failed;

  RecordingExporter(SpanExporter next) {
    this.next = next;
  }

  @Override
  public CompletableResultCode export(Collection<SpanData> spans) {
    CompletableResultCode result = next.export(spans);
    result.whenComplete(() -> keep(spans, result.isSuccess()));
    return result;
  }

  private synchronized void keep(Collection<SpanData> spans, boolean success) {
    failed |= !success;
    spans.forEach(span -> sent.add(describe(span)));
  }

  synchronized List<Map<String, Object>> takeSent() {
    if (failed) {
      throw new IllegalStateException("the exporter says that spans were not sent");
    }
    return sent;
  }

  @Override
  public CompletableResultCode flush() {
    return next.flush();
  }

  @Override
  public CompletableResultCode shutdown() {
    return next.shutdown();
  }

  private static Map<String, Object> describe(SpanData span) {
    Map<String, Object> sent = new HashMap<>();
    sent.put("trace_id", span.getTraceId());
    sent.put("span_id", span.getSpanId());
    sent.put("parent_id", SpanId.isValid(span.getParentSpanId()) ? span.getParentSpanId() : "");
    sent.put("name", span.getName());
    sent.put("kind", span.getKind().name());
    sent.put("start_ns", span.getStartEpochNanos());
    sent.put("end_ns", span.getEndEpochNanos());
    sent.put("attributes", describe(span.getAttributes()));
    sent.put("status", span.getStatus().getStatusCode().name());
    sent.put("message", span.getStatus().getDescription());
    sent.put("scope", span.getInstrumentationScopeInfo().getName());
    sent.put("scope_version", String.valueOf(span.getInstrumentationScopeInfo().getVersion()));
    sent.put("service", span.getResource().getAttribute(AttributeKey.stringKey("service.name")));
    sent.put("events", span.getEvents().stream().map(event -> Map.of(
        "name", event.getName(),
        "time_ns", event.getEpochNanos(),
        "attributes", describe(event.getAttributes()))).toList());
    sent.put("links", span.getLinks().stream().map(link -> Map.of(
        "trace_id", link.getSpanContext().getTraceId(),
        "span_id", link.getSpanContext().getSpanId(),
        "attributes", describe(link.getAttributes()))).toList());
    return sent;
  }

  private static Map<String, Object> describe(Attributes attributes) {
    Map<String, Object> values = new HashMap<>();
    attributes.forEach((key, value) -> values.put(key.getKey(), value));
    return values;
  }
}
