package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/zipkin"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// sentSpan is a span as the test compares it; times are epoch nanoseconds.
type sentSpan struct {
	TraceID      string         `json:"trace_id"`
	SpanID       string         `json:"span_id"`
	ParentID     string         `json:"parent_id"`
	Name         string         `json:"name"`
	Kind         string         `json:"kind"`
	StartNs      int64          `json:"start_ns"`
	EndNs        int64          `json:"end_ns"`
	Attributes   map[string]any `json:"attributes"`
	Events       []sentEvent    `json:"events"`
	Links        []sentLink     `json:"links"`
	Status       string         `json:"status"`
	Message      string         `json:"message"`
	Scope        string         `json:"scope"`
	ScopeVersion string         `json:"scope_version"`
	Service      string         `json:"service"`
}

type sentEvent struct {
	Name       string         `json:"name"`
	TimeNs     int64          `json:"time_ns"`
	Attributes map[string]any `json:"attributes"`
}

type sentLink struct {
	TraceID    string         `json:"trace_id"`
	SpanID     string         `json:"span_id"`
	Attributes map[string]any `json:"attributes"`
}

// recordingExporter hands spans on and keeps what it handed on.
type recordingExporter struct {
	sdk.SpanExporter
	mutex sync.Mutex
	sent  []sentSpan
	err   error
}

func (e *recordingExporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.err = errors.Join(e.err, err)
	for _, span := range spans {
		e.sent = append(e.sent, describe(span))
	}
	return err
}

func describe(span sdk.ReadOnlySpan) sentSpan {
	sent := sentSpan{
		TraceID:      span.SpanContext().TraceID().String(),
		SpanID:       span.SpanContext().SpanID().String(),
		Name:         span.Name(),
		Kind:         span.SpanKind().String(),
		StartNs:      span.StartTime().UnixNano(),
		EndNs:        span.EndTime().UnixNano(),
		Attributes:   describeAttributes(span.Attributes()),
		Events:       []sentEvent{},
		Links:        []sentLink{},
		Status:       span.Status().Code.String(),
		Message:      span.Status().Description,
		Scope:        span.InstrumentationScope().Name,
		ScopeVersion: span.InstrumentationScope().Version,
	}
	if span.Parent().HasSpanID() {
		sent.ParentID = span.Parent().SpanID().String()
	}
	for _, event := range span.Events() {
		sent.Events = append(sent.Events, sentEvent{event.Name, event.Time.UnixNano(), describeAttributes(event.Attributes)})
	}
	for _, link := range span.Links() {
		to := link.SpanContext
		sent.Links = append(sent.Links, sentLink{to.TraceID().String(), to.SpanID().String(), describeAttributes(link.Attributes)})
	}
	for _, pair := range span.Resource().Attributes() {
		if pair.Key == "service.name" {
			sent.Service = pair.Value.AsString()
		}
	}
	return sent
}

func describeAttributes(pairs []attribute.KeyValue) map[string]any {
	values := map[string]any{}
	for _, pair := range pairs {
		values[string(pair.Key)] = pair.Value.AsInterface()
	}
	return values
}

func openExporter(ctx context.Context, protocol, endpoint string) (sdk.SpanExporter, error) {
	switch protocol {
	case "otlp-grpc":
		return otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(endpoint), otlptracegrpc.WithInsecure())
	case "otlp-proto":
		return otlptracehttp.New(ctx, otlptracehttp.WithEndpoint(endpoint), otlptracehttp.WithInsecure())
	case "zipkin":
		return zipkin.New("http://" + endpoint + "/api/v2/spans")
	}
	return nil, fmt.Errorf("%s: no such protocol", protocol)
}

// openProvider returns a provider whose spans are sent when it is shut down, at the latest.
func openProvider(ctx context.Context, protocol, endpoint, service string) (*sdk.TracerProvider, *recordingExporter, error) {
	exporter, err := openExporter(ctx, protocol, endpoint)
	if err != nil {
		return nil, nil, err
	}
	recording := &recordingExporter{SpanExporter: exporter}
	names := resource.NewSchemaless(attribute.String("service.name", service))
	return sdk.NewTracerProvider(sdk.WithBatcher(recording), sdk.WithResource(names)), recording, nil
}

func sendByOpenTelemetry(protocol, endpoint string) error {
	ctx := context.Background()
	provider, recording, err := openProvider(ctx, protocol, endpoint, serviceName())
	if err != nil {
		return err
	}
	makeTrace(ctx, provider.Tracer("peers", trace.WithInstrumentationVersion("1.2.3")))
	if err := errors.Join(provider.Shutdown(ctx), recording.err); err != nil {
		return err
	}
	return printLine(recording.sent)
}

func makeTrace(ctx context.Context, tracer trace.Tracer) {
	elsewhere := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1, 2}, SpanID: trace.SpanID{3, 4}})
	link := trace.Link{SpanContext: elsewhere, Attributes: []attribute.KeyValue{attribute.String("why", "again")}}
	ctx, root := tracer.Start(ctx, "GET /checkout", trace.WithSpanKind(trace.SpanKindServer), trace.WithLinks(link))
	root.SetAttributes(
		attribute.String("user.name", "Zoë ✓ 日本"),
		attribute.Int64("items", 3),
		attribute.Float64("ratio", 0.25),
		attribute.Bool("member", true),
		attribute.StringSlice("colours", []string{"red", "blue"}),
	)
	root.AddEvent("cache missed", trace.WithAttributes(attribute.Int("tries", 2)))
	_, client := tracer.Start(ctx, "GET cart", trace.WithSpanKind(trace.SpanKindClient))
	client.SetStatus(codes.Error, "no such cart")
	client.End()
	_, internal := tracer.Start(ctx, "add up")
	internal.SetStatus(codes.Ok, "")
	internal.End()
	_, producer := tracer.Start(ctx, "send order", trace.WithSpanKind(trace.SpanKindProducer))
	producer.End()
	root.End()
}
