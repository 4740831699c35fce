// The trace that is sent: kinds, types of attributes, an event, a link, both kinds of status, and letters of others.
import { SpanKind, SpanStatusCode, TraceFlags, context, trace } from '@opentelemetry/api';

export function makeTrace(tracer) {
  const elsewhere = {
    traceId: '01020000000000000000000000000000',
    spanId: '0304000000000000',
    traceFlags: TraceFlags.NONE,
  };
  const root = tracer.startSpan('GET /checkout', {
    kind: SpanKind.SERVER,
    links: [{ context: elsewhere, attributes: { why: 'again' } }],
    attributes: { 'user.name': 'Zoë ✓ 日本', items: 3, ratio: 0.25, member: true, colours: ['red', 'blue'] },
  });
  root.addEvent('cache missed', { tries: 2 });
  const inside = trace.setSpan(context.active(), root);
  const client = tracer.startSpan('GET cart', { kind: SpanKind.CLIENT }, inside);
  client.setStatus({ code: SpanStatusCode.ERROR, message: 'no such cart' });
  client.end();
  const internal = tracer.startSpan('add up', {}, inside);
  internal.setStatus({ code: SpanStatusCode.OK });
  internal.end();
  tracer.startSpan('send order', { kind: SpanKind.PRODUCER }, inside).end();
  root.end();
}
