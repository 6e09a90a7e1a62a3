// The link to the agent, against the agent itself as a plain process: `warren-agent -listen FOLDER`.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { Link } from '../../src/machine/link/link.ts';
import { WarrenError } from '../../src/protocol/error.ts';
import { type RunningAgent, startAgent } from './agent-process.ts';

describe('the link to the agent', () => {
  let running: RunningAgent;
  let agentSocket: string;

  before(async () => {
    running = await startAgent();
    agentSocket = running.agent;
  });
  after(() => running.stop());

  it('reads every answer to its end, however early the stream ends', async () => {
    const link = await Link.open(agentSocket);
    for (let call = 0; call < 500; call++) {
      const info = await link.json<{ generation: number }>('/warren/info');
      assert.equal(info.generation, 1);
    }
    link.close();
  });

  it('tells a refusal that comes while its payload is still being sent, every time', {
    timeout: 60_000,
  }, async () => {
    const link = await Link.open(agentSocket);
    // In pieces, a turn of the loop apart: the refusal comes between any two of them, or behind the last.
    const pieces = async function* () {
      for (let nr = 0; nr < 8; nr++) {
        yield Buffer.alloc(512, 'no tar');
        await new Promise((next) => setImmediate(next));
      }
    };
    for (let call = 0; call < 300; call++)
      await assert.rejects(
        link.send('/warren/git/clone', { payload: Readable.from(pieces(), { objectMode: false }) }),
        { code: 'agent.invalid-argument', message: /the body is not a tar/ },
      );
    link.close();
  });

  it('a new attach takes over from the old one', async () => {
    const old = await Link.open(agentSocket);
    await old.json('/warren/info');
    const closed = once(old, 'closed');
    const link = await Link.open(agentSocket);
    await closed;
    await link.json('/warren/info');
    link.close();
  });

  it('errors keep their code, and time has a limit', async () => {
    const link = await Link.open(agentSocket);
    const refused = link.json('/warren/git/status', {
      method: 'POST',
      body: { path: '/nowhere', user: 'root' },
    });
    await assert.rejects(refused, (error) => error instanceof WarrenError && error.code.startsWith('agent.'));
    await assert.rejects(link.json('/nothing'), { code: 'agent.unknown' });
    const signal = AbortSignal.abort();
    await assert.rejects(link.json('/warren/info', { signal }), WarrenError);
    link.close();
  });
});
