// `doctor --attack`: a sandbox of its own, attacked from inside as its root would, looked at from the host, and removed
// whatever happens. It runs under the user's own policy: what a rule of theirs opens is not tried.

import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { canonicalHost } from '../../egress/names/canonical-host.ts';
import { createPolicy } from '../../egress/policy/judge.ts';
import { isAlive } from '../../host/processes.ts';
import { runInGuest } from '../../machine/run-in-guest.ts';
import type { AttackRequest, AttackView } from '../../protocol/attack.ts';
import { WarrenError } from '../../protocol/error.ts';
import type { Conductor } from '../conductor.ts';
import { changeRules } from '../network/change.ts';
import { policyOf } from '../network/policy.ts';
import { remove } from '../remove.ts';
import type { OnProgress } from '../rooms.ts';
import type { Sandbox } from '../sandboxes.ts';
import { up } from '../up.ts';
import { ATTACKS, type Attack } from './attacks.ts';
import { lookAtVmm, searchMemory, templateDigest } from './look.ts';
import type { AttackSight, AttackTarget } from './sights.ts';

const PROGRAM_TIMEOUT_MS = 180_000;
const CALL_TIMEOUT_MS = 10_000;
const HUNG_MS = 60_000;
const VARIABLE = 'WARREN_ATTACK_SECRET';
/** Metadata services of several clouds, and the first hosts of private networks. */
const PRIVATE = [
  '169.254.169.254',
  '168.63.129.16',
  '100.100.100.200',
  '10.0.0.1',
  '172.16.0.1',
  '192.168.0.1',
];

export async function runAttacks(
  conductor: Conductor,
  { weaken }: AttackRequest,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<AttackView[]> {
  const id = conductor.newId();
  const { sandbox: made } = await up(
    conductor,
    {
      name: `attack-${id}`,
      path: null,
      environment: null,
      build: null,
      cpus: null,
      memoryMib: null,
      diskGib: null,
      network: null,
      fresh: true,
      prepare: false,
      initialized: null,
    },
    onProgress,
    signal,
  );
  const sandbox = conductor.get(made.id);
  const canary = createServer((socket) => {
    hits.count += 1;
    socket.on('error', () => {}).end('HTTP/1.0 200 OK\r\n\r\nreached');
  });
  const hits = { count: 0 };
  try {
    canary.listen(0, '127.0.0.1');
    await once(canary, 'listening');
    const { port } = canary.address() as AddressInfo;
    const value = `canary-${conductor.newId()}${conductor.newId()}`;
    const placeholder = await conductor.secrets.lend(made.id, VARIABLE, value);
    await conductor.doors.secretsChanged(null);
    const target = await targetOf(conductor, sandbox, port, placeholder);
    if (weaken === 'host-service') await openCanary(conductor, sandbox, port);
    const views: AttackView[] = [];
    for (const [nr, attack] of ATTACKS.entries()) {
      signal.throwIfAborted();
      onProgress({ step: `${attack.id}: ${attack.tried}`, done: nr, total: ATTACKS.length });
      const { id: caseId, tried } = attack;
      const why = attack.unless?.(target) ?? null;
      const judged =
        why === null
          ? await tryOne(conductor, sandbox, attack, target, { hits, value, signal })
          : ({ outcome: 'not-run', says: why } as const);
      views.push({ id: caseId, tried, ...judged });
    }
    return views;
  } finally {
    canary.close();
    conductor.secrets.takeBack(made.id);
    if (conductor.find(made.id))
      await conductor.exclusively(made.id, () => remove(conductor, sandbox, { force: true }));
  }
}

interface Means {
  hits: { count: number };
  value: string;
  signal: AbortSignal;
}

async function tryOne(
  conductor: Conductor,
  sandbox: Sandbox,
  attack: Attack,
  target: AttackTarget,
  { hits, value, signal }: Means,
): Promise<Pick<AttackView, 'outcome' | 'says'>> {
  const { machine } = sandbox;
  if (!machine) return { outcome: 'not-run', says: 'the machine had ended before' };
  const looks = attack.looks ?? [];
  const { vmm, confinement } = machine.record;
  const template = await conductor.templates.get(sandbox.record.template);
  const before = looks.includes('template') ? await templateDigest(template, signal) : null;
  hits.count = 0;
  const guest = attack.program === null ? null : await inGuest(conductor, sandbox, attack, target, signal);
  const after = looks.includes('template') ? await templateDigest(template, signal) : null;
  const found = looks.includes('memory')
    ? await searchMemory(vmm.pid, [value, target.secret.placeholder], signal)
    : null;
  const sight: AttackSight = {
    guest,
    call: looks.includes('call') ? await callAgent(conductor, sandbox) : null,
    canaryHits: hits.count,
    vmm: { ...lookAtVmm(vmm.pid, confinement.namespaces), alive: isAlive(vmm) },
    templateUnchanged: before === null || after === null ? null : before === after,
    memory: found && { value: found[0]!, placeholder: found[1]! },
  };
  return attack.judge(sight, target);
}

/** Null when it printed nothing that can be read: it may have been cut off by what it did. */
async function inGuest(
  conductor: Conductor,
  sandbox: Sandbox,
  { program, tell }: Attack,
  target: AttackTarget,
  signal: AbortSignal,
): Promise<Record<string, unknown> | null> {
  try {
    const { stdout } = await runInGuest(
      await conductor.link(sandbox),
      'python3',
      ['-c', program!, JSON.stringify(tell?.(target) ?? {})],
      { user: 'root', timeoutMs: PROGRAM_TIMEOUT_MS, signal },
    );
    const told: unknown = JSON.parse(stdout.toString('utf8'));
    return typeof told === 'object' && told !== null ? { ...told } : null;
  } catch {
    signal.throwIfAborted();
    return null;
  }
}

async function callAgent(conductor: Conductor, sandbox: Sandbox): Promise<AttackSight['call']> {
  const call = (async () => {
    const link = await conductor.link(sandbox);
    await link.json('/warren/info', { timeoutMs: CALL_TIMEOUT_MS });
    return null;
  })().catch((error: unknown) => ({ failed: WarrenError.from(error).code }));
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<{ hung: true }>((resolve) => {
    timer = setTimeout(() => resolve({ hung: true }), HUNG_MS);
  });
  return await Promise.race([call, late]).finally(() => clearTimeout(timer));
}

async function targetOf(
  conductor: Conductor,
  sandbox: Sandbox,
  canaryPort: number,
  placeholder: string,
): Promise<AttackTarget> {
  const policy = createPolicy((await policyOf(conductor.rooms.layout, sandbox.record)).rulesets);
  const isClosed = (text: string, port: number) => {
    const host = canonicalHost(text);
    return !('refused' in host) && policy.judgeFlow({ host, port }).decision !== 'allow';
  };
  const deniedName = `${conductor.newId()}.warren-attack.example`;
  const namesPort = conductor.forwards.namesPort;
  return {
    canaryPort,
    ports: [canaryPort, ...(namesPort === null ? [] : [namesPort])].filter((port) =>
      isClosed('host.warren.internal', port),
    ),
    ownAddresses: ownAddresses().filter((address) => isClosed(address, canaryPort)),
    privateAddresses: PRIVATE.filter((address) => isClosed(address, 80) && isClosed(address, canaryPort)),
    deniedName: isClosed(deniedName, 443) && isClosed(deniedName, 80) ? deniedName : null,
    secret: { variable: VARIABLE, placeholder },
  };
}

/** IPv4, not the loopback: inside of a guest that is its own. */
function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address)
    .slice(0, 4);
}

async function openCanary(conductor: Conductor, sandbox: Sandbox, port: number): Promise<void> {
  await changeRules(conductor, sandbox, {
    effect: 'allow',
    scope: 'sandbox',
    remove: false,
    hosts: [],
    hostServices: [port],
    protocol: 'http',
    methods: [],
    paths: [],
    git: null,
    allowPrivate: false,
  });
}
