// `daemon start|stop|status`. Stopping it leaves every machine as it is.

import type { Client } from '../../client/client.ts';
import { openClient } from '../context.ts';
import { print, printJson, say } from '../terminal.ts';

export async function daemon(verb: 'start' | 'stop' | 'status', flags: { json?: boolean }): Promise<number> {
  const client: Client = openClient();
  try {
    if (verb !== 'start' && !(await client.transport.running())) {
      if (flags.json) printJson({ running: false });
      else say('the daemon is not running');
      return verb === 'status' ? 1 : 0;
    }
    if (verb === 'stop') {
      await client.stopDaemon();
      say('the daemon has stopped; machines go on');
      return 0;
    }
    const info = await client.info();
    if (flags.json) printJson({ running: true, ...info });
    else
      print(
        `running: pid ${info.pid}, version ${info.version}, since ${info.startedAt}, ${info.rssMib} MiB, sandboxes: ${info.sandboxes}`,
      );
    return 0;
  } finally {
    client.close();
  }
}
