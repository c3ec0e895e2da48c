// What a plain run does not need is not read. Modules on the list below are cut out of the bundle: who imports one gets a
// stub of the same functions, and the first call of any of them reads the module. Under Node they are modules like any
// other, so a module can be put on the list, or taken off it, without a change to the source. It must not have an import()
// of its own: that would be read with it.
import { readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';

const modules = [
  'src/bundle/overlay.ts',
  'src/cgroup/limits.ts',
  'src/cgroup/unit.ts',
  'src/cli/usage.ts',
  'src/errors.ts',
  'src/plan/labels.ts',
  'src/plan/layers.ts',
  'src/plan/mount-ids.ts',
  'src/plan/mount-label.ts',
  'src/plan/net-devices.ts',
  'src/plan/resctrl.ts',
  'src/plan/seccomp.ts',
  'src/plan/unit.ts',
  'src/shim/stats.ts',
  'src/spec/exact-values.ts',
  'src/spec/json-position.ts',
  'src/spec/scheduling.ts',
  'src/spec/seccomp.ts',
  'src/spec/suggest.ts',
  'src/spec/sysctl.ts',
];

const chunk = (file) => `cold-${file.slice('src/'.length, -'.ts'.length).replaceAll('/', '-')}`;

/** Verbs that look at tables of all of the program, and at no container. */
const verbs = ['src/cli/features.ts', 'src/cli/seccomp.ts', 'src/cli/spec.ts'];

/** Entry points for esbuild: a chunk for each of them. */
export const coldEntries = Object.fromEntries([...modules, ...verbs].map((file) => [chunk(file), file]));

/** Functions can wait for their first call; anything else would have to be there before. What is re-exported is. */
function stubOf(file) {
  const source = readFileSync(file, 'utf8');
  const kept = [...source.matchAll(/^export \{[^}]*\} from '[^']+';$/gm)].map(([line]) => line);
  const functions = [...source.matchAll(/^export (?:async )?function (\w+)|^export const (\w+) = (?:async )?\(/gm)];
  const names = functions.map(([, one, other]) => one ?? other);
  const others = source.match(
    /^export (?!type |interface |async function |function |\{)(?!const \w+ = (?:async )?\().*/gm,
  );
  if (others !== null) throw new Error(`${file} cannot be read late: "${others[0]}" is no function`);
  return [
    ...kept,
    `let module;`,
    `const load = () => (module ??= globalThis.tsrunLoad('${chunk(file)}.js'));`,
    ...names.map((name) => `export const ${name} = (...all) => load().${name}(...all);`),
  ].join('\n');
}

/**
 * The tables of the command line, each read when it is asked for, and without the words that only help has use for:
 * the parser knows one verb a time.
 */
async function commandTables() {
  const { commands, findCommand, globalFlags } = await import('../dist/cli/commands.js');
  const words = new Set(['doc', 'summary', 'description']);
  const text = (table) => JSON.stringify(JSON.stringify(table, (key, value) => (words.has(key) ? undefined : value)));
  const verbs = Object.entries(commands).map(
    ([name, table]) => `get ${name}() { return JSON.parse(${text(table)}); },`,
  );
  return [
    `export const globalFlags = JSON.parse(${text(globalFlags)});`,
    `export const commands = { ${verbs.join('\n')} };`,
    `export ${findCommand}`,
  ].join('\n');
}

/** Its classes are compared by identity, so there is one module of it for all. */
export const shared = { failures: 'src/failures.ts' };

/** Cold modules have what they need of the pure code to themselves: shared, it would be cut out of the hot chunks. */
export const keepApart = {
  name: 'keep apart',
  setup({ onResolve }) {
    onResolve({ filter: /\/failures\.ts$/ }, () => ({ path: './failures.js', external: true }));
  },
};

export const coldModules = {
  name: 'cold modules',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /\.ts$/ }, ({ path, resolveDir, kind, importer }) => {
      const file = relative('.', resolve(resolveDir, path));
      if (file === 'src/cli/commands.ts' && importer.endsWith('/src/cli/args.ts'))
        return { path: file, namespace: 'tables' };
      if (kind === 'dynamic-import' && verbs.includes(file)) return { path: `./${chunk(file)}.js`, external: true };
      return kind !== 'entry-point' && modules.includes(file) ? { path: file, namespace: 'stub' } : undefined;
    });
    onLoad({ filter: /.*/, namespace: 'stub' }, ({ path }) => ({
      contents: stubOf(path),
      loader: 'ts',
      resolveDir: resolve(dirname(path)),
    }));
    onLoad({ filter: /.*/, namespace: 'tables' }, async () => ({ contents: await commandTables() }));
  },
};
