// How Node is started for a door process.

/**
 * A door's heap is small, and most of its garbage is buffers outside of it: young objects are looked through often, so
 * that those go soon, and the old ones, a few MiB, at once. Measured by `npm run bench -- door`: bulk is a fifth faster,
 * 512 flows need 30 MiB less; small requests cost a fourth more.
 */
export const DOOR_NODE_FLAGS: readonly string[] = ['--max-semi-space-size=1', '--no-incremental-marking'];
