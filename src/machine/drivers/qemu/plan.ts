// MachineSpec → QEMU's command line. Pure, golden-tested. Values with paths go through JSON where QEMU takes
// it; elsewhere a comma in a value is doubled, since a comma separates options.

import { join } from 'node:path';
import type { DriverFound, Layer, MachineSpec, Plan } from '../../driver.ts';

/**
 * What the guest's kernel is told. The boundary is the machine, not the guest's kernel, and all machines of a
 * template share its layout anyway: no mitigations, no KASLR, no page-table isolation, which boots faster.
 */
const KERNEL_PARAMETERS =
  'console=ttyS0 quiet loglevel=4 panic=-1 reboot=t mitigations=off nokaslr nopti audit=0 no_timer_check random.trust_cpu=on';

/**
 * Four-level page tables are enough for any guest here, and each level costs emulation on a TLB miss. Without erms and
 * fsrm ("a byte-wise string copy is fast", which is untrue of an emulated one) the guest's kernel and libraries copy by
 * words: a pipe moves three times the bytes, a connection through the door twice as many.
 */
const EMULATED_CPU = 'max,la57=off,erms=off,fsrm=off';

const TCG_CODE_CACHE_MIB = 256;
const GIB = 1024 ** 3;

export function planQemu(spec: MachineSpec, probe: DriverFound): Plan {
  const { memory, disk, restore } = spec;
  const state = restore?.device ?? spec.freezeTo;
  return {
    binary: probe.binary,
    ...(state !== undefined && { state: stateOf(state, spec.sockets.folder, probe) }),
    readable: [
      spec.kernel.vmlinuz,
      ...(spec.kernel.initramfs ? [spec.kernel.initramfs] : []),
      ...spec.layers.flat(),
      ...(disk.kind === 'overlay' ? [disk.base] : []),
      ...(restore ? [restore.device] : []),
      ...(memory.shared || !probe.readonlyMemory ? [] : [memory.file]),
    ],
    writable: [
      disk.file,
      ...(memory.shared || !probe.readonlyMemory ? [memory.file] : []),
      ...(spec.freezeTo ? [spec.freezeTo] : []),
    ],
    socketFolder: spec.sockets.folder,
    devices: spec.accelerator.kind === 'kvm' ? ['/dev/kvm'] : [],
    fileSizeMaxBytes: (spec.diskGib + 1) * GIB + spec.memoryMib * 1024 * 1024,
    args: (path) => [
      ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-nic', 'none'],
      ...['-name', `warren-${spec.id}`],
      ...['-machine', machineOption(spec)],
      ...['-accel', acceleratorOption(spec)],
      ...['-cpu', spec.accelerator.kind === 'kvm' ? 'host' : EMULATED_CPU],
      ...['-smp', String(spec.cpus), '-m', String(spec.memoryMib)],
      ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
      ...['-object', JSON.stringify(memoryObject(spec, probe, path))],
      ...['-kernel', path(spec.kernel.vmlinuz)],
      ...(spec.kernel.initramfs ? ['-initrd', path(spec.kernel.initramfs)] : []),
      ...['-append', kernelParameters(spec)],
      ...['-chardev', 'ringbuf,id=console,size=65536', '-serial', 'chardev:console'],
      ...socket('qmp', path(spec.sockets.qmp)),
      ...['-mon', 'chardev=qmp,mode=control'],
      ...['-device', JSON.stringify({ driver: 'virtio-serial-pci', id: 'serial', max_ports: 4 })],
      ...socket('agent', path(spec.sockets.agent)),
      ...port('agent', 1),
      ...socket('egress', path(spec.sockets.egress)),
      ...port('egress', 2),
      ...spec.layers.flatMap((layer, index) => layerDrives(layer, index, path)),
      ...diskDrive(spec, path),
      // The device state is loaded by command: a capability must be set before.
      ...(restore ? ['-incoming', 'defer'] : []),
    ],
  };
}

function stateOf(file: string, sockets: string, probe: DriverFound): NonNullable<Plan['state']> {
  const socket = join(sockets, 'state');
  return (path) =>
    probe.stateByName ? { uri: `file:${path(file)}`, file } : { uri: `unix:${path(socket)}`, file, socket };
}

function kernelParameters(spec: MachineSpec): string {
  const clock =
    spec.accelerator.kind === 'emulation' && spec.tscKhz ? ` tsc=reliable tsc_early_khz=${spec.tscKhz}` : '';
  const parts = spec.layers.map((layer) => (typeof layer === 'string' ? 0 : layer.length - 1));
  const more = parts.some((count) => count > 0) ? ` warren.parts=${parts.join(',')}` : '';
  const builder = spec.builder ? ' warren.builder' : '';
  return `${KERNEL_PARAMETERS}${clock} warren.layers=${spec.layers.length}${more}${builder}`;
}

function machineOption(spec: MachineSpec): string {
  // Under emulation PIT and PIC must stay: without them the kernel's clock calibration hangs.
  const timers = spec.accelerator.kind === 'kvm' ? [] : ['pit=on', 'pic=on'];
  return ['microvm', 'acpi=on', 'rtc=on', 'pcie=on', 'isa-serial=on', ...timers]
    .concat(['memory-backend=memory', 'dump-guest-core=off', 'mem-merge=off'])
    .join(',');
}

function acceleratorOption(spec: MachineSpec): string {
  return spec.accelerator.kind === 'kvm' ? 'kvm' : `tcg,thread=multi,tb-size=${TCG_CODE_CACHE_MIB}`;
}

function memoryObject(spec: MachineSpec, probe: DriverFound, path: (host: string) => string): object {
  const { shared, file } = spec.memory;
  return {
    'qom-type': 'memory-backend-file',
    id: 'memory',
    size: spec.memoryMib * 1024 * 1024,
    'mem-path': path(file),
    share: shared,
    ...(!shared && probe.readonlyMemory && { readonly: true, rom: 'off' }),
  };
}

function socket(id: string, path: string): string[] {
  return ['-chardev', `socket,id=${id},path=${path.replaceAll(',', ',,')},server=on,wait=off`];
}

function port(name: string, nr: number): string[] {
  return [
    '-device',
    JSON.stringify({ driver: 'virtserialport', bus: 'serial.0', nr, chardev: name, name: `warren.${name}` }),
  ];
}

/** `layer0` is a file system, `layer0.1` and so on are its further devices. */
function layerDrives(layer: Layer, index: number, path: (host: string) => string): string[] {
  const files = typeof layer === 'string' ? [layer] : layer;
  return files.flatMap((file, part) =>
    layerDrive(path(file), part === 0 ? `layer${index}` : `layer${index}.${part}`),
  );
}

function layerDrive(file: string, node: string): string[] {
  return [
    '-blockdev',
    JSON.stringify({
      'node-name': node,
      driver: 'raw',
      'read-only': true,
      file: { driver: 'file', filename: file, 'read-only': true },
    }),
    '-device',
    JSON.stringify({ driver: 'virtio-blk-pci', id: node, drive: node, serial: node }),
  ];
}

function diskDrive(spec: MachineSpec, path: (host: string) => string): string[] {
  const { disk } = spec;
  const file = { driver: 'file', filename: path(disk.file), discard: 'unmap' };
  const node =
    disk.kind === 'raw'
      ? { 'node-name': 'disk', driver: 'raw', discard: 'unmap', file }
      : {
          'node-name': 'disk',
          driver: 'qcow2',
          discard: 'unmap',
          file,
          backing: {
            'node-name': 'disk-base',
            driver: 'raw',
            'read-only': true,
            file: { driver: 'file', filename: path(disk.base), 'read-only': true },
          },
        };
  return [
    '-blockdev',
    JSON.stringify(node),
    '-device',
    JSON.stringify({ driver: 'virtio-blk-pci', id: 'disk', drive: 'disk', serial: 'disk' }),
  ];
}
