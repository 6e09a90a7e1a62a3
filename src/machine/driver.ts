// What the core needs of a VMM. A driver's name appears only in its own folder: the core reads `features`.
// `plan` is pure; shared machinery (launch.ts) confines and starts what it returns.

export interface Driver {
  readonly name: string;
  readonly features: Features;
  /** Looks at this computer: is the VMM there, which version, what is missing and how to get it. */
  probe(): Promise<DriverProbe>;
  plan(spec: MachineSpec, probe: DriverFound): Plan;
  /** Connects to the VMM of a machine that was started from a plan. */
  control(controlSocket: string): Promise<Control>;
}

export interface Features {
  /** Can freeze a machine to files and restore it copy-on-write. */
  snapshot: boolean;
  pause: boolean;
}

export type DriverProbe = DriverFound | DriverMissing;
export interface DriverFound {
  kind: 'found';
  binary: string;
  version: string;
  /** Guest memory can be opened read-only and still be written copy-on-write (QEMU ≥ 8.1). */
  readonlyMemory: boolean;
  /** The VMM opens files of device state itself (QEMU ≥ 8.2); else they pass through a socket. */
  stateByName: boolean;
}
export interface DriverMissing {
  kind: 'missing';
  reason: string;
  remedy: string;
}

/** How the guest's CPU runs; see accelerator.ts. */
export type Accelerator = { kind: 'kvm' } | { kind: 'emulation'; why: string };

/** A machine as the core wants it. Paths are those of the host. */
export interface MachineSpec {
  id: string;
  cpus: number;
  memoryMib: number;
  accelerator: Accelerator;
  /** Frequency of the host's time stamp counter, for a guest that cannot measure it. */
  tscKhz?: number;
  kernel: { vmlinuz: string; initramfs?: string };
  /** Read-only layers, lowest first. */
  layers: readonly Layer[];
  disk: Disk;
  /** What the disk may grow to on the host. */
  diskGib: number;
  /** The file that is the guest's memory: `shared` while a template is made, else mapped copy-on-write. */
  memory: { file: string; shared: boolean };
  /** Device state to restore from; a machine without it boots. */
  restore?: { device: string };
  /** It runs the steps of builds: its layers are trees to start from, each by itself, and none is its root. */
  builder?: boolean;
  /** A file made beforehand into which `saveDevice` will write. */
  freezeTo?: string;
  sockets: { folder: string; qmp: string; agent: string; egress: string };
}

/** A file system in one file, or in several: the first, then the further devices that it points into. */
export type Layer = string | readonly string[];

/** The writable disk: a raw file, or an overlay over a raw file that is never written. */
export type Disk = { kind: 'raw'; file: string } | { kind: 'overlay'; file: string; base: string };

/** One process to start, and the only files it may touch. */
export interface Plan {
  binary: string;
  args: (path: (host: string) => string) => string[];
  readable: string[];
  writable: string[];
  /** Where device state is written to or read from: the file, and the driver's own words for the way there. */
  state?: (path: (host: string) => string) => DeviceState;
  /** The folder in which it makes its sockets. */
  socketFolder: string;
  /** The device nodes it opens. */
  devices: string[];
  fileSizeMaxBytes?: number;
}

/** `file`: on the host. `socket`: on the host, when the state passes through one. */
export interface DeviceState {
  uri: string;
  file: string;
  socket?: string;
}

export interface Control {
  pause(): Promise<void>;
  resume(): Promise<void>;
  status(): Promise<'running' | 'paused' | 'disk-full' | 'other'>;
  /** Loads the device state of a machine that was planned with `restore`, and lets it run; `state` is its plan's. */
  restore(state: DeviceState): Promise<void>;
  /** Writes the device state (not the memory) of a paused machine. */
  saveDevice(state: DeviceState): Promise<void>;
  /** What the console printed since the last call; at most 64 KiB are kept by the VMM. */
  readConsole(): Promise<string>;
  /** Calls back when the VMM has stopped the machine because the host's disk is full; `resume` tries again. */
  onDiskFull(listener: () => void): void;
  quit(): Promise<void>;
  close(): void;
  readonly closed: Promise<void>;
}
