// Everything public, at any port; private addresses and this computer stay closed. The same as "network": "open".

import type { Profile } from './profile.ts';

export const open: Profile = { about: 'everything public', files: [], allow: [] };
