// Puts secrets in where they belong, and nowhere else. Everything of a request is a guest's (hostile); a value is put in
// as it is, and never looked into for other placeholders. Limit: 8 places a head and 8 a body.

import { BodyDenied, type Scrub, type Secrets, type Substitution } from '../flow/secrets.ts';
import { hostText } from '../names/canonical-host.ts';
import type { Target } from '../policy/verdict.ts';
import { belongsTo, objection, type SecretBinding, valueObjection } from './binding.ts';
import { bodyForm } from './body-form.ts';
import { decodeBasic, findPlaceholders, splitPath } from './find.ts';
import { MaskingStream } from './mask.ts';
import { ReplacingStream } from './replace.ts';
import { type Pairs, SentValues } from './sent.ts';

export interface SecretValues {
  /** Rejects with an error whose message is the end of a sentence, without the value. */
  valueOf(binding: SecretBinding): Promise<string>;
  /** It has changed: ask its source again. */
  drop(name: string): void;
  /** An origin refused it: ask its source again, but not all the time. */
  doubt(name: string): void;
}

export interface DoorSecrets extends Secrets {
  /** From now on these, and no other value is sent. */
  use(bindings: readonly SecretBinding[]): void;
}

const MAX_PLACES = 8;
const MAX_KNOWN_HOSTS = 1024;
/** Of fewer, a download of a gigabyte that is no text would hold some by chance, and headers have such names. */
const MIN_HIDDEN_BYTES = 8;

class Missing extends Error {}

export function createSecrets(initial: readonly SecretBinding[], values: SecretValues): DoorSecrets {
  let bindings = initial;
  const sent = new SentValues();
  const belongs = new Map<string, boolean>();

  /** At any port: what one was told, another may repeat. */
  function belongsSome({ host }: Target): boolean {
    const key = hostText(host);
    const known = belongs.get(key) ?? bindings.some(({ hosts }) => belongsTo(hosts, { host }));
    if (belongs.size >= MAX_KNOWN_HOSTS) belongs.clear();
    belongs.set(key, known);
    return known;
  }

  async function valueFor(binding: SecretBinding, host: string): Promise<string> {
    const value = await values.valueOf(binding).catch((error: Error) => {
      throw new Missing(`secret "${binding.name}" cannot be read: ${error.message}`);
    });
    const wrong = valueObjection(value);
    if (wrong) throw new Missing(`secret "${binding.name}" cannot be used: ${wrong}`);
    if (!bindings.includes(binding)) throw new Missing(`secret "${binding.name}" was just changed`);
    sent.note(host, value, binding.placeholder);
    return value;
  }

  return {
    use(next) {
      for (const { name } of bindings) values.drop(name);
      bindings = next;
      belongs.clear();
    },

    async substitute(head, target, protocol, allowed): Promise<Substitution> {
      const found = findPlaceholders(head, bindings);
      if (found.length === 0) return { headers: head.headers, used: [] };
      if (found.length > MAX_PLACES)
        return { misuse: `placeholders stand in more than ${MAX_PLACES} places` };
      for (const { binding, spot } of found) {
        const wrong = objection(binding, target, protocol, allowed);
        if (wrong) return { misuse: wrong };
        if (spot === 'query' && !binding.query)
          return {
            misuse: `secret "${binding.name}" was added without --query, and is not put into a query`,
          };
        if (spot === 'elsewhere')
          return { misuse: `the placeholder of secret "${binding.name}" is not where a secret is put in` };
      }
      const used = [...new Set(found.map(({ binding }) => binding))];
      const real = new Map<string, string>();
      try {
        for (const binding of used)
          real.set(binding.placeholder, await valueFor(binding, hostText(target.host)));
      } catch (error) {
        if (error instanceof Missing) return { missing: error.message };
        throw error;
      }
      const done = put(head, real);
      sent.noteHeaders(hostText(target.host), head.headers, done.headers);
      return { ...done, used: used.map(({ name }) => name) };
    },

    body(head, target, protocol, allowed) {
      const concerned = bindings.filter(({ body }) => body);
      const form = concerned.length > 0 ? bodyForm(head.headers) : null;
      if (!form) return null;
      const used: string[] = [];
      let places = 0;
      const replacements = concerned.map((binding) => ({
        find: Buffer.from(binding.placeholder),
        async put() {
          const wrong = objection(binding, target, protocol, allowed);
          if (wrong) throw new BodyDenied(wrong, true);
          if (++places > MAX_PLACES)
            throw new BodyDenied(`placeholders stand in more than ${MAX_PLACES} places of its body`, true);
          try {
            const value = await valueFor(binding, hostText(target.host));
            if (!used.includes(binding.name)) used.push(binding.name);
            return Buffer.from(form(value));
          } catch (error) {
            throw error instanceof Missing ? new BodyDenied(error.message, false) : error;
          }
        },
      }));
      const stream = new ReplacingStream(() => replacements);
      return { stream, used };
    },

    scrub(target): Scrub | null {
      const host = hostText(target.host);
      const pairs = () => sent.pairs(host);
      const isKnown = pairs().length > 0;
      // An answer that has begun may go on until something is put in.
      if (!isKnown && !belongsSome(target)) return null;
      return {
        isKnown,
        text: (text) =>
          pairs().reduce(
            (before, [value, placeholder]) => before.replaceAll(latin1(value), () => placeholder),
            text,
          ),
        isIn: (name) =>
          pairs().some(([value]) => value.length >= MIN_HIDDEN_BYTES && name.includes(value.toLowerCase())),
        body: () =>
          new ReplacingStream(
            madeOf(pairs, ([value, placeholder]) => ({
              find: Buffer.from(value),
              put: () => Buffer.from(placeholder),
            })),
          ),
        mask(isText) {
          const hidden = madeOf(pairs, ([value, placeholder]) => {
            const find = Buffer.from(value);
            return { find, mask: Buffer.from(fitted(placeholder, find.length)) };
          });
          const isMeant = ({ find }: { find: Buffer }) => isText || find.length >= MIN_HIDDEN_BYTES;
          return new MaskingStream(() => hidden().filter(isMeant));
        },
      };
    },

    rejected(names) {
      for (const name of names) values.doubt(name);
    },
  };
}

/** Anew when the pairs are others. */
function madeOf<T>(pairs: () => Pairs, make: (pair: Pairs[number]) => T): () => T[] {
  let known: Pairs = [];
  let made: T[] = [];
  return () => {
    const now = pairs();
    if (now !== known) made = now.map(make);
    known = now;
    return made;
  };
}

function put(
  head: { path: string; headers: readonly (readonly [string, string])[] },
  real: ReadonlyMap<string, string>,
): { headers: [string, string][]; path?: string } {
  const pattern = new RegExp([...real.keys()].join('|'), 'g');
  const each = (text: string, form: (value: string) => string) =>
    text.replace(pattern, (placeholder) => form(real.get(placeholder)!));
  const headers = head.headers.map(([name, value]): [string, string] => {
    const basic = decodeBasic(value);
    const inside = basic && each(basic.text, latin1);
    if (basic && inside !== basic.text)
      return [name, basic.scheme + Buffer.from(inside!, 'latin1').toString('base64')];
    return [name, each(value, latin1)];
  });
  const { path, query } = splitPath(head.path);
  if (query === null) return { headers };
  return { headers, path: `${path}?${each(query, encodeURIComponent)}` };
}

/** The bytes of UTF-8, one character each: how Node writes headers. */
function latin1(value: string): string {
  return Buffer.from(value).toString('latin1');
}

function fitted(placeholder: string, bytes: number): string {
  return placeholder.slice(0, bytes).padEnd(bytes, '*');
}
