// Reads the audit of a sandbox for a person or a program.

import type { AuditRecord } from '../../egress/audit/chain.ts';
import { followAudit } from '../../egress/audit/follow.ts';
import { newestFrom, readAudit, verifyAudit } from '../../egress/audit/read.ts';
import { doorFiles, sandboxFiles } from '../../host/layout.ts';
import { WarrenError } from '../../protocol/error.ts';
import type { AuditCheck } from '../../protocol/policy.ts';
import type { Conductor } from '../conductor.ts';
import type { Sandbox } from '../sandboxes.ts';

export interface AuditFilter {
  /** Goes on with what is written, until `signal` or the end of the sandbox. */
  follow: boolean;
  /** Only what was not let through. */
  denied: boolean;
  /** Begins with the newest, so many; null: with the oldest. */
  tail: number | null;
}

export async function tellAudit(
  conductor: Conductor,
  sandbox: Sandbox,
  { follow, denied, tail }: AuditFilter,
  signal: AbortSignal,
  emit: (record: unknown) => Promise<void>,
): Promise<void> {
  const path = auditOf(conductor, sandbox);
  const isMeant = (record: AuditRecord) => !denied || record.decision !== 'allow';
  const from =
    tail === null ? 0 : await newestFrom(path, tail, (record) => isMeant(record) && !('begun' in record));
  const gone = new AbortController();
  void conductor.doors.questions(sandbox.record.id).ended.then(() => gone.abort());
  let others = 0;
  const onOther = () => {
    others += 1;
  };
  const records = follow
    ? followAudit(path, AbortSignal.any([signal, gone.signal]))
    : readAudit(path, onOther);
  for await (const record of records) {
    if (signal.aborted) return;
    if (record.seq >= from && isMeant(record)) await emit(record);
  }
  // After those that can be read: nobody shall take what is left for all.
  if (others > 0)
    throw new WarrenError({
      code: 'audit.unreadable',
      message: `the audit of sandbox "${sandbox.record.name}" has ${others} line${others === 1 ? '' : 's'} that cannot be read`,
      remedy: `warren audit verify ${sandbox.record.name}`,
    });
}

export async function checkAudit(conductor: Conductor, sandbox: Sandbox): Promise<AuditCheck> {
  return await verifyAudit(auditOf(conductor, sandbox));
}

export function auditOf(conductor: Conductor, { record }: Sandbox): string {
  return doorFiles(sandboxFiles(conductor.rooms.layout, record.id).folder).audit;
}
