// What would be lost if a sandbox were removed now. Pure: it compares what the guest says about its clone with
// the last tip that was received.

export interface GuestStatus {
  head: string | null;
  changesTotal: number;
  changes: readonly { status: string; path: string }[];
}

export interface Unfetched {
  /** The guest's branch has commits that are not here. */
  commits: boolean;
  /** Uncommitted and untracked files. */
  changes: number;
  /** Says what dies, for a refusal; null when nothing would be lost. */
  summary: string | null;
}

/** `received`: the last tip received, or else the base that the sandbox started from. */
export function unfetched(status: GuestStatus, received: string | null): Unfetched {
  const commits = status.head !== null && status.head !== received;
  const changes = Math.max(status.changesTotal, status.changes.length);
  const files =
    changes === 1 ? '1 file with uncommitted changes' : `${changes} files with uncommitted changes`;
  const parts = [...(commits ? ['commits that were not fetched'] : []), ...(changes > 0 ? [files] : [])];
  return { commits, changes, summary: parts.length > 0 ? parts.join(' and ') : null };
}
