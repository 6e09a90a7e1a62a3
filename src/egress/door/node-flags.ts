// How Node is started for a door process.

/**
 * A door's heap is small, and most of its garbage is buffers outside of it: young objects are looked through often, so
 * that those go soon, and the old ones, a few MiB, at once. Measured by `npm run bench -- door`: bulk is a fifth faster,
 * 512 flows need 30 MiB less; small requests cost a fourth more.
 */
export const DOOR_NODE_FLAGS: readonly string[] = ['--max-semi-space-size=1', '--no-incremental-marking'];

/** What the C library keeps of freed memory: buffers of 32 KiB and more go back to the system at once. 10 MiB less. */
export const DOOR_ENVIRONMENT: Readonly<Record<string, string>> = { MALLOC_MMAP_THRESHOLD_: '32768' };
