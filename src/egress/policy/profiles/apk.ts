// apk: Alpine's own mirror. Over plain HTTP too, as older images set it up: apk checks signatures.

import type { Profile } from './profile.ts';

export const apk: Profile = {
  about: 'Alpine packages, read only',
  files: [],
  allow: [{ host: 'dl-cdn.alpinelinux.org', http: true, registry: 'read' }],
};
