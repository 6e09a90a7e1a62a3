// What the daemon tells about ports of a sandbox.

/** A listening socket of the guest: the guest's words. */
export interface GuestPort {
  port: number;
  address: string;
  /** 0 when unknown. */
  pid: number;
  comm: string;
}

export interface ForwardView {
  /** In the guest. */
  port: number;
  /** On 127.0.0.1 of the host. */
  hostPort: number;
  /** Why nothing listens at `hostPort`. */
  problem: string | null;
}

export interface AddedForward extends ForwardView {
  /** The port of this computer that led there until now, and does no more. */
  instead?: number;
}

export interface PortsView {
  name: string;
  state: string;
  forwards: ForwardView[];
  /** Sorted by port; empty when the sandbox does not run. `url` is its stable name. */
  listening: (GuestPort & { url: string | null })[];
  /** The listener of all stable names; `port` is null when there is none. */
  names: { port: number | null; problem: string | null };
}
