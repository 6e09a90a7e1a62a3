// Which hosts are registries of packages, of which kind, and what each promises. The public ones are those of the
// policy's profiles; a user may name others. Naming a registry allows nothing: the policy judged before.

import { cargo, cargoIndex } from './kinds/cargo.ts';
import { debian } from './kinds/debian.ts';
import { goProxy } from './kinds/go.ts';
import { npm } from './kinds/npm.ts';
import { pypiFiles, pypiIndex } from './kinds/pypi.ts';
import type { Kind, What } from './what.ts';

/** As in the user's settings: kinds, each with addresses like `http://host.warren.internal:4873/`. */
export type OwnRegistries = { readonly [kind in 'npm' | 'pypi' | 'cargo']?: readonly string[] };

export interface Registry {
  kind: Kind;
  /** Origin and path, ends with `/`. */
  base: string;
  /** The registry's rule is that a file's address never gets other content. */
  lasting: boolean;
  /** Bases of files whose digests its index may tell. */
  speaksFor: readonly string[];
}

const npmjs = 'https://registry.npmjs.org/';
const yarnpkg = 'https://registry.yarnpkg.com/';
const pythonhosted = 'https://files.pythonhosted.org/';
const cratesFiles = 'https://static.crates.io/';

export const PUBLIC_REGISTRIES: readonly Registry[] = [
  // "Once package@version has been used, you can never use it again."
  { kind: npm, base: npmjs, lasting: true, speaksFor: [npmjs] },
  { kind: npm, base: yarnpkg, lasting: true, speaksFor: [yarnpkg, npmjs] },
  { kind: pypiIndex, base: 'https://pypi.org/', lasting: false, speaksFor: [pythonhosted] },
  { kind: pypiFiles, base: pythonhosted, lasting: false, speaksFor: [] },
  { kind: cargoIndex, base: 'https://index.crates.io/', lasting: false, speaksFor: [cratesFiles] },
  // "A publish is permanent. The version can never be overwritten."
  { kind: cargo, base: cratesFiles, lasting: true, speaksFor: [] },
  // "Whatever commits a version pointed to when the mirror saw it first, it answers from then on."
  { kind: goProxy, base: 'https://proxy.golang.org/', lasting: true, speaksFor: [] },
  // The archive refuses another file under a name of its pool. Over http nothing of that can be believed.
  ...['deb.debian.org', 'security.debian.org'].map((host) => publicDebian(`https://${host}/`, true)),
  ...[
    'deb.debian.org',
    'security.debian.org',
    'archive.ubuntu.com',
    'security.ubuntu.com',
    'ports.ubuntu.com',
  ].map((host) => publicDebian(`http://${host}/`, false)),
];

function publicDebian(base: string, lasting: boolean): Registry {
  return { kind: debian, base, lasting, speaksFor: [] };
}

export interface Located {
  registry: Registry;
  what: What;
}

export class Registries {
  /** By origin, longest base first. */
  readonly #byOrigin: ReadonlyMap<string, Registry[]>;

  constructor(own: OwnRegistries = {}) {
    const all = [...PUBLIC_REGISTRIES, ...ownRegistries(own)];
    all.sort((a, b) => b.base.length - a.base.length);
    this.#byOrigin = Map.groupBy(all, ({ base }) => new URL(base).origin);
  }

  /** `origin` without a usual port. Null for what is neither a file nor an index. */
  locate(origin: string, path: string): Located | null {
    for (const registry of this.#byOrigin.get(origin) ?? []) {
      const url = origin + path;
      if (!url.startsWith(registry.base)) continue;
      const what = registry.kind(url.slice(registry.base.length));
      if (what) return { registry, what };
    }
    return null;
  }
}

function ownRegistries(own: OwnRegistries): Registry[] {
  const make = (kinds: Kind[], addresses: readonly string[] = []) =>
    addresses.flatMap((address) => {
      const { origin, pathname } = new URL(address);
      const base = origin + pathname.replace(/\/*$/, '/');
      return kinds.map((kind): Registry => ({ kind, base, lasting: false, speaksFor: [base] }));
    });
  return [
    ...make([npm], own.npm),
    ...make([pypiIndex, pypiFiles], own.pypi),
    ...make([cargoIndex, cargo], own.cargo),
  ];
}
