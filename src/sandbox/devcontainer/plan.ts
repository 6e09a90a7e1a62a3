// What a devcontainer.json and the label of its image mean for a sandbox. Pure.

import { createHash } from 'node:crypto';
import {
  type Command,
  commandsScript,
  commandText,
  type Definition,
  type DevcontainerFile,
  localNames,
  mergeDefinition,
  type Phase,
  parseDevcontainer,
  quoteWord,
  substitute,
  type Variables,
  withUserEnvironment,
} from '../../environment/devcontainer/index.ts';
import type { ImageSettings } from '../../image/index.ts';
import type { Bind } from '../../protocol/up.ts';
import { type Boot, type Preparation, type Step, TIMEOUT_MS } from '../prepare/preparation.ts';

/** The agent's, for images that say none. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** A devcontainer.json that was found, its variables of the host put in. */
export interface Devcontainer {
  /** Absolute, on the host. */
  path: string;
  /** For people. */
  shown: string;
  file: DevcontainerFile;
  /** What it asks of the host's environment and is not told. */
  untold: string[];
}

export interface Lifecycle {
  boot: Boot;
  /** Once in each sandbox. */
  create: Step[];
  /** Each time it starts, and once when it is made. */
  start: Step[];
  /** Before each shell of a person. */
  attach: Step[];
  /** What `up` waits for. */
  waitFor: 'prepared' | 'create' | 'start';
  /** Of each command; missing in records of before there was one. */
  timeoutMs?: number;
}

export interface DevcontainerPlan {
  user: string;
  guestPath: string;
  workdir: string;
  /** Of all sessions. */
  env: Record<string, string>;
  preparation: Preparation | null;
  lifecycle: Lifecycle;
  forwardPorts: number[];
  requirements: Definition['hostRequirements'];
  initialize: Command | null;
  binds: Bind[];
  notices: string[];
}

export interface Around {
  /** Of the repository, on the host. */
  root: string;
  /** Where it lies in the guest unless the file says otherwise. */
  guestPath: string;
  localEnv: Record<string, string>;
}

/** With the variables of the host, which decide which image it is; those of the container come later. */
export function readDevcontainer(
  text: string,
  { path, shown }: { path: string; shown: string },
  around: Around,
): Devcontainer {
  const written = parseDevcontainer(text, shown);
  return {
    path,
    shown,
    file: substitute(written, variablesOf(path, workdirOf(written, path, around), around, null)),
    untold: localNames(written).filter((name) => !Object.hasOwn(around.localEnv, name)),
  };
}

/** Throws `environment.devcontainer`. */
export function planDevcontainer(
  { path, shown, file, untold }: Devcontainer,
  image: ImageSettings,
  around: Around,
): DevcontainerPlan {
  const folder = workdirOf(file, path, around);
  const early = mergeDefinition(image.metadata ?? null, file, (entry) =>
    substitute(entry, variablesOf(path, folder, around, null)),
  );
  const guestPath = early.workspaceTarget ?? around.guestPath;
  const workdir = early.workspaceFolder ?? guestPath;
  const user = early.remoteUser ?? early.containerUser ?? image.user;
  const containerEnv = { ...givenTo(user), ...image.env, ...early.containerEnv };
  const definition = substitute(early, variablesOf(path, workdir, around, containerEnv));
  const steps = (...phases: Phase[]): Step[] =>
    phases.flatMap((phase) =>
      definition.lifecycle[phase].map((command) => stepOf(phase, command, definition)),
    );
  const prepared = steps('onCreateCommand', 'updateContentCommand');
  const boot = bootOf(definition);
  return {
    user,
    guestPath,
    workdir,
    env: { ...early.containerEnv, ...setOnly(definition.remoteEnv) },
    preparation:
      prepared.length === 0
        ? null
        : {
            from: shown,
            boot,
            steps: prepared,
            env: early.containerEnv,
            inputs: definition.inputs,
            timeoutMs: definition.timeoutMs ?? TIMEOUT_MS,
          },
    lifecycle: {
      boot,
      create: steps('postCreateCommand'),
      start: steps('postStartCommand'),
      attach: steps('postAttachCommand'),
      waitFor: waitFor(definition.waitFor),
      timeoutMs: definition.timeoutMs ?? TIMEOUT_MS,
    },
    forwardPorts: definition.forwardPorts,
    requirements: definition.hostRequirements,
    initialize: definition.initialize,
    binds: definition.mounts
      .filter(({ type }) => type === 'bind')
      .map(({ source, target }) => ({ source, target })),
    notices: [...definition.notices, ...workspaceNotices(definition, around), ...untoldNotices(untold)],
  };
}

/** Where sessions start, by what the file alone says. */
function workdirOf(file: DevcontainerFile, path: string, around: Around): string {
  return file.workspaceFolder
    ? substitute(file.workspaceFolder, variablesOf(path, around.guestPath, around, null))
    : around.guestPath;
}

/** What the agent gives every session, as far as it can be told without looking into the image. */
function givenTo(user: string): Record<string, string> {
  const [name = ''] = user.split(':');
  const home = name === 'root' || name === '0' ? '/root' : `/home/${name}`;
  return { PATH: DEFAULT_PATH, HOME: home, USER: name, LOGNAME: name };
}

function variablesOf(
  path: string,
  workdir: string,
  { root, localEnv }: Around,
  containerEnv: Record<string, string> | null,
): Variables {
  return {
    localEnv,
    localWorkspaceFolder: root,
    containerWorkspaceFolder: workdir,
    devcontainerId: createHash('sha256').update(`${root}\0${path}`).digest('hex').slice(0, 52),
    containerEnv,
  };
}

function stepOf(phase: Phase, command: Command, definition: Definition): Step {
  // The same for the same command, or nothing would be found prepared.
  const nonce = `warren-${createHash('sha256').update(JSON.stringify(command)).digest('hex').slice(0, 20)}`;
  return {
    title: `${phase}: ${commandText(command)}`,
    script: withUserEnvironment(commandsScript([command], nonce), definition),
  };
}

/** Folders for volumes, which are the machine's own, and for tmpfs; then what features start. */
function bootOf({ mounts, entrypoints }: Definition): Boot {
  const folders = mounts.flatMap(({ type, target }) =>
    type === 'bind' ? [] : [{ path: target, memory: type === 'tmpfs' }],
  );
  const started = entrypoints.map(
    (entrypoint) => `/bin/sh -c ${quoteWord(entrypoint)} </dev/null || echo "it exited with $?"`,
  );
  return { folders, script: started.length === 0 ? null : started.join('\n') };
}

function waitFor(phase: Definition['waitFor']): Lifecycle['waitFor'] {
  if (phase === 'postCreateCommand') return 'create';
  return phase === 'postStartCommand' || phase === 'postAttachCommand' ? 'start' : 'prepared';
}

function setOnly(env: Record<string, string | null>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((row): row is [string, string] => row[1] !== null));
}

function workspaceNotices({ workspaceSource }: Definition, { root }: Around): string[] {
  return workspaceSource === null || workspaceSource === root
    ? []
    : [`workspaceMount: the repository lies there whole, and ${workspaceSource} of this computer does not`];
}

function untoldNotices(names: readonly string[]): string[] {
  return names.length === 0
    ? []
    : [
        `localEnv: ${names.slice(0, 10).join(', ')} of this computer is not told to a repository; defaults hold`,
      ];
}
