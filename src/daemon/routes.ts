// The daemon's API as one table: method, path, handler. A handler gets the conductor and parsed input and
// answers a value; it never touches HTTP. Streamed handlers report progress before they answer.

import * as v from 'valibot';
import { WarrenError } from '../protocol/error.ts';
import { runAttacks } from '../sandbox/attack/run-attacks.ts';
import { readConsole, readLifecycleLog } from '../sandbox/console.ts';
import { allowInitialize } from '../sandbox/devcontainer/consent.ts';
import { doctor } from '../sandbox/doctor.ts';
import { findEnvironment, repositoryAt } from '../sandbox/find-environment.ts';
import { ensureGround } from '../sandbox/ground.ts';
import { diff, fetchBack, mergeBack } from '../sandbox/hand-back.ts';
import { readJournal } from '../sandbox/journal.ts';
import { planNetwork } from '../sandbox/network/plan.ts';
import { pause, resume, start, stop } from '../sandbox/power.ts';
import { usedTemplates } from '../sandbox/prune/inventory.ts';
import { prune } from '../sandbox/prune/prune.ts';
import { viewOf } from '../sandbox/record.ts';
import { remove } from '../sandbox/remove.ts';
import { settingsFor } from '../sandbox/settings.ts';
import { show } from '../sandbox/show.ts';
import { showTemplate } from '../sandbox/show-template.ts';
import { up } from '../sandbox/up.ts';
import { parse } from './parse.ts';
import { alone, onSandbox, type Route } from './route.ts';
import { auditRoutes } from './routes-audit.ts';
import { forwardRoutes } from './routes-forward.ts';
import { policyRoutes } from './routes-policy.ts';

const optionalText = v.nullable(v.pipe(v.string(), v.maxLength(4096)));
const optionalNumber = v.nullable(v.number());

const words = v.record(v.pipe(v.string(), v.maxLength(4096)), v.pipe(v.string(), v.maxLength(131_072)));
const buildSchema = v.nullable(
  v.object({
    builder: v.nullable(v.picklist(['docker', 'podman', 'buildah'])),
    args: words,
    target: optionalText,
    contexts: words,
    secrets: v.record(v.pipe(v.string(), v.maxLength(255)), v.pipe(v.string(), v.maxLength(700_000))),
    noCache: v.boolean(),
    debug: v.boolean(),
  }),
);

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

const templateSchema = v.object({
  prepare: v.boolean(),
  pull: v.boolean(),
  path: v.string(),
  environment: optionalText,
  build: buildSchema,
  cpus: optionalNumber,
  memoryMib: optionalNumber,
  diskGib: optionalNumber,
});

const limit = v.nullable(v.pipe(v.number(), v.minValue(0)));
const pruneSchema = v.object({ all: v.boolean(), olderThanMs: limit, keepBytes: limit, dryRun: v.boolean() });

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
    handle: alone(({ conductor }, sandbox) => start(conductor, sandbox)),
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
  {
    method: 'GET',
    path: '/v1/templates',
    handle: async ({ conductor }) => {
      const used = usedTemplates(conductor);
      return await conductor.templates.list((id) => used.get(id) ?? []);
    },
  },
  {
    method: 'POST',
    path: '/v1/templates',
    streamed: true,
    handle: async ({ conductor, body, onProgress, signal }) => {
      const request = parse(templateSchema, body);
      const repository = await repositoryAt(request.path);
      const { cpus, memoryMib, diskGib, build, prepare, pull: fresh } = request;
      const { fitting } = await planNetwork(conductor.rooms.layout, repository, null);
      const { template } = await ensureGround(
        conductor,
        {
          ...{ build, fresh, prepare, repository },
          found: await findEnvironment(repository, request),
          settings: await settingsFor(repository, request),
          asked: { cpus, memoryMib, diskGib },
          profiles: fitting ?? [],
          network: null,
        },
        onProgress,
        signal,
      );
      return { id: template.id };
    },
  },
  {
    method: 'DELETE',
    path: '/v1/templates/:name',
    handle: async ({ conductor, params }) => {
      const users = usedTemplates(conductor).get(params['name']!) ?? [];
      if (users.length > 0) {
        throw new WarrenError({
          code: 'template.in-use',
          message: `cannot remove template ${params['name']}: the disks of ${users.join(', ')} lie over it`,
          remedy: `warren rm ${users[0]}`,
        });
      }
      await conductor.templates.remove(params['name']!);
      return {};
    },
  },
  {
    method: 'GET',
    path: '/v1/templates/:name',
    handle: ({ conductor, params }) => showTemplate(conductor, params['name']!),
  },
  {
    method: 'POST',
    path: '/v1/builds/:id/release',
    handle: async ({ conductor, params }) => conductor.rooms.failedSteps.get(params['id']!).release(),
  },
  {
    method: 'POST',
    path: '/v1/prune',
    handle: ({ conductor, body }) => prune(conductor, parse(pruneSchema, body)),
  },
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
