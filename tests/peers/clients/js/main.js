// Sends a small trace by OpenTelemetry for JavaScript, or calls and answers over HTTP with its context in the headers.
//
//   send PROTOCOL ENDPOINT          prints, in one line of JSON, the spans that were sent
//   serve PROTOCOL ENDPOINT ADDRESS PROPAGATOR
//   call PROTOCOL ENDPOINT URL PROPAGATOR
//   grpc-serve ADDRESS
//   grpc-call TARGET                prints, in one line of JSON a step of its standard input, the calls that it made
//
// A caller asks as often as CALLS says, over one connection, and has the cookie COOKIE; both are optional.
// PROTOCOL is otlp-grpc, otlp-proto, otlp-json or zipkin; PROPAGATOR tracecontext, b3 or b3multi.
import { callGrpc, serveGrpc } from './grpc.js';
import { call, serve } from './http.js';
import { openTelemetry } from './telemetry.js';
import { makeTrace } from './trace.js';

const [what, protocol, endpoint, ...rest] = process.argv.slice(2);
const byGrpc = { 'grpc-serve': serveGrpc, 'grpc-call': callGrpc };
const commands = {
  send: async (telemetry) => makeTrace(telemetry.tracer),
  serve: async (telemetry) => serve(telemetry.tracer, ...rest),
  call: async (telemetry) => call(telemetry.tracer, ...rest),
};
if (what in byGrpc) {
  await byGrpc[what](protocol);
} else {
  if (!(what in commands)) throw new Error(`${what}: no such command`);
  const telemetry = openTelemetry(protocol, endpoint);
  await commands[what](telemetry);
  console.log(JSON.stringify(await telemetry.close()));
}
