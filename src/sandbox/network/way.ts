// What the user's settings say of the way out of this host: more certificates to trust, and a proxy.

import { readFile } from 'node:fs/promises';
import type { DoorConfig } from '../../egress/door/messages.ts';
import { WarrenError } from '../../protocol/error.ts';
import { userSettings } from '../settings.ts';

/** Throws `usage.settings`: then there is no door. */
export async function waySettings(): Promise<Pick<DoorConfig, 'extraCa' | 'upstreamProxy'>> {
  const { ca = [], upstreamProxy = null } = await userSettings();
  return { extraCa: await Promise.all(ca.map(readCertificates)), upstreamProxy };
}

async function readCertificates(file: string): Promise<string> {
  try {
    const text = await readFile(file, 'utf8');
    if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
    throw new Error('it holds no PEM certificate');
  } catch (error) {
    throw new WarrenError({
      code: 'usage.settings',
      message: `cannot use "ca" of config.json: ${file}: ${(error as Error).message}`,
      remedy: 'name a file of PEM certificates, or take it away',
    });
  }
}
