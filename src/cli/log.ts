// Where messages go: to standard error as plain lines, and with --log to a file in the shapes that engines parse.

import { isSysError, sys } from '../linux/sys.ts';
import { formatTime } from '../linux/time.ts';

export type Level = 'error' | 'warning' | 'debug';

const order: readonly Level[] = ['error', 'warning', 'debug'];

export interface LogOptions {
  readonly file: string | undefined;
  readonly format: 'text' | 'json';
  readonly level: Level;
}

/**
 * JSON has one object a line with level, msg and time, as go-runc, podman and dockerd read it; text is logrus' form.
 * podman wants exactly one object when a command fails: below `--debug` nothing but the error is written.
 */
export class Log {
  private readonly options: LogOptions;

  constructor(options: LogOptions) {
    this.options = options;
  }

  write(level: Level, message: string): void {
    if (order.indexOf(level) > order.indexOf(this.options.level)) return;
    if (this.options.file !== undefined) sys.appendFile(this.options.file, `${this.format(level, message)}\n`);
    // Standard error is the container's too; only what ends the command, or what was asked for, is said there.
    try {
      sys.writeText(2, `tsrun: ${message}\n`);
    } catch (error) {
      // Nobody reads it: the exit code and the log must do.
      if (!isSysError(error)) throw error;
    }
  }

  private format(level: Level, msg: string): string {
    const [seconds = 0] = sys.clock();
    const time = formatTime(seconds, 0);
    if (this.options.format === 'json') return JSON.stringify({ level, msg, time });
    return `time=${JSON.stringify(time)} level=${level} msg=${JSON.stringify(msg)}`;
  }
}
