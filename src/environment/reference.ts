// References to images, by the grammar of the Distribution specification: [HOST[:PORT]/]NAME[:TAG][@DIGEST]. Pure and
// strict: what it answers is safe to put into a URL and a file name.

import { WarrenError } from '../protocol/error.ts';

export interface Reference {
  /** As the user names it: `docker.io`, `localhost:5000`, `[::1]:5000`. */
  registry: string;
  /** With `library/` where Docker Hub means it. */
  repository: string;
  /** null: by digest alone. */
  tag: string | null;
  /** `sha256:` and 64 hex digits; it decides when there is one. */
  digest: string | null;
}

const DEFAULT_REGISTRY = 'docker.io';
const NAME_MAX_CHARS = 255;
const DOMAIN_PART = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]{0,61}[a-zA-Z0-9])';
const DOMAIN = new RegExp(
  `^(?:${DOMAIN_PART}(?:\\.${DOMAIN_PART})*|\\[[0-9a-fA-F:]{2,45}\\])(?::[0-9]{1,5})?$`,
);
const COMPONENT = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** Throws `usage.environment`. */
export function parseReference(text: string): Reference {
  const [named, digest, more] = text.split('@');
  if (named === undefined || more !== undefined) throw objection(text, 'it has more than one "@"');
  if (digest !== undefined && !DIGEST.test(digest))
    throw objection(text, 'what follows "@" is not sha256: and 64 hex digits');
  const slash = named.indexOf('/');
  const first = named.slice(0, Math.max(slash, 0));
  // Docker's own rule for what is a host and what is the first part of a name.
  const hasRegistry = slash > 0 && (/[.:[A-Z]/.test(first) || first === 'localhost');
  const registry = hasRegistry ? first : DEFAULT_REGISTRY;
  const rest = hasRegistry ? named.slice(slash + 1) : named;
  const colon = rest.lastIndexOf(':');
  const name = colon < 0 ? rest : rest.slice(0, colon);
  const tag = colon < 0 ? null : rest.slice(colon + 1);
  if (!DOMAIN.test(registry) || portOf(registry) > 65_535)
    throw objection(text, `${JSON.stringify(registry)} is not a host`);
  if (tag !== null && !TAG.test(tag)) throw objection(text, `${JSON.stringify(tag)} is not a tag`);
  for (const part of name.split('/')) {
    if (COMPONENT.test(part)) continue;
    const why = /[A-Z]/.test(part) ? 'has capital letters' : 'is not part of a name';
    throw objection(text, part === '' ? 'a part of its name is empty' : `${JSON.stringify(part)} ${why}`);
  }
  const canonical = canonicalRegistry(registry);
  const repository = canonical === DEFAULT_REGISTRY && !name.includes('/') ? `library/${name}` : name;
  if (`${canonical}/${repository}`.length > NAME_MAX_CHARS)
    throw objection(text, `its name is longer than ${NAME_MAX_CHARS} characters`);
  return {
    registry: canonical,
    repository,
    tag: tag ?? (digest === undefined ? 'latest' : null),
    digest: digest ?? null,
  };
}

/** One spelling for each image: what is looked up by it is found again. */
export function formatReference({ registry, repository, tag, digest }: Reference): string {
  return `${registry}/${repository}${tag === null ? '' : `:${tag}`}${digest === null ? '' : `@${digest}`}`;
}

/** Names of this computer itself; anyone may answer at another one. */
export function isLoopbackRegistry(registry: string): boolean {
  const host = registry.replace(/:[0-9]+$/, '').toLowerCase();
  return (
    host === 'localhost' ||
    host.endsWith('.localhost') ||
    host === '[::1]' ||
    /^127(\.\d{1,3}){3}$/.test(host)
  );
}

function canonicalRegistry(registry: string): string {
  const lower = registry.toLowerCase();
  return lower === 'index.docker.io' || lower === 'registry-1.docker.io' ? DEFAULT_REGISTRY : lower;
}

function portOf(registry: string): number {
  return Number(/:([0-9]+)$/.exec(registry)?.[1] ?? 0);
}

function objection(text: string, why: string): WarrenError {
  return new WarrenError({
    code: 'usage.environment',
    message: `cannot use the image ${JSON.stringify(text.slice(0, 300))}: ${why}`,
    remedy: 'name an image like docker.io/library/debian:bookworm; a file or folder starts with "/" or "."',
  });
}
