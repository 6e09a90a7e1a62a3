// The SDK's calls about secrets.

import type { SecretAddRequest, SecretView } from '../protocol/secret.ts';
import { callJson } from './call.ts';
import type { Transport } from './transport.ts';

export async function listSecrets(transport: Transport): Promise<SecretView[]> {
  return await callJson(transport, 'GET', '/v1/secrets');
}

export async function addSecret(
  transport: Transport,
  request: SecretAddRequest,
): Promise<{ replaced: boolean }> {
  return await callJson(transport, 'POST', '/v1/secrets', request);
}

/** `path`: a folder of its repository; null for one of all sandboxes. */
export async function removeSecret(transport: Transport, name: string, path: string | null): Promise<void> {
  const query = path === null ? '' : `?path=${encodeURIComponent(path)}`;
  await callJson(transport, 'DELETE', `/v1/secrets/${encodeURIComponent(name)}${query}`);
}

/** Tells the daemon what those variables of `env` hold that secrets come from. */
export async function tellSecretValues(transport: Transport, env: NodeJS.ProcessEnv): Promise<void> {
  const wanted = await callJson<string[]>(transport, 'GET', '/v1/secrets/wanted');
  const values = Object.fromEntries(
    wanted.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])),
  );
  if (Object.keys(values).length > 0) await callJson(transport, 'POST', '/v1/secrets/values', { values });
}
