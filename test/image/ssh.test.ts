// SSH agents of a build: what a step's programs may ask of one, and what becomes of the rest. The programs and the agent
// are OpenSSH's; only where something has to fail is a test's own in their place.

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { buildWish } from '../../src/cli/build-flags.ts';
import type { Mount } from '../../src/environment/dockerfile/index.ts';
import { FAILURE, isPassedOn } from '../../src/image/build/ssh/judge-request.ts';
import { frame, MESSAGE_MAX_BYTES, MessageReader, messagesOf } from '../../src/image/build/ssh/messages.ts';
import { planSockets } from '../../src/image/build/ssh/plan-sockets.ts';
import { relay } from '../../src/image/build/ssh/relay.ts';
import { CONNECTIONS_MAX, ServedAgents, type SocketConnection } from '../../src/image/build/ssh/serve.ts';
import { collectGarbage, cpuMs } from '../measure.ts';
import { until } from '../vm/harness.ts';
import { noOpenSsh, startSshAgent } from './ssh-agent.ts';
import { bindRequest, signRequest, words } from './ssh-requests.ts';

const LIST = Buffer.from([11]);
const folder = mkdtempSync(join(tmpdir(), 'warren-ssh-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));

describe('a request to an SSH agent', () => {
  const sign = signRequest('key', 'data');
  const bind = bindRequest('session-bind@openssh.com');

  it('is passed on when it lists, signs or binds, and is whole', () => {
    for (const request of [LIST, sign, bind]) assert.equal(isPassedOn(request), true);
    for (const request of [LIST, sign, bind]) {
      assert.equal(isPassedOn(Buffer.concat([request, Buffer.from([0])])), false);
      for (let length = 0; length < request.length; length++)
        assert.equal(isPassedOn(request.subarray(0, length)), false, `${length} bytes of ${request[0]}`);
    }
    const long = Buffer.from(sign);
    long.writeUInt32BE(0xffff_ffff, 1);
    assert.equal(isPassedOn(long), false);
  });

  it('is not when it does anything else', () => {
    const others = Array.from({ length: 256 }, (_, type) => type).filter(
      (type) => ![11, 13, 27].includes(type),
    );
    for (const type of others)
      for (const rest of [LIST, sign, bind])
        assert.equal(isPassedOn(Buffer.concat([Buffer.from([type]), rest.subarray(1)])), false, `${type}`);
    for (const name of ['query', 'session-bind@openssh.com\0', 'restrict-destination-v00@openssh.com', ''])
      assert.equal(isPassedOn(bindRequest(name)), false, name);
  });

  it('comes in frames, however they are cut; what is none ends it', () => {
    const bytes = Buffer.concat([frame(LIST), frame(sign), frame(bind).subarray(0, 9)]);
    for (const each of [1, 2, 3, 7, bytes.length]) {
      const reader = new MessageReader();
      const found: string[] = [];
      for (let at = 0; at < bytes.length; at += each)
        for (const message of reader.push(bytes.subarray(at, at + each))) found.push(message.toString('hex'));
      assert.deepEqual(found, [LIST.toString('hex'), sign.toString('hex')]);
    }
    const largest = Buffer.alloc(MESSAGE_MAX_BYTES, 1);
    assert.equal([...new MessageReader().push(frame(largest))].length, 1);
    const sizes = [0, MESSAGE_MAX_BYTES + 1, 0xffff_ffff];
    for (const length of sizes) {
      const head = Buffer.alloc(4);
      head.writeUInt32BE(length);
      assert.throws(() => [...new MessageReader().push(head)], /a message of \d+ bytes/);
    }
  });

  it('that comes byte by byte takes no more memory than it says', () => {
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    const readers = Array.from({ length: 8 }, () => new MessageReader());
    for (const reader of readers)
      for (const byte of frame(Buffer.alloc(MESSAGE_MAX_BYTES)).subarray(0, -1))
        assert.deepEqual(reader.push(Buffer.from([byte])).next().done, true);
    collectGarbage();
    const grown = process.memoryUsage().heapUsed - before;
    assert.ok(grown < 16 * 1024 ** 2, `${grown} bytes for ${readers.length} messages`);
  });

  it('of many bytes that come one by one takes no time', () => {
    const reader = new MessageReader();
    const bytes = frame(Buffer.alloc(MESSAGE_MAX_BYTES, 1));
    const before = cpuMs();
    let found = 0;
    for (let at = 0; at < bytes.length; at++)
      for (const _ of reader.push(bytes.subarray(at, at + 1))) found++;
    assert.equal(found, 1);
    assert.ok(cpuMs() - before < 2000);
  });
});

describe('the sockets of a step', () => {
  const mount = (more: Partial<Extract<Mount, { kind: 'ssh' }>> = {}): Mount => ({
    ...{ kind: 'ssh', id: 'default', target: null, required: false, uid: 0, gid: 0, mode: 0o600 },
    ...more,
  });
  const ssh = new Map([
    ['default', '/run/a'],
    ['work', '/run/b'],
  ]);

  it('stand where BuildKit puts them, with the first one in the environment', () => {
    const { sockets, agents, env } = planSockets(
      {
        mounts: [mount({ id: 'other' }), mount({ id: 'work', uid: 7, mode: 0o660 }), mount({ target: '/s' })],
        env: [],
      },
      ssh,
    );
    assert.deepEqual(sockets, [
      { target: '/run/buildkit/ssh_agent.1', uid: 7, gid: 0, mode: 0o660 },
      { target: '/s', uid: 0, gid: 0, mode: 0o600 },
    ]);
    assert.deepEqual(agents, [
      { id: 'work', path: '/run/b' },
      { id: 'default', path: '/run/a' },
    ]);
    assert.deepEqual(env, { SSH_AUTH_SOCK: '/run/buildkit/ssh_agent.0' });
    const own = planSockets({ mounts: [mount()], env: [['SSH_AUTH_SOCK', '/own']] }, ssh);
    assert.deepEqual(own.env, {});
    assert.deepEqual(planSockets({ mounts: [], env: [] }, ssh), { sockets: [], agents: [], env: {} });
  });

  it('that are required and nobody’s are an error with the flag', () => {
    assert.throws(() => planSockets({ mounts: [mount({ id: 'deploy', required: true })], env: [] }, ssh), {
      code: 'build.no-ssh',
      message: 'the step needs the SSH agent "deploy"',
      remedy: /^--ssh deploy .*--ssh deploy=SOCKET/,
    });
  });
});

describe('--ssh', () => {
  const found = process.env['SSH_AUTH_SOCK'];
  after(() => {
    if (found === undefined) delete process.env['SSH_AUTH_SOCK'];
    else process.env['SSH_AUTH_SOCK'] = found;
  });

  it('names agents by id; one without a socket is that of SSH_AUTH_SOCK', async (t) => {
    const path = join(folder, 'listens');
    const server = createServer().listen(path);
    await once(server, 'listening');
    t.after(() => server.close());
    process.env['SSH_AUTH_SOCK'] = path;
    const near = relative(process.cwd(), path);
    assert.deepEqual(buildWish({ ssh: ['default', `work=${near}`] })?.ssh, { default: path, work: path });
    assert.equal(buildWish({ ssh: [] }), null);
    assert.throws(() => buildWish({ ssh: ['a', 'a'] }), { code: 'usage.build', message: /another "a"/ });
  });

  it('that cannot be is an error with the way out', () => {
    const key = join(folder, 'id_ed25519');
    writeFileSync(key, 'private');
    delete process.env['SSH_AUTH_SOCK'];
    for (const [ssh, message, remedy] of [
      [['default'], /SSH_AUTH_SOCK is not set/, /ssh-agent.*ssh-add.*--ssh default=SOCKET/],
      [
        [`x=${key}`],
        /no socket of an SSH agent, and keys themselves are not passed on/,
        /ssh-add .*id_ed25519, then --ssh x$/,
      ],
      [[`x=${folder}/none`], /ENOENT/, /ssh-agent/],
      [['=x'], /no id/, /--ssh default/],
    ] as const)
      assert.throws(() => buildWish({ ssh: [...ssh] }), { code: 'usage.build', message, remedy });
  });
});

/** A socket as a machine has it: programs that connect are handed to `accept`. Sockets of agents are by number 0. */
async function serve(t: TestContext, path: string) {
  const arrived: SocketConnection[] = [];
  const waiting: ((connection: SocketConnection) => void)[] = [];
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {}).once('close', () => open.delete(socket));
    const from = new PassThrough();
    socket.pipe(from);
    from.once('close', () => socket.destroy());
    const connection = { number: 0, from, to: socket };
    const next = waiting.shift();
    if (next) next(connection);
    else arrived.push(connection);
  });
  const socket = join(folder, `step-${Math.random().toString(36).slice(2)}`);
  server.listen(socket);
  await once(server, 'listening');
  const told: string[] = [];
  const served = new ServedAgents();
  served.begin({
    agents: [{ id: 'default', path }],
    accept: async (signal) => {
      const ready = arrived.shift();
      if (ready) return ready;
      return await new Promise((resolve, reject) => {
        waiting.push(resolve);
        signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
      });
    },
    tell: (line) => told.push(line),
  });
  t.after(async () => {
    await served.end();
    server.close();
    for (const each of open) each.destroy();
  });
  return { socket, served, told, arrived, open };
}

describe('an SSH agent behind a step', { skip: noOpenSsh }, () => {
  const run = promisify(execFile);

  it('lists and signs for OpenSSH’s programs, and nothing in it changes', async (t) => {
    const agent = await startSshAgent();
    t.after(agent.stop);
    const { socket, served, told } = await serve(t, agent.socket);
    const env = { PATH: process.env['PATH'], SSH_AUTH_SOCK: socket };
    assert.equal((await run('ssh-add', ['-l'], { env })).stdout, agent.keys());
    const file = join(folder, 'text');
    writeFileSync(file, 'what is signed');
    const key = join(folder, 'key.pub');
    writeFileSync(key, agent.publicKey);
    for (const _ of [1, 2]) {
      rmSync(`${file}.sig`, { force: true });
      await run('ssh-keygen', ['-Y', 'sign', '-n', 'test', '-f', key, file], { env });
    }
    const allowed = join(folder, 'allowed');
    writeFileSync(allowed, `ann ${agent.publicKey}`);
    const check = ['-Y', 'verify', '-n', 'test', '-f', allowed, '-I', 'ann', '-s', `${file}.sig`];
    assert.match(execFileSync('ssh-keygen', check, { input: 'what is signed', encoding: 'utf8' }), /Good/);
    const other = join(folder, 'other');
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', other]);
    const before = agent.keys();
    for (const args of [['-D'], ['-d', key], [other], ['-e', '/lib/x.so']])
      await assert.rejects(run('ssh-add', args, { env }), /refused|failed|Failed|not remove/, args.join(' '));
    // It asks for a password twice, which there is nobody to type: the request is made by hand.
    assert.deepEqual(await ask(socket, Buffer.concat([Buffer.from([22]), words('password')])), [FAILURE]);
    assert.equal(agent.keys(), before);
    await served.end();
    assert.deepEqual(told, [`signed with ${agent.fingerprint} of the SSH agent "default": 2 times`]);
    await assert.rejects(run('ssh-add', ['-l'], { env, timeout: 500 }));
  });

  it('is reached by so many at once, and the next one when one of them ends', async (t) => {
    const agent = await startSshAgent();
    t.after(agent.stop);
    const { socket, served, arrived, open } = await serve(t, agent.socket);
    const programs = await Promise.all(
      Array.from({ length: CONNECTIONS_MAX + 1 }, async () => {
        const program = connect(socket);
        await once(program, 'connect');
        program.on('error', () => {});
        return program;
      }),
    );
    t.after(() => {
      for (const program of programs) program.destroy();
    });
    const answers = programs.map((program) => messagesOf(program));
    for (const program of programs) program.write(frame(LIST));
    const first = answers.map((each) => each.next());
    const [last] = first.splice(-1);
    for (const { value } of await Promise.all(first)) assert.equal(value![0], 12);
    assert.equal(arrived.length, 1);
    programs[0]!.destroy();
    assert.equal((await last!).value![0], 12);
    // The end of the step ends all.
    await served.end();
    await until('all are ended', () => open.size === 0);
  });

  it('that is gone is told, once, and the program’s connection ends', async (t) => {
    const path = join(folder, 'nobody');
    const { socket, told } = await serve(t, path);
    assert.deepEqual(await ask(socket, LIST), []);
    assert.deepEqual(await ask(socket, LIST), []);
    assert.deepEqual(told, [`the SSH agent at ${path} fails: connect ENOENT ${path}`]);
  });
});

/** All answers until the other side ends. */
async function ask(socket: string, ...requests: Buffer[]): Promise<Buffer[]> {
  const program = connect(socket);
  program.write(Buffer.concat(requests.map(frame)));
  const found: Buffer[] = [];
  for await (const answer of messagesOf(program)) {
    found.push(Buffer.from(answer));
    if (found.length === requests.length) break;
  }
  return found;
}

describe('one connection', () => {
  /** An agent of the test's: it answers what it is told to. */
  async function agentThat(t: TestContext, onRequest: (socket: Socket, request: Buffer) => void) {
    const path = join(folder, `agent-${Math.random().toString(36).slice(2)}`);
    const asked: Buffer[] = [];
    const open = new Set<Socket>();
    const server = createServer(async (socket) => {
      open.add(socket);
      socket.on('error', () => {}).once('close', () => open.delete(socket));
      try {
        for await (const request of messagesOf(socket)) {
          asked.push(Buffer.from(request));
          onRequest(socket, request);
        }
      } catch {}
    });
    server.listen(path);
    await once(server, 'listening');
    t.after(() => {
      server.close();
      for (const socket of open) socket.destroy();
    });
    return { path, asked, open };
  }

  const begin = (path: string, more: { signal?: AbortSignal; answerTimeoutMs?: number } = {}) => {
    const from = new PassThrough();
    const to = new PassThrough();
    const { signal = new AbortController().signal } = more;
    const done = relay({ from, to, path, onSigned: () => {}, ...more, signal });
    done.catch(() => {});
    return { from, to, done };
  };

  it('asks one after the other, and what is refused asks nobody', async (t) => {
    const { path, asked, open } = await agentThat(t, (socket, request) => {
      assert.equal(asked.length, 1 + answered);
      setImmediate(() => {
        answered++;
        socket.write(frame(Buffer.concat([Buffer.from([12]), request])));
      });
    });
    let answered = 0;
    const { from, to, done } = begin(path);
    from.write(Buffer.concat([frame(Buffer.from([19])), frame(Buffer.from([25]))]));
    const answers = messagesOf(to);
    assert.deepEqual((await answers.next()).value, FAILURE);
    assert.deepEqual((await answers.next()).value, FAILURE);
    assert.equal(open.size, 0);
    from.write(Buffer.concat([LIST, signRequest('a', 'b'), Buffer.from([18]), LIST].map(frame)));
    const types: number[] = [];
    for (let nr = 0; nr < 4; nr++) types.push((await answers.next()).value![0]!);
    assert.deepEqual(types, [12, 12, 5, 12]);
    assert.deepEqual(
      asked.map((request) => request[0]),
      [11, 13, 11],
    );
    from.end();
    await done;
    await until('its connection is closed', () => open.size === 0);
  });

  it('ends with garbage of either side', async (t) => {
    const { path, asked } = await agentThat(t, (socket) => socket.write(Buffer.alloc(4, 255)));
    const broken = begin(path);
    broken.from.write(Buffer.alloc(8));
    await assert.rejects(broken.done, /a message of 0 bytes/);
    assert.equal(asked.length, 0);
    assert.equal(broken.to.destroyed && broken.from.destroyed, true);
    const misled = begin(path);
    misled.from.write(frame(LIST));
    await assert.rejects(misled.done, /the SSH agent at .* fails: a message of 4294967295 bytes/);
    assert.equal(misled.to.destroyed, true);
  });

  it('ends when no answer comes in time, when the program goes meanwhile, and with the step', async (t) => {
    // An agent of its own: its time may be over before the question is on its way.
    const late = begin((await agentThat(t, () => {})).path, { answerTimeoutMs: 50 });
    late.from.write(frame(LIST));
    await assert.rejects(late.done, /fails: no answer within 0\.05 s/);
    const { path, open, asked } = await agentThat(t, () => {});
    const gone = begin(path);
    gone.from.write(frame(LIST));
    await until('it is asked', () => asked.length === 1);
    gone.from.end();
    await gone.done;
    await until('nobody is asked any more', () => open.size === 0);
    const step = new AbortController();
    const cut = begin(path, { signal: step.signal });
    cut.from.write(frame(LIST));
    await until('it is asked', () => asked.length === 2);
    step.abort();
    await assert.rejects(cut.done);
    await until('nobody is asked any more', () => open.size === 0);
    assert.equal((await buffer(late.to).catch(() => Buffer.alloc(0))).length, 0);
  });
});
