// A devcontainer.json and, after a NUL, the label of an image: read, merged and planned, or refused with words; and what is
// planned keeps to the guest and to the repository.

import { relative } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { toEnvironment } from '../../src/environment/devcontainer/index.ts';
import { WarrenError } from '../../src/protocol/error.ts';
import { planDevcontainer, readDevcontainer } from '../../src/sandbox/devcontainer/plan.ts';

const around = { root: '/r', guestPath: '/workspaces/r', localEnv: { USER: 'ada${localEnv:LANG}' } };

export const seeds = [
  '{ // c\n"image": "a", "features": {"./x": {}}, "remoteUser": "${localEnv:USER:me}", "containerEnv": {"A": "${containerEnv:PATH}", "N": 1}, "remoteEnv": {"B": null, "C": "${containerEnv:A:x}"},}',
  '{"build": {"dockerfile": "../D", "context": "..", "args": {"A": "1"}, "target": "t"}, "workspaceMount": "source=${localWorkspaceFolder},target=/w,type=bind", "workspaceFolder": "/w/${localWorkspaceFolderBasename}", "waitFor": "postStartCommand"}',
  '{"dockerFile": "D", "onCreateCommand": {"a b": "x", "c": ["y", "\'"]}, "postStartCommand": ["a"], "postAttachCommand": "", "userEnvProbe": "none", "initializeCommand": "i"}\0[{"id": "f", "mounts": ["type=tmpfs,dst=/t", {"type": "volume", "source": "s", "target": "${containerWorkspaceFolder}/v"}], "entrypoint": "/e", "forwardPorts": ["localhost:80", "db:1", 3]}]',
  '{"image": "a", "hostRequirements": {"cpus": 2, "memory": "8gb", "storage": "1", "gpu": true}, "runArgs": ["--x"], "portsAttributes": {"1": {}}, "customizations": {"warren": {"inputs": ["x"], "timeout": 3}}}\0{"remoteUser": "x", "hostRequirements": {"memory": "1tb"}}',
];

export function run(bytes: Buffer): string {
  const first = planned(bytes);
  if (!isDeepStrictEqual(first, planned(bytes))) throw new Error('planned otherwise the second time');
  if (typeof first === 'string') return first;
  const { environment, plan } = first;
  if (environment.kind === 'dockerfile')
    for (const path of [environment.file, environment.context])
      if (relative('/r', path).startsWith('..')) throw new Error(`not in the repository: ${path}`);
  const { boot } = plan.lifecycle;
  for (const path of [plan.guestPath, plan.workdir, ...boot.folders.map((folder) => folder.path)])
    if (!path.startsWith('/') || /\/\.\.(?:\/|$)|\0/.test(path)) throw new Error(`no clean path: ${path}`);
  if (!/^[^\s:\0]+(?::[^\s:\0]+)?$/.test(plan.user)) throw new Error(`no user: ${plan.user}`);
  for (const [name, value] of Object.entries(plan.env))
    if (typeof value !== 'string' || /[=\0]/.test(name) || value.includes('\0'))
      throw new Error(`no variable: ${name}`);
  const { create, start, attach, waitFor } = plan.lifecycle;
  const counts = [boot.folders, create, start, attach, plan.notices, Object.keys(plan.env)].map(
    ({ length }) => Math.min(length, 3),
  );
  return [environment.kind, waitFor, plan.preparation?.steps.length ?? 0, ...counts].join(' ');
}

function planned(bytes: Buffer) {
  const [text = '', ...label] = bytes.toString().split('\0');
  try {
    const read = readDevcontainer(text, { path: '/r/.devcontainer/devcontainer.json', shown: 'f' }, around);
    const environment = toEnvironment(read.file, read.path, '/r');
    const image = { user: 'root', workdir: '/', env: { A: '${containerEnv:B}' } };
    const metadata = label.length === 0 ? {} : { metadata: label.join('\0') };
    return { environment, plan: planDevcontainer(read, { ...image, ...metadata }, around) };
  } catch (error) {
    if (error instanceof WarrenError && /^(?:environment\.|usage\.)/.test(error.code))
      return `refused ${error.message.replace(/\P{L}+/gu, ' ').slice(0, 60)}`;
    throw error;
  }
}
