package peers;

import brave.Span;
import brave.Tracer;
import brave.Tracing;
import brave.handler.MutableSpan;
import brave.handler.SpanHandler;
import brave.propagation.B3Propagation;
import brave.propagation.TraceContext;
import brave.propagation.TraceContextOrSamplingFlags;
import brave.sampler.Sampler;
import com.google.gson.Gson;
import com.google.gson.reflect.TypeToken;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;
import java.util.function.Function;
import zipkin2.reporter.BytesMessageSender;
import zipkin2.reporter.Encoding;
import zipkin2.reporter.InMemoryReporterMetrics;
import zipkin2.reporter.brave.AsyncZipkinSpanHandler;
import zipkin2.reporter.brave.MutableSpanBytesEncoder;
import zipkin2.reporter.okhttp3.OkHttpSender;
import zipkin2.reporter.urlconnection.URLConnectionSender;

/** Brave with its defaults: trace ids of 64 bits, and span ids that client and server share. */
final class BraveTelemetry implements Telemetry {
  private final InMemoryReporterMetrics metrics = new InMemoryReporterMetrics();
  private final List<Map<String, Object>> sent = new ArrayList<>();
  private final BytesMessageSender sender;
  private final AsyncZipkinSpanHandler reporter;
  private final Tracing tracing;
  private final Tracer tracer;

  BraveTelemetry(String protocol, String endpoint, String propagator) {
    String url = "http://" + endpoint + "/api/v2/spans";
    Encoding encoding = protocol.equals("brave-proto") ? Encoding.PROTO3 : Encoding.JSON;
    sender = encoding == Encoding.PROTO3
        ? OkHttpSender.newBuilder().endpoint(url).encoding(encoding).build()
        : URLConnectionSender.newBuilder().endpoint(url).encoding(encoding).build();
    reporter = AsyncZipkinSpanHandler.newBuilder(sender)
        .metrics(metrics)
        .closeTimeout(30, TimeUnit.SECONDS)
        .build(MutableSpanBytesEncoder.forEncoding(encoding));
    B3Propagation.Format format =
        propagator.equals("b3") ? B3Propagation.Format.SINGLE : B3Propagation.Format.MULTI;
    tracing = Tracing.newBuilder()
        .localServiceName(Telemetry.serviceName())
        .localIp("10.1.2.3")
        .sampler(Sampler.ALWAYS_SAMPLE)
        .propagationFactory(B3Propagation.newFactoryBuilder().injectFormat(format).build())
        .addSpanHandler(new Recorder())
        .addSpanHandler(reporter)
        .build();
    tracer = tracing.tracer();
  }

  /** Keeps each finished span in Zipkin's JSON. */
  private final class Recorder extends SpanHandler {
    @Override
    public boolean end(TraceContext context, MutableSpan span, Cause cause) {
      String json = new String(MutableSpanBytesEncoder.JSON_V2.encode(span), StandardCharsets.UTF_8);
      synchronized (sent) {
        sent.add(new Gson().fromJson(json, new TypeToken<Map<String, Object>>() {}.getType()));
      }
      return true;
    }
  }

  @Override
  public void makeTrace() {
    Span root = tracer.newTrace().name("get /checkout").kind(Span.Kind.SERVER).start();
    root.tag("user.name", "Zoë ✓ 日本");
    root.annotate("cache missed");
    Span client = tracer.newChild(root.context()).name("get cart").kind(Span.Kind.CLIENT).start();
    client.remoteServiceName("cart").remoteIpAndPort("2001:db8::7", 9090);
    client.tag("error", "no such cart");
    // The server's half, as it is where it shares the client's id.
    Span server = tracer.joinSpan(client.context()).name("get /cart").kind(Span.Kind.SERVER).start();
    server.finish();
    client.finish();
    tracer.newChild(root.context()).name("add up").start().finish();
    root.finish();
  }

  @Override
  public Runnable startClient(BiConsumer<String, String> setHeader) {
    Span root = tracer.newTrace().name("checkout").start();
    Span span = tracer.newChild(root.context()).name("get").kind(Span.Kind.CLIENT).start();
    TraceContext.Injector<BiConsumer<String, String>> injector =
        tracing.propagation().injector((carrier, key, value) -> carrier.accept(key, value));
    injector.inject(span.context(), setHeader);
    return () -> {
      span.finish();
      root.finish();
    };
  }

  @Override
  public Runnable startServer(String name, Function<String, String> getHeader) {
    TraceContext.Extractor<Function<String, String>> extractor =
        tracing.propagation().extractor((carrier, key) -> carrier.apply(key));
    TraceContextOrSamplingFlags caller = extractor.extract(getHeader);
    Span span = caller.context() == null ? tracer.nextSpan(caller) : tracer.joinSpan(caller.context());
    span.name(name).kind(Span.Kind.SERVER).start();
    return span::finish;
  }

  @Override
  public List<Map<String, Object>> close() throws Exception {
    tracing.close();
    // Closing alone would drop what waits for the reporter's next turn.
    reporter.flush();
    reporter.close();
    sender.close();
    if (metrics.spansDropped() > 0 || metrics.messagesDropped() > 0) {
      throw new IllegalStateException("spans were not sent: " + metrics.messagesDroppedByCause());
    }
    return sent;
  }
}
