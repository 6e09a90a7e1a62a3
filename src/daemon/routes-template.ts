// Calls about templates, and about the builds that they come of.

import * as v from 'valibot';
import { WarrenError } from '../protocol/error.ts';
import { findEnvironment, repositoryAt } from '../sandbox/find-environment.ts';
import { ensureGround } from '../sandbox/ground.ts';
import { planNetwork } from '../sandbox/network/plan.ts';
import { usedTemplates } from '../sandbox/prune/inventory.ts';
import { prune } from '../sandbox/prune/prune.ts';
import { settingsFor } from '../sandbox/settings.ts';
import { showTemplate } from '../sandbox/show-template.ts';
import { parse } from './parse.ts';
import type { Route } from './route.ts';

export const optionalText = v.nullable(v.pipe(v.string(), v.maxLength(4096)));
export const optionalNumber = v.nullable(v.number());

const words = v.record(v.pipe(v.string(), v.maxLength(4096)), v.pipe(v.string(), v.maxLength(131_072)));
export const buildSchema = v.nullable(
  v.object({
    builder: v.nullable(v.picklist(['docker', 'podman', 'buildah'])),
    args: words,
    target: optionalText,
    contexts: words,
    secrets: v.record(v.pipe(v.string(), v.maxLength(255)), v.pipe(v.string(), v.maxLength(700_000))),
    ssh: v.optional(
      v.record(
        v.pipe(v.string(), v.maxLength(255)),
        v.pipe(v.string(), v.startsWith('/'), v.maxLength(4096)),
      ),
      {},
    ),
    noCache: v.boolean(),
    debug: v.boolean(),
  }),
);

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

export const templateRoutes: Route[] = [
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
];
