// What the conductor asks the agent about the sandbox's repository. Every answer is the guest's word: parsed
// against a schema, cut at limits, and shown only sanitised.

import * as v from 'valibot';
import type { Link } from '../machine/link/link.ts';
import { WarrenError } from '../protocol/error.ts';

const objectId = v.pipe(v.string(), v.regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/));
const words = v.pipe(v.string(), v.maxLength(65_536));
const count = v.pipe(v.number(), v.integer(), v.minValue(0));

const statusSchema = v.object({
  branch: v.nullable(words),
  head: v.nullable(objectId),
  descends: v.boolean(),
  ahead: count,
  commits: v.pipe(
    v.array(v.object({ id: objectId, author: words, email: words, timeUnix: v.number(), subject: words })),
    v.maxLength(1000),
  ),
  changes: v.pipe(v.array(v.object({ status: words, path: words })), v.maxLength(1000)),
  changesTotal: count,
  submodules: v.pipe(v.array(v.object({ path: words, head: v.nullable(objectId) })), v.maxLength(1000)),
});

export type GuestStatus = v.InferOutput<typeof statusSchema>;

export interface GuestRepository {
  path: string;
  user: string;
}

const GIT_TIMEOUT_MS = 5 * 60_000;

export async function guestStatus(
  link: Link,
  repository: GuestRepository,
  base: string | null,
  limit = 1000,
): Promise<GuestStatus> {
  const answer = await link.json<unknown>('/warren/git/status', {
    method: 'POST',
    timeoutMs: GIT_TIMEOUT_MS,
    body: { ...repository, base, limit },
  });
  const parsed = v.safeParse(statusSchema, answer);
  if (parsed.success) return parsed.output;
  const issue = parsed.issues[0];
  throw new WarrenError({
    code: 'machine.agent-garbage',
    message: `the agent's git status makes no sense: ${v.getDotPath(issue) ?? 'it'}: ${issue.message}`,
  });
}

export async function guestCommit(link: Link, repository: GuestRepository, message: string): Promise<void> {
  await link.json('/warren/git/commit', {
    method: 'POST',
    timeoutMs: GIT_TIMEOUT_MS,
    body: { ...repository, message },
  });
}
