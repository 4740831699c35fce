package peers;

import static io.opentelemetry.api.common.AttributeKey.stringArrayKey;
import static io.opentelemetry.api.common.AttributeKey.stringKey;

import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.TraceFlags;
import io.opentelemetry.api.trace.TraceState;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.propagation.TextMapGetter;
import io.opentelemetry.context.propagation.TextMapPropagator;
import io.opentelemetry.exporter.otlp.http.trace.OtlpHttpSpanExporter;
import io.opentelemetry.exporter.otlp.trace.OtlpGrpcSpanExporter;
import io.opentelemetry.exporter.zipkin.ZipkinSpanExporter;
import io.opentelemetry.extension.trace.propagation.B3Propagator;
import io.opentelemetry.sdk.resources.Resource;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.export.BatchSpanProcessor;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;
import java.util.function.Function;

/** OpenTelemetry's SDK with one exporter. */
final class OpenTelemetry implements Telemetry {
  private static final String SCOPE = "peers";

  private final RecordingExporter exporter;
  private final SdkTracerProvider provider;
  private final Tracer tracer;
  private final TextMapPropagator propagator;

  OpenTelemetry(String protocol, String endpoint, String propagator) {
    exporter = new RecordingExporter(openExporter(protocol, endpoint));
    Resource resource = Resource.create(Attributes.of(stringKey("service.name"), Telemetry.serviceName()));
    provider = SdkTracerProvider.builder()
        .setResource(resource)
        .addSpanProcessor(BatchSpanProcessor.builder(exporter).build())
        .build();
    tracer = provider.get(SCOPE, "1.2.3");
    this.propagator = switch (propagator) {
      case "tracecontext" -> W3CTraceContextPropagator.getInstance();
      case "b3" -> B3Propagator.injectingSingleHeader();
      case "b3multi" -> B3Propagator.injectingMultiHeaders();
      default -> throw new IllegalArgumentException(propagator + ": no such propagator");
    };
  }

  private static SpanExporter openExporter(String protocol, String endpoint) {
    String url = "http://" + endpoint;
    return switch (protocol) {
      case "otlp-grpc" -> OtlpGrpcSpanExporter.builder().setEndpoint(url).build();
      case "otlp-proto" -> OtlpHttpSpanExporter.builder().setEndpoint(url + "/v1/traces").build();
      case "zipkin" -> ZipkinSpanExporter.builder().setEndpoint(url + "/api/v2/spans").build();
      default -> throw new IllegalArgumentException(protocol + ": no such protocol");
    };
  }

  @Override
  public void makeTrace() {
    SpanContext elsewhere = SpanContext.create(
        "01020000000000000000000000000000", "0304000000000000", TraceFlags.getDefault(), TraceState.getDefault());
    Span root = tracer.spanBuilder("GET /checkout")
        .setSpanKind(SpanKind.SERVER)
        .setNoParent()
        .addLink(elsewhere, Attributes.of(stringKey("why"), "again"))
        .setAttribute("user.name", "Zoë ✓ 日本")
        .setAttribute("items", 3)
        .setAttribute("ratio", 0.25)
        .setAttribute("member", true)
        .setAttribute(stringArrayKey("colours"), List.of("red", "blue"))
        .startSpan();
    root.addEvent("cache missed", Attributes.builder().put("tries", 2).build());
    Context inside = Context.root().with(root);
    Span client = tracer.spanBuilder("GET cart").setSpanKind(SpanKind.CLIENT).setParent(inside).startSpan();
    client.setStatus(StatusCode.ERROR, "no such cart");
    client.end();
    Span internal = tracer.spanBuilder("add up").setParent(inside).startSpan();
    internal.setStatus(StatusCode.OK);
    internal.end();
    tracer.spanBuilder("send order").setSpanKind(SpanKind.PRODUCER).setParent(inside).startSpan().end();
    root.end();
  }

  @Override
  public Runnable startClient(BiConsumer<String, String> setHeader) {
    Span span = tracer.spanBuilder("GET").setSpanKind(SpanKind.CLIENT).setNoParent().startSpan();
    propagator.inject(Context.root().with(span), setHeader, (carrier, key, value) -> carrier.accept(key, value));
    return span::end;
  }

  @Override
  public Runnable startServer(String name, Function<String, String> getHeader) {
    Context caller = propagator.extract(Context.root(), getHeader, new TextMapGetter<Function<String, String>>() {
      @Override
      public Iterable<String> keys(Function<String, String> carrier) {
        return List.of();
      }

      @Override
      public String get(Function<String, String> carrier, String key) {
        return carrier.apply(key);
      }
    });
    return tracer.spanBuilder(name).setSpanKind(SpanKind.SERVER).setParent(caller).startSpan()::end;
  }

  @Override
  public List<Map<String, Object>> close() {
    if (!provider.shutdown().join(30, TimeUnit.SECONDS).isSuccess()) {
      throw new IllegalStateException("the spans were not sent");
    }
    return exporter.takeSent();
  }
}
