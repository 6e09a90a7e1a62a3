// What the sessions of a guest have in their environment of secrets: what stands for them.

import type { Machine } from '../../machine/machine.ts';
import type { Sandbox } from '../conductor.ts';
import type { SecretKeeper } from '../secrets.ts';

const TIMEOUT_MS = 5_000;

/** For sessions that are started from now on. */
export async function tellSessions(
  secrets: SecretKeeper,
  { record }: Sandbox,
  machine: Machine,
): Promise<void> {
  const [envVars, link] = await Promise.all([secrets.secretEnvironment(record), machine.link()]);
  await link.json('/init', { method: 'POST', body: { envVars }, timeoutMs: TIMEOUT_MS });
}
