// Policy files: an answer or a `usage.policy`, safe to print; what is taken can be judged by.

import assert from 'node:assert/strict';
import { createPolicy } from '../../src/egress/policy/judge.ts';
import { parsePolicyText } from '../../src/egress/policy/parse.ts';
import { WarrenError } from '../../src/protocol/error.ts';

export const seeds = [
  '{"egress": {"profiles": ["npm", "git-hosts"], "allow": ["example.com", "*.example.com:8443", "10.1.2.3"], "deny": ["*.bad.example"], "ask": true}}',
  '{"network": "open", "egress": {"deny": [{"host": "a.example", "paths": ["/a/*"], "methods": ["PUT"]}]}}',
  '{"network": "none"}',
  '{"egress": {"allow": [{"host": "github.com", "git": {"fetch": true, "push": "refs/heads/warren/*"}, "paths": ["/me/*"]}]}}',
  '{"egress": {"allow": [{"cidr": "10.0.0.0/8", "allowPrivate": true, "protocol": "tcp", "ports": [22, 5432]}]}}',
  '{"egress": {"allow": [{"hostService": 5432}, {"host": "r.example", "registry": "read", "stripHeaders": ["X-A"], "secrets": ["s"]}]}}',
  '// note\n{"egress": {"allow": null, "dns": "synthetic",}}',
];

export function run(bytes: Buffer): void {
  let policy: ReturnType<typeof createPolicy>;
  try {
    policy = createPolicy([
      parsePolicyText(bytes.toString('utf8'), { source: 'project', file: 'warren.json' }),
    ]);
  } catch (error) {
    assert.ok(error instanceof WarrenError, error as Error);
    assert.equal(error.code, 'usage.policy');
    assert.doesNotMatch(error.message + error.remedy, /[\x00-\x1f\x7f-\x9f\u202a-\u202e]/);
    return;
  }
  for (const host of [
    { kind: 'name', name: 'x.example.com' },
    { kind: 'name', name: 'host.warren.internal' },
    { kind: 'address', family: 4, address: '10.1.2.3' },
    { kind: 'address', family: 4, address: '127.0.0.1' },
  ] as const) {
    const target = { host, port: 443 };
    const flow = policy.judgeFlow(target);
    if (host.kind === 'address' && host.address === '127.0.0.1') assert.equal(flow.decision, 'deny');
    policy.judgeConnection(target, 'tcp');
    policy.judgeRequest(target, 'https', { method: 'GET', path: '/a/b', headers: [] });
    policy.judgeAddress(target, '10.1.2.3');
  }
  assert.equal(({} as Record<string, unknown>)['egress'], undefined);
}
