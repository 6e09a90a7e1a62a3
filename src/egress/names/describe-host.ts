// A host as a person should see it before saying yes: its ASCII form, the domain that somebody registered set apart,
// and a warning when its letters imitate others. The name was chosen by a guest (hostile). Limit: 100 characters.

import { domainToUnicode } from 'node:url';
import { getDomain } from 'tldts';
import { sanitizeLine } from '../../protocol/sanitize.ts';
import { hostText } from './canonical-host.ts';
import type { Host } from './host.ts';

export interface HostDescription {
  /** ASCII; what is cut away is cut in front of the registered domain. */
  text: string;
  /** `example.co.uk` of `a.b.example.co.uk`: whoever owns this decides. Null for addresses and single words. */
  registrable: string | null;
  /** One sentence that is safe to print. */
  warning: string | null;
}

const MAX_CHARS = 100;
/** Those that have letters in the shape of Latin ones. */
const LOOKALIKE = ['Cyrillic', 'Greek', 'Armenian', 'Cherokee', 'Lisu', 'Coptic'] as const;
const SCRIPTS = [
  'Latin',
  ...LOOKALIKE,
  'Han',
  'Hiragana',
  'Katakana',
  'Hangul',
  'Arabic',
  'Hebrew',
  'Devanagari',
  'Thai',
] as const;
/** Scripts that are written together in one word. */
const TOGETHER = [
  ['Han', 'Hiragana', 'Katakana', 'Latin'],
  ['Han', 'Hangul', 'Latin'],
];
const patterns = new Map(
  SCRIPTS.map((script) => [script as string, new RegExp(`\\p{Script=${script}}`, 'u')]),
);

export function describeHost(host: Host): HostDescription {
  if (host.kind === 'address') return { text: hostText(host), registrable: null, warning: null };
  const registrable = getDomain(host.name, { allowPrivateDomains: true });
  return { text: shorten(host.name, registrable), registrable, warning: warn(host.name) };
}

function shorten(name: string, registrable: string | null): string {
  if (name.length <= MAX_CHARS) return name;
  const kept = registrable ?? name.slice(-MAX_CHARS / 2);
  const room = Math.max(0, MAX_CHARS - kept.length - 1);
  return `${name.slice(0, Math.min(room, name.length - kept.length))}…${kept}`;
}

function warn(name: string): string | null {
  if (!/(?:^|\.)xn--/.test(name)) return null;
  const unicode = domainToUnicode(name);
  if (unicode === '' || unicode === name) return 'it has xn-- labels that stand for no letters';
  const shown = sanitizeLine(unicode, MAX_CHARS);
  for (const label of unicode.split('.')) {
    const scripts = SCRIPTS.filter((script) => patterns.get(script)!.test(label));
    const mixed =
      scripts.length > 1 && !TOGETHER.some((set) => scripts.every((script) => set.includes(script)));
    if (mixed) return `it shows as “${shown}”, which mixes letters of ${scripts.join(' and ')} in one word`;
    const imitating = scripts.find((script) => (LOOKALIKE as readonly string[]).includes(script));
    if (imitating) return `it shows as “${shown}”, in ${imitating} letters that can look like Latin ones`;
  }
  return `it shows as “${shown}”, in letters that are not ASCII`;
}
