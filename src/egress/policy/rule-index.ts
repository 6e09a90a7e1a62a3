// Finds the rules that are about a host without looking at the others: by name, by each suffix of a name, and by each
// prefix length of an address that any rule has. What comes out is in the order of precedence.

import { bytesOf, embeddedIpv4 } from '../names/address.ts';
import type { Host } from '../names/host.ts';
import type { Rule } from './rule.ts';

export class RuleIndex {
  readonly #names = new Map<string, number[]>();
  readonly #under = new Map<string, number[]>();
  /** `4/24/0a010200`, and which family and lengths there are. */
  readonly #ranges = new Map<string, number[]>();
  readonly #lengths = new Map<string, { family: number; bits: number }>();
  readonly #rules: readonly Rule[];

  /** In the order of precedence. */
  constructor(rules: readonly Rule[]) {
    this.#rules = rules;
    for (const [at, { where }] of rules.entries()) {
      if (where.kind === 'name') add(this.#names, where.name, at);
      else if (where.kind === 'under') add(this.#under, where.suffix, at);
      else {
        const { family, bits, network } = where.cidr;
        this.#lengths.set(`${family}/${bits}`, { family, bits });
        add(this.#ranges, rangeKey(family, bits, network), at);
      }
    }
  }

  about(host: Host): Rule[] {
    const found =
      host.kind === 'name' ? this.#aboutName(host.name) : this.#aboutAddress(host.address, host.family);
    return this.#sorted(found);
  }

  /** About an IPv4 address inside an IPv6 address, too. */
  aboutEmbedded(address: string): Rule[] {
    const found = [address, ...embeddedIpv4(address)].flatMap((each) =>
      this.#aboutAddress(each, each.includes(':') ? 6 : 4),
    );
    return this.#sorted(found);
  }

  #aboutName(name: string): number[] {
    const found = [...(this.#names.get(name) ?? [])];
    if (this.#under.size === 0) return found;
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1))
      found.push(...(this.#under.get(name.slice(dot + 1)) ?? []));
    return found;
  }

  #aboutAddress(address: string, family: number): number[] {
    if (this.#lengths.size === 0) return [];
    const bytes = bytesOf(address);
    const found: number[] = [];
    for (const length of this.#lengths.values())
      if (length.family === family)
        found.push(...(this.#ranges.get(rangeKey(family, length.bits, bytes)) ?? []));
    return found;
  }

  #sorted(found: number[]): Rule[] {
    return [...new Set(found)].sort((a, b) => a - b).map((at) => this.#rules[at]!);
  }
}

/** For one look: of many, make an index. */
export function rulesAbout(rules: readonly Rule[], host: Host): Rule[] {
  return new RuleIndex(rules).about(host);
}

function add(map: Map<string, number[]>, key: string, at: number): void {
  const there = map.get(key);
  if (there) there.push(at);
  else map.set(key, [at]);
}

function rangeKey(family: number, bits: number, bytes: readonly number[]): string {
  const whole = bits >> 3;
  const rest = bits & 7;
  const kept = bytes.slice(0, whole).join('.');
  return `${family}/${bits}/${kept}${rest === 0 ? '' : `+${bytes[whole]! & (0xff00 >> rest) & 0xff}`}`;
}
