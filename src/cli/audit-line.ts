// One record of an audit as a line for a person. Pure. Strings of records were chosen by a guest.

import type { AuditRecordView } from '../protocol/policy.ts';
import { sanitizeLine } from '../protocol/sanitize.ts';

/** Null for what another record says better. */
export class AuditLines {
  /** Flows whose requests were shown. */
  readonly #shown = new Set<number>();

  line(record: AuditRecordView): string | null {
    const { kind, flow, decision, time } = record;
    if (record.begun) return null;
    if (kind === 'flow' && flow !== null && this.#shown.delete(flow)) return null;
    if (kind === 'request' && flow !== null) this.#shown.add(flow);
    const why = record.reason ?? record.ruleId;
    const words = [time.slice(0, 19).replace('T', ' '), decision.padEnd(5), what(record), why && `  ${why}`];
    return sanitizeLine(words.filter(Boolean).join(' '), 500);
  }
}

function what(record: AuditRecordView): string {
  const { kind, host, port, protocol } = record;
  const at = port === null ? host : `${host}:${port}`;
  if (kind === 'dns') return `dns ${record.type} ${host} → ${record.answer}`;
  if (kind === 'notice') return `${record.code} ${at}`;
  const bytes = `↑${record.bytesUp ?? 0} ↓${record.bytesDown ?? 0}`;
  if (kind === 'flow') return `${protocol ?? 'flow'} ${at} ${bytes}`;
  const secrets = record.secrets?.length ? ` with ${record.secrets.join(', ')}` : '';
  const kept = record.cached ? ' (kept)' : '';
  const { path = '' } = record;
  // What a proxy is asked for (`CONNECT`) is no path.
  const isPath = path === '' || path.startsWith('/');
  const asked = isPath ? `${protocol}://${at}${path}` : `${path} of ${protocol}://${at}`;
  return `${record.method} ${asked} ${record.status ?? '-'} ${bytes}${secrets}${kept}`;
}
