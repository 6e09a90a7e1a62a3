// Questions of doors to a person, policy files that are edited by hand, lines of an audit.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { ANSWERS_LINE, describeAnswer, describeOver } from '../../src/cli/asking.ts';
import { AuditLines } from '../../src/cli/audit-line.ts';
import { wrapWords } from '../../src/cli/wrap-words.ts';
import type { Said } from '../../src/egress/policy/verdict.ts';
import type { AskView, AuditRecordView } from '../../src/protocol/policy.ts';
import { Questions } from '../../src/sandbox/network/questions.ts';
import { FileWatch } from '../../src/sandbox/network/watch-files.ts';

const folder = mkdtempSync(join(tmpdir(), 'warren-network-'));
after(() => rmSync(folder, { recursive: true }));
const asked = (host: string) => ({ id: 7, host, port: 443, protocol: 'https' as const, reason: 'r' });

describe('questions', () => {
  it('are answered with no when nobody watches (AP)', () => {
    const answers: Said[] = [];
    new Questions().ask(asked('a.example'), (said) => answers.push(said));
    assert.deepEqual(answers, ['nobody']);
  });

  it('are told with what was registered and a warning, and answered once for all who asked the same', () => {
    const questions = new Questions();
    let pending: AskView[] = [];
    questions.watch((now) => {
      pending = now;
    });
    const answers: Said[] = [];
    for (let id = 0; id < 3; id++)
      questions.ask({ ...asked('www.xn--pypal-4ve.com'), id }, (yes) => answers.push(yes));
    assert.equal(pending.length, 1);
    assert.equal(pending[0]!.registrable, 'xn--pypal-4ve.com');
    assert.match(pending[0]!.warning!, /letters/);
    assert.equal(questions.answer(pending[0]!.id, true), true);
    assert.deepEqual(answers, [true, true, true]);
    assert.equal(questions.answer(1, true), false);
  });

  it('are at most 3 at once and 10 a minute', () => {
    let nowMs = 0;
    const questions = new Questions(() => nowMs);
    let pending: AskView[] = [];
    questions.watch((now) => {
      pending = now;
    });
    const denied: number[] = [];
    const said: Said[] = [];
    for (let nr = 0; nr < 5; nr++)
      questions.ask(asked(`h${nr}.example`), (how) => {
        denied.push(nr);
        said.push(how);
      });
    assert.equal(pending.length, 3);
    assert.deepEqual(
      [denied, said],
      [
        [3, 4],
        ['crowded', 'crowded'],
      ],
    );
    for (const { id } of pending) questions.answer(id, true);
    denied.length = 0;
    for (let nr = 10; nr < 20; nr++) {
      questions.ask(asked(`h${nr}.example`), (how) => how === true || denied.push(nr));
      for (const { id } of pending) questions.answer(id, true);
    }
    assert.deepEqual(denied, [17, 18, 19]);
    nowMs = 61_000;
    questions.ask(asked('later.example'), () => {});
    assert.equal(pending.length, 1);
  });

  it('that are over wait no more, and a late answer still finds what it was about', () => {
    const questions = new Questions();
    let pending: AskView[] = [];
    questions.watch((now) => {
      pending = now;
    });
    const answers: Said[] = [];
    const answer = (said: Said) => void answers.push(said);
    questions.hear({ type: 'ask', ...asked('a.example'), id: 1 }, answer);
    questions.hear({ type: 'ask', ...asked('a.example'), id: 2 }, answer);
    const [{ id }] = pending as [AskView];
    questions.hear({ type: 'unask', id: 1 }, answer);
    assert.equal(pending.length, 1, 'another waits for the same');
    questions.hear({ type: 'unask', id: 2 }, answer);
    assert.deepEqual(pending, []);
    assert.equal(questions.find(id)?.host, 'a.example');
    assert.equal(questions.answer(id, true), false);
    assert.deepEqual(answers, []);
    assert.equal(questions.find(id + 1), undefined);
  });

  it('are told as what they are: too late, and what an answer still does', () => {
    const view: AskView = { ...asked('a.example'), registrable: null, warning: null };
    assert.equal(describeAnswer(view, 'sandbox', true), 'a.example:443: sandbox');
    assert.equal(
      describeAnswer(view, 'sandbox', false),
      'too late for this request; from now on a.example:443 is allowed, for this sandbox',
    );
    assert.match(describeAnswer(view, 'never', false), /from now on a\.example:443 is denied for good$/);
    assert.equal(describeAnswer(view, 'once', false), 'too late: the request for a.example:443 was denied');
    assert.match(describeOver(view), /^nobody waits for a\.example:443 any more/);
  });

  it('are broken between words, on any terminal', () => {
    for (const columns of [20, 50, 60, 80]) {
      const lines = wrapWords(`  ${ANSWERS_LINE}:`, columns);
      for (const line of lines) assert.ok(line.length <= columns, line);
      assert.equal(lines.join(' '), `  ${ANSWERS_LINE}:`);
    }
    assert.deepEqual(wrapWords(`a ${'x'.repeat(30)} b`, 10), ['a', 'x'.repeat(30), 'b']);
    assert.equal(wrapWords('a b', 0).length, 1);
  });

  it('that wait are answered with no when the last who watched goes', () => {
    const questions = new Questions();
    const stop = questions.watch(() => {});
    const answers: Said[] = [];
    questions.ask(asked('a.example'), (yes) => answers.push(yes));
    stop();
    assert.deepEqual(answers, ['nobody']);
  });
});

describe('policy files', () => {
  it('are read again when one has changed, came or went', async () => {
    const file = join(folder, 'warren.json');
    let changes = 0;
    const watch = new FileWatch(
      () => [file],
      () => changes++,
    );
    await watch.look();
    await watch.look();
    assert.equal(changes, 0);
    writeFileSync(file, '{}');
    await watch.look();
    assert.equal(changes, 1);
    writeFileSync(file, '{ }');
    await watch.look();
    assert.equal(changes, 2);
    rmSync(file);
    await watch.look();
    await watch.look();
    assert.equal(changes, 3);
  });
});

describe('lines of an audit', () => {
  const common = { seq: 1, time: '2026-01-02T03:04:05.678Z', flow: 4, port: 443, ruleId: null, reason: null };
  it('show a request once, and nothing that a terminal obeys (TE)', () => {
    const lines = new AuditLines();
    const request: AuditRecordView = {
      ...common,
      kind: 'request',
      host: 'a.example',
      decision: 'deny',
      protocol: 'https',
      method: 'GET',
      path: '/\u001b]0;x\u0007\u202e',
      status: 403,
      reason: 'no rule allows it',
    };
    const line = lines.line(request)!;
    assert.doesNotMatch(line, /[\u0000-\u001f\u202e]/);
    assert.match(
      line,
      /^2026-01-02 03:04:05 deny {2}GET https:\/\/a\.example:443\/.* 403 .*no rule allows it$/,
    );
    assert.equal(lines.line({ ...common, kind: 'flow', host: 'a.example', decision: 'deny' }), null);
    const connect = { ...request, host: 'proxy.dev', port: 3128, protocol: 'http', method: 'CONNECT' };
    assert.match(
      lines.line({ ...connect, path: 'a.dev:443' } as AuditRecordView)!,
      / CONNECT a\.dev:443 of http:\/\/proxy\.dev:3128 403 /,
    );
    assert.equal(lines.line({ ...request, begun: true }), null);
    assert.match(
      lines.line({
        ...common,
        flow: 5,
        kind: 'flow',
        host: 'b.example',
        decision: 'allow',
        protocol: 'tcp',
      })!,
      /allow tcp b\.example:443/,
    );
  });
});
