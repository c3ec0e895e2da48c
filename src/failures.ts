// The classes of what tsrun throws. Every command needs them, to tell its own failures from others; the words are in
// errors.ts, which is read when something has failed.

/** One thing that is wrong with a config.json. */
export interface Problem {
  /** Where: a JSON pointer (RFC 6901), such as `/mounts/2/destination`. */
  readonly pointer: string;
  /** What the specification asks for, as a phrase that follows "expected". */
  readonly expected: string;
  /** What stands there, shortened, as JSON. */
  readonly found: string;
  readonly hint?: string;
}

/** Every failure that tsrun words itself. `message` is complete; the command line prints it and exits with `exitCode`. */
export class TsrunError extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode = 1) {
    super(message);
    this.name = 'TsrunError';
    this.exitCode = exitCode;
  }
}

/** The problems of a config.json, all of them, one a line. */
export class ConfigError extends TsrunError {
  readonly problems: readonly Problem[];
  constructor(file: string, problems: readonly Problem[]) {
    super(wordProblems(file, problems));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

function wordProblems(file: string, problems: readonly Problem[]): string {
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`;
  return [`${file} has ${count}`, ...problems.map(wordProblem)].join('\n');
}

function wordProblem(problem: Problem): string {
  const line = `  ${problem.pointer === '' ? '(the whole file)' : problem.pointer}: expected ${problem.expected}, found ${problem.found}`;
  return problem.hint === undefined ? line : `${line} (${problem.hint})`;
}

/** A command line that cannot be understood. With it goes help on stdout: of `command`, or of the program without one. */
export class UsageError extends TsrunError {
  readonly command: string | undefined;
  constructor(message: string, command: string | undefined) {
    super(message);
    this.name = 'UsageError';
    this.command = command;
  }
}
