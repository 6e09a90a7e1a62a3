// A challenge and the user's credentials → the `Authorization` for a registry: Basic, or a token that a token server
// gives (https://distribution.github.io/distribution/spec/auth/token/, and .../oauth/ for identity tokens).

import * as v from 'valibot';
import { WarrenError } from '../../protocol/error.ts';
import type { Challenge } from './challenge.ts';
import type { Credentials } from './credentials.ts';
import { ask, readBody } from './request.ts';

export interface Asker {
  registry: string;
  repository: string;
  plain: boolean;
  credentials: Credentials | undefined;
  signal?: AbortSignal | undefined;
}

const TOKEN_ANSWER_MAX_BYTES = 256 * 1024;
const tokenSchema = v.object({ token: v.optional(v.string()), access_token: v.optional(v.string()) });

export async function authorize(challenge: Challenge, asker: Asker): Promise<string | undefined> {
  const { credentials } = asker;
  if (challenge.scheme === 'basic')
    return credentials && 'username' in credentials ? basic(credentials) : undefined;
  const realm = realmOf(challenge.realm, asker);
  const scope = challenge.scope ?? `repository:${asker.repository}:pull`;
  const answer =
    credentials && 'identityToken' in credentials
      ? await ask({
          url: realm,
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({
            grant_type: 'refresh_token',
            refresh_token: credentials.identityToken,
            client_id: 'warren',
            scope,
            ...(challenge.service !== null && { service: challenge.service }),
          }).toString(),
          plain: asker.plain,
          signal: asker.signal,
        })
      : await ask({
          url: withQuery(realm, scope, challenge.service),
          headers: {},
          authorization: credentials && basic(credentials),
          plain: asker.plain,
          signal: asker.signal,
        });
  const body = await readBody(answer, TOKEN_ANSWER_MAX_BYTES);
  if (answer.statusCode !== 200) throw refused(asker, `its token server answered ${answer.statusCode}`);
  const token = tokenOf(body);
  if (!token) throw refused(asker, 'its token server gave no token');
  return `Bearer ${token}`;
}

/** A token server is named by the registry: it gets the credentials of that registry, and over HTTPS only. */
function realmOf(text: string, asker: Asker): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (
    url &&
    (url.protocol === 'https:' || (url.protocol === 'http:' && asker.plain)) &&
    !url.username &&
    !url.password
  )
    return url;
  throw refused(asker, 'it names a token server that is not an HTTPS address');
}

function withQuery(realm: URL, scope: string, service: string | null): URL {
  const url = new URL(realm);
  if (service !== null) url.searchParams.set('service', service);
  for (const each of scope.split(' ').filter(Boolean)) url.searchParams.append('scope', each);
  return url;
}

function tokenOf(body: Buffer): string | undefined {
  try {
    const { token, access_token } = v.parse(tokenSchema, JSON.parse(body.toString('utf8')));
    const found = token || access_token;
    // A header's value: what is not printable ASCII would be refused there, with the token in the message.
    return found && /^[\x21-\x7e]+$/.test(found) ? found : undefined;
  } catch {
    return undefined;
  }
}

function basic({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function refused({ registry, repository }: Asker, why: string): WarrenError {
  return new WarrenError({
    code: 'image.unauthorized',
    message: `cannot pull ${registry}/${repository}: ${why}`,
    remedy: `docker login ${registry} (or podman login): Warren reads what they keep`,
  });
}
