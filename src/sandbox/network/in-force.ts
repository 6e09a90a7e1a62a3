// What one door goes by: the policy and the way out. What cannot be read lets nothing out, and the door that starts with
// it says so to whoever asks: a guest that got no answer at all would wait.

import type { DoorConfig } from '../../egress/door/messages.ts';
import type { Layout } from '../../host/layout.ts';
import type { SandboxRecord } from '../record.ts';
import { downloadSettings } from './downloads.ts';
import { type EffectivePolicy, policyOf } from './policy.ts';
import { waySettings } from './way.ts';

export type Way = Pick<DoorConfig, 'extraCa' | 'upstreamProxy' | 'downloads'>;

export interface InForce {
  policy: EffectivePolicy;
  way: Way;
}

/** `downloads`: the folder of what is kept. Throws `usage.policy`, `usage.settings` or `sandbox.state-corrupt`. */
export async function readInForce(
  layout: Layout,
  record: Pick<SandboxRecord, 'id' | 'repository'>,
  downloads: string,
): Promise<InForce> {
  const policy = await policyOf(layout, record);
  return { policy, way: { ...(await waySettings()), downloads: await downloadSettings(downloads) } };
}

/** The guest reads it: what is wrong, and with which file of the host, is told by `policy show`. */
export function nothingInForce(name: string): InForce {
  const because = `its policy cannot be used (on the host, warren policy show ${name} tells why)`;
  return {
    policy: {
      rulesets: [{ source: 'session', network: 'none', ask: false, profiles: null, rules: [], because }],
      trust: 'absent',
      fitting: [],
    },
    way: { extraCa: [], upstreamProxy: null, downloads: null },
  };
}

export function isSameWay(a: Way, b: Way): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
