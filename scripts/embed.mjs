// Writes an assembly file that puts files into a program: embed.mjs OUT NAME=FILE…
// Each stands between the symbols NAME_start and NAME_end. With --table, a NULL-ended table `modules` of
// {name, start, end} as native/engine/engine.h declares it stands beside them.
import { resolve } from 'node:path';
import { writeFileSync } from 'node:fs';

const args = process.argv.slice(2);
const table = args[0] === '--table' && args.shift();
const [out, ...files] = args;
const entries = files.map((text) => {
  const cut = text.lastIndexOf('=');
  return { name: text.slice(0, cut), file: resolve(text.slice(cut + 1)) };
});
const symbols = entries.map(({ name }, index) => (table ? `module_${index}` : name));

const embedded = entries.map(({ file }, index) => {
  const symbol = symbols[index];
  return `\t.balign 16\n\t.globl ${symbol}_start\n\t.globl ${symbol}_end\n${symbol}_start:\n\t.incbin "${file}"\n${symbol}_end:\n\t.byte 0\n`;
});
const names = entries.map(({ name }, index) => `name_${index}:\n\t.asciz "${name}"\n`);
const rows = entries.map((_, index) => `\t.quad name_${index}, ${symbols[index]}_start, ${symbols[index]}_end\n`);
const lines = table
  ? `${names.join('')}\t.section .data.rel.ro,"aw"\n\t.balign 8\n\t.globl modules\nmodules:\n${rows.join('')}\t.quad 0, 0, 0\n`
  : '';

writeFileSync(out, `\t.section .rodata\n${embedded.join('')}${lines}\t.section .note.GNU-stack,"",%progbits\n`);
