package peers;

import com.google.gson.Gson;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.api.trace.TraceFlags;
import io.opentelemetry.api.trace.TraceState;
import io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.Scope;
import io.opentelemetry.context.propagation.ContextPropagators;
import io.opentelemetry.instrumentation.grpc.v1_6.GrpcTelemetry;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.trace.IdGenerator;
import io.opentelemetry.sdk.trace.ReadableSpan;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.SpanProcessor;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** Makes calls over one connection of gRPC on netty, instrumented by OpenTelemetry's own means. */
final class GrpcCaller {
  private static final long DEADLINE_MS = 200;
  private static final int MESSAGES = 3;

  private final String target;
  private final BlockingQueue<Map<String, String>> ended = new LinkedBlockingQueue<>();
  private final ClientInterceptor tracing;
  private final List<Call> hanging = new ArrayList<>();
  private ManagedChannel channel;

  private GrpcCaller(String target) {
    this.target = target;
    SdkTracerProvider provider = SdkTracerProvider.builder().addSpanProcessor(new Ended()).build();
    OpenTelemetrySdk telemetry = OpenTelemetrySdk.builder()
        .setTracerProvider(provider)
        .setPropagators(ContextPropagators.create(W3CTraceContextPropagator.getInstance()))
        .build();
    tracing = GrpcTelemetry.create(telemetry).createClientInterceptor();
    connect();
  }

  /** Makes the calls that the standard input tells, a step each line, and prints those of each step. */
  static void call(String target) throws IOException, InterruptedException {
    GrpcCaller caller = new GrpcCaller(target);
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      String[] parts = line.split(" ");
      List<Map<String, String>> calls = caller.take(parts[0], parts.length > 1 ? Integer.parseInt(parts[1]) : 0);
      System.out.println(new Gson().toJson(Map.of("step", line, "calls", calls)));
    }
    caller.channel.shutdownNow();
  }

  private List<Map<String, String>> take(String step, int number) throws InterruptedException {
    switch (step) {
      case "unary" -> inTurn(number, () -> begin("Echo", "hello").end(Status.Code.OK));
      case "stream" -> inTurn(number, this::chat);
      case "concurrent" -> together(number, "Gather", GrpcServer.PAUSE_MS);
      case "burst" -> together(number, "Burst", 0);
      case "unsampled" -> {
        return askUnsampled(number);
      }
      case "deadline" -> inTurn(number, () -> {
        CallOptions options = CallOptions.DEFAULT.withDeadlineAfter(DEADLINE_MS, TimeUnit.MILLISECONDS);
        begin(GrpcServer.unary("Wait"), options, "").end(Status.Code.DEADLINE_EXCEEDED);
      });
      case "hang" -> {
        inTurn(number, () -> hanging.add(begin("Wait", "")));
        return List.of();
      }
      case "cancel" -> {
        int hung = hanging.size();
        for (Call call : hanging) {
          call.call.cancel("told so", null);
          call.end(Status.Code.CANCELLED);
        }
        hanging.clear();
        return takeEnded(hung);
      }
      case "reconnect" -> {
        channel.shutdownNow().awaitTermination(1, TimeUnit.MINUTES);
        connect();
        return List.of();
      }
      default -> throw new IllegalArgumentException(step + ": no such step");
    }
    return takeEnded(number);
  }

  private void connect() {
    channel = NettyChannelBuilder.forTarget(target, InsecureChannelCredentials.create()).intercept(tracing).build();
  }

  private Call begin(String name, String message) {
    return begin(GrpcServer.unary(name), CallOptions.DEFAULT, message);
  }

  private Call begin(MethodDescriptor<byte[], byte[]> method, CallOptions options, String message) {
    Call call = new Call(channel.newCall(method, options));
    call.say(message);
    call.call.halfClose();
    return call;
  }

  /** Begins calls that are answered when all have come, with a pause after each. */
  private void together(int number, String name, long pauseMs) throws InterruptedException {
    List<Call> calls = new ArrayList<>();
    inTurn(number, () -> {
      calls.add(begin(name, String.valueOf(number)));
      GrpcServer.pause(pauseMs);
    });
    for (Call call : calls) {
      call.end(Status.Code.OK);
    }
  }

  /** Sends messages, each when the one before was answered. */
  private void chat() throws InterruptedException {
    Call call = new Call(channel.newCall(GrpcServer.chat(), CallOptions.DEFAULT));
    for (int i = 0; i < MESSAGES; i++) {
      call.say("hello");
      call.hear();
    }
    call.call.halfClose();
    call.end(Status.Code.OK);
  }

  /** Calls within spans that nobody records. */
  private List<Map<String, String>> askUnsampled(int number) throws InterruptedException {
    List<Map<String, String>> calls = new ArrayList<>();
    inTurn(number, () -> {
      String traceId = IdGenerator.random().generateTraceId();
      SpanContext parent = SpanContext.createFromRemoteParent(
          traceId, IdGenerator.random().generateSpanId(), TraceFlags.getDefault(), TraceState.getDefault());
      try (Scope inside = Context.root().with(Span.wrap(parent)).makeCurrent()) {
        begin("Echo", "hello").end(Status.Code.OK);
      }
      calls.add(Map.of("trace_id", traceId, "span_id", ""));
    });
    return calls;
  }

  /** Returns what so many spans are known by, as soon as they have ended: shortly after their calls. */
  private List<Map<String, String>> takeEnded(int number) throws InterruptedException {
    List<Map<String, String>> calls = new ArrayList<>();
    while (calls.size() < number) {
      calls.add(ended.take());
    }
    return calls;
  }

  private interface Step {
    void run() throws InterruptedException;
  }

  private static void inTurn(int number, Step step) throws InterruptedException {
    for (int i = 0; i < number; i++) {
      step.run();
    }
  }

  /** A call on its way, and what it has heard: messages, and at last how it ended. */
  private static final class Call extends ClientCall.Listener<byte[]> {
    private final ClientCall<byte[], byte[]> call;
    private final BlockingQueue<byte[]> heard = new LinkedBlockingQueue<>();
    private final BlockingQueue<Status> ends = new LinkedBlockingQueue<>();
    private byte[] said;

    private Call(ClientCall<byte[], byte[]> call) {
      this.call = call;
      call.start(this, new Metadata());
    }

    private void say(String message) {
      said = message.getBytes(StandardCharsets.US_ASCII);
      call.request(1);
      call.sendMessage(said);
    }

    private void hear() throws InterruptedException {
      if (!Arrays.equals(heard.take(), said)) {
        throw new IllegalStateException("another answer");
      }
    }

    private void end(Status.Code code) throws InterruptedException {
      Status status = ends.take();
      if (status.getCode() != code) {
        throw new IllegalStateException("ended with " + status);
      }
    }

    @Override
    public void onMessage(byte[] message) {
      heard.add(message);
    }

    @Override
    public void onClose(Status status, Metadata trailers) {
      ends.add(status);
    }
  }

  private final class Ended implements SpanProcessor {
    @Override
    public void onStart(Context parent, io.opentelemetry.sdk.trace.ReadWriteSpan span) {}

    @Override
    public boolean isStartRequired() {
      return false;
    }

    @Override
    public void onEnd(ReadableSpan span) {
      SpanContext known = span.getSpanContext();
      ended.add(Map.of("trace_id", known.getTraceId(), "span_id", known.getSpanId()));
    }

    @Override
    public boolean isEndRequired() {
      return true;
    }
  }
}
