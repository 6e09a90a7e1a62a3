// QEMU behind the driver contract: which binary and version, and how a running one is controlled.

import { run } from '../../../host/run.ts';
import { WarrenError } from '../../../protocol/error.ts';
import type { Control, Driver, DriverProbe } from '../../driver.ts';
import { planQemu } from './plan.ts';
import { Qmp } from './qmp.ts';
import { sendState, takeState } from './state-socket.ts';

/** Its microvm machine exists for x86 only. */
const BINARY = 'qemu-system-x86_64';
const OLDEST: readonly [number, number] = [7, 2];
const READONLY_MEMORY_SINCE: readonly [number, number] = [8, 1];
/** Since then it knows `file:` as the source and target of a migration. */
const STATE_BY_NAME_SINCE: readonly [number, number] = [8, 2];
const MIGRATION_POLL_MS = 2;
const MIGRATION_TIMEOUT_MS = 60_000;

export function qemuDriver(options: { binary?: string } = {}): Driver {
  const binary = options.binary ?? process.env['WARREN_QEMU'] ?? BINARY;
  return {
    name: 'qemu',
    features: { snapshot: true, pause: true },
    probe: () => probeQemu(binary),
    plan: planQemu,
    control: async (socket) => controlOf(await Qmp.open(socket)),
  };
}

export async function probeQemu(binary: string): Promise<DriverProbe> {
  let printed: string;
  try {
    const answer = await run(binary, ['--version'], { timeoutMs: 10_000 });
    printed = answer.stdout.toString();
  } catch (error) {
    const missing = error instanceof WarrenError && error.code === 'host.command-missing';
    return {
      kind: 'missing',
      reason: missing ? `${binary} is not installed` : `${binary} does not run: ${(error as Error).message}`,
      remedy: 'sudo apt-get install --no-install-recommends qemu-system-x86',
    };
  }
  return judgeVersion(binary, printed);
}

/** Pure: what `--version` printed → found, or what is wrong with it. */
export function judgeVersion(binary: string, printed: string): DriverProbe {
  const match = /version (\d+)\.(\d+)\.(\d+)/.exec(printed);
  const version = match ? match.slice(1, 4).join('.') : 'unknown';
  const at: [number, number] = [Number(match?.[1] ?? 0), Number(match?.[2] ?? 0)];
  if (!atLeast(at, OLDEST)) {
    return {
      kind: 'missing',
      reason: `${binary} is version ${version}, and Warren needs ${OLDEST.join('.')} or newer`,
      remedy:
        'install a newer QEMU (on Debian 12: sudo apt-get install -t bookworm-backports qemu-system-x86)',
    };
  }
  return {
    kind: 'found',
    binary,
    version,
    readonlyMemory: atLeast(at, READONLY_MEMORY_SINCE),
    stateByName: atLeast(at, STATE_BY_NAME_SINCE),
  };
}

function atLeast(version: readonly [number, number], oldest: readonly [number, number]): boolean {
  return version[0] > oldest[0] || (version[0] === oldest[0] && version[1] >= oldest[1]);
}

function controlOf(qmp: Qmp): Control {
  return {
    pause: async () => {
      await qmp.execute('stop');
    },
    resume: async () => {
      await qmp.execute('cont');
    },
    status: async () => statusOf((await qmp.execute<{ status: string }>('query-status')).status),
    restore: async (state) => {
      await ignoreSharedMemory(qmp);
      await qmp.execute('migrate-incoming', { uri: state.uri });
      if (state.socket !== undefined) await sendState(state.file, state.socket);
      await migrated(qmp, 'restore');
      // It was frozen while paused, and comes back as it was.
      await qmp.execute('cont');
    },
    saveDevice: async (state) => {
      await ignoreSharedMemory(qmp);
      const taken = state.socket === undefined ? undefined : await takeState(state.file, state.socket);
      try {
        await qmp.execute('migrate', { uri: state.uri });
        await migrated(qmp, 'freeze');
        await taken?.written;
      } finally {
        await taken?.close();
      }
    },
    readConsole: async () =>
      await qmp.execute<string>('ringbuf-read', { device: 'console', size: 65536, format: 'utf8' }),
    onDiskFull: (listener) =>
      qmp.on('BLOCK_IO_ERROR', ({ nospace, action }) => {
        if (nospace === true && action === 'stop') listener();
      }),
    quit: async () => {
      await qmp.execute('quit').catch(() => {});
      await qmp.closed;
    },
    close: () => qmp.close(),
    closed: qmp.closed,
  };
}

/** QEMU's RunState; of block errors only a full disk stops a machine (werror=enospc is the default). */
function statusOf(status: string): 'running' | 'paused' | 'disk-full' | 'other' {
  if (status === 'running' || status === 'paused') return status;
  return status === 'io-error' ? 'disk-full' : 'other';
}

/** The guest's memory is a file that stays: only what the devices hold goes through the migration stream. */
async function ignoreSharedMemory(qmp: Qmp): Promise<void> {
  await qmp.execute('migrate-set-capabilities', {
    capabilities: [{ capability: 'x-ignore-shared', state: true }],
  });
}

/** Waits for the end of the one migration that this VMM makes or takes. */
async function migrated(qmp: Qmp, verb: 'freeze' | 'restore'): Promise<void> {
  const deadline = Date.now() + MIGRATION_TIMEOUT_MS;
  for (;;) {
    const { status, 'error-desc': why } = await qmp.execute<{ status?: string; 'error-desc'?: string }>(
      'query-migrate',
    );
    if (status === 'completed') return;
    const late = Date.now() > deadline;
    if (late || status === 'failed' || status === 'cancelled') {
      const reason = why ?? (late ? `not done after ${MIGRATION_TIMEOUT_MS / 1000} s` : String(status));
      throw new WarrenError({
        code: `machine.${verb}-failed`,
        message: `cannot ${verb} the machine: ${reason}`,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, MIGRATION_POLL_MS));
  }
}
