// What an image says of the programs that run in it: the `config` of the OCI image specification and Docker's additions,
// whole, because a build hands on what it does not know of. Pure.

/** Empty means absent, everywhere. */
export interface ImageConfig {
  /** A name or a number, and perhaps `:GROUP`. */
  User: string;
  /** `NAME=value`, in the order that they were set. */
  Env: string[];
  WorkingDir: string;
  /** null: none; empty: reset by `ENTRYPOINT []`. */
  Entrypoint: string[] | null;
  Cmd: string[] | null;
  /** Docker's mark on a shell-form CMD or ENTRYPOINT on Windows; handed on. */
  ArgsEscaped: boolean;
  Labels: Record<string, string>;
  /** `80/tcp`. */
  ExposedPorts: string[];
  Volumes: string[];
  StopSignal: string;
  Healthcheck: Healthcheck | null;
  /** What shell forms are given to; null: `/bin/sh -c`. */
  Shell: string[] | null;
  /** Instructions for the build that stands on this image. */
  OnBuild: string[];
}

export interface Healthcheck {
  /** `['NONE']`, `['CMD', …]`, `['CMD-SHELL', line]`; empty: inherit. */
  Test: string[];
  /** Nanoseconds, as the specification has them; 0: not said. */
  Interval: number;
  Timeout: number;
  StartPeriod: number;
  StartInterval: number;
  Retries: number;
}

export function emptyConfig(): ImageConfig {
  return {
    User: '',
    Env: [],
    WorkingDir: '',
    Entrypoint: null,
    Cmd: null,
    ArgsEscaped: false,
    Labels: {},
    ExposedPorts: [],
    Volumes: [],
    StopSignal: '',
    Healthcheck: null,
    Shell: null,
    OnBuild: [],
  };
}
