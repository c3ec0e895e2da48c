// npm run build: both forms of tsrun.
//   tables -> C and TypeScript (generate.mjs) -> dist/*.js (tsc) -> one bundle (esbuild) -> bytecode -> dist/tsrun
// Without QuickJS only the Node form is built, and that is said.
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { coldEntries, coldModules, keepApart, shared } from './cold.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);

const run = (command, ...args) => execFileSync(command, args, { stdio: 'inherit' });
const node = (...args) => run(process.execPath, ...args);

/** Where the set-up script put QuickJS: {include, lib}, or undefined. */
function findQuickJs() {
  const prefixes = [];
  if (existsSync('.cache/quickjs/prefix')) prefixes.push(readFileSync('.cache/quickjs/prefix', 'utf8').trim());
  prefixes.push('/usr', '/usr/local');
  for (const prefix of prefixes) {
    const include = join(prefix, 'include/quickjs');
    const triplet = execFileSync('gcc', ['-dumpmachine'], { encoding: 'utf8' }).trim();
    for (const folder of [join(prefix, 'lib', triplet, 'quickjs'), join(prefix, 'lib/quickjs')]) {
      const lib = join(folder, 'libquickjs.a');
      if (existsSync(lib) && existsSync(join(include, 'quickjs.h'))) return { include, lib };
    }
  }
  return undefined;
}

function compileTypeScript() {
  const version = JSON.parse(readFileSync('package.json', 'utf8')).version;
  let commit = 'unknown';
  try {
    commit = execFileSync('git', ['rev-parse', '--short=12', 'HEAD'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    // a source tree without its history: the version alone has to do
  }
  const text = `export const version = '${version}';\nexport const commit = '${commit}';\n`;
  if (!existsSync('src/version.gen.ts') || readFileSync('src/version.gen.ts', 'utf8') !== text)
    writeFileSync('src/version.gen.ts', text);
  run('node_modules/.bin/tsc', '-p', '.');
}

function configure(quickjs) {
  const gyp =
    process.env.npm_config_node_gyp ??
    join(execFileSync('npm', ['root', '-g'], { encoding: 'utf8' }).trim(), 'npm/node_modules/node-gyp/bin/node-gyp.js');
  const prefix = join(process.execPath, '../..');
  const headers = existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : [];
  const defines =
    quickjs === undefined ? [] : ['--', `-Dquickjs_include=${quickjs.include}`, `-Dquickjs_lib=${quickjs.lib}`];
  execFileSync(process.execPath, [gyp, 'configure', '--silent', ...headers, ...defines], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

const make = (...targets) => run('make', '--no-print-directory', '-s', '-C', 'build', 'BUILDTYPE=Release', ...targets);

/** Renamed into place: the one that is there may be running, or mapped, at this moment. */
function install(name) {
  copyFileSync(join('build/Release', name), join('dist', `.${name}`));
  renameSync(join('dist', `.${name}`), join('dist', name));
}

/** The bundle as ES modules: what every verb needs at once, the rest in chunks that are read when they are called for. */
async function bundle() {
  const { build } = await import('esbuild');
  rmSync('build/bundle', { recursive: true, force: true });
  const options = {
    outdir: 'build/bundle',
    bundle: true,
    format: 'esm',
    target: 'es2022',
    minify: true,
    legalComments: 'none',
    logLevel: 'warning',
  };
  await build({
    ...options,
    entryPoints: { tsrun: 'src/cli/tsrun.ts', ...shared },
    splitting: true,
    plugins: [coldModules],
  });
  // By itself: what the two share, in one bundle, would be cut out of the chunks of the hot road.
  await build({
    ...options,
    entryPoints: { shim: 'src/shim/main.ts' },
    chunkNames: 'shim-[hash]',
    splitting: true,
    plugins: [keepApart, coldModules],
  });
  await build({ ...options, entryPoints: coldEntries, plugins: [keepApart, coldModules] });
  const names = readdirSync('build/bundle').sort((a, b) => Number(b === 'tsrun.js') - Number(a === 'tsrun.js'));
  for (const name of names)
    run('build/Release/tsrun-compile', name, join('build/bundle', name), join('build/bundle', `${name}.qbc`));
  node(
    'scripts/embed.mjs',
    '--table',
    'native/gen/modules.gen.S',
    ...names.map((name) => `${name}=build/bundle/${name}.qbc`),
  );
}

node('scripts/generate.mjs');
compileTypeScript();
const quickjs = findQuickJs();
if (!existsSync('native/gen/modules.gen.S')) writeFileSync('native/gen/modules.gen.S', '');
configure(quickjs);
mkdirSync('dist', { recursive: true });
make('tsrun_addon');
install('tsrun.node');
if (quickjs === undefined) {
  console.log('libquickjs is not here: built the Node form only (dist/cli.js). See scripts/setup.');
} else {
  make('tsrun-compile');
  await bundle();
  make('tsrun-static');
  install('tsrun');
  rmSync('dist/containerd-shim-tsrun-v2', { force: true });
  linkSync('dist/tsrun', 'dist/containerd-shim-tsrun-v2');
}
