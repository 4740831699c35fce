package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/propagation"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

const deadline = 200 * time.Millisecond

// madeCall is what a call's packets must tell: its trace, and the span that waited unless it is not sampled.
type madeCall struct {
	TraceID string `json:"trace_id"`
	SpanID  string `json:"span_id"`
}

// endedSpans keeps the spans that have ended.
type endedSpans struct {
	mutex sync.Mutex
	calls []madeCall
}

func (e *endedSpans) OnStart(context.Context, sdk.ReadWriteSpan) {}
func (e *endedSpans) Shutdown(context.Context) error             { return nil }
func (e *endedSpans) ForceFlush(context.Context) error           { return nil }

func (e *endedSpans) OnEnd(span sdk.ReadOnlySpan) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.calls = append(e.calls, madeCall{span.SpanContext().TraceID().String(), span.SpanContext().SpanID().String()})
}

func (e *endedSpans) take() []madeCall {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	calls := e.calls
	e.calls = nil
	return calls
}

// caller makes calls over one connection, instrumented by OpenTelemetry's own means.
type caller struct {
	target  string
	conn    *grpc.ClientConn
	ended   *endedSpans
	options []grpc.DialOption
	cancel  context.CancelFunc
	hanging chan error
}

// callGrpc makes the calls that its standard input tells, a step each line, and prints those of each step.
func callGrpc(target string) error {
	ended := &endedSpans{}
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(ended))
	handler := otelgrpc.NewClientHandler(
		otelgrpc.WithTracerProvider(provider), otelgrpc.WithPropagators(propagation.TraceContext{}))
	c := &caller{target: target, ended: ended, options: []grpc.DialOption{
		grpc.WithStatsHandler(handler),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{})),
	}}
	if err := c.connect(); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var step string
		var number int
		fmt.Sscan(lines.Text(), &step, &number)
		calls, err := c.take(step, number)
		if err != nil {
			return fmt.Errorf("%s: %w", lines.Text(), err)
		}
		if err := printLine(map[string]any{"step": lines.Text(), "calls": append(calls, c.ended.take()...)}); err != nil {
			return err
		}
	}
	return lines.Err()
}

// take returns the calls whose spans do not tell them.
func (c *caller) take(step string, number int) ([]madeCall, error) {
	ctx := context.Background()
	switch step {
	case "unary":
		return []madeCall{}, inTurn(number, func() error { return c.ask(ctx, "Echo", "hello") })
	case "stream":
		return []madeCall{}, inTurn(number, func() error { return c.chat(ctx, 3) })
	case "concurrent":
		return []madeCall{}, <-begin(number, pause, func() error { return c.ask(ctx, "Gather", fmt.Sprint(number)) })
	case "burst":
		return []madeCall{}, <-begin(number, 0, func() error { return c.ask(ctx, "Burst", fmt.Sprint(number)) })
	case "unsampled":
		return c.askUnsampled(number)
	case "deadline":
		return []madeCall{}, inTurn(number, func() error {
			limited, cancel := context.WithTimeout(ctx, deadline)
			defer cancel()
			return expect(codes.DeadlineExceeded, c.ask(limited, "Wait", ""))
		})
	case "hang":
		ctx, c.cancel = context.WithCancel(ctx)
		c.hanging = begin(number, pause, func() error { return expect(codes.Canceled, c.ask(ctx, "Wait", "")) })
		return []madeCall{}, nil
	case "cancel":
		c.cancel()
		return []madeCall{}, <-c.hanging
	case "reconnect":
		return []madeCall{}, errors.Join(c.conn.Close(), c.connect())
	}
	return nil, errors.New("no such step")
}

func (c *caller) connect() (err error) {
	c.conn, err = grpc.NewClient(c.target, c.options...)
	return err
}

func (c *caller) ask(ctx context.Context, method, message string) error {
	request, response := []byte(message), []byte{}
	err := c.conn.Invoke(ctx, "/"+callsService+"/"+method, &request, &response)
	if err == nil && string(response) != message {
		return fmt.Errorf("answered %q", response)
	}
	return err
}

// chat sends messages, each when the one before was answered.
func (c *caller) chat(ctx context.Context, messages int) error {
	description := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	stream, err := c.conn.NewStream(ctx, description, "/"+callsService+"/Chat")
	if err != nil {
		return err
	}
	for range messages {
		message, answered := []byte("hello"), []byte{}
		if err := errors.Join(stream.SendMsg(&message), stream.RecvMsg(&answered)); err != nil {
			return err
		}
	}
	return errors.Join(stream.CloseSend(), ignoreEnd(stream.RecvMsg(&[]byte{})))
}

// askUnsampled calls within spans that nobody records.
func (c *caller) askUnsampled(number int) (calls []madeCall, err error) {
	for range number {
		config := trace.SpanContextConfig{Remote: true}
		rand.Read(config.TraceID[:])
		rand.Read(config.SpanID[:])
		ctx := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(config))
		if err := c.ask(ctx, "Echo", "hello"); err != nil {
			return nil, err
		}
		calls = append(calls, madeCall{TraceID: config.TraceID.String()})
	}
	return calls, nil
}

func inTurn(number int, call func() error) error {
	for range number {
		if err := call(); err != nil {
			return err
		}
	}
	return nil
}

// begin begins all calls, with a pause after each, and tells when they have ended.
func begin(number int, pause time.Duration, call func() error) chan error {
	each, all := make(chan error, number), make(chan error, 1)
	for range number {
		go func() { each <- call() }()
		time.Sleep(pause)
	}
	go func() {
		var err error
		for range number {
			err = errors.Join(err, <-each)
		}
		all <- err
	}()
	return all
}

func expect(code codes.Code, err error) error {
	if found := status.Code(err); found != code {
		return fmt.Errorf("ended with %s, not %s: %s", found, code, strings.TrimSpace(fmt.Sprint(err)))
	}
	return nil
}

func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
