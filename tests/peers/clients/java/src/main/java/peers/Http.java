package peers;

import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;
import sun.misc.Signal;

/** A server and a client of the JDK whose spans continue in each other by the context in the headers. */
final class Http {
  private static final byte[] ANSWER = "answered".getBytes(StandardCharsets.US_ASCII);

  private Http() {}

  /** Answers until the process is told to stop. */
  static void serve(Telemetry telemetry, String address) throws Exception {
    int colon = address.lastIndexOf(':');
    int port = Integer.parseInt(address.substring(colon + 1));
    HttpServer server = HttpServer.create(new InetSocketAddress(address.substring(0, colon), port), 0);
    server.createContext("/", exchange -> {
      String name = "GET " + exchange.getRequestURI().getPath();
      Runnable end = telemetry.startServer(name, exchange.getRequestHeaders()::getFirst);
      exchange.sendResponseHeaders(200, ANSWER.length);
      exchange.getResponseBody().write(ANSWER);
      exchange.close();
      end.run();
    });
    CountDownLatch stopped = new CountDownLatch(1);
    Signal.handle(new Signal("TERM"), signal -> stopped.countDown());
    server.start();
    System.out.println("serving");
    stopped.await();
    server.stop(0);
  }

  /** Asks as often as it is told, and lets the client's span last until the answer is there. */
  static void call(Telemetry telemetry, String url) throws Exception {
    HttpClient client = HttpClient.newHttpClient();
    int calls = Integer.parseInt(System.getenv().getOrDefault("CALLS", "1"));
    String cookie = System.getenv().getOrDefault("COOKIE", "session=1");
    for (int left = calls; left > 0; left--) {
      HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url)).header("Cookie", cookie);
      Runnable end = telemetry.startClient(request::header);
      HttpResponse<String> response = client.send(request.build(), HttpResponse.BodyHandlers.ofString());
      end.run();
      if (!response.body().equals("answered")) {
        throw new IllegalStateException(url + " answered " + response);
      }
    }
  }
}
