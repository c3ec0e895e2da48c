// A plan, or what came of it, as text and as JSON. One renderer for explain and --trace, so they cannot differ.

import { errnoName } from '../linux/errno.ts';
import type { Report } from '../execute/report.ts';
import type { Plan } from '../plan/plan.ts';
import { describe } from './describe.ts';
import { type Answer, inOrder, type Placed } from './order.ts';
import { sectionOf } from './sections.ts';

/** Two lines a step: what is done, then the field, the section and the reason behind it. */
export function explainText(plan: Plan, report?: Report): string {
  const steps = inOrder(plan, report);
  const width = String(steps.length).length;
  return steps.map((placed, index) => lines(placed, String(index + 1).padStart(width), report !== undefined)).join('');
}

function lines({ side, step, answer }: Placed, number: string, traced: boolean): string {
  const indent = ' '.repeat(number.length + 2);
  const outcome = traced ? `${wordAnswer(answer).padEnd(20)} ` : '';
  const section = sectionOf(step.from);
  const origin = step.from === '' ? 'the runtime itself' : `${step.from}  ${section}`;
  return `${number}  ${outcome}${side.padEnd(4)}  ${printable(describe(step))}\n${indent}${traced ? ' '.repeat(21) : ''}      ${printable(origin)}: ${step.why}\n`;
}

/** A configuration may come from anywhere: what would steer a terminal, or look like a line of ours, is shown as it is written in JSON. */
function printable(text: string): string {
  let shown = '';
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    const isControl = code < 0x20 || (code >= 0x7f && code < 0xa0) || code === 0x2028 || code === 0x2029;
    shown += isControl ? `\\u${code.toString(16).padStart(4, '0')}` : char;
  }
  return shown;
}

function wordAnswer(answer: Answer | undefined): string {
  if (answer === undefined) return '-';
  const time = `${(answer.nanoseconds / 1e6).toFixed(3)} ms`;
  return answer.errno === 0 ? `ok ${time}` : `${errnoName(answer.errno)} ${time}`;
}

/** An array with one object a step; `answer` and `milliseconds` with a report only. */
export function explainJson(plan: Plan, report?: Report): string {
  const steps = inOrder(plan, report).map(({ side, step, answer }, index) => {
    const { op, from, why, about: _, ...args } = step;
    const shown = {
      number: index + 1,
      side,
      op,
      text: describe(step),
      from,
      spec: sectionOf(from),
      why,
      arguments: args,
    };
    if (report === undefined) return shown;
    return {
      ...shown,
      answer: answer === undefined ? null : answer.errno === 0 ? 'ok' : errnoName(answer.errno),
      milliseconds: answer === undefined ? null : answer.nanoseconds / 1e6,
    };
  });
  return `${JSON.stringify(steps, plain, 2)}\n`;
}

/** 64-bit values as text, bytes as hexadecimal digits. */
function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Uint8Array) return Array.from(value, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return value;
}
