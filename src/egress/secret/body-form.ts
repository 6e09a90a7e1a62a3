// How a value is written in a body, by what the guest says that the body is. Pure.

import { type HeaderList, listOf, valuesOf } from '../http/headers.ts';

/** Null when the body cannot be looked into: then it passes as it is, placeholders and all. */
export function bodyForm(headers: HeaderList): ((value: string) => string) | null {
  if (listOf(headers, 'content-encoding').some((encoding) => encoding !== 'identity')) return null;
  const type = (valuesOf(headers, 'content-type')[0] ?? '').split(';')[0]!.trim().toLowerCase();
  if (type === 'application/x-www-form-urlencoded') return encodeURIComponent;
  if (/^application\/(?:[\w.-]+\+)?json$/.test(type)) return (value) => JSON.stringify(value).slice(1, -1);
  return (value) => value;
}
