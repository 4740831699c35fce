// A server of @grpc/grpc-js, and a caller instrumented by OpenTelemetry's own means. Messages are the bytes they are.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { ROOT_CONTEXT, TraceFlags, context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { GrpcInstrumentation } from '@opentelemetry/instrumentation-grpc';
import { TracerProvider } from '@opentelemetry/sdk-trace';

const DEADLINE_MS = 200;
const PAUSE_MS = 1; // between calls that are to be written one by one
const MESSAGES = 3;

const bytes = (value) => value;
const method = (name, streams = false) => ({
  path: `/peers.Calls/${name}`,
  requestStream: streams,
  responseStream: streams,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
});

// Loaded when the instrumentation is there, which changes what `require` gives.
const load = () => createRequire(import.meta.url)('@grpc/grpc-js');

// Holds calls back until as many as each of them names are there, and lets them go, with a pause between if there is one.
function gather(pause) {
  const waiting = [];
  return async (call, answer) => {
    waiting.push(() => answer(null, call.request));
    if (waiting.length < Number(call.request)) return;
    for (const go of waiting.splice(0)) {
      go();
      if (pause) await setTimeout(pause);
    }
  };
}

// Answers until the process is told to stop.
export async function serveGrpc(address) {
  const grpc = load();
  const server = new grpc.Server();
  server.addService(
    {
      ...Object.fromEntries(['Echo', 'Gather', 'Burst', 'Wait'].map((name) => [name, method(name)])),
      Chat: method('Chat', true),
    },
    {
      Echo: (call, answer) => answer(null, call.request),
      Gather: gather(PAUSE_MS),
      Burst: gather(0),
      Wait: () => {},
      Chat: (call) => {
        call.on('data', (message) => call.write(message));
        call.on('end', () => call.end());
      },
    },
  );
  await new Promise((resolve, reject) => {
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve()));
  });
  console.log('serving');
  await once(process, 'SIGTERM');
  server.forceShutdown();
}

class EndedSpans {
  constructor() {
    this.calls = [];
  }

  onStart() {}

  onEnd(span) {
    this.calls.push({ trace_id: span.spanContext().traceId, span_id: span.spanContext().spanId });
  }

  take() {
    return this.calls.splice(0);
  }

  async forceFlush() {}

  async shutdown() {}
}

// Makes calls over one connection.
class Caller {
  constructor(grpc, target) {
    this.grpc = grpc;
    this.target = target;
    this.hanging = [];
    this.connect();
  }

  connect() {
    // Or clients of one process would share a connection, and keep it.
    const options = { 'grpc.use_local_subchannel_pool': 1 };
    this.client = new this.grpc.Client(this.target, this.grpc.credentials.createInsecure(), options);
  }

  // Begins a call; returns it, and what comes when it has ended as it should.
  begin(name, message, options = {}, code = this.grpc.status.OK) {
    let call;
    const end = new Promise((resolve, reject) => {
      const { path } = method(name);
      call = this.client.makeUnaryRequest(
        path, bytes, bytes, Buffer.from(message), new this.grpc.Metadata(), options,
        (error, answer) => {
          const found = error?.code ?? this.grpc.status.OK;
          if (found !== code) reject(error ?? new Error(`${name} ended with ${found}`));
          else if (!error && answer.toString() !== message) reject(new Error(`${name} answered ${answer}`));
          else resolve();
        },
      );
    });
    return { call, end };
  }

  ask(name, message) {
    return this.begin(name, message).end;
  }

  // Sends messages, each when the one before was answered.
  async chat() {
    const { path } = method('Chat');
    const stream = this.client.makeBidiStreamRequest(path, bytes, bytes, new this.grpc.Metadata(), {});
    for (let left = MESSAGES; left > 0; left -= 1) {
      stream.write(Buffer.from('hello'));
      await once(stream, 'data');
    }
    stream.end();
    stream.resume();
    const [status] = await once(stream, 'status');
    if (status.code !== this.grpc.status.OK) throw new Error(`Chat ended with ${status.code}`);
  }
}

const steps = {
  unary: (caller, number) => inTurn(number, () => caller.ask('Echo', 'hello')),
  stream: (caller, number) => inTurn(number, () => caller.chat()),
  concurrent: async (caller, number) => {
    const calls = [];
    await inTurn(number, async () => {
      calls.push(caller.ask('Gather', String(number)));
      await setTimeout(PAUSE_MS);
    });
    await Promise.all(calls);
  },
  burst: async (caller, number) => {
    await Promise.all(Array.from({ length: number }, () => caller.ask('Burst', String(number))));
  },
  unsampled: async (caller, number) => {
    const calls = [];
    await inTurn(number, () => {
      const parent = { traceId: randomBytes(16).toString('hex'), spanId: randomBytes(8).toString('hex') };
      calls.push({ trace_id: parent.traceId, span_id: '' });
      const inside = trace.setSpanContext(ROOT_CONTEXT, { ...parent, traceFlags: TraceFlags.NONE, isRemote: true });
      return context.with(inside, () => caller.ask('Echo', 'hello'));
    });
    return calls;
  },
  deadline: (caller, number) =>
    inTurn(number, () => {
      const options = { deadline: Date.now() + DEADLINE_MS };
      return caller.begin('Wait', '', options, caller.grpc.status.DEADLINE_EXCEEDED).end;
    }),
  hang: async (caller, number) => {
    const { CANCELLED } = caller.grpc.status;
    caller.hanging = Array.from({ length: number }, () => caller.begin('Wait', '', {}, CANCELLED));
  },
  cancel: async (caller) => {
    for (const { call } of caller.hanging) call.cancel();
    await Promise.all(caller.hanging.splice(0).map(({ end }) => end));
  },
  reconnect: async (caller) => {
    caller.client.close();
    caller.connect();
  },
};

async function inTurn(number, call) {
  for (let left = number; left > 0; left -= 1) await call();
}

// Makes the calls that its standard input tells, a step each line, and prints those of each step.
export async function callGrpc(target) {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  const ended = new EndedSpans();
  const instrumentation = new GrpcInstrumentation();
  instrumentation.setTracerProvider(new TracerProvider({ spanProcessors: [ended] }));
  const caller = new Caller(load(), target);
  for await (const line of createInterface({ input: process.stdin })) {
    const [step, number] = line.split(' ');
    if (!(step in steps)) throw new Error(`${line}: no such step`);
    const calls = (await steps[step](caller, Number(number))) ?? [];
    console.log(JSON.stringify({ step: line, calls: [...calls, ...ended.take()] }));
  }
  caller.client.close();
}
