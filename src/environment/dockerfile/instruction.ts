// A Dockerfile, read: which instructions stand where. Variables are as they were written.

export interface ParsedDockerfile {
  /** For messages. */
  file: string;
  directives: Directives;
  /** ARGs before the first FROM. */
  globalArgs: Instruction[];
  stages: Stage[];
}

export interface Directives {
  /** `# syntax=`: told to people, not followed. */
  syntax: string | null;
  escape: '\\' | '`';
  check: string | null;
}

export interface Stage {
  from: Instruction;
  instructions: Instruction[];
}

export interface Instruction {
  /** In capitals. */
  keyword: string;
  position: Position;
  /** The last line of it, here-documents included. */
  endLine: number;
  /** `--name=value` and `--name`, as written. */
  flags: string[];
  /** JSON form, or shell form's words by the rules of the keyword. */
  args: string[];
  isJson: boolean;
  heredocs: Heredoc[];
  /** The whole logical line: continuations joined, comments gone. */
  original: string;
  /** ONBUILD's. */
  trigger: Instruction | null;
}

/** From 1 both; columns count UTF-16 units. */
export interface Position {
  line: number;
  column: number;
}

export interface Heredoc {
  name: string;
  content: string;
  /** The name was not quoted: variables are expanded. */
  expand: boolean;
  /** `<<-`: leading tabs go. */
  chomp: boolean;
  fileDescriptor: number;
}
