// docs/conformance.md: every field of the specification, and the native test that looks at its effect. A test says which
// fields it proves at the beginning of its name (`linux.netDevices: …`), or in a line `// Proves: …` above it; `.*` at the
// end stands for all fields below. UPDATE=1 writes the file anew.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { configSchema } from '../../src/spec/config-schema.ts';
import { LIST, MAP, RECORD, type Schema } from '../../src/spec/schema.ts';

const project = join(import.meta.dirname, '../..');
const document = join(project, 'docs/conformance.md');
const folder = join(project, 'test/native');

interface Proof {
  readonly fields: readonly string[];
  readonly file: string;
  readonly name: string;
  readonly needs: readonly string[];
}

/** Paths of all fields that hold a value: `[]` is any element of a list, `{}` any value of a map. */
function fieldsOf(schema: Schema, path = ''): string[] {
  switch (schema.kind) {
    case RECORD:
      return Object.entries(schema.fields).flatMap(([name, field]) =>
        fieldsOf(field, path === '' ? name : `${path}.${name}`),
      );
    case LIST:
      return schema.item.kind === RECORD ? fieldsOf(schema.item, `${path}[]`) : [path];
    case MAP:
      return schema.value.kind === RECORD ? fieldsOf(schema.value, `${path}{}`) : [path];
    default:
      return [path];
  }
}

/** The tests of a file that prove something, from its text: to load it would take root. */
function proofsOf(file: string): Proof[] {
  const text = readFileSync(join(folder, file), 'utf8');
  const proofs: Proof[] = [];
  const call =
    /\btest\(\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`)(,\s*\{[^]*?\}\s*,\s*(?:async )?\()?/g;
  let end = 0;
  for (const match of text.matchAll(call)) {
    const written = (match[1] ?? match[2] ?? match[3] ?? '').replace(/\\(.)/g, '$1');
    const comments = [...text.slice(end, match.index).matchAll(/^\/\/ Proves: (.*)$/gm)].map((found) => found[1] ?? '');
    end = match.index + match[0].length;
    const prefix = /^((?:[a-zA-Z][\w.[\]{}*]*, )*[a-zA-Z][\w.[\]{}*]*): /.exec(written);
    const fields = [...comments, ...(prefix === null ? [] : [prefix[1] ?? ''])].flatMap((list) => list.split(/,\s*/));
    const needs = /needs: \[([^\]]*)\]/.exec(match[4] ?? '')?.[1] ?? '';
    const name = written.slice(prefix?.[0].length ?? 0);
    if (fields.length === 0) continue;
    proofs.push({ fields, file, name, needs: [...needs.matchAll(/['`]([^'`]+)['`]/g)].map((found) => found[1] ?? '') });
  }
  return proofs;
}

const proofs = readdirSync(folder).toSorted().flatMap(proofsOf);
const fields = fieldsOf(configSchema);
const covers = (pattern: string, field: string) =>
  pattern === field ||
  (pattern.endsWith('*') && field.startsWith(pattern.slice(0, -1))) ||
  // A test of a list or a map looks at what its elements say.
  ['[].', '{}.'].some((element) => field.startsWith(pattern + element));
const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('${', '{');
function row(field: string): string {
  const found = proofs.filter((proof) => proof.fields.some((pattern) => covers(pattern, field)));
  // A test that runs everywhere says more than one that needs something.
  const [best] = found.toSorted((a, b) => a.needs.length - b.needs.length);
  if (best === undefined) return `| \`${field}\` | | |`;
  const more = found.length > 1 ? ` (and ${found.length - 1} more)` : '';
  return `| \`${field}\` | \`${best.file.replace('.test.ts', '')}\`: ${cell(best.name)}${more} | ${best.needs.join(', ')} |`;
}

const content = `# Conformance

Every field of config.json for Linux in the runtime specification 1.3, and a test in \`test/native\` that looks at its effect from inside a
container, or at the kernel. Made from the schema (\`src/spec/config-schema.ts\`) and the names of the tests by
\`test/pure/conformance.test.ts\`, which fails when a field has no test or this file is stale; \`UPDATE=1\` makes it anew.

A test passes wherever the host has what the last column names; without it the test is skipped, and says so. Nothing there: it passes on
every host that tsrun supports. Many fields have more tests than the one that is shown.

| field | test | needs |
| --- | --- | --- |
${fields.map(row).join('\n')}
`;

test('every field of the specification has a native test', () => {
  const unproven = fields.filter((field) => !proofs.some((p) => p.fields.some((f) => covers(f, field))));
  expect(unproven).toEqual([]);
});

test('no test proves a field that the specification does not have', () => {
  const parents = fields.flatMap((field) => field.split('.').map((_, i, parts) => parts.slice(0, i + 1).join('.')));
  const known = new Set([...fields, ...parents, ...parents.map((parent) => parent.replace(/(\[\]|\{\})$/, ''))]);
  const wrong = proofs.flatMap((proof) =>
    proof.fields
      .filter((field) => /^(process|linux|mounts|root|hooks)\b/.test(field))
      .filter((field) => {
        return field.endsWith('.*') ? !known.has(field.slice(0, -2)) : !known.has(field);
      }),
  );
  expect(wrong).toEqual([]);
});

test('docs/conformance.md is up to date', () => {
  if (process.env['UPDATE'] === '1') writeFileSync(document, content);
  expect(readFileSync(document, 'utf8')).toBe(content);
});
