// The part of the API about ports of sandboxes.

import * as v from 'valibot';
import { WarrenError } from '../protocol/error.ts';
import type { Route } from './route.ts';

const addSchema = v.object({ port: v.number(), hostPort: v.nullable(v.number()) });

export const forwardRoutes: Route[] = [
  {
    method: 'GET',
    path: '/v1/sandboxes/:name/forwards',
    handle: ({ conductor, params }) => conductor.forwards.list(conductor.get(params['name']!)),
  },
  {
    method: 'POST',
    path: '/v1/sandboxes/:name/forwards',
    handle: async ({ conductor, params, body }) => {
      const request = v.safeParse(addSchema, body);
      if (!request.success)
        throw new WarrenError({ code: 'usage.request', message: 'a forward is {port, hostPort}' });
      const { port, hostPort } = request.output;
      return await conductor.forwards.add(conductor.get(params['name']!), port, hostPort);
    },
  },
  {
    method: 'DELETE',
    path: '/v1/sandboxes/:name/forwards/:port',
    handle: ({ conductor, params }) =>
      conductor.forwards.remove(conductor.get(params['name']!), Number(params['port'])),
  },
];
