// What a sandbox's DNS questions are answered with: an address of 198.18.0.0/15 that stands for the name, on this host
// and for this sandbox only. Nothing is ever asked upstream. Questions are hostile. Limits: 8192 names, 200 questions
// a second; the name that was used longest ago gives way, and its address comes round again as late as possible.

import { randomInt } from 'node:crypto';
import { canonicalAddress } from './address.ts';
import { canonicalHost } from './canonical-host.ts';
import { NameStore } from './name-store.ts';

export interface DnsQuestion {
  name: string;
  type: string;
}

export interface DnsAnswer {
  rcode: 'NOERROR' | 'NXDOMAIN' | 'REFUSED' | 'FORMERR';
  answers: { type: 'A' | 'PTR'; ttl: number; data: string }[];
}

export interface SyntheticOptions {
  /** Kept here; null for a machine that nobody restarts the door of. */
  path: string | null;
  /** Whether a rule denies every flow to the name. Asked anew for each question. */
  isDenied(name: string): boolean;
  nowMs?: () => number;
  maxNames?: number;
}

const FIRST = (198 << 24) | (18 << 16);
/** All of the /15 but its first and last address. */
const OFFSETS = 2 ** 17 - 2;
const MAX_NAMES = 8192;
const QUESTIONS_PER_SECOND = 200;
const TTL_SECONDS = 30;
const REWRITE_AT_LINES_PER_NAME = 4;
const TYPE = /^[A-Z][A-Z0-9]{0,15}$/;
const OWN_REVERSE = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/;

export class SyntheticNames {
  readonly #store: NameStore | null;
  readonly #isDenied: (name: string) => boolean;
  readonly #nowMs: () => number;
  readonly #maxNames: number;
  /** Used longest ago first. */
  readonly #offsets = new Map<string, number>();
  readonly #names = new Map<number, string>();
  #next: number;
  #tokens = QUESTIONS_PER_SECOND;
  #filledMs: number;

  /** Throws when the file is there and cannot be read, or cannot be written: then nothing may be answered. */
  constructor(options: SyntheticOptions) {
    this.#isDenied = options.isDenied;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#maxNames = options.maxNames ?? MAX_NAMES;
    this.#filledMs = this.#nowMs();
    // By chance, so that an address learnt in one sandbox means nothing in another.
    this.#next = randomInt(OFFSETS) + 1;
    this.#store = options.path === null ? null : new NameStore(options.path);
    for (const { offset, name } of this.#store?.read() ?? []) {
      if (offset < 1 || offset > OFFSETS) continue;
      this.#put(name, offset);
      this.#next = after(offset);
    }
    this.#rewrite();
  }

  get size(): number {
    return this.#offsets.size;
  }

  answer(question: DnsQuestion): DnsAnswer {
    if (!this.#takeToken()) return { rcode: 'REFUSED', answers: [] };
    const { name: asked, type } = question;
    if (typeof asked !== 'string' || typeof type !== 'string' || !TYPE.test(type))
      return { rcode: 'FORMERR', answers: [] };
    const host = canonicalHost(asked);
    if ('refused' in host || host.kind === 'address') return { rcode: 'NXDOMAIN', answers: [] };
    const { name } = host;
    if (name === 'arpa' || name.endsWith('.arpa')) return this.#reverse(name, type);
    // The guest's own; it must not become a flow.
    if (name === 'localhost' || name.endsWith('.localhost') || this.#isDenied(name))
      return { rcode: 'NXDOMAIN', answers: [] };
    if (type !== 'A') return { rcode: 'NOERROR', answers: [] };
    const data = this.addressOf(name);
    if (data === null) return { rcode: 'REFUSED', answers: [] };
    return { rcode: 'NOERROR', answers: [{ type: 'A', ttl: TTL_SECONDS, data }] };
  }

  /** The name that the address stands for in this sandbox, or null: then it stands for nothing. */
  nameOf(address: string): string | null {
    const offset = offsetOf(address);
    const name = offset === null ? undefined : this.#names.get(offset);
    if (name === undefined) return null;
    this.#put(name, offset!);
    return name;
  }

  close(): void {
    this.#store?.close();
  }

  /** Of a canonical name. Null when it could not be written down. */
  addressOf(name: string): string | null {
    const known = this.#offsets.get(name);
    const offset = known ?? this.#free();
    if (known === undefined) {
      if (this.#store && !this.#store.append({ offset, name })) return null;
      this.#next = after(offset);
    }
    this.#put(name, offset);
    if (this.#store && this.#store.lines > this.#maxNames * REWRITE_AT_LINES_PER_NAME) this.#shrink();
    return addressAt(offset);
  }

  #reverse(name: string, type: string): DnsAnswer {
    const [, d, c, b, a] = OWN_REVERSE.exec(name) ?? [];
    const data = d === undefined ? null : this.nameOf(`${a}.${b}.${c}.${d}`);
    if (data === null) return { rcode: 'NXDOMAIN', answers: [] };
    return { rcode: 'NOERROR', answers: type === 'PTR' ? [{ type, ttl: TTL_SECONDS, data }] : [] };
  }

  #put(name: string, offset: number): void {
    const before = this.#offsets.get(name);
    if (before !== undefined && before !== offset) this.#names.delete(before);
    const evicted = this.#names.get(offset);
    if (evicted !== undefined && evicted !== name) this.#offsets.delete(evicted);
    this.#offsets.delete(name);
    this.#offsets.set(name, offset);
    this.#names.set(offset, name);
    if (this.#offsets.size <= this.#maxNames) return;
    const [oldest, freed] = this.#offsets.entries().next().value!;
    this.#offsets.delete(oldest);
    this.#names.delete(freed);
  }

  #free(): number {
    let offset = this.#next;
    while (this.#names.has(offset)) offset = after(offset);
    return offset;
  }

  #rewrite(): void {
    this.#store?.rewrite([...this.#offsets].map(([name, offset]) => ({ offset, name })));
  }

  /** On a full disk the long file stays, and is still right. */
  #shrink(): void {
    try {
      this.#rewrite();
    } catch {
      // Tried again with the next name.
    }
  }

  #takeToken(): boolean {
    const nowMs = this.#nowMs();
    const earned = ((nowMs - this.#filledMs) * QUESTIONS_PER_SECOND) / 1000;
    this.#tokens = Math.min(QUESTIONS_PER_SECOND, this.#tokens + Math.max(0, earned));
    this.#filledMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

/** Whether an address is of the range that only `SyntheticNames` gives a meaning to. */
export function isSynthetic(address: string): boolean {
  return /^198\.1[89]\./.test(address) && canonicalAddress(address)?.address === address;
}

function after(offset: number): number {
  return (offset % OFFSETS) + 1;
}

function addressAt(offset: number): string {
  const bits = (FIRST + offset) >>> 0;
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.');
}

function offsetOf(address: string): number | null {
  if (!isSynthetic(address)) return null;
  const bits = address.split('.').reduce((sum, part) => (sum * 256 + Number(part)) >>> 0, 0);
  return (bits - FIRST) >>> 0;
}
