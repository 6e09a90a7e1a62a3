// What `prune` is asked for, and what it answers.

export interface PruneRequest {
  /** Also what the next `up` would use. */
  all: boolean;
  /** What was used within this time stays; all else goes that no sandbox needs. */
  olderThanMs: number | null;
  /** What was used longest ago goes, until the store has so much. */
  keepBytes: number | null;
  /** Tell, and remove nothing. */
  dryRun: boolean;
}

export interface PrunedItem {
  kind: 'template' | 'image' | 'layer' | 'kernel' | 'build-cache' | 'downloads' | 'archive';
  id: string;
  /** For people: which name it was made for; '' where none is known. */
  what: string;
  bytes: number;
  usedAt: string | null;
}

export interface PruneResult {
  templates: string[];
  images: string[];
  /** Of OCI images, that no kept image has. */
  layers: string[];
  kernels: string[];
  /** Paths of what `RUN --mount=type=cache` kept, and of resolved features. */
  caches: string[];
  /** Paths of journals and audits of removed sandboxes. */
  archives: string[];
  downloadsBytes: number;
  freedMib: number;
  /** What the store has afterwards; sandboxes' own disks are not in it. */
  leftMib: number;
  dryRun: boolean;
  items: PrunedItem[];
}
