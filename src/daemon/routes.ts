// The daemon's API as one table: method, path, handler. A handler gets the conductor and parsed input and
// answers a value; it never touches HTTP. Streamed handlers report progress before they answer.

import * as v from 'valibot';
import { runAttacks } from '../sandbox/attack/run-attacks.ts';
import { readConsole, readLifecycleLog } from '../sandbox/console.ts';
import { allowInitialize } from '../sandbox/devcontainer/consent.ts';
import { doctor } from '../sandbox/doctor.ts';
import { diff, fetchBack, mergeBack } from '../sandbox/hand-back.ts';
import { readJournal } from '../sandbox/journal.ts';
import { pause, resume, start, stop } from '../sandbox/power.ts';
import { viewOf } from '../sandbox/record.ts';
import { remove } from '../sandbox/remove.ts';
import { show } from '../sandbox/show.ts';
import { up } from '../sandbox/up.ts';
import { parse } from './parse.ts';
import { alone, onSandbox, type Route } from './route.ts';
import { auditRoutes } from './routes-audit.ts';
import { forwardRoutes } from './routes-forward.ts';
import { policyRoutes } from './routes-policy.ts';
import { buildSchema, optionalNumber, optionalText, templateRoutes } from './routes-template.ts';

const upSchema = v.object({
  name: optionalText,
  path: optionalText,
  environment: optionalText,
  build: buildSchema,
  cpus: optionalNumber,
  memoryMib: optionalNumber,
  diskGib: optionalNumber,
  network: v.nullable(v.picklist(['none', 'mediated', 'open'])),
  fresh: v.boolean(),
  prepare: v.boolean(),
  initialized: optionalText,
});

const consentSchema = v.object({
  root: v.pipe(v.string(), v.maxLength(4096)),
  digest: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
});

const attackSchema = v.object({ weaken: v.nullable(v.picklist(['host-service'])) });

const mergeSchema = v.object({
  squash: v.boolean(),
  message: v.nullable(v.pipe(v.string(), v.maxLength(65_536))),
  commit: v.boolean(),
  allowRewritten: v.boolean(),
});

export const routes: Route[] = [
  {
    method: 'GET',
    path: '/v1/sandboxes',
    handle: async ({ conductor }) => conductor.list().map(({ record }) => viewOf(record)),
  },
  {
    method: 'POST',
    path: '/v1/sandboxes',
    streamed: true,
    handle: ({ conductor, body, onProgress, signal }) =>
      up(conductor, parse(upSchema, body), onProgress, signal),
  },
  {
    method: 'GET',
    path: '/v1/sandboxes/:name',
    handle: onSandbox(({ conductor }, sandbox) => show(conductor, sandbox)),
  },
  {
    method: 'DELETE',
    path: '/v1/sandboxes/:name',
    handle: alone(({ conductor, query }, sandbox) =>
      remove(conductor, sandbox, { force: query.get('force') === '1' }),
    ),
  },
  {
    method: 'POST',
    path: '/v1/sandboxes/:name/stop',
    handle: alone(({ conductor }, sandbox) => stop(conductor, sandbox)),
  },
  {
    method: 'POST',
    path: '/v1/sandboxes/:name/start',
    handle: alone(({ conductor, signal }, sandbox) => start(conductor, sandbox, signal)),
  },
  {
    method: 'POST',
    path: '/v1/sandboxes/:name/pause',
    handle: alone(({ conductor }, sandbox) => pause(conductor, sandbox)),
  },
  {
    method: 'POST',
    path: '/v1/sandboxes/:name/resume',
    handle: alone(({ conductor }, sandbox) => resume(conductor, sandbox)),
  },
  {
    method: 'GET',
    path: '/v1/sandboxes/:name/journal',
    handle: onSandbox(({ conductor }, sandbox) => readJournal(conductor.files(sandbox).journal)),
  },
  {
    method: 'GET',
    path: '/v1/sandboxes/:name/console',
    handle: onSandbox(({ conductor }, sandbox) => readConsole(conductor, sandbox)),
  },
  {
    method: 'GET',
    path: '/v1/sandboxes/:name/lifecycle-log',
    handle: onSandbox(({ conductor }, sandbox) => readLifecycleLog(conductor, sandbox)),
  },
  {
    method: 'GET',
    path: '/v1/sandboxes/:name/diff',
    handle: onSandbox(({ conductor, query }, sandbox) =>
      diff(conductor, sandbox, { stat: query.get('stat') === '1' }),
    ),
  },
  {
    method: 'POST',
    path: '/v1/sandboxes/:name/fetch',
    streamed: true,
    handle: alone(({ conductor, onProgress, signal }, sandbox) =>
      fetchBack(conductor, sandbox, onProgress, signal),
    ),
  },
  {
    method: 'POST',
    path: '/v1/sandboxes/:name/merge',
    streamed: true,
    handle: alone(({ conductor, body, onProgress, signal }, sandbox) =>
      mergeBack(conductor, sandbox, parse(mergeSchema, body), onProgress, signal),
    ),
  },
  {
    method: 'POST',
    path: '/v1/consent',
    handle: async ({ conductor, body }) => {
      const { root, digest } = parse(consentSchema, body);
      await allowInitialize(conductor.rooms.layout, root, digest);
      return {};
    },
  },
  ...templateRoutes,
  ...auditRoutes,
  ...forwardRoutes,
  ...policyRoutes,
  { method: 'GET', path: '/v1/doctor', handle: ({ conductor }) => doctor(conductor) },
  {
    method: 'POST',
    path: '/v1/attack',
    streamed: true,
    handle: ({ conductor, body, onProgress, signal }) =>
      runAttacks(conductor, parse(attackSchema, body), onProgress, signal),
  },
];
