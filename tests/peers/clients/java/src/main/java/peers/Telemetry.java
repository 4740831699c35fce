package peers;

import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.function.Function;

/** A tracing library at work. */
interface Telemetry {
  /** Makes the trace that is sent: kinds, types of attributes, an event, a link, status, and letters of others. */
  void makeTrace();

  /** Returns what ends a new span of a client, whose context was written by {@code setHeader}. */
  Runnable startClient(BiConsumer<String, String> setHeader);

  /** Returns what ends a new span of a server, whose caller is read by {@code getHeader}. */
  Runnable startServer(String name, Function<String, String> getHeader);

  /** Sends what is left, and returns the spans that were sent. */
  List<Map<String, Object>> close() throws Exception;

  /** Returns the name of the service. */
  static String serviceName() {
    return System.getenv().getOrDefault("SERVICE_NAME", "java-client");
  }
}
