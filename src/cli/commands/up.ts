// `warren up`: a sandbox, and on a terminal a shell in it.

import { resolve } from 'node:path';
import { tellSecretValues } from '../../client/secrets.ts';
import type { LayerView, NetworkMode, UpResult, Withheld } from '../../protocol/api.ts';
import { sanitizeLine } from '../../protocol/sanitize.ts';
import { ShellQuestions } from '../asking.ts';
import { runAttached } from '../attach-session.ts';
import { type BuildFlags, buildWish } from '../build-flags.ts';
import { withClient, withProgress } from '../context.ts';
import { describeNetwork, waitsForTrust } from '../describe-network.ts';
import { withInitialize } from '../initialize.ts';
import { dim, plural, printJson, say } from '../terminal.ts';
import { shellSpec } from './shell.ts';

export interface SizeFlags {
  cpus?: number;
  memory?: number;
  disk?: number;
  env?: string;
  /** false: `--no-prepare`. */
  prepare: boolean;
  initialize?: boolean;
}

export interface NetworkFlag {
  network?: NetworkMode;
}

interface UpFlags extends SizeFlags, NetworkFlag, BuildFlags {
  name?: string;
  detach?: boolean;
  json?: boolean;
}

export async function up(path: string | undefined, flags: UpFlags): Promise<number> {
  return await withClient(async (client) => {
    await tellSecretValues(client.transport, process.env);
    const request = {
      name: flags.name ?? null,
      path: resolve(path ?? '.'),
      fresh: false,
      network: flags.network ?? null,
      build: buildWish(flags),
      ...sizeRequest(flags),
    };
    const result = await withInitialize(client, flags.initialize, (initialized) =>
      withProgress((options) => client.up({ ...request, initialized }, options), flags.progress, client),
    );
    if (!result.created && result.sandbox.state !== 'running')
      await client.power(result.sandbox.name, 'start');
    if (flags.json) {
      printJson(result);
      return 0;
    }
    tell(result);
    const { name } = result.sandbox;
    if (flags.detach || !process.stdin.isTTY || !process.stdout.isTTY) {
      say(`next: warren shell ${name}`);
      return 0;
    }
    if (waitsForTrust(result.network, name) !== null) {
      const { trust } = await import('./trust.ts');
      await trust(name, {});
    }
    const asked = new ShellQuestions(client.transport, name);
    const ended = await runAttached(client.transport, name, shellSpec(await client.show(name)), (byte) =>
      asked.key(byte),
    ).finally(() => asked.close());
    if (!ended.detached)
      say(dim(`sandbox "${name}" goes on: warren shell ${name}, warren merge ${name}, warren rm ${name}`));
    return ended.exitCode;
  });
}

export function sizeRequest(flags: SizeFlags) {
  return {
    environment: environmentOf(flags.env),
    cpus: flags.cpus ?? null,
    memoryMib: flags.memory ?? null,
    diskGib: flags.disk ?? null,
    prepare: flags.prepare,
  };
}

/** The daemon does not know where we stand: a path, which begins with "." or "/", goes there absolute. */
function environmentOf(env: string | undefined): string | null {
  if (env === undefined) return null;
  return /^[./]/.test(env) ? resolve(env) : env;
}

export function tell(result: UpResult): void {
  const { sandbox, created, timings, withheld } = result;
  // The agent's first answer is a part of the restore.
  const tookMs = Object.entries(timings).reduce((sum, [of, ms]) => sum + (of === 'answeredMs' ? 0 : ms), 0);
  const what = sandbox.repository
    ? `${sandbox.repository.guestPath} on branch ${sandbox.repository.branch}`
    : 'no repository';
  say(
    created
      ? `sandbox "${sandbox.name}" is up: ${what} ${dim(`(${(tookMs / 1000).toFixed(2)} s)`)}`
      : `sandbox "${sandbox.name}" is already up: ${what}`,
  );
  const layers = describeLayers(result.layers);
  if (layers !== null) say(dim(`  ${layers}`));
  say(dim(`  ${describeNetwork(result.network, sandbox.name)}`));
  const waits = waitsForTrust(result.network, sandbox.name);
  if (waits !== null) say(`  ${waits}`);
  if (withheld) for (const line of describeWithheld(withheld)) say(dim(`  ${line}`));
  for (const notice of result.notices) say(`  notice: ${notice}`);
}

/** Which layers were there already; null where nothing was prepared. */
function describeLayers(layers: LayerView[]): string | null {
  const prepared = layers.find(({ kind }) => kind === 'prepared');
  if (!prepared) return null;
  const words = layers.map(({ kind, reused }) => `${kind} ${reused ? 'reused' : 'made'}`);
  const at = prepared.at ? ` (with commit ${prepared.at.slice(0, 7)})` : '';
  return `layers: ${words.join(', ')}${at}`;
}

/** What stayed at home, a line a kind. */
function describeWithheld(withheld: Withheld): string[] {
  const some = (names: string[], total: number) =>
    `${names
      .slice(0, 5)
      .map((text) => sanitizeLine(text))
      .join(', ')}${total > 5 ? ', …' : ''}`;
  return [
    ...(withheld.env.length > 0
      ? [
          `withheld: ${withheld.env.map((text) => sanitizeLine(text)).join(', ')} (to carry one, name it in warren.json: "carry")`,
        ]
      : []),
    ...(withheld.untrackedTotal > 0
      ? [
          `withheld: ${plural(withheld.untrackedTotal, 'untracked file')}: ${some(withheld.untracked, withheld.untrackedTotal)}`,
        ]
      : []),
    ...(withheld.ignoredTotal > 0
      ? [`withheld: ${plural(withheld.ignoredTotal, 'ignored file or folder', 'ignored files and folders')}`]
      : []),
    ...(withheld.submodulesNotCheckedOut.length > 0
      ? [
          `not checked out, so not there: ${withheld.submodulesNotCheckedOut.map((text) => sanitizeLine(text)).join(', ')}`,
        ]
      : []),
    ...withheld.notices.map((text) => sanitizeLine(text)),
  ];
}
