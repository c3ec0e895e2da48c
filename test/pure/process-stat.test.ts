// What proc_pid_stat(5) says of a process, and when that means that it has ended.
import { describe, expect, test } from 'vitest';
import { hasEnded, parseStat } from '../../src/state/container.ts';

const line = (name: string, state: string, threads: number) =>
  `4242 (${name}) ${state} 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 ${threads} 0 987654 22 23\n`;

describe('the stat line of a process', () => {
  test.each(['sleep', ') Z 1 2', 'a) (b', '�� ', '('])('is read behind the name %j', (name) => {
    expect(parseStat(line(name, 'S', 3))).toEqual({ state: 'S', threads: 3, startTime: '987654' });
  });

  test.each([
    ['S', 1, false],
    ['T', 1, false],
    ['Z', 1, true],
    ['Z', 2, false],
    ['X', 1, true],
  ])('in state %s with %i threads it has ended: %s', (state, threads, ended) => {
    expect(hasEnded(parseStat(line('sleep', state, threads)))).toBe(ended);
  });
});
