// `runArgs`: what an engine would be called with. There is none here, but what some of them ask for can be had. Pure.

/** Of a machine of one's own they are true already, or mean nothing. */
const HARMLESS: ReadonlySet<string> = new Set([
  ...[
    '--init',
    '--privileged',
    '--cap-add',
    '--cap-drop',
    '--security-opt',
    '--ulimit',
    '--shm-size',
    '--ipc',
  ],
  ...['--pid', '--userns', '--rm', '--name', '--hostname', '-h', '--interactive', '--tty', '-i', '-t', '-it'],
  ...['--label', '-l', '--restart', '--pull', '--cgroupns', '--device-cgroup-rule', '--pids-limit'],
]);
/** They take no value. */
const SWITCHES: ReadonlySet<string> = new Set([
  ...['--init', '--privileged', '--rm', '--interactive', '--tty', '-i', '-t', '-it'],
]);
const NAME = /^[^=\0]{1,4096}$/;

export interface RunArgs {
  env: Record<string, string>;
  /** What has no effect, as it is written. */
  left: string[];
}

export function readRunArgs(args: readonly string[]): RunArgs {
  const env: Record<string, string> = {};
  const left: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!;
    const equals = arg.startsWith('--') ? arg.indexOf('=') : -1;
    const flag = equals < 0 ? arg : arg.slice(0, equals);
    const isSwitch = SWITCHES.has(flag) || !flag.startsWith('-');
    const value = equals >= 0 ? arg.slice(equals + 1) : isSwitch ? '' : valueAfter(args, at);
    if (equals < 0 && !isSwitch && value !== null) at++;
    const [name = '', ...rest] = (value ?? '').split('=');
    if ((flag === '-e' || flag === '--env') && rest.length > 0 && NAME.test(name)) env[name] = rest.join('=');
    else if (!HARMLESS.has(flag))
      left.push(equals >= 0 || isSwitch || value === null ? arg : `${arg} ${value}`);
  }
  return { env, left };
}

/** null: none follows. */
function valueAfter(args: readonly string[], at: number): string | null {
  const next = args[at + 1];
  return next === undefined || next.startsWith('-') ? null : next;
}
