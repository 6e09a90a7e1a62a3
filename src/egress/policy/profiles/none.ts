// No network at all. The same as "network": "none".

import type { Profile } from './profile.ts';

export const none: Profile = { about: 'nothing', files: [], allow: [] };
