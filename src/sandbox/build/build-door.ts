// The door of a builder machine: the project's policy and the user's, and where neither says anything, the profiles that
// the steps of the build ask for. Nobody is asked: a build has no terminal.

import type { AuditRecord } from '../../egress/audit/chain.ts';
import { readAudit } from '../../egress/audit/read.ts';
import { type doorFiles, projectFiles } from '../../host/layout.ts';
import type { Machine } from '../../machine/machine.ts';
import type { NetworkMode } from '../../protocol/api.ts';
import { ensureAuthority } from '../network/authority.ts';
import { downloadSettings } from '../network/downloads.ts';
import { DoorKeeper } from '../network/keeper.ts';
import { policyFrom } from '../network/policy.ts';
import { Questions } from '../network/questions.ts';
import { writeRulesFile } from '../network/rules-file.ts';
import { waySettings } from '../network/way.ts';
import type { Rooms } from '../rooms.ts';

export interface BuildDoor {
  /** Whom the machine's programs trust. */
  certificatePem: string;
  /** What was not let through, a line each. */
  denied(): Promise<string[]>;
  close(): Promise<void>;
}

const IDLE_MS = 60_000;
const TRUST_TIMEOUT_MS = 30_000;
const DENIED_MAX = 20;

export async function openBuildDoor(
  rooms: Rooms,
  machine: Machine,
  files: ReturnType<typeof doorFiles>,
  {
    repository,
    profiles,
    network = null,
  }: { repository: { root: string } | null; profiles: string[]; network?: NetworkMode | null },
): Promise<BuildDoor> {
  const { layout } = rooms;
  await writeRulesFile(files.policy, { version: 1, network, fitting: profiles, allow: [], deny: [] });
  const { rulesets } = await policyFrom(layout, files.policy, repository);
  const authorityFile = repository ? projectFiles(layout, repository.root).authority : files.authority;
  const authority = await ensureAuthority(authorityFile, 'Warren build');
  const link = await machine.link();
  await link.json('/warren/trust', {
    method: 'POST',
    body: { pem: authority.certificatePem },
    timeoutMs: TRUST_TIMEOUT_MS,
  });
  const keeper = new DoorKeeper({
    machine,
    program: rooms.door,
    questions: new Questions(),
    config: async () => ({
      type: 'config',
      name: null,
      socket: machine.record.egress,
      namesFile: files.names,
      auditFile: files.audit,
      authority,
      rulesets,
      secrets: [],
      ...(await waySettings()),
      closedHostPorts: [...rooms.closedHostPorts],
      downloads: await downloadSettings(rooms.storeFolders.downloads),
      idleMs: IDLE_MS,
    }),
    onFailure: () => {},
  });
  return {
    certificatePem: authority.certificatePem,
    denied: async () => await deniedLines(files.audit),
    close: async () => await keeper.close(),
  };
}

async function deniedLines(audit: string): Promise<string[]> {
  const lines = new Set<string>();
  for await (const record of readAudit(audit)) {
    if (record.decision === 'deny' && record.kind !== 'notice') lines.add(lineOf(record));
    if (lines.size >= DENIED_MAX) break;
  }
  return [...lines];
}

function lineOf(record: AuditRecord): string {
  return record.reason ?? record.host;
}
