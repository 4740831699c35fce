package peers;

import static io.grpc.stub.ServerCalls.asyncBidiStreamingCall;
import static io.grpc.stub.ServerCalls.asyncUnaryCall;

import io.grpc.InsecureServerCredentials;
import io.grpc.MethodDescriptor;
import io.grpc.Server;
import io.grpc.ServerServiceDefinition;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import sun.misc.Signal;

/** A server of gRPC on netty, and the methods that it has. */
final class GrpcServer {
  static final String SERVICE = "peers.Calls";

  /** Lies between calls that are to be written one by one. */
  static final long PAUSE_MS = 1;

  /** Messages are the bytes that they are. */
  static final class Bytes implements MethodDescriptor.Marshaller<byte[]> {
    @Override
    public InputStream stream(byte[] value) {
      return new ByteArrayInputStream(value);
    }

    @Override
    public byte[] parse(InputStream stream) {
      try {
        return stream.readAllBytes();
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }
  }

  static MethodDescriptor<byte[], byte[]> method(String name, MethodDescriptor.MethodType type) {
    return MethodDescriptor.newBuilder(new Bytes(), new Bytes())
        .setType(type)
        .setFullMethodName(MethodDescriptor.generateFullMethodName(SERVICE, name))
        .build();
  }

  static MethodDescriptor<byte[], byte[]> unary(String name) {
    return method(name, MethodDescriptor.MethodType.UNARY);
  }

  static MethodDescriptor<byte[], byte[]> chat() {
    return method("Chat", MethodDescriptor.MethodType.BIDI_STREAMING);
  }

  /** Answers until the process is told to stop. */
  static void serve(String address) throws IOException, InterruptedException {
    String[] parts = address.split(":");
    Server server = NettyServerBuilder
        .forAddress(new InetSocketAddress(parts[0], Integer.parseInt(parts[1])), InsecureServerCredentials.create())
        .addService(describe())
        .build()
        .start();
    Signal.handle(new Signal("TERM"), signal -> server.shutdownNow());
    System.out.println("serving");
    server.awaitTermination();
  }

  private static ServerServiceDefinition describe() {
    return ServerServiceDefinition.builder(SERVICE)
        .addMethod(unary("Echo"), asyncUnaryCall(GrpcServer::answer))
        .addMethod(unary("Gather"), asyncUnaryCall(new Gathering(PAUSE_MS)::gather))
        .addMethod(unary("Burst"), asyncUnaryCall(new Gathering(0)::gather))
        .addMethod(unary("Wait"), asyncUnaryCall((byte[] request, StreamObserver<byte[]> answers) -> {}))
        .addMethod(chat(), asyncBidiStreamingCall(GrpcServer::chat))
        .build();
  }

  private static void answer(byte[] request, StreamObserver<byte[]> answers) {
    answers.onNext(request);
    answers.onCompleted();
  }

  /** Holds calls back until as many as each of them names are there, and lets them go with a pause between. */
  private static final class Gathering {
    private final long pauseMs;
    private final List<Runnable> waiting = new ArrayList<>();

    private Gathering(long pauseMs) {
      this.pauseMs = pauseMs;
    }

    private synchronized void gather(byte[] request, StreamObserver<byte[]> answers) {
      waiting.add(() -> answer(request, answers));
      if (waiting.size() == Integer.parseInt(new String(request, StandardCharsets.US_ASCII))) {
        for (Runnable one : waiting) {
          one.run();
          pause(pauseMs);
        }
        waiting.clear();
      }
    }
  }

  static void pause(long pauseMs) {
    try {
      Thread.sleep(pauseMs);
    } catch (InterruptedException error) {
      throw new IllegalStateException(error);
    }
  }

  private static StreamObserver<byte[]> chat(StreamObserver<byte[]> answers) {
    return new StreamObserver<>() {
      @Override
      public void onNext(byte[] message) {
        answers.onNext(message);
      }

      @Override
      public void onError(Throwable error) {}

      @Override
      public void onCompleted() {
        answers.onCompleted();
      }
    };
  }
}
