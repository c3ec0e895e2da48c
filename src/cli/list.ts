import { readAnyText, sys, unlessMissing } from '../linux/sys.ts';
import type { ContainerState } from '../state/container.ts';
import type { InvocationOf } from './args.ts';
import type { Context } from './main.ts';
import { runtimeOf } from './runtime-of.ts';

/** The forms of runc: a table, the states as JSON (`null` where there are none), or the ids. */
export function list({ flags }: InvocationOf<'list'>, context: Context): number {
  const states = runtimeOf(context).list();
  if (flags.quiet) sys.writeText(1, states.map(({ id }) => `${id}\n`).join(''));
  else if (flags.format === 'json')
    sys.writeText(1, `${JSON.stringify(states.length === 0 ? null : withOwners(states))}\n`);
  else sys.writeText(1, table(states));
  return 0;
}

const withOwners = (states: readonly ContainerState[]) => {
  const name = ownerNames();
  return states.map((state) => ({ ...state, owner: name(state.owner) }));
};

function table(states: readonly ContainerState[]): string {
  const rows = [
    ['ID', 'PID', 'STATUS', 'BUNDLE', 'CREATED', 'OWNER'],
    ...withOwners(states).map(({ id, pid, status, bundle, created, owner }) => [
      id,
      String(pid),
      status,
      bundle,
      created,
      owner,
    ]),
  ];
  // Go's tabwriter as runc sets it: cells at least 12 wide, 3 blanks between, nothing behind the last.
  const widths = rows[0]?.map((_, column) => Math.max(12, ...rows.map((row) => (row[column]?.length ?? 0) + 3))) ?? [];
  return rows
    .map(
      (row) =>
        `${row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('')}\n`,
    )
    .join('');
}

/** Names from the host's passwd; `#uid` for one that has none. */
function ownerNames(): (uid: number) => string {
  const passwd = unlessMissing(() => readAnyText('/etc/passwd', 1 << 20)) ?? '';
  const names = new Map(
    passwd
      .split('\n')
      .map((line) => line.split(':'))
      .map(([name = '', , uid = '']) => [Number(uid || -1), name]),
  );
  return (uid) => names.get(uid) ?? `#${uid}`;
}
