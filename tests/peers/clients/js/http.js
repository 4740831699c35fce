// A server and a client of node:http whose spans continue in each other by the context in the headers.
import { once } from 'node:events';
import http from 'node:http';
import {
  ROOT_CONTEXT,
  SpanKind,
  defaultTextMapGetter,
  defaultTextMapSetter,
  trace,
} from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { B3InjectEncoding, B3Propagator } from '@opentelemetry/propagator-b3';

const propagators = {
  tracecontext: () => new W3CTraceContextPropagator(),
  b3: () => new B3Propagator(),
  b3multi: () => new B3Propagator({ injectEncoding: B3InjectEncoding.MULTI_HEADER }),
};

// Answers until the process is told to stop.
export async function serve(tracer, address, propagator) {
  const propagation = propagators[propagator]();
  const server = http.createServer((request, response) => {
    const caller = propagation.extract(ROOT_CONTEXT, request.headers, defaultTextMapGetter);
    const span = tracer.startSpan(`GET ${request.url}`, { kind: SpanKind.SERVER }, caller);
    response.end('answered');
    span.end();
  });
  const [host, port] = address.split(':');
  server.listen(Number(port), host);
  await once(server, 'listening');
  console.log('serving');
  await once(process, 'SIGTERM');
  server.close();
  server.closeAllConnections();
}

// Asks as often as it is told, and lets the client's span last until the answer is there.
export async function call(tracer, url, propagator) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  for (let left = Number(process.env.CALLS ?? 1); left > 0; left -= 1) {
    await ask(tracer, url, propagators[propagator](), agent);
  }
  agent.destroy();
}

async function ask(tracer, url, propagation, agent) {
  const span = tracer.startSpan('GET', { kind: SpanKind.CLIENT });
  const headers = { cookie: process.env.COOKIE ?? 'session=1', 'user-agent': 'node' };
  propagation.inject(trace.setSpan(ROOT_CONTEXT, span), headers, defaultTextMapSetter);
  const request = http.get(url, { headers, agent });
  const [response] = await once(request, 'response');
  let text = '';
  for await (const part of response) text += part;
  span.end();
  if (text !== 'answered') throw new Error(`${url} answered ${response.statusCode} ${text}`);
}
