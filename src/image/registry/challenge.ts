// The `WWW-Authenticate` header of a registry: what it wants before it answers. Pure; foreign text.

export type Challenge =
  | { scheme: 'basic' }
  | { scheme: 'bearer'; realm: string; service: string | null; scope: string | null };

const HEADER_MAX_CHARS = 8192;

/** The first challenge that can be met; Bearer before Basic, as the Distribution specification's clients do. */
export function parseChallenge(header: string | undefined): Challenge | null {
  const text = (header ?? '').slice(0, HEADER_MAX_CHARS);
  const bearer = /(?:^|,)\s*bearer\s+(.*)$/is.exec(text)?.[1];
  if (bearer !== undefined) {
    const parameters = new Map<string, string>();
    for (const [, name, quoted, plain] of bearer.matchAll(
      /([a-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/gi,
    ))
      if (!parameters.has(name!.toLowerCase()))
        parameters.set(
          name!.toLowerCase(),
          quoted === undefined ? plain! : quoted.replaceAll(/\\(.)/g, '$1'),
        );
    const realm = parameters.get('realm');
    if (realm)
      return {
        scheme: 'bearer',
        realm,
        service: parameters.get('service') ?? null,
        scope: parameters.get('scope') ?? null,
      };
  }
  return /(?:^|,)\s*basic\b/i.test(text) ? { scheme: 'basic' } : null;
}
