// The part of the API that is about secrets. A value comes in and never goes out.

import * as v from 'valibot';
import { WarrenError } from '../protocol/error.ts';
import { projectRoot } from '../sandbox/secret-scope.ts';
import type { SecretKeeper } from '../sandbox/secrets.ts';
import type { Route } from './route.ts';

const line = v.pipe(v.string(), v.maxLength(4200));
// Above what a value may be: whoever keeps it tells what is wrong.
const value = v.pipe(v.string(), v.maxLength(65_536));

const addSchema = v.object({
  name: line,
  path: v.nullable(line),
  hosts: v.pipe(v.array(line), v.maxLength(64)),
  from: v.nullable(line),
  value: v.nullable(value),
  like: v.nullable(line),
  variable: v.nullable(line),
  query: v.boolean(),
  body: v.boolean(),
});
const valuesSchema = v.object({ values: v.record(line, value) });

export function secretRoutes(secrets: SecretKeeper): Route[] {
  return [
    { method: 'GET', path: '/v1/secrets', handle: () => secrets.list() },
    {
      method: 'POST',
      path: '/v1/secrets',
      async handle({ body }) {
        const request = parse(addSchema, body);
        return await secrets.add(request, request.path === null ? null : await projectRoot(request.path));
      },
    },
    { method: 'GET', path: '/v1/secrets/wanted', handle: () => secrets.wanted() },
    {
      method: 'POST',
      path: '/v1/secrets/values',
      async handle({ body }) {
        await secrets.tellValues(parse(valuesSchema, body).values);
        return {};
      },
    },
    {
      method: 'DELETE',
      path: '/v1/secrets/:name',
      async handle({ params, query }) {
        const path = query.get('path');
        await secrets.remove(params['name']!, path === null ? null : await projectRoot(path));
        return {};
      },
    },
  ];
}

/** Its error repeats nothing of the body. */
function parse<S extends v.GenericSchema>(schema: S, body: unknown): v.InferOutput<S> {
  const parsed = v.safeParse(schema, body);
  if (parsed.success) return parsed.output;
  throw new WarrenError({
    code: 'usage.request',
    message: `cannot read the request: ${v.getDotPath(parsed.issues[0]) ?? 'body'} is not as it should be`,
  });
}
