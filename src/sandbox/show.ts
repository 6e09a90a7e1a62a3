// `show` and `ls`: what the record says and how the machine stands now.

import { stat } from 'node:fs/promises';
import { processUse } from '../host/processes.ts';
import type { Confinement } from '../machine/confine.ts';
import type { MachineView, SandboxDetail } from '../protocol/api.ts';
import type { Conductor } from './conductor.ts';
import { networkView } from './network/plan.ts';
import { viewOf } from './record.ts';
import type { Sandbox } from './sandboxes.ts';

export async function show(conductor: Conductor, sandbox: Sandbox): Promise<SandboxDetail> {
  const files = conductor.files(sandbox);
  const disk = await stat(files.machine.disk).catch(() => undefined);
  return {
    ...viewOf(sandbox.record),
    machine: machineView(sandbox),
    network: await networkView(conductor, sandbox),
    folder: files.folder,
    diskUsedMib: Math.round(((disk?.blocks ?? 0) * 512) / 1024 ** 2),
    note: sandbox.record.note,
    attach: attachScript(sandbox),
  };
}

/** A failure is seen, and the shell opens all the same. */
function attachScript({ record }: Sandbox): string | null {
  const steps = record.lifecycle?.attach ?? [];
  return steps.length === 0 ? null : steps.map(({ script }) => `( ${script}\n)`).join(' && ');
}

function machineView(sandbox: Sandbox): MachineView | null {
  const { machine } = sandbox.record;
  if (!machine || !sandbox.machine?.alive) return null;
  const use = processUse(machine.vmm.pid);
  return {
    pid: machine.vmm.pid,
    vmm: machine.driver,
    accelerator: sandbox.record.accelerator,
    confinement: describeConfinement(machine.confinement),
    privateMib: Math.round(use?.privateMib ?? 0),
    proportionalMib: Math.round(use?.proportionalMib ?? 0),
    cpuSeconds: use?.cpuSeconds ?? 0,
  };
}

/** One line for each control, held or not. */
export function describeConfinement(confinement: Confinement): string[] {
  return [
    confinement.namespaces
      ? 'own mount, network, pid, ipc and uts namespaces; only its own files are visible (bwrap)'
      : `NO namespaces of its own: ${confinement.why ?? 'bwrap does not work here'}`,
    'no capabilities, seccomp filter (-sandbox on)',
    confinement.ordinaryUser ? 'runs as an ordinary user' : 'RUNS AS ROOT: setpriv does not work here',
    confinement.limits
      ? 'limits on core files, open files and file size'
      : 'NO resource limits: prlimit does not work here',
  ];
}
