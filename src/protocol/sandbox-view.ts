// A sandbox in short, and what may leave it.

export type SandboxState = 'creating' | 'running' | 'paused' | 'stopped' | 'crashed' | 'removing';

export interface SandboxView {
  id: string;
  name: string;
  state: SandboxState;
  /** ISO 8601, UTC. */
  createdAt: string;
  /** The host repository that it is a copy of; null for a sandbox without one. */
  repository: RepositoryView | null;
  image: string;
  template: string;
  cpus: number;
  memoryMib: number;
  diskGib: number;
  user: string;
  /** Where sessions start in the guest. */
  workdir: string;
  handback: { ref: string; tip: string; at: string } | null;
  /** How the lifecycle commands of its devcontainer.json fare; null: it has none. */
  setup: SetupView | null;
}

export interface SetupView {
  state: 'running' | 'done' | 'failed';
  /** Which command. */
  step: string;
  why: string | null;
}

export interface RepositoryView {
  root: string;
  guestPath: string;
  branch: string;
  /** The commit that the sandbox started from; null when the repository had none. */
  base: string | null;
}

export type NetworkMode = 'none' | 'mediated' | 'open';

/** What may leave a sandbox, in short; see `PolicyView` for all of it. */
export interface NetworkView {
  mode: NetworkMode;
  /** Names of the profiles in force. */
  profiles: string[];
  /** How many rules of `allow` and `deny` there are besides. */
  rules: number;
  /** Of the repository's own policy: `new` and `changed` ask for more than they get. */
  trust: 'absent' | 'trusted' | 'new' | 'changed';
  /** Why nothing is allowed although rules may say so. */
  broken: string | null;
  /** What would mend that. */
  remedy: string | null;
  /** Of the door's process; null while nothing wants out. */
  doorPid: number | null;
}
