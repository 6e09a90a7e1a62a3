// What is noted about a commit that came home, as lines, and back. Pure. A note that is read may be anybody's.

export interface NoteFacts {
  sandbox: { name: string; id: string };
  /** The last of the commits that came home; the merge of it bears the same note. Null in old notes. */
  tip: string | null;
  /** What the sandbox had begun with, or had handed back before; null for a repository without a commit. */
  since: string | null;
  /** SHA-256 of the first bytes of the journal, in hex. */
  journal: { hash: string; bytes: number };
  /** The newest record, with the hash that chains it; null when there was none. */
  audit: { hash: string; seq: number } | null;
}

export function noteText({ sandbox, tip, since, journal, audit }: NoteFacts): string {
  const lines = [
    `Warren-Sandbox: ${sandbox.name} ${sandbox.id}`,
    ...(tip === null ? [] : [`Warren-Tip: ${tip}`]),
    `Warren-Since: ${since ?? 'nothing'}`,
    `Warren-Journal: sha256:${journal.hash} of the first ${journal.bytes} bytes`,
    `Warren-Audit: ${audit ? `sha256:${audit.hash} of record ${audit.seq}` : 'no record'}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** Null for what we did not write. */
export function parseNote(text: string): NoteFacts | null {
  const [, name, id] = /^Warren-Sandbox: ([a-z0-9-]{1,40}) ([a-z0-9]{4,32})$/m.exec(text) ?? [];
  const [, tip] = /^Warren-Tip: ([0-9a-f]{40}|[0-9a-f]{64})$/m.exec(text) ?? [];
  const [, since] = /^Warren-Since: ([0-9a-f]{40}|[0-9a-f]{64}|nothing)$/m.exec(text) ?? [];
  const [, digest, bytes] =
    /^Warren-Journal: sha256:([0-9a-f]{64}) of the first (\d{1,15}) bytes$/m.exec(text) ?? [];
  const [, audit, hash, seq] =
    /^Warren-Audit: (sha256:([0-9a-f]{64}) of record (\d{1,15})|no record)$/m.exec(text) ?? [];
  if (!name || !id || !since || !digest || !audit) return null;
  return {
    sandbox: { name, id },
    tip: tip ?? null,
    since: since === 'nothing' ? null : since,
    journal: { hash: digest, bytes: Number(bytes) },
    audit: hash === undefined ? null : { hash, seq: Number(seq) },
  };
}
