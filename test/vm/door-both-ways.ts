// A client in a machine reaches an origin by the name that a rule allows; by one that leads to the same origin and that
// none allows, it is told so, the audit has it, and nothing goes there.

import assert from 'node:assert/strict';
import { audited, DENIED } from './door-origins.ts';
import type { Ended, Warren } from './harness.ts';

export interface Site {
  /** The sandbox. */
  name: string;
  https: number;
  http: number;
  /** What the origins behind both ports were asked. */
  asked: readonly string[][];
}

/** `line` is told an address; `told` is what it says of the one that is denied. */
export type BothWays = (line: (url: string) => string, secure: boolean, told: RegExp) => Promise<void>;

export function bothWaysIn(warren: Warren, site: Site): BothWays {
  const guest = (line: string): Promise<Ended> => warren.run(['exec', site.name, '--', 'sh', '-c', line]);
  let nr = 0;
  return async (line, secure, told) => {
    const [scheme, port] = secure ? ['https', site.https] : ['http', site.http];
    nr += 1;
    const path = `/hello-${nr}`;
    const good = await guest(line(`${scheme}://web.warren.test:${port}${path}`));
    assert.match(good.stdout, /hello from web\.warren\.test/, good.stderr);
    assert.equal(good.code, 0, good.stderr);
    const allowed = await audited(
      warren,
      site.name,
      (event) => 'path' in event && event.path === path && event.status === 200,
    );
    assert.deepEqual([allowed.decision, allowed.host, allowed.port], ['allow', 'web.warren.test', port]);
    assert.match(allowed.ruleId ?? '', /^user:allow\[\d\]:web\.warren\.test$/);

    const bad = await guest(line(`${scheme}://${DENIED}:${port}${path}`));
    assert.match(bad.stdout + bad.stderr, told);
    const denied = await audited(
      warren,
      site.name,
      (event) => 'path' in event && event.path === path && event.host === DENIED,
    );
    assert.deepEqual([denied.decision, denied.ruleId], ['deny', null]);
    assert.match(denied.reason ?? '', /no rule allows it/);
    assert.ok(!site.asked.flat().some((each) => each.startsWith(DENIED)), 'nothing went to the origin');
  };
}

/** What a client prints that shows the body of a denial. */
export function words(name: string): RegExp {
  return new RegExp(
    `Warren: denied\\.warren\\.test:\\d+: no rule allows it\\s+to allow it: warren policy allow ${name} denied\\.warren\\.test:\\d+`,
  );
}
