// What stands for a secret in a guest: shaped like the real thing, so that programs which look at it accept it, and
// worth nothing anywhere else. Another sandbox has another one.

import { randomBytes } from 'node:crypto';
import { parseShort } from '../policy/where.ts';

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
const RANDOM_CHARS = 32;
const DEFAULT_SHAPE = 'wrn_';

/** By the host or by what is above it. */
const SHAPES: readonly (readonly [domain: string, prefix: string])[] = [
  ['github.com', 'ghp_'],
  ['gitlab.com', 'glpat-'],
  ['api.anthropic.com', 'sk-ant-'],
  ['api.openai.com', 'sk-'],
  ['openrouter.ai', 'sk-or-'],
  ['registry.npmjs.org', 'npm_'],
  ['huggingface.co', 'hf_'],
  ['upload.pypi.org', 'pypi-'],
  ['rubygems.org', 'rubygems_'],
  ['digitalocean.com', 'dop_v1_'],
  ['slack.com', 'xoxb-'],
];

export function shapeFor(hosts: readonly string[], like: string | null): string {
  if (like !== null) return like;
  for (const text of hosts) {
    const found = parseShort(text, 'allow');
    if ('refused' in found || found.where.kind === 'cidr') continue;
    const name = found.where.kind === 'name' ? found.where.name : found.where.suffix;
    const known = SHAPES.find(([domain]) => name === domain || name.endsWith(`.${domain}`));
    if (known) return known[1];
  }
  return DEFAULT_SHAPE;
}

/** Of characters that need no escape in a header, a URL or JSON. */
export function isShape(prefix: string): boolean {
  return /^[A-Za-z0-9_-]{1,16}$/.test(prefix);
}

export function makePlaceholder(shape: string): string {
  // 256 is a multiple of 32: no letter is likelier than another.
  return shape + Array.from(randomBytes(RANDOM_CHARS), (byte) => BASE32[byte % 32]).join('');
}

export function isPlaceholder(text: string): boolean {
  return /^[A-Za-z0-9_-]{1,16}[a-z2-7]{32}$/.test(text);
}
