package peers;

import com.google.gson.Gson;

/**
 * Sends a small trace by one of Java's tracing libraries, or calls and answers over HTTP with its context in the headers.
 *
 * <pre>
 *   send PROTOCOL ENDPOINT          prints, in one line of JSON, the spans that were sent
 *   serve PROTOCOL ENDPOINT ADDRESS PROPAGATOR
 *   call PROTOCOL ENDPOINT URL PROPAGATOR
 *   grpc-serve ADDRESS
 *   grpc-call TARGET                prints, in one line of JSON a step of its standard input, the calls that it made
 * </pre>
 *
 * A caller asks as often as CALLS says, over one connection, and has the cookie COOKIE; both are optional. PROTOCOL is
 * otlp-grpc, otlp-proto or zipkin for OpenTelemetry; brave-json (by URLConnection) or brave-proto (by OkHttp) for Brave.
 * PROPAGATOR is tracecontext, b3 or b3multi.
 */
public final class Main {
  private Main() {}

  public static void main(String[] args) throws Exception {
    switch (args[0]) {
      case "grpc-serve" -> GrpcServer.serve(args[1]);
      case "grpc-call" -> GrpcCaller.call(args[1]);
      default -> trace(args);
    }
    // The libraries' own threads would keep the process for a while.
    System.exit(0);
  }

  private static void trace(String[] args) throws Exception {
    String propagator = args.length > 4 ? args[4] : "tracecontext";
    Telemetry telemetry = args[1].startsWith("brave-")
        ? new BraveTelemetry(args[1], args[2], propagator)
        : new OpenTelemetry(args[1], args[2], propagator);
    switch (args[0]) {
      case "send" -> telemetry.makeTrace();
      case "serve" -> Http.serve(telemetry, args[3]);
      case "call" -> Http.call(telemetry, args[3]);
      default -> throw new IllegalArgumentException(args[0] + ": no such command");
    }
    System.out.println(new Gson().toJson(telemetry.close()));
  }
}
