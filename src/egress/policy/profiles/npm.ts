// npm, yarn, pnpm: packages are read, never published. nodejs.org has the headers that native modules are built with.

import type { Profile } from './profile.ts';

export const npm: Profile = {
  about: 'Node packages, read only',
  files: ['package.json'],
  allow: [
    { host: 'registry.npmjs.org', registry: 'read' },
    { host: 'registry.yarnpkg.com', registry: 'read' },
    { host: 'nodejs.org', paths: ['/dist/*', '/download/*'], methods: ['GET', 'HEAD'] },
  ],
};
