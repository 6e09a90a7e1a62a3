// To where an entry of a policy is about: a name, everything under a name, or addresses. What would match more than
// its writer can mean is refused, with the way out.

import { domainToASCII } from 'node:url';
import { getPublicSuffix, parse as parseDomain } from 'tldts';
import { canonicalAddress, parseCidr } from '../names/address.ts';
import { canonicalHost, parsePort } from '../names/canonical-host.ts';
import type { Where } from './rule.ts';

export type Objection = { refused: string; remedy: string };

const MIN_IPV4_BITS = 8;
const MIN_IPV6_BITS = 16;
const NAME_IT = 'write the name alone, such as "example.com" or "*.example.com"';

/** `example.com`, `*.example.com`, `10.1.2.3`, `[2001:db8::1]`, each with `:port` or without. */
export function parseShort(
  text: string,
  effect: 'allow' | 'deny',
): { where: Where; port: number | null } | Objection {
  const [, host, portText] = /^(.*?)(?::([^:\]]*))?$/s.exec(text)!;
  if (/^[^[]*:.*:/s.test(text) && canonicalAddress(text))
    return { refused: 'an IPv6 address needs brackets', remedy: `write "[${text}]"` };
  const found = text.includes('://') ? schemeObjection() : parseWhere(host!, effect);
  if ('refused' in found) return found;
  if (portText === undefined) return { where: found, port: null };
  const port = parsePort(portText);
  if (port === null)
    return { refused: 'its port is not a number from 1 to 65535', remedy: 'write "example.com:8443"' };
  return { where: found, port };
}

export function parseWhere(text: string, effect: 'allow' | 'deny'): Where | Objection {
  if (text.includes('://')) return schemeObjection();
  if (text.includes('@')) return { refused: 'it names a user', remedy: NAME_IT };
  if (text.includes('/'))
    return {
      refused: 'it has a slash',
      remedy: 'write a range as {"cidr": "10.1.0.0/16"} and a path as {"host": …, "paths": […]}',
    };
  if (text.includes('*')) return parseWildcard(text, effect);
  const host = canonicalHost(text);
  if ('refused' in host) return { refused: host.refused, remedy: inAscii(text) ?? NAME_IT };
  if (host.kind === 'address') return parseRange(host.address, effect);
  if (effect === 'allow' && /(?:^|\.)localhost$/.test(host.name)) return thisComputer(host.name);
  const domain = parseDomain(host.name);
  if (effect === 'allow' && domain.isIcann && domain.publicSuffix === host.name)
    return { refused: 'it is a public suffix and no host', remedy: 'name the hosts under it' };
  return { kind: 'name', name: host.name };
}

export function parseRange(text: string, effect: 'allow' | 'deny'): Where | Objection {
  const cidr = parseCidr(text);
  if ('refused' in cidr)
    return { refused: cidr.refused, remedy: 'write an address, or a range such as "10.1.0.0/16"' };
  if (effect === 'allow' && cidr.bits < (cidr.family === 4 ? MIN_IPV4_BITS : MIN_IPV6_BITS))
    return {
      refused: `the range is too wide (/${cidr.bits})`,
      remedy: 'name smaller ranges, or write "network": "open" if everything public may be reached',
    };
  return { kind: 'cidr', cidr };
}

function parseWildcard(text: string, effect: 'allow' | 'deny'): Where | Objection {
  if (text === '*')
    return effect === 'allow'
      ? { refused: 'it matches everything', remedy: 'if that is meant, write "network": "open"' }
      : { refused: 'it matches everything', remedy: 'if that is meant, write "network": "none"' };
  const base = text.startsWith('*.') ? text.slice(2) : '';
  if (base === '' || base.includes('*'))
    return { refused: 'a * may only stand for what is before a dot', remedy: 'write "*.example.com"' };
  const host = canonicalHost(base);
  if ('refused' in host)
    return { refused: host.refused, remedy: inAscii(base, '*.') ?? 'write "*.example.com"' };
  if (host.kind === 'address')
    return { refused: 'addresses have no subdomains', remedy: 'write a range: {"cidr": "10.1.0.0/16"}' };
  if (effect === 'allow' && host.name === 'localhost') return thisComputer(host.name);
  if (effect === 'allow' && getPublicSuffix(host.name, { allowPrivateDomains: true }) === host.name)
    return {
      refused: `anybody can have a name under ${host.name}`,
      remedy: `name the hosts, such as "example.${host.name}"`,
    };
  return { kind: 'under', suffix: host.name };
}

function thisComputer(name: string): Objection {
  return {
    refused: `${name} is loopback, and in a sandbox its own`,
    remedy: 'name a service of this computer: {"hostService": 5432}',
  };
}

/** As a browser would ask for it. */
function inAscii(text: string, before = ''): string | null {
  const ascii = domainToASCII(text);
  const host = canonicalHost(ascii);
  return ascii !== text && 'name' in host ? `write "${before}${host.name}"` : null;
}

function schemeObjection(): Objection {
  return {
    refused: 'it has a scheme',
    remedy: `${NAME_IT}; a port goes behind it, and plain HTTP is {"host": …, "http": true}`,
  };
}
