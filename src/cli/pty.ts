// What a program in a sandbox is told of the terminal here.

export function terminalSize(): { cols: number; rows: number } {
  return { cols: process.stdout.columns || 80, rows: process.stdout.rows || 24 };
}

export function terminalEnvironment(): Record<string, string> {
  const { TERM, COLORTERM } = process.env;
  return { TERM: TERM || 'xterm-256color', ...(COLORTERM && { COLORTERM }), LANG: 'C.UTF-8' };
}
