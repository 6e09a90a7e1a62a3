// What a person can say about the network of a sandbox, and see of it: rules, trust, questions, the audit, the note on
// what came home.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { after, describe, it } from 'node:test';
import type { SandboxView, UpResult } from '../../src/protocol/api.ts';
import type {
  AskView,
  AuditRecordView,
  CheckResult,
  PolicyView,
  ProposalView,
} from '../../src/protocol/policy.ts';
import { command, openWarren, removeAfter, until } from './harness.ts';

const warren = openWarren();
const origin = createServer((_request, response) => response.end('from the host\n'));
origin.listen(0, '127.0.0.1');
await once(origin, 'listening');
after(() => origin.close());
const { port } = origin.address() as AddressInfo;
const curl = (url: string) => ['curl', '-sS', '--max-time', '90', url];

describe('the policy of a sandbox', () => {
  it('is shown, changed and checked; what was denied is learned from, and all of it is in the audit', async (t) => {
    removeAfter(t, warren, 'ruled');
    const repository = warren.repository('ruled', { 'package.json': '{}' });
    const { network } = await warren.json<UpResult>(['up', '--name', 'ruled'], { cwd: repository });
    assert.deepEqual(network.profiles, ['npm', 'git-hosts', 'apt']);
    assert.equal(network.trust, 'absent');

    const url = `http://host.warren.internal:${port}/`;
    const denied = await warren.ok(['exec', 'ruled', '--', ...curl(url)]);
    assert.match(denied, /no rule allows it/);
    const [, remedy] = /warren (policy allow ruled .*)/.exec(denied)!;
    assert.equal(remedy, `policy allow ruled --host-service ${port}`);
    const { entries, egress } = await warren.json<ProposalView>(['policy', 'learn', 'ruled']);
    assert.deepEqual(entries, [{ hostService: port }]);
    assert.deepEqual(egress, { profiles: network.profiles, allow: entries });
    await warren.ok([...remedy.split(' '), '--http']);
    assert.equal(await warren.ok(['exec', 'ruled', '--', ...curl(url)]), 'from the host\n');
    assert.deepEqual((await warren.json<ProposalView>(['policy', 'learn', 'ruled'])).entries, []);

    await warren.ok(['policy', 'deny', 'ruled', '*.example.com']);
    const view = await warren.json<PolicyView>(['policy', 'show', 'ruled']);
    const own = view.rules.filter(({ id }) => id.startsWith('sandbox:'));
    assert.deepEqual(
      own.map(({ effect, where }) => [effect, where]),
      [
        ['deny', '*.example.com'],
        ['allow', 'host.warren.internal'],
      ],
    );
    assert.equal(statSync(view.files.sandbox).mode & 0o777, 0o600);
    const check = await warren.run(['policy', 'check', 'ruled', 'https://a.example.com/x', '--json']);
    assert.equal(check.code, 1);
    assert.equal((JSON.parse(check.stdout) as CheckResult).ruleId, 'sandbox:deny[0]:*.example.com');
    const allowed = await warren.run(['policy', 'allow', 'ruled', 'a.example.com']);
    assert.match(allowed.stderr, /notice: still .*denied by rule sandbox:deny/);
    await warren.ok(['policy', 'rm', 'ruled', 'a.example.com']);
    await warren.ok(['policy', 'rm', '--deny', 'ruled', '*.example.com']);
    for (const wrong of ['*', '*.com', 'https://a.example', 'a.example/x', 'a b'])
      await warren.fails(['policy', 'allow', 'ruled', wrong], 'usage.policy');
    await warren.fails(['policy', 'allow', 'ruled'], 'usage.policy');
    await warren.fails(['policy', 'watch', 'ruled'], 'usage.no-terminal');

    const records = (await warren.ok(['audit', 'ruled', '--json']))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as AuditRecordView);
    const requests = records.filter(({ kind, begun }) => kind === 'request' && !begun);
    assert.deepEqual(
      requests.map(({ decision, status }) => [decision, status]),
      [
        ['deny', 403],
        ['allow', 200],
      ],
    );
    const text = await warren.ok(['audit', 'ruled', '--denied']);
    assert.match(text, /deny {2}GET http:\/\/host\.warren\.internal/);
    assert.doesNotMatch(text, / allow /);
    assert.match(await warren.ok(['audit', 'verify', 'ruled']), /^whole: \d+ records from number 1 /);
    // Who has the line that they wanted need not wait for the next.
    const words = ['-c', '"$0" audit ruled --follow | head -1', resolve('bin/warren')];
    const first = await command('timeout', ['60', 'sh', ...words], { env: warren.env });
    assert.equal(first.code, 0);
    assert.equal(first.stdout.split('\n').length, 2);
    const file = join(warren.data, 'sandboxes', (await one('ruled')).id, 'audit.jsonl');
    const whole = readFileSync(file, 'utf8');
    writeFileSync(file, whole.replace('"deny"', '"alow"'));
    const broken = await warren.run(['audit', 'verify', 'ruled']);
    assert.equal(broken.code, 1);
    assert.match(broken.stderr, /was changed/);
    writeFileSync(file, 'garbage\n');
    const { stderr: unreadable } = await warren.fails(['audit', 'ruled'], 'audit.unreadable');
    assert.match(unreadable, /has 1 line that cannot be read[\s\S]*warren audit verify ruled/);
    assert.doesNotMatch(unreadable, /nothing has wanted out/);
    writeFileSync(file, whole);
  });

  it('follows warren.json as far as it is trusted, also when it comes home from a guest', async (t) => {
    removeAfter(t, warren, 'asking');
    const repository = warren.repository('asking', {
      'warren.json': `{ "egress": { "allow": [{ "hostService": ${port}, "protocol": "http" }] } } // please`,
    });
    const url = `http://host.warren.internal:${port}/`;
    const up = await warren.run(['up', '--detach', '--name', 'asking'], { cwd: repository });
    assert.match(up.stderr, /asks for more network than it gets: warren policy trust asking/);
    assert.match(await warren.ok(['exec', 'asking', '--', ...curl(url)]), /no rule allows it/);
    await warren.fails(['policy', 'trust', 'asking'], 'usage.no-terminal');
    await warren.ok(['policy', 'trust', 'asking', '--yes']);
    assert.equal(await warren.ok(['exec', 'asking', '--', ...curl(url)]), 'from the host\n');

    await warren.sh(
      'asking',
      `echo '{ "egress": { "allow": ["evil.example"], "deny": ["a.example"] } }' > warren.json && git commit -qam wide`,
    );
    // What has come home comes home again with the merge, and keeps its note.
    await warren.ok(['fetch', 'asking'], { cwd: repository });
    // The commit that the merge makes is told of as well as what it merged.
    warren.git(repository, 'commit', '--allow-empty', '-qm', 'of my own');
    const merged = await warren.run(['merge', 'asking'], { cwd: repository });
    assert.equal(merged.code, 0, merged.stderr);
    assert.match(merged.stderr, /warren\.json has changed: .*: warren policy trust asking$/m);
    const check = async (what: string) =>
      JSON.parse((await warren.run(['policy', 'check', 'asking', what, '--json'])).stdout) as CheckResult;
    assert.equal((await check('evil.example')).decision, 'deny');
    assert.match((await check('a.example')).ruleId!, /deny/);
    assert.match(await warren.ok(['exec', 'asking', '--', ...curl(url)]), /no rule allows it/, 'taken away');

    const note = warren.git(repository, 'notes', '--ref=warren', 'show', 'HEAD');
    assert.match(note, /^Warren-Sandbox: asking [0-9a-f]{12}$/m);
    assert.match(note, /^Warren-Journal: sha256:[0-9a-f]{64} of the first \d+ bytes$/m);
    const [, hash, seq] = /^Warren-Audit: sha256:([0-9a-f]{64}) of record (\d+)$/m.exec(note)!;
    const audit = readFileSync(
      join(warren.data, 'sandboxes', (await one('asking')).id, 'audit.jsonl'),
      'utf8',
    );
    assert.equal(JSON.parse(audit.split('\n')[Number(seq) - 1]!).hash, hash);

    const made = await warren.ok(['audit', 'commit', 'HEAD', '--json'], { cwd: repository });
    const lines = made
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const { kind, records, broken, sandbox } = lines.pop();
    assert.deepEqual(
      [kind, records, broken, sandbox.removed],
      ['commit', { first: 1, last: Number(seq) }, null, false],
    );
    assert.deepEqual(
      lines.filter((each) => each.kind === 'request' && !each.begun).map((each) => each.status),
      [403, 200],
    );

    // Spoiled by hand: nothing may go out, and whoever asks is told.
    appendFileSync(join(repository, 'warren.json'), '{');
    await warren.fails(['policy', 'check', 'asking', 'a.example'], 'usage.settings');

    await warren.ok(['rm', 'asking']);
    const after = await warren.run(['audit', 'commit', 'HEAD'], { cwd: repository });
    assert.equal(after.code, 0, after.stderr);
    assert.match(after.stderr, /came home from sandbox "asking" \(removed since\), records 1 to \d+: whole/);
    assert.match(after.stdout, /deny {2}GET http:\/\/host\.warren\.internal/);
  });

  it('`none` counts at once, `open` when it was trusted, and leads to public hosts only', async (t) => {
    removeAfter(t, warren, 'whole');
    const repository = warren.repository('whole', { 'warren.json': '{ "network": "none" }' });
    await warren.ok(['up', '--detach', '--name', 'whole'], { cwd: repository });
    const says = async (url: string) => await warren.ok(['exec', 'whole', '--', ...curl(url)]);
    assert.match(await says('https://registry.npmjs.org/'), /no network|network.*none/);

    writeFileSync(join(repository, 'warren.json'), '{ "network": "open" }');
    assert.match(await says('http://any.invalid/'), /no network/, 'as it was, until it is trusted');
    await warren.ok(['policy', 'trust', 'whole', '--yes']);
    assert.match(await says('http://any.invalid/'), /could not be resolved/);
    for (const inside of [
      `http://host.warren.internal:${port}/`,
      'http://169.254.169.254/',
      'http://10.0.0.1/',
    ])
      assert.match(await says(inside), /^Warren: /, inside);
  });

  it('asks whoever watches, and waits for the answer', async (t) => {
    removeAfter(t, warren, 'watched');
    await warren.ok(['up', '--detach', '--name', 'watched'], { cwd: warren.repository('watched') });
    let pending: AskView[] = [];
    const watching = watch('watched', (now) => {
      pending = now;
    });
    t.after(() => watching.destroy());
    const question = async (host: string) =>
      await until('the question', () => pending.find((each) => each.host === host));

    const no = warren.ok(['exec', 'watched', '--', ...curl('https://no.example/')]);
    const first = await question('no.example');
    assert.deepEqual([first.port, first.protocol, first.registrable], [443, 'https', 'no.example']);
    await answer('watched', first.id, 'never');
    assert.match(await no, /denied by rule sandbox:deny\[0\]:no\.example$/m);

    // Allowed, it is looked up, and there is no such name.
    const yes = warren.ok(['exec', 'watched', '--', ...curl('http://yes.invalid/')]);
    await answer('watched', (await question('yes.invalid')).id, 'sandbox');
    assert.match(await yes, /could not be resolved/);
    const { rules } = await warren.json<PolicyView>(['policy', 'show', 'watched']);
    assert.deepEqual(
      rules.filter(({ id }) => id.startsWith('sandbox:')).map(({ id }) => id),
      ['sandbox:deny[0]:no.example', 'sandbox:allow[0]:yes.invalid'],
    );

    watching.destroy();
    await until('nobody is asked', async () =>
      /no rule allows it/.test(await warren.ok(['exec', 'watched', '--', ...curl('https://later.example/')])),
    );
  });
});

async function one(name: string): Promise<SandboxView> {
  return await warren.json<SandboxView>(['show', name]);
}

const socketPath = join(warren.home, '.local/state/warren/run/daemon.sock');

/** What `warren policy watch` reads. */
function watch(name: string, onChange: (pending: AskView[]) => void) {
  const call = request(
    { socketPath, path: `/v1/sandboxes/${name}/questions`, method: 'POST' },
    (response) => {
      let kept = '';
      response.on('error', () => {});
      response.setEncoding('utf8').on('data', (text: string) => {
        const lines = (kept + text).split('\n');
        kept = lines.pop()!;
        for (const line of lines) onChange((JSON.parse(line) as { event: AskView[] }).event);
      });
    },
  );
  call.on('error', () => {});
  call.end('{}');
  return call;
}

async function answer(name: string, id: number, word: string): Promise<void> {
  const call = request({ socketPath, path: `/v1/sandboxes/${name}/questions/${id}`, method: 'POST' });
  call.end(JSON.stringify({ answer: word }));
  const [response] = await once(call, 'response');
  let text = '';
  for await (const chunk of response) text += chunk;
  assert.equal(text, 'true');
}
