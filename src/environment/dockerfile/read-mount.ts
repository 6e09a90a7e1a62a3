// `RUN --mount=…`: fields as in one line of CSV. Twice: before a build only where its files come from is looked at,
// when the step is planned all of it, with variables filled in.

import { parseSizeBytes } from './duration.ts';
import { Problem, quote } from './problem.ts';

export interface MountFields {
  type: (typeof TYPES)[number];
  from: string;
  source: string;
  target: string;
  readonly: boolean;
  sizeBytes: number;
  id: string;
  sharing: '' | (typeof SHARING)[number];
  required: boolean;
  env: string | null;
  mode: number | null;
  uid: number | null;
  gid: number | null;
}

const TYPES = ['bind', 'cache', 'tmpfs', 'secret', 'ssh'] as const;
const SHARING = ['shared', 'private', 'locked'] as const;
const KEYS = [
  'type',
  'from',
  'source',
  'src',
  'target',
  'dst',
  'destination',
  'readonly',
  'ro',
  'readwrite',
  'rw',
  'id',
  'sharing',
  'required',
  'size',
  'mode',
  'uid',
  'gid',
  'env',
];

/** '' when it names nothing. Throws a `Problem`. */
export function mountFrom(text: string): string {
  let from = '';
  for (const { key, value } of fieldsOf(text)) {
    if (key !== 'from' || value === null) continue;
    const dollar = value.indexOf('$');
    if (dollar >= 0 && dollar !== value.length - 1)
      throw new Problem(`--mount has from=${value}: no variables can stand there`, {
        at: value,
        remedy: 'name a stage: FROM $IMAGE AS NAME, then from=NAME',
      });
    from = value;
  }
  return from;
}

/** Throws a `Problem`. */
export function readMount(text: string, fill: (word: string) => string): MountFields {
  const mount: MountFields = {
    type: 'bind',
    from: '',
    source: '',
    target: '',
    readonly: true,
    sizeBytes: 0,
    id: '',
    sharing: '',
    required: false,
    env: null,
    mode: null,
    uid: null,
    gid: null,
  };
  let readonly: boolean | null = null;
  for (const { key, value: written, field } of fieldsOf(text)) {
    const value = written === null ? null : fill(written);
    if (key === 'readonly' || key === 'ro') readonly = value === null || booleanOf(key, value);
    else if (key === 'readwrite' || key === 'rw') readonly = value !== null && !booleanOf(key, value);
    else if (key === 'required') {
      if (mount.type !== 'secret' && mount.type !== 'ssh') throw notFor(key, mount);
      mount.required = value === null || booleanOf(key, value);
    } else if (value === null)
      throw new Problem(`--mount has ${quote(field)}: KEY=VALUE was expected`, { at: field });
    else setField(mount, key, value, field);
  }
  mount.readonly = readonly ?? (mount.type !== 'cache' && mount.type !== 'tmpfs');
  checkMount(mount);
  return mount;
}

function setField(mount: MountFields, key: string, value: string, field: string): void {
  switch (key) {
    case 'type':
      mount.type = oneOf(TYPES, key, value);
      return;
    case 'from':
      mount.from = value;
      return;
    case 'source':
    case 'src':
      mount.source = value;
      return;
    case 'target':
    case 'dst':
    case 'destination':
      mount.target = value;
      return;
    case 'id':
      mount.id = value;
      return;
    case 'env':
      mount.env = value;
      return;
    case 'sharing':
      mount.sharing = oneOf(SHARING, key, value);
      return;
    case 'mode':
      mount.mode = numberOf(key, value, 8);
      return;
    case 'uid':
    case 'gid':
      mount[key] = numberOf(key, value, 10);
      return;
    case 'size': {
      if (mount.type !== 'tmpfs') throw notFor(key, mount);
      const bytes = parseSizeBytes(value);
      if (bytes === null)
        throw new Problem(`--mount has size=${value}: a size like 64m was expected`, { at: value });
      mount.sizeBytes = bytes;
      return;
    }
    default:
      throw new Problem(`--mount has no key ${quote(key)}`, { at: field, found: key, expected: KEYS });
  }
}

function checkMount({ type, mode, uid, gid, from, sharing, source, target, id }: MountFields): void {
  if ((type === 'bind' || type === 'tmpfs') && (mode ?? uid ?? gid) !== null)
    throw new Problem(`a ${type} mount has mode, uid or gid: only cache, secret and ssh may`);
  if (type === 'secret') {
    if (from !== '') throw new Problem('a secret mount has from: it comes from --secret');
    if (source === '' && target === '' && id === '')
      throw new Problem('a secret mount names no secret: id, source or target was expected');
    if (source !== '' && id !== '') throw new Problem('a secret mount has source and id: one was expected');
  }
  if (sharing !== '' && type !== 'cache') throw new Problem(`a ${type} mount has sharing: only cache may`);
  if (type === 'ssh' && source !== '') throw new Problem('an ssh mount has source: it has none');
}

function fieldsOf(text: string): { key: string; value: string | null; field: string }[] {
  return splitCsv(text).map((field) => {
    const equals = field.indexOf('=');
    const key = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    return { key, value: equals < 0 ? null : field.slice(equals + 1), field };
  });
}

/** One line of RFC 4180. */
function splitCsv(text: string): string[] {
  if (text === '') throw new Problem('--mount is empty: KEY=VALUE was expected', { at: '--mount' });
  const fields: string[] = [];
  for (let at = 0; ; at++) {
    const match = /"((?:[^"]|"")*)"(?=,|$)|([^",]*)(?=,|$)/y;
    match.lastIndex = at;
    const found = match.exec(text);
    if (!found)
      throw new Problem(`--mount has ${quote(text.slice(at))}: its double quotes don't close`, { at: text });
    fields.push(found[1]?.replaceAll('""', '"') ?? found[2]!);
    at += found[0].length;
    if (at >= text.length) return fields;
  }
}

function oneOf<T extends string>(options: readonly T[], key: string, value: string): T {
  const found = options.find((option) => option === value.toLowerCase());
  if (found !== undefined) return found;
  throw new Problem(`--mount has ${key}=${value}`, { at: value, found: value, expected: options });
}

function booleanOf(key: string, value: string): boolean {
  if (/^(?:1|t|T|TRUE|true|True)$/.test(value)) return true;
  if (/^(?:0|f|F|FALSE|false|False)$/.test(value)) return false;
  throw new Problem(`--mount has ${key}=${value}: true or false was expected`, { at: value });
}

function numberOf(key: string, value: string, base: 8 | 10): number {
  const number = (base === 8 ? /^[0-7]{1,12}$/ : /^\d{1,10}$/).test(value)
    ? Number.parseInt(value, base)
    : Number.NaN;
  if (number <= 0xffff_ffff) return number;
  throw new Problem(`--mount has ${key}=${value}: ${base === 8 ? 'an octal' : 'a'} number was expected`, {
    at: value,
  });
}

function notFor(key: string, { type }: MountFields): Problem {
  return new Problem(`--mount has ${key}, which a ${type} mount has not (its type must stand first)`, {
    at: key,
  });
}
