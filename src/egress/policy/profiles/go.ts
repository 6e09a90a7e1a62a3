// go: the module proxy, which sends large archives from a bucket of its own, and the checksum database.

import type { Profile } from './profile.ts';

export const go: Profile = {
  about: 'Go modules, read only',
  files: ['go.mod', 'go.work'],
  allow: [
    { host: 'proxy.golang.org', registry: 'read' },
    { host: 'sum.golang.org', registry: 'read' },
    { host: 'storage.googleapis.com', methods: ['GET', 'HEAD'], paths: ['/proxy-golang-org-prod/*'] },
  ],
};
