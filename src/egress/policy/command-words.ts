// What is wrong with a rule that was typed as a command, in words of that command: the reader of a policy file is told of
// keys, whoever types is told of flags. Pure.

import { WarrenError } from '../../protocol/error.ts';
import { sanitizeLine } from '../../protocol/sanitize.ts';

const MAX_SHOWN_CHARS = 200;

/** `error`: of `parsePolicy` for the entries made of these hosts, in their order. */
export function inCommandWords(
  error: WarrenError,
  command: { name: string; effect: 'allow' | 'deny'; hosts: readonly string[] },
): WarrenError {
  const [, at, why] = /: egress\.(?:allow|deny)\[(\d+)\] \(.*?\): (.*)$/s.exec(error.message) ?? [];
  const host = at === undefined ? undefined : command.hosts[Number(at)];
  if (host === undefined || why === undefined) return error;
  const { effect, name } = command;
  return new WarrenError({
    code: error.code,
    message: `cannot ${effect} ${JSON.stringify(sanitizeLine(host, MAX_SHOWN_CHARS))}: ${why}`,
    remedy: remedyFor(`warren policy ${effect} ${name}`, host, why, error.remedy ?? ''),
  });
}

function remedyFor(command: string, host: string, why: string, remedy: string): string {
  const [, scheme, rest = ''] = /^(?:([a-z]+):\/\/)?(.*)$/is.exec(host) ?? [];
  const [, bare = '', path] = /^([\w.*:-]+)(\/[\w./*-]*)?$/.exec(rest) ?? [];
  if (/scheme|slash/.test(why) && bare !== '') {
    const flags = [
      scheme?.toLowerCase() === 'http' && ' --http',
      path && path !== '/' && ` --path '${path}'`,
    ];
    return `${command} ${bare}${flags.filter(Boolean).join('')}`;
  }
  if (/no usual port/.test(why)) return `name one: ${command} ${bare}:22 --tcp`;
  if (/loopback|this computer/.test(why))
    return `name a port of this computer: ${command} --host-service 5432`;
  if (/"network": "open"/.test(remedy))
    return 'name the hosts; to reach every public one: warren up --network open';
  if (/"allowPrivate": true/.test(remedy)) return `if that is meant: ${command} ${host} --private`;
  const [, better] = /^write "([\w.*-]+)"$/.exec(remedy) ?? /: write ([\d.:a-f]+\/\d+)$/.exec(why) ?? [];
  if (better && /ASCII|prefix/.test(why)) return `${command} ${better}`;
  if (/\{"cidr": |a range such as/.test(remedy))
    return `a range of addresses: ${command} 10.1.0.0/16 --private`;
  return remedy;
}
