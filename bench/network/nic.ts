// For comparison: the same kernel, initramfs, image, CPU and memory as a sandbox's, with a network device that leads to
// slirp or passt. Nothing of the product starts a machine so.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { timeStampCounterKhz } from '../../src/host/clock.ts';
import { machineSockets } from '../../src/host/layout.ts';
import { mmdebstrap } from '../../src/image/debootstrap.ts';
import { collectModules } from '../../src/image/modules.ts';
import type { DriverFound, MachineSpec } from '../../src/machine/driver.ts';
import { qemuDriver } from '../../src/machine/drivers/qemu/driver.ts';
import { newMachineId } from '../../src/machine/identity.ts';
import { Machine } from '../../src/machine/machine.ts';
import { makeDisk } from '../../src/machine/make-disk.ts';
import { runInGuest } from '../../src/machine/run-in-guest.ts';
import type { TemplateRecord } from '../../src/machine/template.ts';

export type Nic = 'slirp' | 'passt';

export interface NicMachine {
  pid: number;
  sh(line: string): Promise<string>;
  close(): Promise<void>;
}

/** What both call this computer's loopback. */
export const GATEWAY = '10.0.2.2';
const LINE_TIMEOUT_MS = 300_000;

export async function openNicMachine(nic: Nic, record: TemplateRecord): Promise<NicMachine> {
  const folder = await mkdtemp(join(tmpdir(), 'warren-nic-'));
  let passt: ChildProcess | undefined;
  let machine: Machine | undefined;
  const close = async () => {
    await machine?.kill();
    passt?.kill();
    await rm(folder, { recursive: true, force: true, maxRetries: 10 });
  };
  try {
    const socket = join(folder, 'passt');
    if (nic === 'passt') {
      const flags = ['--foreground', '--ipv4-only', '--quiet', '--runas', '0', '--socket', socket];
      passt = spawn('passt', [...flags, '-a', '10.0.2.15', '-n', '24', '-g', GATEWAY, '-t', 'none'], {
        stdio: ['ignore', 'inherit', 'inherit'],
      });
    }
    machine = await boot(folder, record, [
      '-netdev',
      nic === 'slirp'
        ? 'user,id=net'
        : `stream,id=net,server=off,addr.type=unix,addr.path=${socket},reconnect-ms=100`,
      ...['-device', 'virtio-net-pci,netdev=net'],
    ]);
    const link = await machine.link();
    const sh = async (line: string) => {
      const ended = await runInGuest(link, '/bin/bash', ['-c', line], {
        user: 'root',
        timeoutMs: LINE_TIMEOUT_MS,
      });
      if (ended.exitCode !== 0) throw new Error(`${line}: ${ended.stderr}`);
      return String(ended.stdout);
    };
    await loadModules(sh);
    await sh(`python3 -c '${BRING_UP}'`);
    return { pid: machine.record.vmm.pid, sh, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function boot(folder: string, record: TemplateRecord, device: string[]): Promise<Machine> {
  const { cpus, memoryMib, diskGib } = record.key;
  const [disk, memory] = [join(folder, 'disk'), join(folder, 'memory')];
  await makeDisk(disk, diskGib, {});
  await writeFile(memory, '');
  await truncate(memory, memoryMib * 1024 ** 2);
  const tscKhz = await timeStampCounterKhz();
  const spec: MachineSpec = {
    id: 'nic',
    ...(tscKhz !== undefined && { tscKhz }),
    ...{ cpus, memoryMib, diskGib },
    accelerator: record.key.accelerator === 'kvm' ? { kind: 'kvm' } : { kind: 'emulation', why: 'bench' },
    kernel: record.kernel,
    layers: record.layers,
    disk: { kind: 'raw', file: disk },
    memory: { file: memory, shared: true },
    sockets: machineSockets(join(folder, 'sockets')),
  };
  const driver = qemuDriver();
  const box = { confinement: { namespaces: false, ordinaryUser: false, limits: false } };
  const files = { vmmLog: join(folder, 'vmm.log'), console: join(folder, 'console.log') };
  const withDevice = {
    ...driver,
    plan: (wanted: MachineSpec, probe: DriverFound) => {
      const plan = driver.plan(wanted, probe);
      return {
        ...plan,
        args: (path: (host: string) => string) => {
          const args = plan.args(path);
          args.splice(args.indexOf('-nic'), 2, ...device);
          return args;
        },
      };
    },
  };
  const machine = await Machine.start(withDevice, (await driver.probe()) as DriverFound, spec, box, files);
  await machine.awaken({ hostname: 'nic', machineId: newMachineId() });
  return machine;
}

/** The sandbox's kernel has no driver for a network device: it comes out of the same package. */
async function loadModules(sh: (line: string) => Promise<string>): Promise<void> {
  const version = (await sh('uname -r')).trim();
  const folder = await mkdtemp(join(tmpdir(), 'warren-modules-'));
  try {
    const root = join(folder, 'root');
    await mmdebstrap(
      ['--variant=extract', `--include=linux-image-${version}`, '--format=directory', 'trixie', root],
      {},
    );
    const modules = join(root, 'usr/lib/modules');
    for (const { name, content } of await collectModules(join(modules, (await readdir(modules))[0]!), [
      'virtio_net',
    ])) {
      const text = content.toString('base64');
      for (let at = 0; at < text.length; at += PART_CHARS)
        await sh(`printf %s ${text.slice(at, at + PART_CHARS)} >> /run/${name}.b64`);
      // The image has no insmod: finit_module(2).
      const load = `import ctypes,os; c = ctypes.CDLL(None, use_errno=True); fd = os.open("/run/${name}.ko", 0); r = c.syscall(313, fd, b"", 0); e = ctypes.get_errno(); assert r == 0 or e == 17, e`;
      await sh(`base64 -d /run/${name}.b64 > /run/${name}.ko; python3 -c '${load}'`);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const PART_CHARS = 96_000;

/** The image has no `ip` either: address, netmask and flags by ioctl(2). */
const BRING_UP = `
import fcntl, os, socket, struct
name = [each for each in os.listdir("/sys/class/net") if each != "lo"][0].encode()
control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
address = lambda text: struct.pack("16sHH4s8x", name, socket.AF_INET, 0, socket.inet_aton(text))
fcntl.ioctl(control, 0x8916, address("10.0.2.15"))
fcntl.ioctl(control, 0x891c, address("255.255.255.0"))
fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", name, 0x41))
`;

export async function readTemplate(folder: string): Promise<TemplateRecord> {
  return JSON.parse(await readFile(folder, 'utf8')) as TemplateRecord;
}
