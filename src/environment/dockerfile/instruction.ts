// The lines of a Dockerfile, taken apart: which instructions stand where. What they mean is in statement.ts.

export interface DockerfileLines {
  directives: Directives;
  instructions: Instruction[];
  warnings: Warning[];
}

export interface Warning {
  line: number;
  message: string;
}

export interface Directives {
  /** `# syntax=`: told to people, not followed. */
  syntax: string | null;
  escape: '\\' | '`';
  check: string | null;
}

export interface Instruction {
  /** As written. */
  keyword: string;
  position: Position;
  /** The last line of it, here-documents included. */
  endLine: number;
  /** `--name=value` and `--name`, as written. */
  flags: string[];
  /** By the rules of the keyword. ENV's and LABEL's are triples: name, value, and `=` or '' in the old form. */
  args: string[];
  isJson: boolean;
  heredocs: Heredoc[];
  /** The whole logical line: continuations joined, comments gone. */
  original: string;
  /** ONBUILD's. */
  trigger: Instruction | null;
  /** Where parts of `original` stand in the file, in order. */
  segments: Segment[];
}

export interface Segment {
  /** In `original`, in UTF-16 units. */
  offset: number;
  position: Position;
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
