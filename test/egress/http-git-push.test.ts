// A push of git through the door: its refs are judged before it goes on.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { describe, it } from 'node:test';
import type { RequestEvent } from '../../src/egress/audit/event.ts';
import { say, until } from './fake-guest.ts';
import { door, httpOrigin } from './http-door.ts';

describe('a git push', () => {
  const line = (text: string) => (text.length + 4).toString(16).padStart(4, '0') + text;
  const push = (ref: string) =>
    `${line(`${'0'.repeat(40)} ${'1'.repeat(40)} ${ref}\0report-status`)}0000PACK-and-more`;
  const git = { host: 'api.example', http: true, git: { fetch: true, push: 'refs/heads/warren/*' } };
  const post = (body: string) =>
    `POST /me/x/git-receive-pack HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${[...body.matchAll(/[\s\S]{1,7}/g)].map(([part]) => `${part.length.toString(16)}\r\n${part}\r\n`).join('')}0\r\n\r\n`;

  it('is held back until its refs are known, and arrives whole', async () => {
    const bodies: string[] = [];
    const port = await httpOrigin(
      createServer(async (request, response) => {
        let body = '';
        for await (const chunk of request) body += chunk.toString('latin1');
        bodies.push(body);
        response.end('pushed');
      }),
    );
    const opened = await door({ allow: [git], origins: { 80: port } });
    const good = push('refs/heads/warren/demo');
    assert.match(await say(await opened.openName('api.example', 80), post(good)), /200 OK[\s\S]*pushed/);
    assert.deepEqual(bodies, [good]);
    const denied = await say(await opened.openName('api.example', 80), post(push('refs/heads/main')));
    assert.match(denied, / 403 [\s\S]*refs\/heads\/main/);
    const cut = await say(await opened.openName('api.example', 80), post(good.slice(0, 30)));
    assert.match(cut, / 403 [\s\S]*not complete/);
    assert.equal(bodies.length, 1);
    assert.equal(opened.dialed.length, 1);
  });

  it('that is refused is told in git’s own form, which it shows', async () => {
    const opened = await door({ allow: [git] });
    const asGit = post(push('refs/heads/main')).replace(
      '\r\n\r\n',
      '\r\nAccept: application/x-git-receive-pack-result\r\n\r\n',
    );
    const answer = await say(await opened.openName('api.example', 80), asGit);
    assert.match(answer, / 200 [\s\S]*content-type: application\/x-git-receive-pack-result/i);
    const [, length, words] = /\r\n\r\n([0-9a-f]{4})\x03([\s\S]*)0000$/.exec(answer)!;
    assert.equal(Number.parseInt(length!, 16), words!.length + 5);
    assert.match(words!, /^Warren: the push is refused: it would change refs\/heads\/main/);
    await until(() => opened.ended('request').length === 1);
    const [event] = opened.ended('request') as RequestEvent[];
    assert.deepEqual([event?.decision, event?.status, opened.dialed], ['deny', 403, []]);
  });
});
