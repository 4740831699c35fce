package main

import (
	"errors"
	"net/http"
	"sync"
	"time"

	zipkin "github.com/openzipkin/zipkin-go"
	"github.com/openzipkin/zipkin-go/model"
	"github.com/openzipkin/zipkin-go/proto/zipkin_proto3"
	"github.com/openzipkin/zipkin-go/reporter"
	zipkinhttp "github.com/openzipkin/zipkin-go/reporter/http"
)

// recordingReporter hands spans on and keeps what it handed on.
type recordingReporter struct {
	reporter.Reporter
	mutex sync.Mutex
	sent  []model.SpanModel
}

func (r *recordingReporter) Send(span model.SpanModel) {
	r.mutex.Lock()
	r.sent = append(r.sent, span)
	r.mutex.Unlock()
	r.Reporter.Send(span)
}

// watchedTransport remembers that a request was refused: the reporter itself only logs it.
type watchedTransport struct {
	mutex sync.Mutex
	err   error
}

func (t *watchedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := http.DefaultTransport.RoundTrip(request)
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if err == nil && answer.StatusCode/100 != 2 {
		t.err = errors.Join(t.err, errors.New(answer.Status))
	}
	t.err = errors.Join(t.err, err)
	return answer, err
}

func openZipkinTracer(protocol, endpoint string) (*zipkin.Tracer, *recordingReporter, *watchedTransport, error) {
	watched := &watchedTransport{}
	options := []zipkinhttp.ReporterOption{zipkinhttp.Client(&http.Client{Transport: watched})}
	if protocol == "zipkin-go-proto" {
		options = append(options, zipkinhttp.Serializer(zipkin_proto3.SpanSerializer{}))
	}
	recording := &recordingReporter{Reporter: zipkinhttp.NewReporter("http://"+endpoint+"/api/v2/spans", options...)}
	here, err := zipkin.NewEndpoint(serviceName(), "127.0.0.1:8080")
	if err != nil {
		return nil, nil, nil, err
	}
	tracer, err := zipkin.NewTracer(recording, zipkin.WithLocalEndpoint(here))
	return tracer, recording, watched, err
}

func sendByZipkin(protocol, endpoint string) error {
	tracer, recording, watched, err := openZipkinTracer(protocol, endpoint)
	if err != nil {
		return err
	}
	if err := makeZipkinTrace(tracer); err != nil {
		return err
	}
	if err := errors.Join(recording.Close(), watched.err); err != nil {
		return err
	}
	return printLine(recording.sent)
}

func makeZipkinTrace(tracer *zipkin.Tracer) error {
	there, err := zipkin.NewEndpoint("cart", "[2001:db8::7]:9090")
	if err != nil {
		return err
	}
	// Whole microseconds: the library's two encodings round others differently.
	begin := time.Now().Truncate(time.Microsecond)
	root := tracer.StartSpan("get /checkout", zipkin.Kind(model.Server), zipkin.StartTime(begin))
	root.Tag("user.name", "Zoë ✓ 日本")
	root.Annotate(begin.Add(10*time.Microsecond), "cache missed")
	child := func(name string, after time.Duration, options ...zipkin.SpanOption) zipkin.Span {
		return tracer.StartSpan(name, append(options, zipkin.StartTime(begin.Add(after)))...)
	}
	client := child("get cart", 20*time.Microsecond, zipkin.Kind(model.Client), zipkin.Parent(root.Context()), zipkin.RemoteEndpoint(there))
	zipkin.TagError.Set(client, "no such cart")
	// The server's half, as it is where it shares the client's id.
	shared := child("get /cart", 30*time.Microsecond, zipkin.Kind(model.Server), zipkin.Parent(client.Context()))
	shared.FinishedWithDuration(400 * time.Microsecond)
	client.FinishedWithDuration(700 * time.Microsecond)
	child("add up", 900*time.Microsecond, zipkin.Parent(root.Context())).FinishedWithDuration(time.Microsecond)
	root.FinishedWithDuration(time.Millisecond)
	return nil
}
