// An image's `config` as JSON ↔ what a build works with. Foreign on the way in: a registry served it.

import * as v from 'valibot';
import { WarrenError } from '../../protocol/error.ts';
import { emptyConfig, type Healthcheck, type ImageConfig } from './image-config.ts';

const LIST_MAX = 10_000;
const TEXT_MAX_CHARS = 1024 * 1024;

const text = v.pipe(v.string(), v.maxLength(TEXT_MAX_CHARS));
const texts = v.pipe(v.array(text), v.maxLength(LIST_MAX));
const names = v.custom<Record<string, unknown>>(
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.keys(value).length <= LIST_MAX,
  'not an object of names',
);
const nanoseconds = v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(2 ** 63)), 0);
const schema = v.object({
  User: v.nullish(text),
  Env: v.nullish(texts),
  WorkingDir: v.nullish(text),
  Entrypoint: v.nullish(texts),
  Cmd: v.nullish(texts),
  ArgsEscaped: v.nullish(v.boolean()),
  Labels: v.nullish(v.pipe(names, v.record(v.string(), text))),
  ExposedPorts: v.nullish(names),
  Volumes: v.nullish(names),
  StopSignal: v.nullish(text),
  Healthcheck: v.nullish(
    v.object({
      Test: v.optional(v.nullable(texts)),
      Interval: nanoseconds,
      Timeout: nanoseconds,
      StartPeriod: nanoseconds,
      StartInterval: nanoseconds,
      Retries: nanoseconds,
    }),
  ),
  Shell: v.nullish(texts),
  OnBuild: v.nullish(texts),
});

/** `json`: the `config` of an image's configuration; null when it has none. Throws `environment.image-config`. */
export function readConfig(json: unknown): ImageConfig {
  if (json === undefined || json === null) return emptyConfig();
  const parsed = v.safeParse(schema, json);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw new WarrenError({
      code: 'environment.image-config',
      message: `cannot build on this image: in its configuration ${v.getDotPath(issue) ?? 'config'} is wrong: ${issue.message.slice(0, 200)}`,
      remedy: 'use another image, or make this one anew',
    });
  }
  const { output } = parsed;
  return {
    User: output.User ?? '',
    Env: output.Env ?? [],
    WorkingDir: output.WorkingDir ?? '',
    Entrypoint: output.Entrypoint ?? null,
    Cmd: output.Cmd ?? null,
    ArgsEscaped: output.ArgsEscaped ?? false,
    Labels: { ...output.Labels },
    ExposedPorts: Object.keys(output.ExposedPorts ?? {}),
    Volumes: Object.keys(output.Volumes ?? {}),
    StopSignal: output.StopSignal ?? '',
    Healthcheck: output.Healthcheck ? { ...output.Healthcheck, Test: output.Healthcheck.Test ?? [] } : null,
    Shell: output.Shell ?? null,
    OnBuild: output.OnBuild ?? [],
  };
}

/** What is empty is left out, and names are sorted: the same configuration is always the same text. */
export function writeConfig(config: ImageConfig): Record<string, unknown> {
  const written = {
    ...config,
    Labels: sorted(Object.entries(config.Labels)),
    ExposedPorts: sorted(config.ExposedPorts.map((port) => [port, {}])),
    Volumes: sorted(config.Volumes.map((path) => [path, {}])),
    Healthcheck: config.Healthcheck === null ? null : writeHealthcheck(config.Healthcheck),
  };
  return Object.fromEntries(Object.entries(written).filter(([, value]) => !isEmpty(value)));
}

function writeHealthcheck(healthcheck: Healthcheck): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(healthcheck).filter(([, value]) => value !== 0 && !isEmpty(value)),
  );
}

function sorted(entries: [string, unknown][]): Record<string, unknown> {
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === '' || value === false) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}
