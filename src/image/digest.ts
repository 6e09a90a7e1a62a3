// Digests as OCI writes them.

import { createHash } from 'node:crypto';

export function digestOf(bytes: Buffer | string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
