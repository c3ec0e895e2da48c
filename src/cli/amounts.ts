// Sizes and times as people write them on a command line.

import { usageError } from '../errors.ts';

/** Bytes: a number with an optional unit of 1024, as Docker's go-units reads it (`64m`, `1.5GiB`), or -1. */
export function parseBytes(text: string, flag: string, command: string): number {
  const [, digits = '', unit = 'b'] = /^(\d+(?:\.\d+)?) ?([kmgtp])?i?b?$/i.exec(text) ?? [];
  if (text === '-1') return -1;
  if (digits === '') throw usageError(`--${flag}: ${JSON.stringify(text)} is no size such as 64m or 1.5g`, command);
  return Math.floor(Number(digits) * 1024 ** 'bkmgtp'.indexOf(unit.toLowerCase()));
}

/** A whole number that JavaScript holds exactly. */
export function parseInteger(text: string, flag: string, command: string): number {
  const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw usageError(`--${flag}: ${JSON.stringify(text)} is no whole number`, command);
}

const milliseconds: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1e3, m: 6e4, h: 36e5 };

/** Milliseconds of a duration as Go writes it: `1h30m`, `2.5s`, `500ms`. */
export function parseDuration(text: string, flag: string, command: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  const total = parts.reduce((sum, [, number, unit = '']) => sum + Number(number) * (milliseconds[unit] ?? 0), 0);
  if (parts.map(([part]) => part).join('') === text && total > 0) return total;
  throw usageError(`--${flag}: ${JSON.stringify(text)} is no time such as 5s or 500ms`, command);
}
