// The rule that would allow what was denied: it is taken as it stands, allows what was asked, and no more than can be
// helped. Null where no rule can, or should. Methods and paths were chosen by a guest
// (hostile); at most 200 characters of a path are shown.

import { isLoopback } from '../names/address.ts';
import { hostText } from '../names/canonical-host.ts';
import { vetAddresses } from '../names/vetting.ts';
import { gitRequest, isEncoded } from './git.ts';
import { patternObjection, withoutQuery } from './path.ts';
import { type Entry, HOST_SERVICE_NAME, REFUSED_METHODS } from './rule.ts';
import { PLAIN, type Typed } from './typed.ts';
import { type Protocol, type RequestHead, type Target, USUAL_PORTS } from './verdict.ts';
import { parseWhere } from './where.ts';
import { entryOf } from './write-entry.ts';

const MAX_PATH_CHARS = 200;
/** A sandbox works on a branch under it. */
export const PUSHED_REFS = 'refs/heads/warren/*';

/** `head`: of a request, when a rule is to let no other through. Null for `protocol`: what is usual at that port. */
export function allowWith(target: Target, protocol: Protocol | null, head?: RequestHead): Entry | null {
  const limits = head === undefined ? PLAIN : limitsFor(head);
  return limits === null ? null : written(target, protocol, limits);
}

/** What would let such requests go where the name leads to private addresses. */
export function privately(
  target: Target,
  protocol: 'http' | 'https',
  head: RequestHead,
  onlyPaths: boolean,
): Entry | null {
  const isNarrow = onlyPaths || gitRequest(head) !== null;
  const limits = limitsFor(isNarrow ? head : { ...head, path: '/' });
  if (limits === null) return null;
  return written(target, protocol, { ...limits, paths: isNarrow ? limits.paths : [], allowPrivate: true });
}

/** For a name that leads to this computer's loopback: under its own name, the same service may be reached. */
export function hostService(port: number): Entry {
  return { hostService: port };
}

/** Why no rule can be about this request alone; null when one can. */
export function unnameable({ method, path: asked }: RequestHead): string | null {
  if (!/^[A-Z]{1,20}$/.test(method) || REFUSED_METHODS.includes(method))
    return 'no rule can be about its method';
  const path = withoutQuery(asked);
  if (path.includes('*')) return 'its path has a *, which means any in a rule';
  if (path.includes("'")) return 'its path has a quote';
  if (path.length > MAX_PATH_CHARS) return `its path is longer than ${MAX_PATH_CHARS} characters`;
  const why = patternObjection(path);
  return why && `the path is ambiguous: ${why}`;
}

type Limits = Pick<Typed, 'paths'> & Partial<Typed>;

function limitsFor(head: RequestHead): Limits | null {
  const kind = gitRequest(head);
  if (unnameable(head) !== null) return null;
  const path = withoutQuery(head.path);
  if (kind === null) return { methods: [head.method], paths: [path] };
  // Its refs must be readable: no rule about git helps.
  if (kind === 'push' && isEncoded(head)) return null;
  const paths = [`${path.replace(/\/(?:info\/refs|git-[a-z]+-pack)$/, '')}/*`];
  return { paths, git: kind === 'fetch' ? { fetch: true, push: null } : { fetch: false, push: PUSHED_REFS } };
}

function written({ host, port }: Target, protocol: Protocol | null, limits: Limits): Entry | null {
  const spoken = protocol ?? (port === 80 ? 'http' : 'https');
  if (host.kind === 'name' && host.name === HOST_SERVICE_NAME) return hostService(port);
  // A port 80 is taken for plain HTTP.
  if ('refused' in parseWhere(hostText(host), 'allow') || (spoken === 'https' && port === 80)) return null;
  let allowPrivate = limits.allowPrivate ?? false;
  if (host.kind === 'address') {
    if (isLoopback(host.address) || !isUsable(host.address, true)) return null;
    allowPrivate ||= !isUsable(host.address, false);
  }
  const isUsual = port === USUAL_PORTS[spoken] && spoken !== 'http';
  const isSaid = spoken === 'https' || (spoken === 'http' && port === 80);
  return entryOf(isUsual ? hostText(host) : `${hostText(host)}:${port}`, {
    ...PLAIN,
    ...limits,
    protocol: isSaid ? null : spoken,
    allowPrivate,
  });
}

function isUsable(address: string, allowPrivate: boolean): boolean {
  return vetAddresses([address], { allowPrivate, ownAddresses: [] }).usable.length > 0;
}
