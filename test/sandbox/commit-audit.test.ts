// What a sandbox did to make a commit: found by the commit's note, in a real repository, while the sandbox is there and
// after it was removed; and told when it is not what the note speaks of.

import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { AuditFile } from '../../src/egress/audit/audit-file.ts';
import { archiveFiles, archivesFolder, type Layout, sandboxFiles } from '../../src/host/layout.ts';
import type { AuditRecordView } from '../../src/protocol/policy.ts';
import { archive, archives, beyond } from '../../src/sandbox/archive.ts';
import { tellCommit } from '../../src/sandbox/commit-audit.ts';
import type { Conductor } from '../../src/sandbox/conductor.ts';
import { appendJournal } from '../../src/sandbox/journal.ts';
import { noteMerge, writeNote } from '../../src/sandbox/note.ts';
import { noteText, parseNote } from '../../src/sandbox/note-text.ts';
import type { Sandbox } from '../../src/sandbox/sandboxes.ts';
import { commitAll, makeRepository, sh, temporaryFolder, write } from '../repo/fixture.ts';

const home = temporaryFolder();
const layout: Layout = { data: join(home, 'data'), runtime: join(home, 'run'), config: join(home, 'config') };
const conductor = {
  rooms: { layout },
  files: ({ record }: Sandbox) => sandboxFiles(layout, record.id),
  journal: async ({ record }: Sandbox, event: string, facts?: Record<string, unknown>) =>
    await appendJournal(sandboxFiles(layout, record.id).journal, event, facts),
} as unknown as Conductor;
let ids = 0;

/** A sandbox as far as it is on disk, and the repository that its commits come home to. */
class Case {
  readonly root: string;
  readonly base: string;
  readonly sandbox: Sandbox;
  readonly files;
  #since: string;

  constructor(name = 'demo', root = makeRepository()) {
    this.root = root;
    this.base = sh(root, ['rev-parse', 'HEAD']);
    this.#since = this.base;
    const id = `abcdef${String(ids++).padStart(6, '0')}`;
    this.sandbox = { record: { id, name, handback: { tip: this.base } }, machine: null } as never;
    this.files = sandboxFiles(layout, id);
    mkdirSync(this.files.folder, { recursive: true });
  }

  /** What wanted out, by host. */
  async asks(...hosts: string[]): Promise<void> {
    const audit = await AuditFile.open(this.files.door.audit);
    for (const host of hosts)
      await audit.write({
        ...{ kind: 'flow', flow: 1, host, port: 443, protocol: 'https', ruleId: null, reason: null },
        decision: host.startsWith('evil') ? 'deny' : 'allow',
      } as never);
    await audit.close();
  }

  /** Answers the last of them. */
  async handsBack(...messages: string[]): Promise<string> {
    return await this.handsBackTip(messages.map((message) => this.commits(message)).at(-1)!);
  }

  async handsBackTip(tip: string): Promise<string> {
    await conductor.journal(this.sandbox, 'fetched', { tip });
    await writeNote(conductor, this.sandbox, {
      ...{ root: this.root, tip, base: this.base },
      since: this.#since,
    });
    this.#since = tip;
    return tip;
  }

  commits(message: string): string {
    write(this.root, { 'made.txt': `${message}\n` });
    return commitAll(this.root, message);
  }

  async told(revision: string, denied = false) {
    const records: AuditRecordView[] = [];
    const emit = async (record: unknown) => void records.push(record as AuditRecordView);
    const question = { path: this.root, revision, denied };
    const found = await tellCommit(conductor, question, new AbortController().signal, emit);
    return { ...found, hosts: records.map(({ host }) => host) };
  }

  async removed(): Promise<void> {
    await archive(layout, this.sandbox.record);
    rmSync(this.files.folder, { recursive: true });
  }
}

describe('what made a commit', () => {
  it('is the records since the hand-back before, for all commits that came home together', async () => {
    const made = new Case();
    await made.asks('a.example', 'evil.example');
    const first = await made.handsBack('one', 'two');
    await made.asks('b.example');
    await made.handsBack('three');
    await made.handsBack('four');
    const told = await made.told(first);
    assert.deepEqual(told.hosts, ['a.example', 'evil.example']);
    assert.deepEqual([told.records, told.broken, told.sandbox.removed], [{ first: 1, last: 2 }, null, false]);
    assert.deepEqual((await made.told(`${first}~1`)).noted, first);
    assert.deepEqual((await made.told(first, true)).hosts, ['evil.example']);
    assert.deepEqual((await made.told('HEAD~1')).hosts, ['b.example']);
    assert.deepEqual((await made.told('HEAD')).records, null);
  });

  it('is told of a merge too, made by us or by hand', async () => {
    const made = new Case();
    await made.asks('a.example');
    sh(made.root, ['checkout', '-q', '-b', 'side']);
    const tip = await made.handsBack('one');
    sh(made.root, ['checkout', '-q', 'main']);
    made.commits('of my own');
    sh(made.root, ['merge', '-q', '-s', 'ours', '-m', 'by hand', tip]);
    assert.equal((await made.told('HEAD')).noted, tip);
    sh(made.root, ['checkout', '-q', '-b', 'squashed', made.base]);
    const commit = made.commits('one, squashed');
    await noteMerge(conductor, made.sandbox, { root: made.root, tip, commit });
    assert.deepEqual((await made.told('HEAD')).hosts, ['a.example']);
  });

  it('stays what it was when the same commits come home again', async () => {
    const made = new Case();
    await made.asks('a.example');
    const one = await made.handsBack('one');
    await made.asks('evil.example');
    await made.handsBackTip(one);
    const two = await made.handsBack('two');
    await made.asks('b.example');
    // The guest is back at an earlier one.
    await made.handsBackTip(one);
    const three = await made.handsBack('three');
    assert.deepEqual((await made.told(one)).hosts, ['a.example']);
    assert.deepEqual((await made.told(two)).hosts, ['evil.example']);
    assert.deepEqual((await made.told(three)).hosts, ['evil.example', 'b.example']);
  });

  it('is noted late when it could not be noted at first', async () => {
    const made = new Case();
    await made.asks('a.example');
    const tip = await made.handsBack('one');
    for (const text of [null, 'x'.repeat(70_000)]) {
      sh(made.root, ['notes', '--ref=warren', 'remove', tip]);
      if (text) sh(made.root, ['notes', '--ref=warren', 'add', '-m', text, tip]);
      await made.handsBackTip(tip);
      assert.deepEqual((await made.told(tip)).hosts, ['a.example']);
    }
  });

  it('is not told of commits of my own that a merge of ours follows', async () => {
    for (const squash of [false, true]) {
      const made = new Case();
      await made.asks('a.example');
      sh(made.root, ['checkout', '-q', '-b', 'side']);
      const tip = await made.handsBack('one');
      sh(made.root, ['checkout', '-q', 'main']);
      const own = made.commits('of my own');
      if (squash) made.commits('one, squashed');
      else sh(made.root, ['merge', '-q', '-s', 'ours', '-m', 'ours', tip]);
      const commit = sh(made.root, ['rev-parse', 'HEAD']);
      await noteMerge(conductor, made.sandbox, { root: made.root, tip, commit });
      assert.deepEqual((await made.told(commit)).hosts, ['a.example']);
      await assert.rejects(made.told(own), { code: 'audit.no-note' });
    }
  });

  it('is that of the sandbox that it came home from, also when a guest merged what another had made', async () => {
    const other = new Case('other');
    await other.asks('b.example');
    sh(other.root, ['checkout', '-q', '-b', 'side']);
    const theirs = await other.handsBack('theirs');
    sh(other.root, ['checkout', '-q', 'main']);
    sh(other.root, ['merge', '-q', '--no-ff', '-m', 'by hand', theirs]);
    const made = new Case('demo', other.root);
    await made.asks('evil.example');
    const merge = ['commit-tree', '-p', 'HEAD', '-p', theirs, '-m', 'much work', 'HEAD^{tree}'];
    const hidden = sh(made.root, merge);
    sh(made.root, ['reset', '-q', '--hard', hidden]);
    await made.handsBack('and a little');
    assert.deepEqual((await made.told(hidden)).hosts, ['evil.example']);
    assert.deepEqual((await made.told(made.base)).hosts, ['b.example']);
  });

  it('is nothing for what was there before, or was made by hand afterwards', async () => {
    const made = new Case();
    await assert.rejects(made.told('HEAD'), { code: 'audit.no-note' });
    await made.asks('a.example');
    await made.handsBack('one');
    await assert.rejects(made.told(made.base), { code: 'audit.no-note' });
    made.commits('of my own');
    await assert.rejects(made.told('HEAD'), { code: 'audit.no-note' });
    for (const revision of ['none', '--all', '-n1', '', '\u001b[2J'])
      await assert.rejects(made.told(revision), { code: 'repo.no-commit' });
    await assert.rejects(new Case().told('HEAD'), { code: 'audit.no-note' });
  });

  it('is kept when the sandbox is removed, and only when commits of it came home', async () => {
    const made = new Case();
    await made.asks('a.example');
    await made.handsBack('one');
    await made.removed();
    await archive(layout, made.sandbox.record);
    const told = await made.told('HEAD');
    assert.deepEqual([told.hosts, told.broken, told.sandbox.removed], [['a.example'], null, true]);
    rmSync(archivesFolder(layout), { recursive: true });
    await assert.rejects(made.told('HEAD'), { code: 'audit.not-kept' });

    const never = new Case();
    await never.asks('a.example');
    never.sandbox.record.handback = null;
    await never.removed();
    assert.deepEqual(await archives(layout), []);
  });

  it('is kept by a copy where a file can have one name only', async () => {
    const elsewhere = mkdtempSync('/dev/shm/warren-archives-');
    try {
      rmSync(archivesFolder(layout), { recursive: true, force: true });
      symlinkSync(elsewhere, archivesFolder(layout));
      const made = new Case();
      await made.asks('a.example');
      await made.handsBack('one');
      await made.removed();
      const told = await made.told('HEAD');
      assert.deepEqual([told.hosts, told.broken], [['a.example'], null]);
    } finally {
      rmSync(archivesFolder(layout), { force: true });
      rmSync(elsewhere, { recursive: true });
    }
  });

  it('of what is kept, the oldest goes when it is too much', async () => {
    const made = [new Case(), new Case()];
    for (const [at, each] of made.entries()) {
      await each.asks('a.example');
      await each.removed();
      utimesSync(archiveFiles(layout, each.sandbox.record.id).folder, at, at);
    }
    const kept = await archives(layout);
    const [older, newer] = kept.sort((a, b) => a.usedAtMs - b.usedAtMs);
    assert.ok(older!.bytes > 200);
    assert.deepEqual(beyond(kept, older!.bytes + newer!.bytes), []);
    assert.deepEqual(beyond(kept, newer!.bytes), [older!.id]);
    assert.deepEqual(beyond(kept, 0), [newer!.id, older!.id]);
  });
});

describe('what is not what the note speaks of', () => {
  const spoiled: [what: string, why: RegExp, spoil: (made: Case) => unknown][] = [
    [
      'a record that was changed',
      /line 1 of .*audit\.jsonl was changed/,
      (made) => replace(made.files.door.audit, 'a.example', 'b.example'),
    ],
    [
      'an audit written anew',
      /record 2 is not the one that the note names/,
      async (made) => {
        forget(made);
        await made.asks('b.example', 'c.example');
      },
    ],
    [
      'an audit written anew, and shorter',
      /record 2, which the note names, is missing/,
      async (made) => {
        forget(made);
        await made.asks('b.example');
      },
    ],
    ['no audit at all', /record 2, which the note names, is missing/, forget],
    [
      'a journal that was changed',
      /journal\.jsonl was changed since/,
      (made) => replace(made.files.journal, 'fetched', 'removed'),
    ],
    ['no journal', /journal\.jsonl cannot be read/, (made) => rmSync(made.files.journal)],
  ];
  for (const [what, why, spoil] of spoiled)
    it(`is told: ${what}`, async () => {
      const made = new Case();
      await made.asks('a.example', 'c.example');
      await made.handsBack('one');
      assert.equal((await made.told('HEAD')).broken, null);
      await spoil(made);
      assert.match((await made.told('HEAD')).broken!, why);
    });

  it('goes on with notes that are no notes of ours, or another’s', async () => {
    const made = new Case();
    await made.asks('a.example');
    const tip = await made.handsBack('one');
    const note = sh(made.root, ['notes', '--ref=warren', 'show', tip]);
    const put = (text: string) => sh(made.root, ['notes', '--ref=warren', 'add', '-f', '-m', text, tip]);
    for (const text of [
      'hello',
      note.replace('Warren-Since', 'Since'),
      note.replace('demo', '../../etc'),
      note.replace('sha256:', 'sha256:g'),
    ]) {
      put(text);
      await assert.rejects(made.told(tip), { code: 'audit.no-note' }, text);
    }
    put(note.replace(made.sandbox.record.id, '0123456789ab'));
    await assert.rejects(made.told(tip), { code: 'audit.not-kept' });
    put('x'.repeat(70_000));
    await assert.rejects(made.told(tip), { code: 'host.output-too-large' });
  });
});

it('a note is read as it was written', () => {
  const facts = {
    sandbox: { name: 'demo-1', id: '0123456789ab' },
    tip: 'e'.repeat(40),
    since: 'a'.repeat(40),
    journal: { hash: 'b'.repeat(64), bytes: 12 },
    audit: { hash: 'c'.repeat(64), seq: 7 },
  };
  for (const each of [
    facts,
    { ...facts, since: 'd'.repeat(64) },
    { ...facts, since: null, audit: null },
    { ...facts, tip: null },
  ])
    assert.deepEqual(parseNote(noteText(each)), each);
});

function replace(file: string, from: string, to: string): void {
  writeFileSync(file, readFileSync(file, 'utf8').replace(from, to));
}

function forget({ files }: Case): void {
  rmSync(files.door.audit);
  rmSync(files.door.audit.replace('.jsonl', '-head.json'), { force: true });
}
