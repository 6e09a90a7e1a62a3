// apt: Debian's and Ubuntu's own mirrors. Over plain HTTP, as distributions set them up: apt checks signatures.

import type { Profile } from './profile.ts';

export const apt: Profile = {
  about: 'Debian and Ubuntu packages, read only',
  files: [],
  allow: [
    { host: 'deb.debian.org', http: true, registry: 'read' },
    { host: 'security.debian.org', http: true, registry: 'read' },
    { host: 'archive.ubuntu.com', http: true, registry: 'read' },
    { host: 'security.ubuntu.com', http: true, registry: 'read' },
    { host: 'ports.ubuntu.com', http: true, registry: 'read' },
  ],
};
