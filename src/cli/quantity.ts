// Ages and sizes as people and docker write them. Pure.

import { WarrenError } from '../protocol/error.ts';

const UNIT_MS: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};
const AGE = /^(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+$/;

/** `7d`, `1h30m`; milliseconds. `flag`: who asks. */
export function parseAge(text: string, flag: string): number {
  if (!AGE.test(text))
    throw wrong(flag, text, 'an age: a number with s, m, h, d or w behind it', `${flag} 7d`);
  const parts = text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/g);
  return [...parts].reduce((sum, [, count, unit]) => sum + Number(count) * UNIT_MS[unit!]!, 0);
}

/** `20GiB`, `20GB`, `20g`, `1000000`; bytes. As docker reads them for memory and storage, all are powers of 1024. */
export function parseSize(text: string, flag: string): number {
  const bytes = sizeOf(text);
  if (Number.isNaN(bytes)) throw wrong(flag, text, 'a size', `${flag} 20GiB`);
  return bytes;
}

/** The same; NaN: it is no size. */
export function sizeOf(text: string): number {
  const [, count, unit] = /^(\d+(?:\.\d+)?) ?([kmgt]?)(?:i?b)?$/i.exec(text) ?? [];
  return Math.round(Number(count ?? Number.NaN) * 1024 ** ' kmgt'.indexOf((unit || ' ').toLowerCase()));
}

/** Of docker's `--filter until=24h`, or a time that Date understands; milliseconds ago. */
export function untilOf(filter: string, nowMs = Date.now()): number {
  const [, value] = /^until=(.+)$/.exec(filter) ?? [];
  if (value === undefined)
    throw wrong(
      '--filter',
      filter,
      'a filter that is known here: there is only until=',
      '--filter until=24h',
    );
  const at = /^\d{4}-/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? parseAge(value, '--filter until=') : Math.max(0, nowMs - at);
}

function wrong(flag: string, text: string, what: string, example: string): WarrenError {
  return new WarrenError({
    code: 'usage.prune',
    message: `cannot use ${flag} ${JSON.stringify(text)}: it is not ${what}`,
    remedy: example,
  });
}
