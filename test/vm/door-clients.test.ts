// Programs in a machine, as they are installed there, reach what a rule allows; what none allows is told to them in
// words that a person or an agent can read, and written down.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { originCa, rawOrigin, tlsOrigin } from '../egress/fake-guest.ts';
import { type BothWays, bothWaysIn, words } from './door-both-ways.ts';
import {
  allow,
  atEnd,
  audited,
  auditOf,
  DENIED,
  grpcOrigin,
  openDoorWarren,
  origin,
  web,
} from './door-origins.ts';
import {
  GO_CLIENT,
  H2_CLIENT,
  NODE_FETCH,
  PYTHON_TCP,
  PYTHON_URLLIB,
  SSE_CLIENT,
  TLS_ISSUER,
  WS_CLIENT,
} from './door-programs.ts';

const warren = openDoorWarren();
const NAME = 'clients';
let https = 0;
let http = 0;
let h2 = 0;
let tcp = 0;
let pass = 0;
let service = 0;

before(async () => {
  const [secure, plain, hostService] = await Promise.all([
    origin(web().listener, { upgrade: true }),
    origin(web().listener, { secure: false }),
    origin(web().listener, { secure: false }),
  ]);
  const greeting = await rawOrigin((socket) => {
    socket.write('220 ready\r\n');
    socket.once('data', (chunk) => socket.end(`you said ${chunk}`));
  });
  const passed = await tlsOrigin((socket) => socket.end('from behind its own TLS\n'));
  const grpc = await grpcOrigin();
  for (const { close } of [greeting, passed]) atEnd(close);
  [https, http, h2, tcp, pass, service] = [
    secure.port,
    plain.port,
    grpc,
    greeting.port,
    passed.port,
    hostService.port,
  ];
  bothWays = bothWaysIn(warren, { name: NAME, https, http, asked: [secure.asked, plain.asked] });
  const here = { allowPrivate: true };
  allow(
    warren,
    { host: 'web.warren.test', ports: [https], ...here },
    { host: 'web.warren.test', ports: [http], protocol: 'http', ...here },
    { host: 'h2.warren.test', ports: [h2], ...here },
    { host: 'tcp.warren.test', ports: [tcp], protocol: 'tcp', ...here },
    { host: 'pass.warren.test', ports: [pass], protocol: 'tls-passthrough', ...here },
    { hostService: service, protocol: 'http' },
  );
  const repository = warren.repository(NAME, {
    'fetch.mjs': NODE_FETCH,
    'get.py': PYTHON_URLLIB,
    'tcp.py': PYTHON_TCP,
    'h2.mjs': H2_CLIENT,
    'ws.mjs': WS_CLIENT,
    'sse.mjs': SSE_CLIENT,
    'issuer.mjs': TLS_ISSUER,
    'origins.pem': originCa.certificatePem,
  });
  await warren.ok(['up', '--detach'], { cwd: repository });
});

const guest = async (line: string) => await warren.run(['exec', NAME, '--', 'sh', '-c', line]);

const WORDS = words(NAME);
let bothWays: BothWays;

describe('a program in a machine', { timeout: 900_000 }, () => {
  it('curl over http', () =>
    bothWays(
      (url) => `curl -sS --max-time 60 ${url}`,
      false,
      /policy allow clients denied\.warren\.test:\d+ --http\n/,
    ));
  it('curl over https, HTTP/2 to the door', () =>
    bothWays((url) => `curl -sS --max-time 60 ${url}`, true, WORDS));
  it('curl -f tells the status', () =>
    bothWays((url) => `curl -fsS --http1.1 --max-time 60 ${url}`, true, /returned error: 403/));
  it('curl that would rather have QUIC falls back at once', () =>
    bothWays((url) => `curl -sS --http3 --max-time 60 ${url}`, true, WORDS));
  it('Node’s fetch', () => bothWays((url) => `node fetch.mjs ${url}`, true, WORDS));
  it('Python’s urllib', () => bothWays((url) => `python3 get.py ${url}`, true, WORDS));
  it('a program in Go', async (t) => {
    if (spawnSync('go', ['version']).status !== 0) return t.skip('go is not installed on this computer');
    const folder = join(warren.home, 'go-client');
    mkdirSync(folder);
    writeFileSync(join(folder, 'main.go'), GO_CLIENT);
    const env = { ...process.env, CGO_ENABLED: '0', GO111MODULE: 'off', GOTOOLCHAIN: 'local', GOFLAGS: '' };
    execFileSync('go', ['build', '-o', 'client', 'main.go'], { cwd: folder, env });
    await warren.ok(['cp', join(folder, 'client'), `${NAME}:/tmp/go-client`]);
    await bothWays((url) => `/tmp/go-client ${url}`, true, WORDS);
  });

  it('curl by the guest’s proxy, as SOCKS5 and by CONNECT', async () => {
    for (const proxy of ['socks5h', 'http'])
      await bothWays((url) => `curl -sS --max-time 60 -x ${proxy}://127.0.0.1:3128 ${url}`, true, WORDS);
  });

  it('a service of this computer, by its own name and port', async () => {
    const good = await guest(`curl -sS http://host.warren.internal:${service}/`);
    assert.equal(good.stdout, 'hello from host.warren.internal\n');
    const bad = await guest(`curl -sS http://host.warren.internal:${http}/`);
    assert.ok(bad.stdout.includes(`policy allow clients --host-service ${http}\n`), bad.stdout);
  });

  it('HTTP/2 with trailers, as gRPC has them', async () => {
    const good = await guest(`node h2.mjs https://h2.warren.test:${h2} /pkg.Service/Method`);
    assert.deepEqual(JSON.parse(good.stdout || good.stderr), {
      status: 200,
      body: 'request message',
      trailers: { 'grpc-status': '0', 'grpc-message': 'fine' },
    });
    const bad = await guest(`node h2.mjs https://${DENIED}:${h2} /pkg.Service/Method`);
    const answer = JSON.parse(bad.stdout || bad.stderr) as { status: number; grpc: string };
    assert.equal(answer.status, 200);
    assert.match(decodeURI(answer.grpc), /^7 Warren: .*no rule allows it\nto allow it: /);
    await audited(
      warren,
      NAME,
      ({ host, port, decision }) => host === DENIED && port === h2 && decision === 'deny',
    );
  });

  it('a WebSocket', async () => {
    const good = await guest(`node ws.mjs https://web.warren.test:${https}/socket`);
    assert.equal(good.stdout, '101 hello\n', good.stderr);
    const bad = await guest(`node ws.mjs https://${DENIED}:${https}/socket`);
    assert.match(bad.stdout, /^403 Warren: denied\S+ no rule allows it/, bad.stderr);
  });

  it('server-sent events, each as it is sent', async () => {
    const good = await guest(`node sse.mjs https://web.warren.test:${https}`);
    assert.equal(good.stdout, 'data: one\ndata: two\n', good.stderr);
    const bad = await guest(`node sse.mjs https://${DENIED}:${https}`);
    assert.match(bad.stdout, /no rule allows it/);
  });

  it('raw TCP whose server speaks first', async () => {
    const good = await guest(`python3 tcp.py tcp.warren.test ${tcp}`);
    assert.equal(good.stdout, '220 ready\r\nyou said EHLO', good.stderr);
    const flow = await audited(warren, NAME, ({ host }) => host === 'tcp.warren.test');
    assert.deepEqual([flow.decision, flow.protocol, flow.bytesUp], ['allow', 'tcp', 4]);
    const bad = await guest(`python3 tcp.py ${DENIED} ${tcp}`);
    assert.match(bad.stderr, /ConnectionResetError/);
    const denied = await audited(warren, NAME, ({ host, port }) => host === DENIED && port === tcp);
    assert.equal(denied.decision, 'deny');
    assert.match(denied.reason ?? '', /no rule allows it/);
  });

  it('TLS that is passed on unread has the origin’s own certificate', async () => {
    const good = await guest(`node issuer.mjs pass.warren.test ${pass} origins.pem`);
    assert.equal(good.stdout, 'Warren test origin: from behind its own TLS\n', good.stderr);
    const flow = await audited(warren, NAME, ({ host }) => host === 'pass.warren.test');
    assert.deepEqual([flow.decision, flow.protocol], ['allow', 'tls-passthrough']);
    // Anywhere else it is the sandbox's, which a program that pins the origin's refuses.
    const bad = await guest(`node issuer.mjs ${DENIED} ${pass} origins.pem`);
    assert.match(bad.stderr, /UNABLE_TO_VERIFY_LEAF_SIGNATURE|unable to verify/);
    await audited(
      warren,
      NAME,
      ({ host, port, decision }) => host === DENIED && port === pass && decision === 'deny',
    );
  });

  it('leaves no name or address in the audit that it did not ask for', async () => {
    const hosts = new Set((await auditOf(warren, NAME)).map(({ host }) => host));
    const known = /^(?:(?:web|h2|tcp|pass|denied)\.warren\.test|host\.warren\.internal)$/;
    assert.deepEqual(
      [...hosts].filter((host) => !known.test(host)),
      [],
    );
  });
});
