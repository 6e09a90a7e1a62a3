// Which headers travel from one connection to the next. Pure.

export type HeaderList = readonly (readonly [name: string, value: string])[];

const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

/** Flat, as Node has them, to pairs with lower-case names. */
export function pairsOf(rawHeaders: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2)
    pairs.push([rawHeaders[at]!.toLowerCase(), rawHeaders[at + 1]!]);
  return pairs;
}

export function valuesOf(headers: HeaderList, name: string): string[] {
  return headers.flatMap(([each, value]) => (each === name ? [value] : []));
}

/** The elements of a header that is a list, small letters. */
export function listOf(headers: HeaderList, name: string): string[] {
  return valuesOf(headers, name).flatMap((value) =>
    value
      .split(',')
      .map((each) => each.trim().toLowerCase())
      .filter((each) => each !== ''),
  );
}

/** Without what concerns one connection only, and what `Connection` names. */
export function endToEnd(headers: HeaderList): [string, string][] {
  const named = new Set(listOf(headers, 'connection'));
  return headers.flatMap(([name, value]) =>
    HOP_BY_HOP.has(name) || named.has(name) ? [] : [[name, value] as [string, string]],
  );
}

/** Of a response: also without invitations to other ports and protocols, which nobody would be let through to. */
export function responseHeaders(headers: HeaderList): [string, string][] {
  return endToEnd(headers).filter(([name]) => name !== 'alt-svc');
}

/** Trailers that may follow a body: never what frames or routes a message. */
export function trailersOf(headers: HeaderList): [string, string][] {
  return endToEnd(headers).filter(
    ([name]) => !/^(?::|content-length$|host$|trailer$|authorization$)/.test(name),
  );
}
