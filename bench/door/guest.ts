// The guest of the bench: what the agent and a program in a machine would be. Each load runs through the door, or, to
// compare, straight to the same origin.

import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect, createConnection, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls, createSecureContext } from 'node:tls';
import { pourPattern, takePattern } from '../../test/egress/pattern.ts';
import {
  ANSWER,
  CHUNK,
  type GuestConfig,
  HTTPS_NAME,
  type Latency,
  type Load,
  TCP_NAME,
  TCP_PORT,
} from './words.ts';

const HEAD = `Host: ${HTTPS_NAME}\r\nAccept: */*\r\nUser-Agent: bench\r\n\r\n`;
const SMALL = `GET /v1/things/1 HTTP/1.1\r\n${HEAD}`;
const WINDOW_BYTES = 1_024 ** 2;
const CONNECTION_WINDOW_BYTES = 16 * 1_024 ** 2;
const HELD_BYTES = 100_000_000;
/** More than any window. */
const UNTAKEN_BYTES = 1_024 ** 2;
const held: Duplex[] = [];

process.once('message', async (config: GuestConfig) => {
  const guest = new Guest(config);
  process.on('message', (load: Load) => {
    void guest.run(load).then((answer) => process.send!({ answer }));
  });
  process.send!({ ready: true });
});
process.once('disconnect', () => process.exit(0));

class Guest {
  readonly #config: GuestConfig;
  readonly #session: ClientHttp2Session;
  readonly #inner: ReturnType<typeof createSecureContext>;
  readonly #outer: ReturnType<typeof createSecureContext>;

  constructor(config: GuestConfig) {
    this.#config = config;
    this.#session = connectHttp2('http://door', {
      createConnection: () => readingAlways(createConnection(config.socket)),
      // As the agent has them.
      settings: { initialWindowSize: WINDOW_BYTES },
    });
    this.#session.on('error', () => {});
    this.#session.on('connect', () => this.#session.setLocalWindowSize(CONNECTION_WINDOW_BYTES));
    this.#inner = createSecureContext({ ca: config.caPem });
    this.#outer = createSecureContext({ ca: config.originCertificatePem });
  }

  async run(load: Load): Promise<unknown> {
    switch (load.type) {
      case 'requests':
        return this.#requests(load.connections, load.seconds);
      case 'latency':
        return this.#latency(load.requests);
      case 'connect':
        return this.#connects(load.connections);
      case 'bulk':
        return this.#bulk(load);
      case 'exact':
        return this.#exact(load.bytes);
      case 'hold':
        return this.#hold(load);
      case 'release':
        for (const each of held.splice(0)) each.destroy();
        return null;
    }
  }

  async #requests(connections: number, seconds: number): Promise<number> {
    const sockets = await Promise.all(Array.from({ length: connections }, () => this.#https(false)));
    const endMs = performance.now() + seconds * 1_000;
    let count = 0;
    const startedMs = performance.now();
    await Promise.all(
      sockets.map(async (socket) => {
        while (performance.now() < endMs) {
          await ask(socket, SMALL, ANSWER.length);
          count += 1;
        }
        socket.destroy();
      }),
    );
    return (count * 1_000) / (performance.now() - startedMs);
  }

  async #latency(requests: number): Promise<Latency> {
    const [through, around] = await Promise.all([this.#https(false), this.#https(true)]);
    const times = { through: [] as number[], around: [] as number[] };
    for (let nr = 0; nr < requests; nr++)
      for (const [which, socket] of [
        ['through', through],
        ['around', around],
      ] as const) {
        const startedMs = performance.now();
        await ask(socket, SMALL, ANSWER.length);
        times[which].push(performance.now() - startedMs);
      }
    through.destroy();
    around.destroy();
    return { throughMs: median(times.through), aroundMs: median(times.around) };
  }

  async #connects(connections: number): Promise<Latency> {
    const times = { through: [] as number[], around: [] as number[] };
    for (let nr = 0; nr < connections; nr++)
      for (const which of ['through', 'around'] as const) {
        const startedMs = performance.now();
        const socket = await this.#https(which === 'around');
        await ask(socket, SMALL, ANSWER.length);
        times[which].push(performance.now() - startedMs);
        socket.destroy();
      }
    return { throughMs: median(times.through), aroundMs: median(times.around) };
  }

  async #bulk({ bytes, over, around }: Extract<Load, { type: 'bulk' }>): Promise<number> {
    const stream = over === 'https' ? await this.#https(around) : await this.#tcp(around);
    const head = `GET /bulk/${bytes} HTTP/1.1\r\n${HEAD}`;
    const startedMs = performance.now();
    await ask(stream, head, bytes);
    const seconds = (performance.now() - startedMs) / 1_000;
    stream.destroy();
    return (bytes * 8) / 1e6 / seconds;
  }

  async #exact(bytes: number): Promise<number> {
    const stream = await this.#tcp(false);
    stream.write(`EXACT ${bytes}\n`);
    const startedMs = performance.now();
    const [, rest] = await Promise.all([pourPattern(stream, bytes), takePattern(stream, bytes)]);
    const seconds = (performance.now() - startedMs) / 1_000;
    // The origin tells what it found.
    if (rest.length === 0) stream.resume();
    const [verdict] = rest.length > 0 ? [rest] : await once(stream, 'data');
    if (String(verdict) !== 'same\n') throw new Error(`the origin got other bytes: ${verdict}`);
    stream.destroy();
    return (2 * bytes * 8) / 1e6 / seconds;
  }

  async #hold({ flows, over, how }: Extract<Load, { type: 'hold' }>): Promise<number> {
    let served = 0;
    for (let nr = 0; nr < flows; nr++) {
      const opened = over === 'https' ? this.#https(false) : this.#tcp(false);
      const begun = opened.then(async (stream) => {
        stream.on('error', () => {});
        held.push(stream);
        served += 1;
        if (how === 'answered') return void (await ask(stream, SMALL, ANSWER.length));
        stream.pause();
        if (how === 'unread') return void stream.write(`GET /bulk/${HELD_BYTES} HTTP/1.1\r\n${HEAD}`);
        const head = `POST /untaken HTTP/1.1\r\nContent-Length: ${HELD_BYTES}\r\n${HEAD}`;
        stream.write(head);
        for (let sent = 0; sent < UNTAKEN_BYTES; sent += CHUNK.length) stream.write(CHUNK);
      });
      // Those beyond the places are served when there is one.
      await Promise.race([begun.catch(() => {}), new Promise((resolve) => setTimeout(resolve, 20))]);
    }
    return served;
  }

  async #https(around: boolean): Promise<Duplex> {
    const socket = connectTls({
      socket: around ? connect(this.#config.origin.tls, '127.0.0.1') : await this.#open(HTTPS_NAME, 443),
      servername: HTTPS_NAME,
      secureContext: around ? this.#outer : this.#inner,
      ALPNProtocols: ['http/1.1'],
    });
    socket.on('error', () => {});
    await once(socket, 'secureConnect');
    return socket;
  }

  async #tcp(around: boolean): Promise<Duplex> {
    return around ? connect(this.#config.origin.plain, '127.0.0.1') : this.#open(TCP_NAME, TCP_PORT);
  }

  /** By name, as from the guest's proxy. */
  async #open(name: string, port: number): Promise<Duplex> {
    const stream = this.#session.request({ ':method': 'CONNECT', ':authority': `${name}:${port}` });
    stream.on('error', () => {});
    const [headers] = await once(stream, 'response');
    if (headers[':status'] !== 200) throw new Error(`refused: ${headers[':status']}`);
    return stream;
  }
}

/**
 * Node stops reading a connection of HTTP/2 while a write of it waits. The agent never does, or both ends could wait for
 * each other: so writes count as done at once here. What may be under way is bounded by the door's windows.
 */
function readingAlways(socket: Socket): Duplex {
  const stream = new Duplex({
    read: () => void socket.resume(),
    write(chunk: Buffer, _, done) {
      socket.write(chunk);
      done();
    },
    final: (done) => void socket.end(done),
    destroy(error, done) {
      socket.destroy();
      done(error);
    },
  });
  socket.on('data', (chunk: Buffer) => {
    if (!stream.push(chunk)) socket.pause();
  });
  socket.on('error', (error) => stream.destroy(error));
  socket.on('close', () => stream.destroy());
  return stream;
}

/** Resolves once so many bytes have come. */
function ask(stream: Duplex, text: string, bytes: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let got = 0;
  const onData = (chunk: Buffer) => {
    got += chunk.length;
    if (got < bytes) return;
    stream.off('data', onData);
    stream.off('close', onClose);
    resolve();
  };
  const onClose = () => reject(new Error(`closed after ${got} bytes`));
  stream.on('data', onData);
  stream.once('close', onClose);
  stream.write(text);
  return promise;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
