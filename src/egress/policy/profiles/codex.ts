// Codex: its API, and the hosts that a login with a ChatGPT plan goes through.

import type { Profile } from './profile.ts';

export const codex: Profile = {
  about: 'Codex: API and login',
  files: [],
  allow: ['api.openai.com', 'auth.openai.com', 'chatgpt.com'],
};
