// What clients send, checked. Its error names the field and what is wrong with it.

import * as v from 'valibot';
import { WarrenError } from '../protocol/error.ts';
import { shapeObjection } from '../protocol/shape.ts';

/** Throws `usage.request`. */
export function parse<S extends v.GenericSchema>(schema: S, body: unknown): v.InferOutput<S> {
  const parsed = v.safeParse(schema, body);
  if (parsed.success) return parsed.output;
  const { place, why } = shapeObjection(schema, parsed.issues[0]);
  throw new WarrenError({
    code: 'usage.request',
    message: `cannot read the request: ${place || 'body'}: ${why}`,
  });
}
