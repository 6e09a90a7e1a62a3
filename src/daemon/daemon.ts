// The long-lived host process, one per user. It holds nothing that it cannot read from disk again: a daemon
// that is killed leaves every machine running, and the next one finds them.

import { existsSync } from 'node:fs';
import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeJsonAtomic } from '../host/atomic-file.ts';
import { daemonFiles, type Layout } from '../host/layout.ts';
import { ensurePrivateFolder } from '../host/private-folder.ts';
import { holdAlone } from '../host/single.ts';
import { reachableSocketPath } from '../host/socket-path.ts';
import type { Driver } from '../machine/driver.ts';
import type { DaemonInfo } from '../protocol/api.ts';
import { WarrenError } from '../protocol/error.ts';
import { limits } from '../protocol/limits.ts';
import { Conductor } from '../sandbox/conductor.ts';
import { reconcile } from '../sandbox/reconcile.ts';
import { Rooms } from '../sandbox/rooms.ts';
import type { Route } from './route.ts';
import { secretRoutes } from './routes-secret.ts';
import { serve } from './server.ts';

export interface DaemonOptions {
  layout: Layout;
  driver: Driver;
  agent: string;
  door: string;
  version: string;
  build: string;
}

/** Resolves when the daemon was asked to stop. Throws `daemon.already-running`. */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  const { layout } = options;
  const files = daemonFiles(layout);
  await ensurePrivateFolder(layout.data);
  await ensurePrivateFolder(layout.runtime);
  const alone = holdAlone(files.lock);
  if (!alone)
    throw new WarrenError({
      code: 'daemon.already-running',
      message: 'another daemon of this user is running',
      remedy: 'warren daemon status',
    });
  const conductor = new Conductor(new Rooms(options));
  // Before any door starts: it closes that port.
  await conductor.forwards.openNames();
  await reconcile(conductor);
  await conductor.forwards.start();
  for (const error of conductor.unreadable) console.error(`warren daemon: ${error.message}`);

  const { promise: asked, resolve: askToStop } = Promise.withResolvers<void>();
  const startedAt = new Date().toISOString();
  const info = (): DaemonInfo => ({
    version: options.version,
    build: options.build,
    generation: limits.apiGeneration,
    pid: process.pid,
    startedAt,
    rssMib: Math.round(process.memoryUsage.rss() / 1024 ** 2),
    sandboxes: conductor.list().length,
  });
  const own: Route[] = [
    ...secretRoutes(conductor.secrets),
    { method: 'GET', path: '/v1/info', handle: async () => info() },
    {
      method: 'POST',
      path: '/v1/stop',
      handle: async () => {
        setImmediate(askToStop);
        return {};
      },
    },
  ];
  const server = serve(conductor, own);
  await rm(files.socket, { force: true });
  const path = reachableSocketPath(files.socket);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(path.name, resolve);
  });
  path.release();
  await chmod(files.socket, 0o600);
  await writeJsonAtomic(files.info, info());
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, askToStop);

  await asked;
  conductor.forwards.closeAll();
  server.close();
  server.closeAllConnections();
  await conductor.doors.closeAll();
  await Promise.all(conductor.list().map(async ({ machine }) => await machine?.leave()));
  await Promise.all([files.socket, files.info].map((file) => rm(file, { force: true })));
  alone.release();
}

/** Beside the daemon's own code: dist/. */
export function agentBeside(folder: string): string {
  const agent = process.env['WARREN_AGENT'] ?? join(folder, 'warren-agent');
  if (existsSync(agent)) return agent;
  throw new WarrenError({
    code: 'daemon.no-agent',
    message: `cannot find the guest's agent at ${agent}`,
    remedy: 'run ./bin/warren once, which builds it',
  });
}
