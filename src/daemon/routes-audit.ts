// The part of the API that reads what wanted out of a sandbox.

import * as v from 'valibot';
import { tellCommit } from '../sandbox/commit-audit.ts';
import type { AuditFilter } from '../sandbox/network/audit.ts';
import { checkAudit, tellAudit } from '../sandbox/network/audit.ts';
import { parse } from './parse.ts';
import type { Route } from './route.ts';

const filterSchema = v.object({
  follow: v.boolean(),
  denied: v.boolean(),
  tail: v.optional(v.nullable(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(4_000_000))), null),
});

const commitSchema = v.object({
  path: v.pipe(v.string(), v.maxLength(4096)),
  revision: v.pipe(v.string(), v.maxLength(1024)),
  denied: v.boolean(),
});

export const auditRoutes: Route[] = [
  {
    method: 'POST',
    path: '/v1/sandboxes/:name/audit',
    streamed: true,
    handle: async ({ conductor, params, body, signal, emit }) => {
      const filter: AuditFilter = parse(filterSchema, body);
      await tellAudit(conductor, conductor.get(params['name']!), filter, signal, emit);
    },
  },
  {
    method: 'POST',
    path: '/v1/commits/audit',
    streamed: true,
    handle: ({ conductor, body, signal, emit }) =>
      tellCommit(conductor, parse(commitSchema, body), signal, emit),
  },
  {
    method: 'GET',
    path: '/v1/sandboxes/:name/audit/verify',
    handle: ({ conductor, params }) => checkAudit(conductor, conductor.get(params['name']!)),
  },
];
