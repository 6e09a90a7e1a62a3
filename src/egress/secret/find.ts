// Finds placeholders in the head of a request, which a guest wrote (hostile), in every spelling that an origin would
// read as one: as it is, percent-encoded, and inside of Basic. Pure.

import type { RequestHead } from '../policy/verdict.ts';
import type { SecretBinding } from './binding.ts';

export type Spot = 'header' | 'basic' | 'query' | 'elsewhere';

export interface Found {
  binding: SecretBinding;
  spot: Spot;
}

const BASIC = /^(basic +)([A-Za-z0-9+/_-]+={0,2}) *$/i;

/** One for each place: a placeholder that stands somewhere twice is there twice. */
export function findPlaceholders(head: RequestHead, bindings: readonly SecretBinding[]): Found[] {
  const found: Found[] = [];
  const note = (text: string, plain: Spot, encoded: Spot) => {
    const unescaped = unescapeLoosely(text);
    for (const binding of bindings) {
      const places = text.split(binding.placeholder).length - 1;
      for (let place = 0; place < places; place++) found.push({ binding, spot: plain });
      if (places === 0 && unescaped.includes(binding.placeholder)) found.push({ binding, spot: encoded });
    }
  };
  const { path, query } = splitPath(head.path);
  note(path, 'elsewhere', 'elsewhere');
  if (query !== null) note(query, 'query', 'elsewhere');
  note(head.method, 'elsewhere', 'elsewhere');
  for (const [name, value] of head.headers) {
    note(name, 'elsewhere', 'elsewhere');
    note(value, 'header', 'elsewhere');
    const basic = decodeBasic(value);
    if (basic) note(basic.text, 'basic', 'elsewhere');
  }
  return found;
}

export function splitPath(path: string): { path: string; query: string | null } {
  const at = path.indexOf('?');
  return at < 0 ? { path, query: null } : { path: path.slice(0, at), query: path.slice(at + 1) };
}

/** `text`: the bytes, one character each. */
export function decodeBasic(value: string): { scheme: string; text: string } | null {
  const [, scheme, encoded] = BASIC.exec(value) ?? [];
  if (scheme === undefined) return null;
  return { scheme, text: Buffer.from(encoded!, 'base64').toString('latin1') };
}

/** What is no escape stays as it is. */
function unescapeLoosely(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
