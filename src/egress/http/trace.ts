// What is known of one request while it is under way, and the record that is made of it.

import { type RequestEvent, writtenPath } from '../audit/event.ts';
import { hostText } from '../names/canonical-host.ts';
import { withoutQuery } from '../policy/path.ts';
import type { Call } from './call.ts';
import type { HttpFlow } from './http-flow.ts';

export interface Trace {
  nr: number;
  startedMs: number;
  decision: RequestEvent['decision'];
  ruleId: string | null;
  reason: string | null;
  status: number | null;
  up: number;
  down: number;
  secrets: readonly string[];
  cached: boolean;
}

export function eventOf(
  call: Pick<Call, 'read'>,
  { flow, protocol }: HttpFlow,
  trace: Omit<Trace, 'startedMs'> & { startedMs: number },
): RequestEvent {
  return {
    kind: 'request',
    flow: flow.nr,
    request: trace.nr,
    host: hostText(flow.target.host),
    port: flow.target.port,
    decision: trace.decision,
    ruleId: trace.ruleId,
    reason: trace.reason,
    protocol,
    method: call.read.head.method,
    path: writtenPath(withoutQuery(call.read.head.path)),
    status: trace.status,
    bytesUp: trace.up,
    bytesDown: trace.down,
    durationMs: Math.round(performance.now() - trace.startedMs),
    secrets: trace.secrets,
    ...(trace.cached && { cached: true }),
  };
}
