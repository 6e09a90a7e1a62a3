// Writes down that a request was refused before anything could judge it. Its words are a guest's (hostile).

import { writtenPath } from '../audit/event.ts';
import { written } from '../flow/context.ts';
import { hostText } from '../names/canonical-host.ts';
import { withoutQuery } from '../policy/path.ts';
import type { HttpFlow } from './http-flow.ts';
import type { BadHead } from './read-head.ts';

const MAX_METHOD_CHARS = 20;

export async function refuseHead(
  { flow, protocol }: HttpFlow,
  { method, path }: { method: string; path: string },
  { status, why }: BadHead,
): Promise<void> {
  await written(flow.door, {
    kind: 'request',
    flow: flow.nr,
    request: ++flow.requests,
    host: hostText(flow.target.host),
    port: flow.target.port,
    decision: 'deny',
    ruleId: null,
    reason: `the request is refused: ${why}`,
    protocol,
    method: method.slice(0, MAX_METHOD_CHARS),
    path: writtenPath(withoutQuery(path)),
    status,
    bytesUp: 0,
    bytesDown: 0,
    durationMs: 0,
    secrets: [],
  });
}
