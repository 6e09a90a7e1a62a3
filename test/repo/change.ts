// A change of one path between two trees.

import type { Change } from '../../src/repo/changes.ts';

export const change = (path: string, more: Partial<Change> = {}): Change => ({
  status: 'M',
  oldMode: '100644',
  newMode: '100644',
  oldId: '1'.repeat(40),
  newId: '2'.repeat(40),
  path,
  ...more,
});
