// Makes src/linux/syscalls.ts, the numbers of system calls, from what libseccomp knows (package libseccomp-dev) and from
// the list of newer ones below. The result is committed: a build needs no libseccomp. Run it by hand, then npm run format.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

// Since Linux 5.1 a new call has the same number on all of these architectures. scripts/syscall.tbl of Linux 6.18.
const newer = {
  453: 'map_shadow_stack',
  454: 'futex_wake',
  455: 'futex_wait',
  456: 'futex_requeue',
  457: 'statmount',
  458: 'listmount',
  459: 'lsm_get_self_attr',
  460: 'lsm_set_self_attr',
  461: 'lsm_list_modules',
  462: 'mseal',
  463: 'setxattrat',
  464: 'getxattrat',
  465: 'listxattrat',
  466: 'removexattrat',
  467: 'open_tree_attr',
  468: 'file_getattr',
  469: 'file_setattr',
};
const x32Bit = 0x40000000;
// Calls that only the x86_64 table has: the trampolines of user space probes.
const only64 = { 335: 'uretprobe', 336: 'uprobe' };

function listed() {
  const scratch = mkdtempSync(join(tmpdir(), 'tsrun-syscalls-'));
  try {
    const program = join(scratch, 'list');
    execFileSync('gcc', ['-o', program, join(root, 'scripts/syscalls.c'), '-lseccomp'], { stdio: 'inherit' });
    const lines = execFileSync(program, { encoding: 'utf8', maxBuffer: 16 << 20 })
      .trim()
      .split('\n');
    return lines.map((line) => {
      const [arch, number, name] = line.split(' ');
      return { arch, number: Number(number), name };
    });
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

const all = listed();
const tables = Object.fromEntries(
  ['x86_64', 'x86', 'x32', 'aarch64', 'arm'].map((arch) => {
    const base = arch === 'x32' ? x32Bit : 0;
    const table = new Map(Object.entries(newer).map(([number, name]) => [Number(number) + base, name]));
    if (arch === 'x86_64') for (const [number, name] of Object.entries(only64)) table.set(Number(number), name);
    for (const entry of all) if (entry.arch === arch && entry.number >= base) table.set(entry.number, entry.name);
    return [arch, table];
  }),
);
const here = new Set(Object.values(tables).flatMap((table) => [...table.values()]));
const behind = all
  .filter(({ arch }) => arch === 'multiplexed')
  .map(({ number, name }) => ({ name, index: -100 - number }));
const elsewhere = [...new Set(all.map(({ name }) => name))]
  .filter((name) => !here.has(name) && !behind.some((entry) => entry.name === name))
  .sort();

/** Names in the order of their numbers; a number stands where one does not follow on the one before. */
function words(entries) {
  let next = -1;
  return entries
    .sort(([a], [b]) => a - b)
    .map(([number, name]) => {
      const word = number === next ? name : `${number} ${name}`;
      next = number + 1;
      return word;
    })
    .join(' ');
}

const text = (value) => `\n  '${value}'`;
const parts = Object.entries(tables).map(([arch, table]) => `  ${arch}: ${text(words([...table]))},`);
const call = (from, to) =>
  words(behind.filter(({ index }) => index > from && index <= to).map(({ name, index }) => [index - from, name]));

writeFileSync(
  join(root, 'src/linux/syscalls.ts'),
  `// Made by scripts/syscalls.mjs. Numbers of system calls: names in their order, a number where one does not follow on the
// one before. Text, because reading it when a filter is compiled costs less than loading it as a table would.

export const syscallTables = {
${parts.join('\n')}
} as const;

/** On x86 these stand (also, or only) behind socketcall(2) and ipc(2), whose first argument is the number here. */
export const socketCalls = ${text(call(0, 100))};
export const ipcCalls = ${text(call(100, 200))};

/** Names that other architectures have: known, and without meaning here. */
export const foreignCalls = ${text(elsewhere.join(' '))};
`,
);
