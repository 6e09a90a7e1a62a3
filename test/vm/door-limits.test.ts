// What no client means to do and a guest's root may try: other protocols, other routes, and the agent itself (NE 31 to
// 34 and 47). None of it reaches this computer; at worst a guest loses its own way out.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import type { SandboxDetail } from '../../src/protocol/api.ts';
import { allow, audited, auditOf, DENIED, openDoorWarren, origin, web } from './door-origins.ts';
import { AGENTS_PORTS, FLUSH_NFT, LOCAL_NAMES, OTHER_PROTOCOLS } from './door-programs.ts';

const warren = openDoorWarren();
const NAME = 'limits';
let port = 0;
let dns = 0;
let asked: string[] = [];

before(async () => {
  const [plain, resolver] = await Promise.all([
    origin(web().listener, { secure: false }),
    origin((_, response) => response.end('an answer of DNS over HTTPS')),
  ]);
  [port, dns, asked] = [plain.port, resolver.port, plain.asked];
  allow(
    warren,
    { host: 'web.warren.test', ports: [port], protocol: 'http', allowPrivate: true },
    { host: 'dns.warren.test', ports: [dns], allowPrivate: true },
  );
  const repository = warren.repository(NAME, {
    'protocols.py': OTHER_PROTOCOLS,
    'flush.py': FLUSH_NFT,
    'ports.py': AGENTS_PORTS,
    'local.py': LOCAL_NAMES,
  });
  await warren.ok(['up', '--detach'], { cwd: repository });
});

const guest = async (line: string) => await warren.run(['exec', NAME, '--', 'sh', '-c', line]);
const works = async () => {
  const { stdout, stderr } = await guest(`curl -sS --max-time 60 http://web.warren.test:${port}/`);
  assert.equal(stdout, 'hello from web.warren.test\n', stderr);
};

describe('what is not TCP', { timeout: 900_000 }, () => {
  it('UDP, ICMP, SCTP, raw packets and IPv6 fail at once, on this side (NE 31)', async () => {
    const { stdout, stderr } = await guest('sudo python3 protocols.py');
    const seen = JSON.parse(stdout || stderr) as Record<string, string>;
    const { dns: answer, slowestMs, ...errors } = seen;
    assert.deepEqual(errors, {
      udp443: 'EPERM',
      udp123: 'EPERM',
      icmp: 'EPERM',
      raw: 'EPERM',
      sctp: 'EPROTONOSUPPORT',
      ipv6: 'ENETUNREACH',
    });
    // Any resolver is ours: its answer stands for the name on this host alone, and nobody was asked.
    assert.match(answer!, /^198\.1[89]\./);
    assert.ok(Number(slowestMs) < 5_000, `${slowestMs} ms`);
    const { machine } = await warren.json<SandboxDetail>(['show', NAME]);
    assert.deepEqual(packetsOf(machine!.pid), ['lo 0 0']);
  });

  it('the VMM has no device for a network, and none in its namespace (NE 32)', async () => {
    assert.equal((await guest('ls /sys/class/net')).stdout, 'lo\n');
    const { machine } = await warren.json<SandboxDetail>(['show', NAME]);
    const args = readFileSync(`/proc/${machine!.pid}/cmdline`, 'utf8').split('\0');
    assert.deepEqual(args.slice(args.indexOf('-nic'), args.indexOf('-nic') + 2), ['-nic', 'none']);
    assert.deepEqual(
      args.filter((arg) => /netdev|virtio-net|vhost|e1000|slirp/.test(arg)),
      [],
    );
    assert.notEqual(readlinkSync(`/proc/${machine!.pid}/ns/net`), readlinkSync('/proc/self/ns/net'));
    assert.deepEqual(packetsOf(machine!.pid), ['lo 0 0']);
  });
});

describe('names', { timeout: 900_000 }, () => {
  it('DNS over HTTPS and over TLS are what the policy says, and localhost stays inside (NE 47)', async () => {
    const doh = (host: string) =>
      guest(`curl -sS -H 'accept: application/dns-message' https://${host}:${dns}/dns-query`);
    assert.equal((await doh('dns.warren.test')).stdout, 'an answer of DNS over HTTPS');
    assert.match((await doh(DENIED)).stdout, /no rule allows it/);
    await guest(
      'curl -sS --max-time 60 https://dns.warren.test:853/ telnet://dns.warren.test:853 </dev/null',
    );
    const dot = await audited(warren, NAME, (event) => event.kind === 'flow' && event.port === 853);
    assert.deepEqual([dot.decision, dot.host], ['deny', 'dns.warren.test']);
    const local = await guest('python3 local.py localhost a.localhost deep.a.localhost');
    assert.equal(local.stdout, '127.0.0.1 127.0.0.1 127.0.0.1\n', local.stderr);
    const refused = await guest(`curl -sS http://localhost:${port}/`);
    assert.equal(refused.code, 7, 'the guest’s own port, where nothing listens');
    assert.ok(!(await auditOf(warren, NAME)).some(({ host }) => host.includes('localhost')));
  });
});

describe('the root of a guest', { timeout: 900_000 }, () => {
  it('gets nowhere from a network namespace of its own (NE 34)', async () => {
    await works();
    const before = asked.length;
    const inside = await guest(`sudo unshare -n curl -sS --max-time 60 http://198.18.0.1:${port}/`);
    assert.equal(inside.code, 7, inside.stderr);
    const named = await guest(`sudo unshare -n curl -sS --max-time 60 http://web.warren.test:${port}/`);
    assert.equal(named.code, 6, named.stderr);
    assert.equal(asked.length, before);
  });

  it('cannot end the agent, nor open what it speaks through (NE 33)', async () => {
    await guest('sudo kill -9 1');
    const { stdout, stderr } = await guest('sudo python3 ports.py');
    assert.equal(stdout, 'EBUSY EBUSY\n', stderr);
    await works();
  });

  it('that flushes the redirect loses its own connections, and gains none (NE 33)', async () => {
    await works();
    const before = asked.length;
    const flushed = await guest('sudo python3 flush.py');
    assert.equal(flushed.stdout, '0\n', flushed.stderr);
    const direct = await guest(`curl -sS --max-time 3 http://web.warren.test:${port}/`);
    assert.notEqual(direct.code, 0);
    assert.equal(asked.length, before);
    // The agent's proxy is still there, and leads to the same judge.
    const proxied = (host: string) =>
      guest(`curl -sS --proxytunnel -x http://127.0.0.1:3128 http://${host}:${port}/`);
    assert.equal((await proxied('web.warren.test')).stdout, 'hello from web.warren.test\n');
    assert.match((await proxied(DENIED)).stdout, /no rule allows it/);
    const { machine, network } = await warren.json<SandboxDetail>(['show', NAME]);
    assert.deepEqual(packetsOf(machine!.pid), ['lo 0 0']);
    assert.ok(network.doorPid);
  });
});

/** `DEVICE RECEIVED SENT` of a process's network namespace, in packets. */
function packetsOf(pid: number): string[] {
  assert.ok(readdirSync(`/proc/${pid}/net`).includes('dev'));
  return readFileSync(`/proc/${pid}/net/dev`, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, device, numbers] = /^\s*(\S+):\s*(.*)$/.exec(line) ?? [];
      const fields = numbers?.split(/\s+/) ?? [];
      return device ? [`${device} ${fields[1]} ${fields[9]}`] : [];
    });
}
