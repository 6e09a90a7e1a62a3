// Claude Code: its API, and the two hosts that a login goes through. Telemetry is left out: it works without.

import type { Profile } from './profile.ts';

export const claude: Profile = {
  about: 'Claude Code: API and login',
  files: [],
  allow: [
    'api.anthropic.com',
    'claude.ai',
    'platform.claude.com',
    { host: 'console.anthropic.com', comment: 'where older versions log in' },
  ],
};
