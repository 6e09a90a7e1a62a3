// The first entry of the tar that `git/clone` takes, as docs/CHANNEL.md has it; agent/internal/git/manifest.go
// is its mirror.

export interface Identity {
  name: string;
  email: string;
}

export interface RepositoryManifest {
  /** "" is the repository itself; otherwise the path of a checked-out submodule. Parents come first. */
  path: string;
  /** The submodule's name: its folder in `modules` of the repository that holds it. */
  name: string;
  objectFormat: 'sha1' | 'sha256';
  branch: string | null;
  head: string | null;
  /** A tree; null: same as head. */
  index: string | null;
  /** A tree; null: same as the index. */
  worktree: string | null;
  shallow: string[];
  url: string | null;
  /** Which pack-N holds its objects; null: it has none. */
  pack: number | null;
}

export interface CloneManifest {
  path: string;
  user: string;
  objectFormat: 'sha1' | 'sha256';
  identity: Identity | null;
  repositories: RepositoryManifest[];
}
