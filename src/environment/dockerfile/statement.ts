// What the instructions of a Dockerfile mean, checked one by one. Variables are as they were written; BuildKit looks at
// some things (mounts, ports, signals) only when a stage is built, so they are still text here.

import type { Healthcheck } from './image-config.ts';
import type { Directives, Instruction, Warning } from './instruction.ts';

export interface ParsedDockerfile {
  /** For messages. */
  file: string;
  directives: Directives;
  /** ARGs before the first FROM. */
  globalArgs: ArgStatement[];
  stages: Stage[];
  warnings: Warning[];
}

export interface Stage {
  from: FromStatement;
  statements: Statement[];
}

interface At {
  at: Instruction;
}

export type Statement =
  | ArgStatement
  | CopyStatement
  | RunStatement
  | (At & { kind: 'env' | 'label'; pairs: Pair[] })
  | (At & { kind: 'maintainer'; name: string })
  | (At & { kind: 'onbuild'; expression: string })
  | (At & { kind: 'workdir'; path: string })
  | (At & { kind: 'user'; user: string })
  | (At & { kind: 'volume'; paths: string[] })
  | (At & { kind: 'expose'; ports: string[] })
  | (At & { kind: 'stopsignal'; signal: string })
  | (At & { kind: 'shell'; shell: string[] })
  | (At & { kind: 'healthcheck'; healthcheck: Healthcheck })
  | (At & { kind: 'cmd' | 'entrypoint'; command: CommandLine });

export interface Pair {
  name: string;
  value: string;
}

export interface FromStatement extends At {
  kind: 'from';
  base: string;
  /** In lower case. */
  name: string | null;
  platform: string | null;
}

export interface ArgStatement extends At {
  kind: 'arg';
  /** null: declared without a default. */
  args: { name: string; value: string | null }[];
}

export interface CommandLine {
  /** Of JSON form the words, of shell form one line or nothing. */
  words: string[];
  isShell: boolean;
}

export interface RunStatement extends At {
  kind: 'run';
  command: CommandLine;
  mounts: string[];
  network: 'default' | 'none' | 'host';
}

export interface CopyStatement extends At {
  kind: 'add' | 'copy';
  sources: string[];
  inline: { name: string; content: string; expand: boolean }[];
  dest: string;
  from: string | null;
  chown: string;
  chmod: string;
  link: boolean;
  parents: boolean;
  excludes: string[];
  checksum: string;
  unpack: boolean | null;
}
