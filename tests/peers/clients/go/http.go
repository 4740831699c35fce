package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/openzipkin/zipkin-go"
	middleware "github.com/openzipkin/zipkin-go/middleware/http"
	"go.opentelemetry.io/contrib/propagators/b3"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const answer = "answered"

// session is a tracing library at work: it wraps a server and a client, and sends what is left when it is closed.
type session struct {
	server func(http.Handler) http.Handler
	client http.RoundTripper
	close  func() error
}

func readVariable(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func serviceName() string {
	return readVariable("SERVICE_NAME", "go-client")
}

// serve answers until the process is told to stop.
func serve(protocol, endpoint, address, propagator string) error {
	session, err := openSession(protocol, endpoint, propagator)
	if err != nil {
		return err
	}
	handler := http.HandlerFunc(func(response http.ResponseWriter, _ *http.Request) { io.WriteString(response, answer) })
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: session.server(handler)}
	go server.Serve(listener)
	fmt.Println("serving")
	stopped, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	<-stopped.Done()
	return errors.Join(server.Shutdown(context.Background()), session.close())
}

// call asks as often as it is told, and lets the client's span last until the answer is there.
func call(protocol, endpoint, url, propagator string) error {
	session, err := openSession(protocol, endpoint, propagator)
	if err != nil {
		return err
	}
	calls, err := strconv.Atoi(readVariable("CALLS", "1"))
	if err != nil {
		return err
	}
	client := &http.Client{Transport: session.client}
	for range calls {
		if err := ask(client, url); err != nil {
			return err
		}
	}
	return session.close()
}

func ask(client *http.Client, url string) error {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Cookie", readVariable("COOKIE", "session=1"))
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	// Read to its end, or the connection could not be used again.
	text, err := io.ReadAll(response.Body)
	if err != nil || string(text) != answer {
		return errors.Join(fmt.Errorf("%s answered %s %s", url, response.Status, text), err)
	}
	return response.Body.Close()
}

func openSession(protocol, endpoint, propagator string) (*session, error) {
	if strings.HasPrefix(protocol, "zipkin-go-") {
		return openZipkinSession(protocol, endpoint)
	}
	propagators := map[string]propagation.TextMapPropagator{
		"tracecontext": propagation.TraceContext{},
		"b3":           b3.New(b3.WithInjectEncoding(b3.B3SingleHeader)),
		"b3multi":      b3.New(b3.WithInjectEncoding(b3.B3MultipleHeader)),
	}
	chosen, known := propagators[propagator]
	if !known {
		return nil, fmt.Errorf("%s: no such propagator", propagator)
	}
	ctx := context.Background()
	provider, recording, err := openProvider(ctx, protocol, endpoint, serviceName())
	if err != nil {
		return nil, err
	}
	tracer := provider.Tracer("peers")
	return &session{
		server: func(next http.Handler) http.Handler { return tracedHandler{next, tracer, chosen} },
		client: tracedTransport{tracer, chosen},
		close: func() error {
			if err := errors.Join(provider.Shutdown(ctx), recording.err); err != nil {
				return err
			}
			return printLine(recording.sent)
		},
	}, nil
}

type tracedHandler struct {
	next       http.Handler
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
}

func (h tracedHandler) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	ctx := h.propagator.Extract(request.Context(), propagation.HeaderCarrier(request.Header))
	ctx, span := h.tracer.Start(ctx, "GET "+request.URL.Path, trace.WithSpanKind(trace.SpanKindServer))
	defer span.End()
	h.next.ServeHTTP(response, request.WithContext(ctx))
}

type tracedTransport struct {
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
}

func (t tracedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx, span := t.tracer.Start(request.Context(), "GET", trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	request = request.Clone(ctx)
	t.propagator.Inject(ctx, propagation.HeaderCarrier(request.Header))
	return http.DefaultTransport.RoundTrip(request)
}

// openZipkinSession has zipkin-go's own handler and transport: headers of B3, and span ids that both sides share.
func openZipkinSession(protocol, endpoint string) (*session, error) {
	tracer, recording, watched, err := openZipkinTracer(protocol, endpoint)
	if err != nil {
		return nil, err
	}
	transport, err := middleware.NewTransport(tracer)
	if err != nil {
		return nil, err
	}
	return &session{
		server: middleware.NewServerMiddleware(tracer),
		client: rootedTransport{tracer, transport},
		close: func() error {
			if err := errors.Join(recording.Close(), watched.err); err != nil {
				return err
			}
			return printLine(recording.sent)
		},
	}, nil
}

// rootedTransport gives the client's span a parent, so that it is no root.
type rootedTransport struct {
	tracer *zipkin.Tracer
	next   http.RoundTripper
}

func (t rootedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	span, ctx := t.tracer.StartSpanFromContext(request.Context(), "checkout")
	defer span.Finish()
	return t.next.RoundTrip(request.Clone(ctx))
}
