// What the sessions of a guest have in their environment: what the image says, and what stands for secrets.

import type { Machine } from '../../machine/machine.ts';
import type { Sandbox } from '../sandboxes.ts';
import type { SecretKeeper } from '../secrets.ts';

const TIMEOUT_MS = 5_000;

/** For sessions that are started from now on. */
export async function tellSessions(
  secrets: Pick<SecretKeeper, 'secretEnvironment'>,
  { record }: Sandbox,
  machine: Machine,
  imageEnv: Record<string, string>,
): Promise<void> {
  const [secretEnv, link] = await Promise.all([secrets.secretEnvironment(record), machine.link()]);
  const envVars = { ...imageEnv, ...secretEnv };
  await link.json('/init', { method: 'POST', body: { envVars }, timeoutMs: TIMEOUT_MS });
}
