// One step in the machine: what is mounted, copied or run, and how it ended. What a step needs from the host is sent
// when it is needed; answers are a guest's.

import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CopyStep, Mount, RunStep, Source } from '../../environment/dockerfile/index.ts';
import { WarrenError } from '../../protocol/error.ts';
import { type CopySourceContent, copyTar, treeTar } from './copy-tar.ts';
import { fetchUrl } from './fetch-url.ts';
import type { BuildSecrets } from './secrets.ts';
import type { Sources } from './sources.ts';
import { type BuildSsh, planSockets } from './ssh/plan-sockets.ts';
import type { ServedAgents } from './ssh/serve.ts';
import type { KeyedStep } from './stages.ts';
import type { StepLog } from './step-log.ts';
import type { StepCommand, StepFile, StepMount, Tree, Workshop } from './workshop.ts';

export interface Bench {
  workshop: Workshop;
  sources: Sources;
  secrets: BuildSecrets;
  ssh: BuildSsh;
  log: StepLog;
  /** For downloads on their way. */
  scratchFolder: string;
  /** What a source is in the machine; undefined: it is not there yet. */
  treeOf: (source: Source) => Tree | undefined;
  signal: AbortSignal;
  /** Trees that were sent for mounts. */
  sent: Map<string, string>;
  /** A RUN failed in a stage of the machine: it stays open until this resolves. */
  onFailedRun?: OnFailedRun | undefined;
}

export type OnFailedRun = (failed: { stage: string; command: StepCommand; says: string }) => Promise<void>;

export interface Ended {
  exitCode: number;
  status: string;
  /** Of a RUN. */
  command?: StepCommand;
}

/** Opens the step and does it. It stays open: the caller ends its SSH agents, and keeps or drops what it changed. */
export async function perform(
  bench: Bench,
  stage: string,
  keyed: KeyedStep,
  served: ServedAgents,
): Promise<Ended> {
  const { step } = keyed;
  const { builder } = bench.workshop;
  if (step.kind === 'run') return await performRun(bench, stage, step, served);
  await builder.openStep(stage, { run: false });
  if (step.kind === 'workdir') await builder.makeFolder(stage, step.path, step.user);
  else await performCopy(bench, stage, step, keyed.picked);
  return { exitCode: 0, status: '' };
}

async function performRun(bench: Bench, stage: string, step: RunStep, served: ServedAgents): Promise<Ended> {
  const { builder } = bench.workshop;
  const { sockets, agents, env: found } = planSockets(step, bench.ssh);
  const mounts: StepMount[] = [];
  const files: StepFile[] = [];
  const env: Record<string, string> = { ...found, ...Object.fromEntries([...step.proxyEnv, ...step.env]) };
  for (const mount of step.mounts) {
    const made = await mountOf(bench, mount);
    if (made) mounts.push(made);
    const secret = mount.kind === 'secret' ? secretOf(bench.secrets, mount, step) : undefined;
    if (mount.kind !== 'secret' || !secret) continue;
    if (mount.env !== null) env[mount.env] = secret.toString('utf8');
    if (mount.target !== null)
      files.push({ target: mount.target, content: secret, mode: mount.mode, uid: mount.uid, gid: mount.gid });
  }
  if (step.script)
    files.push({
      target: step.script.path,
      content: Buffer.from(step.script.content),
      mode: 0o755,
      uid: 0,
      gid: 0,
    });
  await builder.openStep(stage, { run: true, mounts, files, sockets });
  if (agents.length > 0)
    served.begin({
      agents,
      accept: (signal) => builder.acceptSocket(stage, signal),
      tell: (line) => bench.log.tell(line),
    });
  const command: StepCommand = {
    argv: step.argv,
    env,
    user: step.user,
    workdir: step.workdir || '/',
    network: step.network === 'none' ? 'none' : 'default',
  };
  let ended: Ended = { exitCode: -1, status: 'unknown' };
  for await (const event of builder.run(stage, command)) {
    if (event.kind === 'end') ended = event;
    else await bench.log.say(event.kind, event.data);
  }
  await bench.log.flush();
  return { ...ended, command };
}

function secretOf(
  secrets: BuildSecrets,
  mount: Extract<Mount, { kind: 'secret' }>,
  step: RunStep,
): Buffer | undefined {
  const found = secrets.get(mount.id);
  if (found || !mount.required) return found;
  throw new WarrenError({
    code: 'build.no-secret',
    message: `line ${step.line}: the step needs the secret "${mount.id}"`,
    remedy: `--secret id=${mount.id},src=FILE or --secret id=${mount.id},env=NAME`,
  });
}

async function mountOf(bench: Bench, mount: Mount): Promise<StepMount | undefined> {
  switch (mount.kind) {
    case 'tmpfs':
      return { kind: 'tmpfs', target: mount.target, sizeBytes: mount.sizeBytes };
    case 'cache':
      return {
        kind: 'cache',
        target: mount.target,
        // As BuildKit has it: whose a cache is tells it from others of its name.
        id: createHash('sha256')
          .update(JSON.stringify([mount.id, mount.mode, mount.uid, mount.gid]))
          .digest('hex')
          .slice(0, 32),
        mode: mount.mode,
        uid: mount.uid,
        gid: mount.gid,
      };
    case 'bind':
      return {
        kind: 'bind',
        target: mount.target,
        source: mount.source,
        writable: !mount.readonly,
        ...(await treeIn(bench, mount.from, mount.source)),
      };
    case 'ssh':
    case 'secret':
      return undefined;
  }
}

/** Of a folder on the host, what the mount shows is sent once. */
async function treeIn(bench: Bench, from: Source, shown: string): Promise<Tree> {
  const there = bench.treeOf(from);
  if (there) return there;
  if (from.kind !== 'context') throw new Error(`no tree for a source of kind ${from.kind}`);
  const context = await bench.sources.folder(from);
  const key = `${from.name ?? ''}\0${shown}`;
  const known = bench.sent.get(key);
  if (known) return { tree: known };
  const name = `t${bench.sent.size}`;
  const { picked } = await context.select([{ path: shown, pivot: '/', required: true }], {
    parents: true,
    isExcluded: () => false,
  });
  const [tree] = picked;
  if (!tree)
    throw new WarrenError({
      code: 'environment.context',
      message: `cannot mount ${JSON.stringify(shown)}: it is not in ${context.folder}`,
    });
  await bench.workshop.builder.putTree(name, treeTar(context.folder, tree));
  bench.sent.set(key, name);
  return { tree: name };
}

async function performCopy(
  bench: Bench,
  stage: string,
  step: CopyStep,
  picked: KeyedStep['picked'],
): Promise<void> {
  const { builder } = bench.workshop;
  const copy = { dest: step.dest, chown: step.chown ?? '', chmod: step.chmod ?? '' };
  const tree = picked ? undefined : bench.treeOf(step.from);
  if (tree) {
    const patterns = step.sources.map(({ path }) => path);
    if (patterns.length > 0)
      await builder.copyFrom(stage, tree, {
        ...copy,
        folder: isFolder(step),
        patterns,
        parents: step.parents,
        excludes: step.excludes,
      });
  }
  const downloads: string[] = [];
  try {
    const contents: CopySourceContent[] = (picked?.picked ?? []).map((each) => ({
      kind: 'picked',
      folder: picked!.context.folder,
      picked: each,
    }));
    for (const [nr, { url, name }] of step.urls.entries()) {
      const into = join(bench.scratchFolder, `download-${nr}`);
      downloads.push(into);
      const { workshop, signal } = bench;
      const fetched = await fetchUrl({
        url,
        checksum: step.checksum,
        into,
        proxy: () => workshop.builder.proxy(),
        certificatePem: workshop.certificatePem,
        signal,
      });
      contents.push({ kind: 'download', name, ...fetched });
    }
    for (const { name, content } of step.inline) contents.push({ kind: 'text', name, content });
    if (contents.length === 0) return;
    const head = {
      stage,
      ...copy,
      folder: isFolder(step),
      sources: contents.map((each) => ({
        name: each.kind === 'picked' ? each.picked.name : each.name,
        untimed: each.kind === 'picked' && (step.parents || each.picked.entries[0]?.entry.path === ''),
        extract: step.isAdd && each.kind !== 'text' && (step.unpack ?? each.kind === 'picked'),
      })),
    };
    await builder.copy(copyTar(head, contents));
  } finally {
    for (const file of downloads) await rm(file, { force: true });
  }
}

/** Several things that a step names go into a folder; of several that one wildcard matches the last one stays. */
function isFolder({ dest, sources, urls, inline }: CopyStep): boolean {
  return dest.endsWith('/') || sources.length + urls.length + inline.length > 1;
}
