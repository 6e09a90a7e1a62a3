// The daemon's process. Its stdout and stderr are the log; a crash of it costs no machine.

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildId, version } from '../host/build.ts';
import { layoutFrom } from '../host/layout.ts';
import { qemuDriver } from '../machine/drivers/qemu/driver.ts';
import { WarrenError } from '../protocol/error.ts';
import { agentBeside, runDaemon } from './daemon.ts';

process.umask(0o077);
const here = dirname(fileURLToPath(import.meta.url));
try {
  await runDaemon({
    layout: layoutFrom(),
    driver: qemuDriver(),
    agent: agentBeside(here),
    door: join(here, 'door-process.js'),
    version,
    build: buildId(),
  });
  process.exit(0);
} catch (error) {
  const { code, message } = WarrenError.from(error);
  console.error(`warren daemon: ${message} [${code}]`);
  process.exit(1);
}
