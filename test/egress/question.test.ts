// Questions of the door to a person: what counts as a yes, how long they wait, what is said without one (NE 35).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DoorParts } from '../../src/egress/flow/parts.ts';
import { denialHint } from '../../src/egress/policy/hint.ts';
import { createPolicy } from '../../src/egress/policy/judge.ts';
import { parsePolicy } from '../../src/egress/policy/parse.ts';
import type { Said } from '../../src/egress/policy/verdict.ts';
import { PUBLIC, say } from './fake-guest.ts';
import { door, GET } from './flow-door.ts';

describe('a question', () => {
  const asking = (answer: unknown, asked: number[] = []) =>
    door({
      asks: true,
      ask: (async ({ target }) => {
        asked.push(target.port);
        return answer;
      }) as DoorParts['ask'] & {},
      origins: { 80: closed },
    });
  const closed = 1;

  for (const answer of [1, 'yes', { allow: true }, undefined, false])
    it(`answered with ${JSON.stringify(answer)} is a no`, async () => {
      const opened = await asking(answer);
      const reply = await say(await opened.openName('new.example', 80), GET('new.example'));
      assert.match(reply, /^HTTP\/1\.1 403 /);
      assert.deepEqual(opened.dialed, []);
    });

  it('answered with true lets this flow through, and is asked once for all of its requests', async () => {
    const asked: number[] = [];
    const opened = await asking(true, asked);
    const stream = await opened.openName('new.example', 80);
    stream.write('GET /1 HTTP/1.1\r\nHost: new.example\r\n\r\n');
    const reply = await say(stream, GET('new.example'));
    assert.equal(reply.match(/^HTTP\/1\.1 502 /gm)?.length, 2);
    assert.deepEqual(opened.dialed, [`${PUBLIC}:80`, `${PUBLIC}:80`]);
    assert.deepEqual(asked, [80]);
  });

  it('that nobody answers is a no', async () => {
    const opened = await door({ asks: true, ask: () => new Promise(() => {}), limits: { askMs: 30 } });
    const late = await say(await opened.openName('new.example', 80), GET('new.example'));
    assert.match(late, / 403 [\s\S]*nobody answered in time/);
    const mute = await door({ asks: true });
    assert.match(await say(await mute.openName('new.example', 80), GET('new.example')), / 403 /);
  });

  it('is over when its time is, or when who asked has gone', async () => {
    const overs: AbortSignal[] = [];
    const ask = (_: unknown, over: AbortSignal) => {
      overs.push(over);
      return new Promise<Said>(() => {});
    };
    const soon = await door({ asks: true, ask, limits: { askMs: 30 } });
    await say(await soon.openName('new.example', 80), GET('new.example'));
    assert.equal(overs.pop()!.aborted, true);
    const opened = await door({ asks: true, ask, limits: { askMs: 10_000 } });
    const leave: [string, () => Promise<{ leave(): void; write(text: string): void }>][] = [
      [
        'a reset',
        async () => {
          const stream = await opened.openName('new.example', 80);
          return { leave: () => stream.close(8), write: (text) => void stream.write(text) };
        },
      ],
      [
        'a reset before it spoke HTTP',
        async () => {
          const stream = await opened.openName('new.example', 5432);
          return { leave: () => stream.close(8), write: () => void stream.write('\0') };
        },
      ],
      [
        'an end inside of TLS',
        async () => {
          const socket = await opened.tls('new.example');
          return { leave: () => void socket.end(), write: (text) => void socket.write(text) };
        },
      ],
      [
        'a reset of HTTP/2',
        async () => {
          const tls = await opened.tls('new.example', { alpn: ['h2'] });
          const session = connectHttp2('https://new.example', { createConnection: () => tls });
          session.on('error', () => {});
          return {
            leave: () => session.destroy(),
            write: () => void session.request().on('error', () => {}),
          };
        },
      ],
    ];
    for (const [what, begin] of leave) {
      const client = await begin();
      client.write(GET('new.example'));
      while (overs.length === 0) await sleep(5);
      const over = overs.pop()!;
      assert.equal(over.aborted, false, what);
      client.leave();
      if (!over.aborted) await once(over, 'abort');
      assert.equal(over.reason, 'gone', what);
    }
  });

  it('that nobody said yes to is denied with why, and with what would allow it', async () => {
    for (const [said, why] of [
      ['no', /somebody said no/],
      ['nobody', /nobody is there to answer/],
      ['crowded', /too many questions/],
    ] as const) {
      const opened = await door({
        asks: true,
        ask: async () => said,
        denialHint: (verdict) => denialHint('demo', verdict),
      });
      const reply = await say(await opened.openName('new.example', 80), GET('new.example'));
      assert.match(reply, why);
      assert.match(reply, /to allow it: warren policy allow demo new\.example:80\n/);
    }
  });

  it('answered with never is denied by the rule that this has become', async () => {
    const rules = (deny: string[]) =>
      createPolicy([
        parsePolicy({ egress: { ask: true, deny } }, { source: 'sandbox', file: 'policy.json' }),
      ]);
    let now = rules([]);
    const opened = await door({
      policy: () => now,
      ask: async () => {
        now = rules(['new.example']);
        return 'no';
      },
    });
    const reply = await say(await opened.openName('new.example', 80), GET('new.example'));
    assert.match(reply, /denied by rule sandbox:deny\[0\]:new\.example/);
  });

  it('opens no private address', async () => {
    const opened = await door({ asks: true, ask: async () => true, resolve: async () => ['10.0.0.1'] });
    assert.match(await say(await opened.openName('new.example', 80), GET('new.example')), / 403 /);
    assert.deepEqual(opened.dialed, []);
  });
});
