// The shim's log: a FIFO in the bundle, of which containerd copies each line to its own log.

import { isSysError, sys } from '../linux/sys.ts';
import { formatTime } from '../linux/time.ts';

export type Log = (level: 'error' | 'warning' | 'info', message: string) => void;

/**
 * Writes to a descriptor that does not block. While containerd is away, or slow, lines are dropped: the shim waits for
 * nobody.
 */
export function openLog(fd: number, id: string): Log {
  return (level, message) => {
    const [seconds = 0, nanoseconds = 0] = sys.clock();
    const time = formatTime(seconds, nanoseconds);
    const line = `time=${JSON.stringify(time)} level=${level} msg=${JSON.stringify(message)} id=${JSON.stringify(id)}\n`;
    try {
      sys.writeText(fd, line);
    } catch (error) {
      if (!isSysError(error)) throw error;
    }
  };
}
