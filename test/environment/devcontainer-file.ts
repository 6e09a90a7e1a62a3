// A devcontainer.json as tests write it.

import { type DevcontainerFile, parseDevcontainer } from '../../src/environment/devcontainer/index.ts';

export const read = (value: unknown): DevcontainerFile =>
  parseDevcontainer(JSON.stringify(value), 'devcontainer.json');
