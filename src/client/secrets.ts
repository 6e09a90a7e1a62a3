// The SDK's calls about secrets.

import type { SecretAddRequest, SecretView } from '../protocol/secret.ts';
import { readText, type Transport } from './transport.ts';

export async function listSecrets(transport: Transport): Promise<SecretView[]> {
  return await call(transport, 'GET', '/v1/secrets');
}

export async function addSecret(
  transport: Transport,
  request: SecretAddRequest,
): Promise<{ replaced: boolean }> {
  return await call(transport, 'POST', '/v1/secrets', request);
}

/** `path`: a folder of its repository; null for one of all sandboxes. */
export async function removeSecret(transport: Transport, name: string, path: string | null): Promise<void> {
  const query = path === null ? '' : `?path=${encodeURIComponent(path)}`;
  await call(transport, 'DELETE', `/v1/secrets/${encodeURIComponent(name)}${query}`);
}

/** Tells the daemon what those variables of `env` hold that secrets come from. */
export async function tellSecretValues(transport: Transport, env: NodeJS.ProcessEnv): Promise<void> {
  const wanted = await call<string[]>(transport, 'GET', '/v1/secrets/wanted');
  const values = Object.fromEntries(
    wanted.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])),
  );
  if (Object.keys(values).length > 0) await call(transport, 'POST', '/v1/secrets/values', { values });
}

async function call<T>(transport: Transport, method: string, path: string, body?: unknown): Promise<T> {
  const answer = await transport.send({
    method,
    path,
    ...(body !== undefined && {
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify(body)),
    }),
  });
  return JSON.parse(await readText(answer)) as T;
}
