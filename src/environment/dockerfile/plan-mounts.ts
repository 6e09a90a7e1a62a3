// `--mount` of a RUN → what the machine is to put where.

import { basePath, cleanPath, isAbsolutePath, joinPath } from './paths.ts';
import { Problem, quote } from './problem.ts';
import { type MountFields, readMount } from './read-mount.ts';
import { MAIN_CONTEXT, type Source } from './source.ts';
import { namedSource } from './stage-sources.ts';
import { checkPath, type StageState } from './stage-state.ts';
import type { BindMount, CacheMount, Mount, SecretMount } from './step.ts';

/** Throws a `Problem`. */
export function planMounts(state: StageState, written: string[]): Mount[] {
  return written.map((text) =>
    planMount(
      state,
      readMount(text, (word) => checkPath(state.fill(word))),
    ),
  );
}

/** The one that its `env` names, so that texts for people can hide it. */
export function secretVariables(mounts: Mount[]): string[] {
  return mounts.flatMap((mount) => (mount.kind === 'secret' && mount.env !== null ? [mount.env] : []));
}

function planMount(state: StageState, fields: MountFields): Mount {
  const { type, id, required, sizeBytes } = fields;
  if (type === 'secret') return planSecret(state, fields);
  const owner = (mode: number) => ({ uid: fields.uid ?? 0, gid: fields.gid ?? 0, mode: fields.mode ?? mode });
  if (type === 'ssh') {
    const target = fields.target === '' ? null : absolute(state, fields.target);
    return { kind: 'ssh', id: id || 'default', target, required, ...owner(0o600) };
  }
  const target = absolute(state, fields.target);
  if (target === '/')
    throw new Problem(`--mount has the target ${quote(fields.target)}: a folder below / was expected`);
  if (type === 'tmpfs') return { kind: 'tmpfs', target, sizeBytes };
  const source = joinPath('/', fields.source);
  if (type === 'cache') return planCache(state, fields, target, source, owner(0o755));
  const bind: BindMount = { kind: 'bind', target, from: MAIN_CONTEXT, source, readonly: fields.readonly };
  return fields.from === '' ? bind : { ...bind, from: namedSource(state.plan, fields.from) };
}

function planCache(
  state: StageState,
  { from, id, sharing, readonly, target: written }: MountFields,
  target: string,
  source: string,
  owner: Pick<CacheMount, 'uid' | 'gid' | 'mode'>,
): CacheMount {
  const files: Source = from === '' ? { kind: 'scratch' } : namedSource(state.plan, from);
  return {
    kind: 'cache',
    id: id || cleanPath(written),
    sharing: sharing || 'shared',
    target,
    from: files,
    source,
    readonly,
    ...owner,
  };
}

function planSecret(state: StageState, fields: MountFields): SecretMount {
  const { env, required } = fields;
  const id = fields.source || fields.id || basePath(fields.target);
  const wanted = fields.target || (env === null ? `/run/secrets/${basePath(id)}` : '');
  return {
    kind: 'secret',
    id,
    target: wanted === '' ? null : absolute(state, wanted),
    // `env` without a name: the secret's own.
    env: env === '' ? id : env,
    required,
    uid: fields.uid ?? 0,
    gid: fields.gid ?? 0,
    mode: fields.mode ?? 0o400,
  };
}

function absolute({ config }: StageState, path: string): string {
  return cleanPath(isAbsolutePath(path) ? path : joinPath('/', config.WorkingDir, path));
}
