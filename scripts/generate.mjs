// Makes the C and TypeScript sides of the two tables in native/: the plan's steps and the sys door.
// Run by scripts/build.mjs; writes only what changed, so that make and tsc rebuild no more than they must.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { procRules, slots, steps, syncs, version } from '../native/plan.table.mjs';
import { sys } from '../native/sys.table.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const banner = '// Made by scripts/generate.mjs from the tables in native/. Change the table, not this file.\n';

const camel = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
const pascal = (name) => camel(`_${name}`);
const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const upper = (name) => name.toUpperCase();

function emit(path, text) {
  const file = join(root, path);
  let old;
  try {
    old = readFileSync(file, 'utf8');
  } catch {
    mkdirSync(dirname(file), { recursive: true });
  }
  if (old !== text) writeFileSync(file, text);
}

const list = Object.entries(steps).map(([name, step], index) => ({ name, code: index + 1, ...step }));

// --- plan: C ---------------------------------------------------------------------------------------------------------

const cTypes = {
  u32: 'uint32_t',
  i32: 'int32_t',
  u64: 'uint64_t',
  str: 'const char *',
  strs: 'struct strings',
  u32s: 'struct words',
  bytes: 'struct bytes',
};

function cStruct({ name, fields }) {
  const lines = Object.entries(fields).map(([field, type]) => {
    const c = cTypes[type];
    return `  ${c}${c.endsWith('*') ? '' : ' '}${field};\n`;
  });
  return `struct step_${name} {\n${lines.length > 0 ? lines.join('') : '  char nothing;\n'}};\n`;
}

function cDecode({ name, fields }) {
  const lines = Object.entries(fields).map(([field, type]) => `  step->${field} = take_${type}(program);\n`);
  const body = lines.length > 0 ? lines.join('') : '  (void)program;\n  step->nothing = 0;\n';
  return `static inline void decode_${name}(struct program *program, struct step_${name} *step) {\n${body}}\n`;
}

function cSide(side) {
  const mine = list.filter((step) => step.on === side || step.on === 'both');
  const prototypes = mine.map(
    ({ name }) => `int step_${name}(struct context *context, const struct step_${name} *step);\n`,
  );
  const cases = mine.map(
    ({ name }) => `  case STEP_${upper(name)}: {
    struct step_${name} step;
    decode_${name}(program, &step);
    return program->broken || !run ? 0 : step_${name}(context, &step);
  }\n`,
  );
  return `/* ${banner.slice(3, -1)} */
#pragma once
#include "steps.gen.h"

struct context;
${prototypes.join('')}
/* Decodes the step whose fields stand next in the program and, if asked to, runs it. 0, or a negative errno.
   A step of the other side, or of no side, marks the program as broken. */
static inline int dispatch(struct context *context, struct program *program, uint32_t code, int run) {
  switch (code) {
${cases.join('')}  default:
    program->broken = 1;
    return 0;
  }
}
`;
}

emit(
  'native/gen/steps.gen.h',
  `/* ${banner.slice(3, -1)} */
#pragma once
#include "plan/program.h"

#define PLAN_VERSION ${version}u
enum step_code {
${list.map(({ name, code }) => `  STEP_${upper(name)} = ${code},\n`).join('')}};
enum slot {
${slots.map((name, index) => `  SLOT_${upper(name)} = ${index},\n`).join('')}  SLOT_COUNT = ${slots.length}
};
enum proc_rule {
${procRules.map((name, index) => `  PROC_${upper(name)} = ${index},\n`).join('')}};
enum sync_point {
${syncs.map((name, index) => `  SYNC_${upper(name)} = ${index},\n`).join('')}  SYNC_COUNT = ${syncs.length}
};

${list.map((step) => `${cStruct(step)}${cDecode(step)}`).join('\n')}`,
);
emit('native/gen/host_steps.gen.h', cSide('host'));
emit('native/gen/init_steps.gen.h', cSide('init'));

// --- plan: TypeScript --------------------------------------------------------------------------------------------------

const tsTypes = {
  u32: 'number',
  i32: 'number',
  u64: 'bigint | number',
  str: 'string',
  strs: 'readonly string[]',
  u32s: 'readonly number[]',
  bytes: 'Uint8Array',
};

function tsStep({ name, doc, fields }) {
  const lines = Object.entries(fields).map(([field, type]) => `  readonly ${camel(field)}: ${tsTypes[type]};\n`);
  return `/** ${doc} */
export interface ${pascal(name)} extends Reason {
  readonly op: '${camel(name)}';
${lines.join('')}}
`;
}

const union = (side) =>
  list
    .filter((step) => step.on === side || step.on === 'both')
    .map(({ name }) => `\n  | ${pascal(name)}`)
    .join('');

emit(
  'src/plan/steps.gen.ts',
  `${banner}import type { Reason } from './reason.ts';

export const planVersion = ${version};

${slots.map((name, index) => `export const SLOT_${upper(name)} = ${index};\n`).join('')}
${procRules.map((name, index) => `export const PROC_${upper(name)} = ${index};\n`).join('')}
${syncs.map((name, index) => `export const SYNC_${upper(name)} = ${index};\n`).join('')}
${list.map(tsStep).join('\n')}
/** A step that the host side runs, in the engine's own process. */
export type HostStep =${union('host')};

/** A step that init runs, on its way from birth to the container's program. */
export type InitStep =${union('init')};

export type Step = HostStep | InitStep;
export type StepName = Step['op'];

/** A field's name and its type in the wire format. */
export type Field = readonly [name: string, type: 'u32' | 'i32' | 'u64' | 'str' | 'strs' | 'u32s' | 'bytes'];

/** Code and fields of each step in the wire format, in order. */
export const layouts: Readonly<Record<StepName, { readonly code: number; readonly fields: readonly Field[] }>> = {
${list
  .map(
    ({ name, code, fields }) =>
      `  ${camel(name)}: { code: ${code}, fields: [${Object.entries(fields)
        .map(([field, type]) => `['${camel(field)}', '${type}']`)
        .join(', ')}] },\n`,
  )
  .join('')}};
`,
);

const putField = {
  u32: (field) => ({ words: `step.${field}` }),
  i32: (field) => ({ words: `step.${field}` }),
  str: (field) => ({ strings: `step.${field}` }),
  u64: (field) => ({ code: `putLong(words, step.${field});` }),
  strs: (field) => ({
    code: `words.push(step.${field}.length);\n    for (const item of step.${field}) strings.push(item);`,
  }),
  u32s: (field) => ({
    code: `words.push(step.${field}.length);\n    for (const item of step.${field}) words.push(item);`,
  }),
  bytes: (field) => ({ code: `words.push(step.${field}.length);\n    blobs.push(step.${field});` }),
};

/** Straight code for each step: it runs on every start, in an interpreter, where a table of fields costs three times as much. */
function tsEncoder({ name, fields }) {
  const waiting = [];
  const code = [];
  const flush = () => {
    if (waiting.length > 0) code.push(`    words.push(${waiting.splice(0).join(', ')});\n`);
  };
  for (const [field, type] of Object.entries(fields)) {
    const put = putField[type](camel(field));
    if (put.words !== undefined) waiting.push(put.words);
    if (put.strings !== undefined) code.push(`    strings.push(${put.strings});\n`);
    if (put.code !== undefined) {
      flush();
      code.push(`    ${put.code}\n`);
    }
  }
  flush();
  const used = code.join('');
  const streams = ['words', 'strings', 'blobs'];
  const last = streams.findLastIndex((stream) => used.includes(`${stream}.push`) || used.includes(`(${stream},`));
  const named = streams.slice(0, last + 1).map((stream) => (used.includes(stream) ? stream : `_${stream}`));
  const parameters = used === '' ? '' : ['step', ...named].join(', ');
  return `  ${camel(name)}(${parameters}) {\n${used}  },\n`;
}

emit(
  'src/execute/encoders.gen.ts',
  `${banner}import type { Step } from '../plan/steps.gen.ts';

type Encoders = {
  readonly [Op in Step['op']]: (step: Extract<Step, { op: Op }>, words: number[], strings: string[], blobs: Uint8Array[]) => void;
};

function putLong(words: number[], value: bigint | number): void {
  if (typeof value === 'bigint') words.push(Number(value & 0xffffffffn), Number(value >> 32n));
  else words.push(value % 2 ** 32, Math.floor(value / 2 ** 32));
}

/** The code of each step in the wire format. */
export const codes: Readonly<Record<Step['op'], number>> = {
${list.map(({ name, code }) => `  ${camel(name)}: ${code},\n`).join('')}};

/** Puts the fields of a step, in order, into the streams. */
export const encoders: Encoders = {
${list.map(tsEncoder).join('')}};
`,
);

// --- sys -----------------------------------------------------------------------------------------------------------------

const sysArgs = {
  str: { c: 'const char *', ts: 'string' },
  str0: { c: 'struct sys_in', ts: 'string' },
  u32: { c: 'uint32_t ', ts: 'number' },
  i32: { c: 'int32_t ', ts: 'number' },
  num: { c: 'int64_t ', ts: 'number' },
  bytes: { c: 'struct sys_in', ts: 'Uint8Array' },
  words: { c: 'struct sys_in', ts: 'Uint32Array' },
};
const sysResults = {
  void: 'void',
  num: 'number',
  str: 'string',
  bytes: 'Uint8Array',
  strs: 'string[]',
  nums: 'number[]',
};

const entries = Object.entries(sys);
const returnsOut = (result) => result !== 'void' && result !== 'num';

emit(
  'native/gen/sys.gen.h',
  `/* ${banner.slice(3, -1)} */
#pragma once
#include "sys/sys.h"

${entries
  .map(([name, { args, result, doc }]) => {
    const parameters = Object.entries(args).map(([arg, type]) => {
      const c = sysArgs[type].c;
      return `${c}${c.endsWith(' ') || c.endsWith('*') ? '' : ' '}${snake(arg)}`;
    });
    if (returnsOut(result)) parameters.push('struct sys_out *out');
    return `/* ${doc} */\nint64_t sys_${snake(name)}(${parameters.join(', ') || 'void'});\n`;
  })
  .join('')}`,
);

function glue() {
  return `/* ${banner.slice(3, -1)} */
${entries
  .map(([name, { args, result }]) => {
    const takes = Object.entries(args).map(([, type], index) => `  TAKE_${upper(type)}(${index});\n`);
    const drops = Object.entries(args).map(([, type], index) => `  DROP_${upper(type)}(${index});\n`);
    const passed = Object.keys(args).map((_, index) => `a${index}`);
    if (returnsOut(result)) passed.push('&out');
    return `DOOR(${snake(name)}, ${passed.length - (returnsOut(result) ? 1 : 0)})
${takes.join('')}${returnsOut(result) ? '  struct sys_out out = {0};\n' : ''}  int64_t answer = sys_${snake(name)}(${passed.join(', ')});
${drops.join('')}  GIVE_${upper(result)}("${name}");
END_DOOR
`;
  })
  .join('\n')}
static const struct door doors[] = {
${entries.map(([name, { args }]) => `  {"${name}", door_${snake(name)}, ${Object.keys(args).length}},\n`).join('')}};
`;
}
emit('native/gen/sys_doors.gen.h', glue());

emit(
  'src/linux/sys.gen.ts',
  `${banner}
/** The one door to the kernel. A failing call throws a SysError. */
export interface Sys {
${entries
  .map(
    ([name, { args, result, doc }]) =>
      `  /** ${doc} */\n  ${name}(${Object.entries(args)
        .map(([arg, type]) => `${arg}: ${sysArgs[type].ts}`)
        .join(', ')}): ${sysResults[result]};\n`,
  )
  .join('')}}
`,
);
