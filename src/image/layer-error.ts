// What is wrong with a layer. Its words may quote the image, which is foreign text.

import { WarrenError } from '../protocol/error.ts';
import { sanitizeLine } from '../protocol/sanitize.ts';

export function badLayer(why: string): WarrenError {
  return new WarrenError({
    code: 'image.bad-layer',
    message: `cannot use a layer of the image: ${why}`,
    remedy: 'build the image anew, or use another one',
  });
}

/** A name out of a tar, for a message. */
export function quoted(name: string): string {
  return `"${sanitizeLine(Buffer.from(name, 'latin1').toString('utf8'), 120)}"`;
}
