// Requests of a guest that may do something, and try for more: methods by another name, upstreams that are not who they
// say, a tunnel in a tunnel, what no terminal can answer (NE 5, 22, 25, 37).

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, describe, it } from 'node:test';
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import type { RequestEvent } from '../../src/egress/audit/event.ts';
import { denialHint } from '../../src/egress/policy/hint.ts';
import { parsePolicy } from '../../src/egress/policy/parse.ts';
import { Authority, createAuthority } from '../../src/egress/tls/authority.ts';
import {
  type DoorOptions,
  guestCa,
  listenOn,
  openDoor,
  rawOrigin,
  say,
  type TestDoor,
  tlsOrigin,
} from './fake-guest.ts';
import { entryFrom } from './typed-words.ts';

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing.reverse()) await close();
});
async function door(options: DoorOptions = {}): Promise<TestDoor> {
  const opened = await openDoor(options);
  closing.push(() => opened.close());
  return opened;
}

describe('a method by another name', () => {
  const OVERRIDES = 'X-HTTP-Method-Override: DELETE\r\nX-HTTP-Method: PUT\r\nX-Method-Override: PATCH\r\n';
  const post = `POST /x HTTP/1.1\r\nHost: api.example\r\n${OVERRIDES}Content-Length: 0\r\nConnection: close\r\n\r\n`;
  const sent = async (entry: object) => {
    const origin = await rawOrigin((socket) =>
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')),
    );
    closing.push(origin.close);
    const opened = await door({
      allow: [{ host: 'api.example', http: true, ...entry }],
      origins: { 80: origin.port },
    });
    assert.match(await say(await opened.openName('api.example', 80), post), /^HTTP\/1\.1 200 /);
    assert.equal((opened.ended('request')[0] as RequestEvent).method, 'POST');
    return origin.received[0]!;
  };

  it('does not reach the origin where a rule is about methods (NE 22)', async () => {
    assert.doesNotMatch(await sent({ methods: ['GET', 'POST'] }), /override|x-http-method/i);
  });

  it('passes where none is, or where the rule says what to strip (NE 22)', async () => {
    assert.equal((await sent({})).match(/override|x-http-method:/gi)?.length, 3);
    assert.equal(
      (await sent({ methods: ['POST'], stripHeaders: [] })).match(/override|x-http-method:/gi)?.length,
      3,
    );
  });
});

describe('an upstream', () => {
  it('whose certificate has expired is told as 502, and gets neither request nor secret (NE 25)', async () => {
    const DAY_MS = 24 * 3_600_000;
    const pem = await createAuthority('Warren test origin');
    const past = await Authority.open(pem, () => new Date(Date.now() - 20 * DAY_MS));
    let requests = 0;
    let secrets = 0;
    const server = createServer((_, response) => {
      requests += 1;
      response.end();
    });
    const sockets: TLSSocket[] = [];
    const origin = createTlsServer(
      {
        SNICallback: (name, done) =>
          void past.contextFor({ kind: 'name', name }).then((is) => done(null, is), done),
      },
      (socket) => {
        sockets.push(socket.on('error', () => {}));
        server.emit('connection', socket);
      },
    );
    origin.on('tlsClientError', () => {});
    closing.push(() => {
      for (const socket of sockets) socket.destroy();
      origin.close();
    });
    const opened = await door({
      allow: ['tls.example'],
      origins: { 443: await listenOn(origin) },
      extraCa: [pem.certificatePem],
      secrets: {
        substitute: ({ headers }) => {
          secrets += 1;
          return { headers, used: [] };
        },
      },
    });
    const answer = await say(
      await opened.tls('tls.example'),
      'GET / HTTP/1.1\r\nHost: tls.example\r\nConnection: close\r\n\r\n',
    );
    assert.match(answer, /^HTTP\/1\.1 502 [\s\S]*expired/);
    assert.deepEqual([requests, secrets], [0, 0]);
    const [event] = opened.ended('request') as RequestEvent[];
    assert.match(event?.reason ?? '', /expired/);
  });
});

describe('a tunnel', () => {
  it('in the TLS that was taken apart leads nowhere, whatever is inside (NE 5)', async () => {
    const origin = await tlsOrigin((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
    closing.push(origin.close);
    const opened = await door({ allow: ['proxy.example'], origins: { 443: origin.port } });
    for (const to of ['evil.example:443', 'proxy.example:443', '127.0.0.1:22']) {
      const outer = await opened.tls('proxy.example');
      const answer = await say(outer, `CONNECT ${to} HTTP/1.1\r\nHost: ${to}\r\n\r\n`);
      assert.match(answer, /^HTTP\/1\.1 (?:400|405|421) /, to);
    }
    assert.deepEqual(opened.dialed, []);
    assert.equal(opened.ended('request').filter(({ decision }) => decision === 'deny').length, 3);
  });

  it('that passes unread is one to its own name only, so a second TLS in it is nothing of ours (NE 5)', async () => {
    const opened = await door({ allow: [{ host: 'pass.example', protocol: 'tls-passthrough' }] });
    const flow = await opened.openName('pass.example', 443);
    const inner = connectTls({ socket: flow, servername: 'evil.example', ca: guestCa.certificatePem });
    const error = await new Promise<Error>((resolve) => inner.once('error', resolve));
    assert.match(error.message, /unrecognized name/);
    assert.deepEqual(opened.dialed, []);
  });
});

describe('what would be asked, where nobody is', () => {
  it('is denied with the command that allows it (NE 37)', async () => {
    // A daemon without a terminal hands the rules over without `ask`: see Doors.
    const opened = await door({ denialHint: (verdict) => denialHint('demo', verdict) });
    const answer = await say(
      await opened.tls('new.example'),
      'GET / HTTP/1.1\r\nHost: new.example\r\nConnection: close\r\n\r\n',
    );
    assert.match(answer, / 403 [\s\S]*to allow it: warren policy allow demo new\.example\n/);
    assert.deepEqual(opened.dialed, []);
  });

  it('is told a machine without a name as an entry that can be taken', () => {
    for (const words of ['a.example', 'a.example:8443 --tcp', 'a.example:8080 --http --private']) {
      const denied = { decision: 'deny', ruleId: null, reason: '', allowWith: entryFrom(words) } as const;
      const [, json = ''] = /"egress": (.*)$/.exec(denialHint(null, denied)[0]!) ?? [];
      assert.equal(
        parsePolicy({ egress: JSON.parse(json) }, { source: 'project', file: 'p' }).rules.length,
        1,
      );
    }
  });
});
