// Which files are taken for secrets by their name. Pure. Templates of such files (`.env.example`) hold none
// and travel like any other.

const secret = /^(\.env(\..+)?|\.envrc|.+\.env)$/i;
const template = /\.(example|sample|template|dist|defaults?|schema)$/i;

/** `path` with `/` between its parts. */
export function isEnvFile(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return secret.test(name) && !template.test(name);
}
