// Puts a door together out of real parts: this computer's names, addresses and sockets, the sandbox's files.

import { networkInterfaces } from 'node:os';
import { AuditFile } from '../egress/audit/audit-file.ts';
import { openCache } from '../egress/cache/cache.ts';
import type { DoorConfig, FromDoor, ToDoor } from '../egress/door/messages.ts';
import { connectTcp } from '../egress/flow/connect.ts';
import { resolveName } from '../egress/flow/resolve.ts';
import { serveEgress } from '../egress/flow/serve.ts';
import { parseUpstreamProxy } from '../egress/flow/upstream-proxy.ts';
import { hostText } from '../egress/names/canonical-host.ts';
import { SyntheticNames } from '../egress/names/synthetic.ts';
import { denialHint } from '../egress/policy/hint.ts';
import { createPolicy } from '../egress/policy/judge.ts';
import type { Said } from '../egress/policy/verdict.ts';
import { secretValues } from '../egress/secret/sources.ts';
import { createSecrets } from '../egress/secret/substitute.ts';
import { Authority } from '../egress/tls/authority.ts';
import { attach } from '../machine/link/attach.ts';

export interface RunningDoor {
  /** Resolves when it has nothing to do any more, or its stream is over. Everything is written down by then. */
  ended: Promise<void>;
  /** Resets what is open. */
  close(): Promise<void>;
  told(message: Exclude<ToDoor, DoorConfig>): void;
}

/** Throws when any part is missing: then nothing is served. */
export async function openDoor(config: DoorConfig, send: (message: FromDoor) => void): Promise<RunningDoor> {
  let policy = createPolicy(config.rulesets);
  const authority = await Authority.open(config.authority);
  const names = new SyntheticNames({ path: config.namesFile, isDenied: (name) => policy.deniesName(name) });
  const audit = await AuditFile.open(config.auditFile);
  const secrets = createSecrets(config.secrets, secretValues());
  const { downloads, extraCa } = config;
  // Without it, everything is fetched: slower, and nothing else.
  const cache = downloads ? await openCache({ ...downloads, extraCa }).catch(() => undefined) : undefined;
  const asked = new Map<number, (said: Said) => void>();
  let questions = 0;
  // Numbers go on where an earlier process of this sandbox stopped: a flow has at least one record.
  let flows = audit.position.seq;
  const stream = await attach(config.socket);
  const served = serveEgress(stream, {
    policy: () => policy,
    names,
    audit,
    authority,
    secrets,
    resolve: resolveName,
    ownAddresses,
    connect: connectTcp,
    extraCa,
    closedHostPorts: config.closedHostPorts,
    ...(cache && { cache }),
    ...(config.upstreamProxy !== null && { upstreamProxy: parseUpstreamProxy(config.upstreamProxy) }),
    denialHint: (verdict) => denialHint(config.name, verdict),
    nextFlow: () => ++flows,
    ask({ target, protocol, reason }) {
      const id = ++questions;
      send({ type: 'ask', id, host: hostText(target.host), port: target.port, protocol, reason });
      return new Promise((resolve) => asked.set(id, resolve));
    },
  });
  const idle = setInterval(
    () => {
      if (performance.now() - served.lastUsedMs > config.idleMs) void served.close();
    },
    Math.min(config.idleMs, 5_000),
  );
  const ended = served.closed.finally(async () => {
    clearInterval(idle);
    await cache?.settled();
    await audit.close();
  });
  return {
    ended,
    async close() {
      await served.close();
      await ended;
    },
    told(message) {
      if (message.type === 'policy') policy = createPolicy(message.rulesets);
      else if (message.type === 'secrets') secrets.use(message.secrets);
      else {
        asked.get(message.id)?.(message.yes);
        asked.delete(message.id);
      }
    },
  };
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));
}
