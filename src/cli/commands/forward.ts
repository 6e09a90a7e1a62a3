// `warren forward`, `forward ls`, `forward rm`.

import { WarrenError } from '../../protocol/error.ts';
import { sanitizeLine } from '../../protocol/sanitize.ts';
import { withClient } from '../context.ts';
import { dim, print, printError, printJson, say } from '../terminal.ts';
import { table } from './ls.ts';

export async function forward(name: string, ports: string, flags: { json?: boolean }): Promise<void> {
  const { port, hostPort } = parsePorts(ports);
  const view = await withClient((client) => client.forward(name, port, hostPort));
  if (flags.json) return printJson(view);
  print(`127.0.0.1:${view.hostPort}`);
  if (view.instead !== undefined)
    say(`notice: 127.0.0.1:${view.instead} led there until now, and does no more: a port has one forward`);
  say(dim(`leads to port ${port} of sandbox "${name}" until: warren forward rm ${name} ${port}`));
}

/** A sandbox whose agent does not answer does not keep the others from being told. */
export async function ls(name: string | undefined, flags: { json?: boolean }): Promise<number> {
  const told = await withClient(async (client) => {
    const names = name === undefined ? (await client.list()).map((each) => each.name) : [name];
    return await Promise.allSettled(names.map((each) => client.forwards(each)));
  });
  const views = told.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const exitCode = told.reduce(
    (code, each) => (each.status === 'rejected' ? Math.max(code, printError(each.reason)) : code),
    0,
  );
  if (name !== undefined && views.length === 0) return exitCode;
  if (flags.json) {
    printJson(name === undefined ? views : views[0]);
    return exitCode;
  }
  const rows = views.flatMap(({ name: sandbox, forwards, listening }) => {
    const ports = [...new Set([...listening, ...forwards].map(({ port }) => port))].sort((a, b) => a - b);
    return ports.map((port) => {
      const listener = listening.find((each) => each.port === port);
      const kept = forwards.find((each) => each.port === port);
      return [
        sandbox,
        String(port),
        listener ? sanitizeLine(listener.comm, 32) || '?' : '-',
        listener?.url ?? '-',
        kept ? (kept.problem === null ? `127.0.0.1:${kept.hostPort}` : `not open: ${kept.problem}`) : '-',
      ];
    });
  });
  if (rows.length > 0) print(table(['SANDBOX', 'PORT', 'PROGRAM', 'STABLE NAME', 'FORWARD'], rows));
  else say(dim('no port listens, and none is forwarded'));
  const problem = views[0]?.names.problem;
  if (problem) say(`no stable names: ${sanitizeLine(problem, 300)}`);
  return exitCode;
}

export async function rm(name: string, port: string): Promise<void> {
  const parsed = parsePorts(port);
  await withClient(async (client) => {
    if (await client.removeForward(name, parsed.port))
      return say(`port ${parsed.port} of "${name}" is not forwarded any more`);
    const none = `port ${parsed.port} of "${name}" was not forwarded`;
    // Without an agent that answers, there is no list, and nothing to add.
    const { forwards } = await client.forwards(name).catch(() => ({ forwards: [] }));
    const meant = forwards.find(({ hostPort }) => hostPort === parsed.port);
    say(
      meant
        ? `${none}; 127.0.0.1:${parsed.port} leads to its port ${meant.port}: warren forward rm ${name} ${meant.port}`
        : none,
    );
  });
}

/** `PORT` or `PORT:HOSTPORT`. */
export function parsePorts(text: string): { port: number; hostPort: number | null } {
  const [, port, hostPort] = /^(\d{1,5})(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (port !== undefined)
    return { port: Number(port), hostPort: hostPort === undefined ? null : Number(hostPort) };
  throw new WarrenError({
    code: 'usage.port',
    message: `cannot forward ${JSON.stringify(text.slice(0, 80))}: it is not PORT or PORT:HOSTPORT`,
    remedy: 'warren forward NAME 3000; or, at another port of this computer: warren forward NAME 3000:8080',
  });
}
