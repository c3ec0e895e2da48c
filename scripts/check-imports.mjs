// Holds src/ to the import direction of the architecture: what a folder may import stands in the table below, and what
// must not ask the host is followed through all that it imports. A type-only import leaves nothing in the program, so
// it is held to the table but not followed.
//   node scripts/check-imports.mjs [SRC]
import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const base = ['failures.ts', 'errors.ts', 'linux'];

/** For each layer, the layers that it may import; itself it always may. In the order of the road from bundle to process. */
const layers = {
  'failures.ts': [],
  'errors.ts': ['failures.ts', 'linux'],
  'version.gen.ts': [],
  linux: ['errors.ts'],
  spec: [...base],
  bundle: [...base, 'spec'],
  image: [...base, 'spec'],
  dbus: [...base],
  cgroup: [...base, 'spec', 'dbus'],
  seccomp: [...base, 'spec'],
  plan: [...base, 'spec', 'dbus', 'cgroup', 'seccomp'],
  execute: [...base, 'spec', 'dbus', 'cgroup', 'seccomp', 'plan', 'version.gen.ts'],
  state: [...base, 'spec', 'bundle', 'plan', 'execute'],
  stats: [...base],
  proto: ['failures.ts', 'linux'],
  ttrpc: ['proto'],
  'updater.ts': [...base, 'spec', 'cgroup', 'plan', 'execute'],
  'exec.ts': [...base, 'spec', 'cgroup', 'plan', 'execute', 'state'],
  'runtime.ts': [
    ...base,
    'spec',
    'bundle',
    'cgroup',
    'plan',
    'execute',
    'state',
    'stats',
    'exec.ts',
    'updater.ts',
    'compiler.ts',
  ],
  explain: [...base, 'dbus', 'cgroup', 'seccomp', 'plan', 'execute'],
  'compiler.ts': [...base, 'bundle', 'plan', 'execute'],
  'features.ts': [...base, 'spec', 'plan', 'version.gen.ts', 'seccomp'],
  cli: [
    ...base,
    'spec',
    'bundle',
    'image',
    'state',
    'seccomp',
    'explain',
    'stats',
    'features.ts',
    'runtime.ts',
    'version.gen.ts',
  ],
  shim: [
    ...base,
    'spec',
    'plan',
    'state',
    'stats',
    'proto',
    'ttrpc',
    'features.ts',
    'version.gen.ts',
    'compiler.ts',
    'exec.ts',
    'runtime.ts',
  ],
  node: [],
  'index.ts': [...base, 'plan', 'state', 'runtime.ts', 'node'],
  'cli.ts': [...base, 'cli', 'node'],
};

/** Layers that compute and never ask: no road of imports leads from them to the kernel's door. */
const pure = ['spec', 'seccomp', 'plan', 'proto', 'ttrpc'];
const door = 'linux/sys.ts';

/** Layers that may take the types of any other: an interface of the command line shows what the runtime returns. */
const mayTakeTypes = ['cli', 'index.ts'];

/** The only folder that knows which engine it runs on. */
const knowsNode = 'node';

const importPattern =
  /^[ \t]*(?<keyword>import|export)(?<type>\s+type\b)?(?:[\s{*][^'";]*?from)?\s*['"](?<path>[^'"]+)['"]|\bimport\(\s*['"](?<dynamic>[^'"]+)['"]\s*\)/gm;

function importsOf(file) {
  const text = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '));
  return [...text.matchAll(importPattern)].map((match) => {
    const { path, dynamic, type } = match.groups;
    // import { type A, type B } leaves nothing behind either.
    const names = /\{([^}]*)\}/
      .exec(match[0])?.[1]
      ?.split(',')
      .map((name) => name.trim())
      .filter(Boolean);
    const onlyTypes =
      type !== undefined ||
      (names !== undefined && names.length > 0 && names.every((name) => name.startsWith('type ')));
    return { path: path ?? dynamic, onlyTypes, line: text.slice(0, match.index).split('\n').length };
  });
}

const isNode = (path) => path.startsWith('node:') || builtinModules.includes(path);

/** All imports of a source tree that the rules above forbid, a sentence each. */
function findWrongImports(src) {
  const files = readdirSync(src, { recursive: true }).filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'));
  const layerOf = (file) => file.split('/')[0];
  const wrong = [];
  const runsAfter = new Map();

  for (const file of files.toSorted()) {
    const layer = layerOf(file);
    const followed = [];
    runsAfter.set(file, followed);
    if (!(layer in layers)) {
      wrong.push(`src/${file}: ${layer} is not in the table of scripts/check-imports.mjs`);
      continue;
    }
    for (const { path, onlyTypes, line } of importsOf(join(src, file))) {
      const here = `src/${file}:${line}`;
      if (isNode(path)) {
        if (layer !== knowsNode) wrong.push(`${here}: imports ${path}, but only src/${knowsNode}/ may use Node`);
      } else if (path.startsWith('.')) {
        const target = relative(src, resolve(src, dirname(file), path));
        const targetLayer = layerOf(target);
        const allowed =
          targetLayer === layer || layers[layer].includes(targetLayer) || (onlyTypes && mayTakeTypes.includes(layer));
        if (!allowed) wrong.push(`${here}: ${layer} must not import ${targetLayer} (${path})`);
        if (!onlyTypes) followed.push(target);
      } else if (!onlyTypes && layer !== knowsNode && layer !== 'cli') {
        wrong.push(`${here}: imports the package ${path}; packages enter through src/cli/ or src/${knowsNode}/`);
      }
    }
  }

  for (const file of files.filter((name) => pure.includes(layerOf(name)))) {
    const road = roadTo(door, file, runsAfter);
    if (road !== undefined)
      wrong.push(
        `src/${file}: ${layerOf(file)} never asks the host, but imports ${road.map((name) => `src/${name}`).join(' → ')}`,
      );
  }
  return wrong;
}

/** The shortest chain of imports from a file to the target, without the file itself. */
function roadTo(target, file, imports) {
  const seen = new Set([file]);
  const queue = [{ file, road: [] }];
  for (const { file: current, road } of queue) {
    for (const next of imports.get(current) ?? []) {
      if (next === target) return [...road, next];
      if (!seen.has(next)) {
        seen.add(next);
        queue.push({ file: next, road: [...road, next] });
      }
    }
  }
  return undefined;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const src = resolve(process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), '../src'));
  const wrong = findWrongImports(src);
  for (const sentence of wrong) console.error(sentence);
  process.exitCode = wrong.length === 0 ? 0 : 1;
}
