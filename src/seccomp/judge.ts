// Why a call gets what it gets: the same question as the program's, asked of the rules.

import { NOT_IMPLEMENTED, RET_KILL_THREAD } from './actions.ts';
import { X32_BIT } from './architectures.ts';
import { holds } from './conditions.ts';
import type { Call } from './interpret.ts';
import { type ArchitectureRules, type Filter, SECCOMP } from './rules.ts';

export interface Judgement {
  readonly verdict: number;
  /** JSON pointer to what decides. */
  readonly from: string;
  readonly why: string;
}

export function judge(filter: Filter, call: Call): Judgement {
  const entry = architectureOf(filter, call);
  const { number } = call;
  if (entry === undefined)
    return {
      verdict: RET_KILL_THREAD,
      from: `${SECCOMP}/architectures`,
      why: 'the profile does not name this architecture',
    };
  if (number > entry.highest && !(number === 0xffffffff && !hasX32(filter) && entry.arch.table === 'x86_64')) {
    return {
      verdict: NOT_IMPLEMENTED,
      from: `${SECCOMP}/syscalls`,
      why: 'the call is newer than any that the profile names',
    };
  }
  for (const { conditions, verdict, from } of entry.rules.get(number) ?? []) {
    const all = conditions.every((condition) => {
      const [high = 0, low = 0] = call.args[condition.argument] ?? [];
      return holds(condition, high, low);
    });
    if (all) return { verdict, from, why: conditions.length === 0 ? 'the rule names the call' : 'its arguments match' };
  }
  const ruled = entry.rules.has(number);
  return {
    verdict: filter.byDefault,
    from: `${SECCOMP}/defaultAction`,
    why: ruled ? 'no rule for this call matches its arguments' : 'no rule changes the default for this call',
  };
}

const hasX32 = ({ architectures }: Filter): boolean => architectures.some(({ arch }) => arch.table === 'x32');

/** x32 has the audit number of x86_64 and a bit in its numbers; without x32 in the profile only -1 may have that bit. */
function architectureOf(filter: Filter, { audit, number }: Call): ArchitectureRules | undefined {
  const same = filter.architectures.filter(({ arch }) => arch.audit === audit);
  const [first] = same;
  if (first?.arch.table !== 'x86_64') return first;
  if ((number & X32_BIT) !== 0 && number !== 0xffffffff) return same[1];
  if (number === 0xffffffff) return same[1] ?? first;
  // Above the bit of x32 nothing is a call of x86_64 but by runc's rule for newer ones.
  return number < X32_BIT || hasX32(filter) || first.highest < Number.POSITIVE_INFINITY ? first : undefined;
}
