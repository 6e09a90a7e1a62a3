// The public face of this room: git on the host. Packs a repository in, receives commits of a guest in
// quarantine, merges them. Only `merge` changes a branch or a working tree of the user.

export { type DropResult, dropRefs } from './drop-refs.ts';
export { isEnvFile } from './env-file.ts';
export { isAncestor, type Note, noteOf, notesAbout, resolveCommit } from './find-notes.ts';
export { type MergeOptions, type MergeResult, merge } from './merge.ts';
export { copyNote, noteCommit } from './note.ts';
export { openRepository, type Repository } from './open.ts';
export { type KnownRepository, type PackedRepository, type PackInOptions, packIn } from './pack-in.ts';
export { type Handback, type ReceiveOptions, receive } from './receive.ts';
export { type Risk, risks } from './risks.ts';
export { readIdentity, trackedFiles } from './tracked.ts';
export { type Unfetched, unfetched } from './unfetched.ts';
export type { Withheld } from './withheld.ts';
