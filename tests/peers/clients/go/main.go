// Sends a small trace by one of Go's tracing libraries, or calls and answers over HTTP with its context in the headers.
//
//	send PROTOCOL ENDPOINT          prints, in one line of JSON, the spans that were sent
//	serve PROTOCOL ENDPOINT ADDRESS PROPAGATOR
//	call PROTOCOL ENDPOINT URL PROPAGATOR
//	grpc-serve ADDRESS
//	grpc-call TARGET                prints, in one line of JSON a step of its standard input, the calls that it made
//
// A caller asks as often as CALLS says, over one connection, and has the cookie COOKIE; both are optional.
//
// PROTOCOL is otlp-grpc, otlp-proto or zipkin for OpenTelemetry, zipkin-go-json or zipkin-go-proto for zipkin-go.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 && args[0] == "grpc-serve" {
		return serveGrpc(args[1])
	}
	if len(args) == 2 && args[0] == "grpc-call" {
		return callGrpc(args[1])
	}
	if len(args) < 3 {
		return fmt.Errorf("usage: send|serve|call PROTOCOL ENDPOINT ..., or grpc-serve|grpc-call ADDRESS")
	}
	what, protocol, endpoint := args[0], args[1], args[2]
	switch {
	case what == "send" && strings.HasPrefix(protocol, "zipkin-go-"):
		return sendByZipkin(protocol, endpoint)
	case what == "send":
		return sendByOpenTelemetry(protocol, endpoint)
	case what == "serve" && len(args) == 5:
		return serve(protocol, endpoint, args[3], args[4])
	case what == "call" && len(args) == 5:
		return call(protocol, endpoint, args[3], args[4])
	}
	return fmt.Errorf("%q is not understood", args)
}

// printLine writes one line of JSON and says whether that worked.
func printLine(value any) error {
	return json.NewEncoder(os.Stdout).Encode(value)
}
