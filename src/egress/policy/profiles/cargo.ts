// cargo: the sparse index and the crates. static.rust-lang.org has the toolchains that rust-toolchain.toml names.
// crates.io itself only redirects old downloads; publishing is a PUT there.

import type { Profile } from './profile.ts';

export const cargo: Profile = {
  about: 'Rust crates and toolchains, read only',
  files: ['Cargo.toml', 'rust-toolchain', 'rust-toolchain.toml'],
  allow: [
    { host: 'index.crates.io', registry: 'read' },
    { host: 'static.crates.io', registry: 'read' },
    { host: 'crates.io', methods: ['GET', 'HEAD'], paths: ['/api/v1/crates/*/*/download'] },
    { host: 'static.rust-lang.org', registry: 'read' },
  ],
};
