// `PORT-NAME.localhost`: the stable name of a port of a sandbox. Names under `localhost` are loopback for every browser
// (RFC 6761), and each is a site of its own. Pure.

export interface StableName {
  port: number;
  sandbox: string;
}

const AUTHORITY =
  /^([1-9][0-9]{0,4})-([a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?)\.localhost(?::([1-9][0-9]{0,4}))?$/i;

/** Null for all that is none, or names another port than the listener's. */
export function parseAuthority(authority: string, listenerPort: number): StableName | null {
  const [, port, sandbox, own] = AUTHORITY.exec(authority) ?? [];
  if (!port || !sandbox || Number(port) > 65_535) return null;
  if (own !== undefined && Number(own) !== listenerPort) return null;
  return { port: Number(port), sandbox: sandbox.toLowerCase() };
}

/** Of an `Origin` or `Referer`; null when it is no page of a stable name. */
export function parseOrigin(origin: string, listenerPort: number): StableName | null {
  const authority = /^http:\/\/([^/?#@\\\s]+)(?:[/?#]|$)/i.exec(origin)?.[1];
  return authority === undefined ? null : parseAuthority(authority, listenerPort);
}

export function urlOf({ port, sandbox }: StableName, listenerPort: number): string {
  return `http://${port}-${sandbox}.localhost:${listenerPort}/`;
}
