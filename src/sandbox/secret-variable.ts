// Which variable of a guest may stand for a secret. Every session has it, so one that programs live by would break them
// all: with PATH, no command is found. Pure.

import type { StoredSecret } from './secret-files.ts';

const LIVED_BY = new Set(
  (
    'PATH HOME USER LOGNAME SHELL TERM LANG LANGUAGE PWD OLDPWD TMPDIR TMP TEMP TZ IFS ENV BASH_ENV CDPATH ' +
    'SHELLOPTS BASHOPTS PS4 EDITOR VISUAL PAGER NODE_OPTIONS NODE_PATH NODE_EXTRA_CA_CERTS SSL_CERT_FILE SSL_CERT_DIR ' +
    'REQUESTS_CA_BUNDLE CURL_CA_BUNDLE HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY RUBYOPT PERL5LIB PERL5OPT ' +
    'JAVA_TOOL_OPTIONS GOFLAGS GOPROXY'
  ).split(' '),
);
const FAMILY = /^(?:LC_|LD_|XDG_|GIT_|PYTHON)/;
/** Of these families, what only a secret is called: `GIT_TOKEN`, `LD_SDK_KEY`. */
const OF_A_SECRET = /_(?:KEY|PASSWORD|PAT|SECRET|TOKEN)$/;

export interface VariableObjection {
  why: string;
  /** What its name could be instead. */
  other: string;
}

/** Null when it may be. `others`: of all secrets, without the one that this replaces. */
export function variableObjection(
  { name, variable, root }: Pick<StoredSecret, 'name' | 'variable' | 'root'>,
  others: readonly StoredSecret[],
): VariableObjection | null {
  // Programs read those of proxies in small letters too.
  const loud = variable.toUpperCase();
  const other = `${loud.slice(0, 58)}_TOKEN`;
  if (LIVED_BY.has(variable) || (/_PROXY$/.test(loud) && LIVED_BY.has(loud)))
    return { why: `programs of the guest live by $${variable}`, other };
  if (FAMILY.test(variable) && !OF_A_SECRET.test(variable))
    return { why: `programs of the guest may live by $${variable}`, other };
  const same = others.find((each) => each.variable === variable && each.root === root);
  return same
    ? {
        why: `$${variable} stands for secret "${same.name}" already`,
        other: name === variable ? other : `${name.slice(0, 58)}_TOKEN`,
      }
    : null;
}
