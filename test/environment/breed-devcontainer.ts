// Configurations bred from words, for asking two implementations the same. What only one of them is strict about (a user
// with a blank, a size without a number) is not among the words.

import type { Configuration } from './devcontainer-reading.ts';

type Random = (below: number) => number;

const TEXTS = [
  'plain',
  '',
  "it's",
  'a b',
  '"',
  '$HOME',
  '${localEnv:USER}',
  '${env:USER}-${localEnv:NONE}',
  '${localEnv:NONE:d:e}',
  '${localEnv:EMPTY:d}',
  '${localEnv:TRICK}',
  '${localWorkspaceFolder}/x',
  '${localWorkspaceFolderBasename}',
  '${containerWorkspaceFolder}',
  '${containerWorkspaceFolderBasename}',
  '${devcontainerId}',
  '${containerEnv:PATH}:/x',
  '${unknown}',
  '${',
  '$${localEnv:USER}',
  '${localEnv:USER\n}',
  'ü\u2028',
];
const NAMES = ['A', 'B', 'PATH', 'x.y'];
const USERS = ['', 'vscode', 'root', '1000', '${localEnv:USER}', '${localEnv:NONE:dev}'];
const TARGETS = [
  '/a',
  '/b/',
  '/data',
  '${containerWorkspaceFolder}/node_modules',
  '/${localWorkspaceFolderBasename}',
];
const SIZES = ['1gb', '512mb', '3000', '2tb', '700kb', '0'];
const PORTS = [80, 3000, 65535, 'localhost:3000', 'localhost:99', 'db:5432'];
const PHASES = [
  'onCreateCommand',
  'updateContentCommand',
  'postCreateCommand',
  'postStartCommand',
  'postAttachCommand',
];
const PROBES = ['none', 'loginShell', 'interactiveShell', 'loginInteractiveShell'];

export function breedConfiguration(random: Random, name: string): Configuration {
  const breed = new Breeder(random);
  const said = { ...breed.source(), ...breed.common(), ...breed.fileOnly() };
  const label = random(3) === 0 ? null : JSON.stringify(breed.label());
  const path = breed.one([
    '.devcontainer/devcontainer.json',
    '.devcontainer.json',
    '.devcontainer/x/devcontainer.json',
  ]);
  return { name, path, text: JSON.stringify(said), label };
}

class Breeder {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  one<T>(of: readonly T[]): T {
    return of[this.#random(of.length)]!;
  }

  #some<T>(make: () => T): T[] {
    return Array.from({ length: this.#random(4) }, make);
  }

  #maybe<T>(key: string, make: () => T): Record<string, T> {
    return this.#random(3) === 0 ? { [key]: make() } : {};
  }

  #variables(nullable = false): Record<string, string | null> {
    return Object.fromEntries(
      this.#some(() => [this.one(NAMES), nullable && this.#random(4) === 0 ? null : this.one(TEXTS)]),
    );
  }

  #command(): unknown {
    const words = () => [this.one(TEXTS), ...this.#some(() => this.one(TEXTS))];
    const kind = this.#random(3);
    if (kind === 0) return this.one(TEXTS);
    if (kind === 1) return words();
    return Object.fromEntries(
      this.#some(() => [this.one(TEXTS), this.#random(2) ? this.one(TEXTS) : words()]),
    );
  }

  #mount(): unknown {
    const target = this.one(TARGETS);
    return this.one([
      `type=volume,source=v-\${devcontainerId},target=${target}`,
      `source=/home,${this.one(['dst', 'destination', 'target'])}=${target},type=bind`,
      `type=tmpfs,dst=${target}`,
      { type: this.one(['volume', 'bind']), source: this.one(['s', '${localEnv:USER}']), target },
    ]);
  }

  source(): object {
    const dockerfile = this.one(['Dockerfile', './dev.Dockerfile', 'sub/Dockerfile']);
    const place = this.#maybe('context', () => this.one(['.', './', 'sub']));
    const build = {
      ...place,
      ...this.#maybe('target', () => 'stage'),
      ...this.#maybe('args', () => this.#variables()),
    };
    return this.one([
      { image: this.one(['debian', 'debian:12', 'ghcr.io/a/b', 'localhost:5000/x:1', 'a/b']) },
      { build: { dockerfile, ...build } },
      { dockerFile: dockerfile, ...place, build },
    ]);
  }

  common(): object {
    return {
      ...this.#maybe('remoteUser', () => this.one(USERS)),
      ...this.#maybe('containerUser', () => this.one(USERS)),
      ...this.#maybe('containerEnv', () => this.#variables()),
      ...this.#maybe('remoteEnv', () => this.#variables(true)),
      ...this.#maybe('userEnvProbe', () => this.one(PROBES)),
      ...this.#maybe('waitFor', () => this.one([...PHASES, 'initializeCommand'])),
      ...Object.assign({}, ...PHASES.map((phase) => this.#maybe(phase, () => this.#command()))),
      ...this.#maybe('mounts', () => this.#some(() => this.#mount())),
      ...this.#maybe('forwardPorts', () => this.#some(() => this.one(PORTS))),
      ...this.#maybe('hostRequirements', () => ({
        ...this.#maybe('cpus', () => 1 + this.#random(8)),
        ...this.#maybe('memory', () => this.one(SIZES)),
        ...this.#maybe('storage', () => this.one(SIZES)),
        ...this.#maybe('gpu', () => this.one([true, false, 'optional'])),
      })),
      ...this.#maybe('privileged', () => true),
      ...this.#maybe('otherTool', () => ({ a: [1, null] })),
    };
  }

  fileOnly(): object {
    return {
      ...this.#maybe('initializeCommand', () => this.#command()),
      ...this.#maybe('workspaceFolder', () =>
        this.one(['/w', '/w/${localWorkspaceFolderBasename}', '${localWorkspaceFolder}', '/']),
      ),
      ...this.#maybe('workspaceMount', () =>
        this.one([
          '',
          'source=${localWorkspaceFolder},target=/m,type=bind',
          'type=bind,src=${localWorkspaceFolder},dst=/m/${localWorkspaceFolderBasename},consistency=cached',
        ]),
      ),
      ...this.#maybe('name', () => this.one(TEXTS)),
    };
  }

  label(): unknown {
    const entry = () => ({
      ...this.#maybe('id', () => './feature'),
      ...this.#maybe('entrypoint', () => this.one(['', '/init.sh', '/usr/local/share/${devcontainerId}.sh'])),
      ...this.common(),
    });
    return this.#random(4) === 0 ? entry() : this.#some(entry);
  }
}
