// npm run build: both forms of tsrun. With --arch arm64, on another machine: dist/arm64, with the native parts of both forms.
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
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { architectures, cacheOf, checkArchitecture, here, toolFor } from './architectures.mjs';
import { coldEntries, coldModules, keepApart, shared } from './cold.mjs';
import { checkSameBytecode } from './same-bytecode.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);

const run = (command, ...args) => execFileSync(command, args, { stdio: 'inherit' });
const node = (...args) => run(process.execPath, ...args);

const { values: options } = parseArgs({ options: { arch: { type: 'string', default: here } } });

/** Where the set-up script unpacks libraries of another architecture. */
const sysroot = (architecture) => resolve(cacheOf(architecture), 'sysroot/usr');

/** Where the set-up script put QuickJS: {include, lib}, or undefined. */
function findQuickJs(architecture) {
  const prefixes = ['/usr', '/usr/local'];
  if (architecture !== here) prefixes.splice(0, 2, sysroot(architecture));
  else if (existsSync('.cache/quickjs/prefix')) prefixes.unshift(readFileSync('.cache/quickjs/prefix', 'utf8').trim());
  const triplet = execFileSync(toolFor(architecture, 'gcc'), ['-dumpmachine'], { encoding: 'utf8' }).trim();
  for (const prefix of prefixes) {
    const include = join(prefix, 'include/quickjs');
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

/**
 * node-gyp makes its directory `build` beside binding.gyp and nowhere else: another architecture gets a directory of links to
 * what binding.gyp names.
 */
function treeOf(architecture) {
  if (architecture === here) return '.';
  const tree = join('build', architecture);
  mkdirSync(tree, { recursive: true });
  for (const name of ['binding.gyp', 'native', 'scripts'])
    if (!existsSync(join(tree, name))) symlinkSync(resolve(name), join(tree, name));
  return tree;
}

function configure(architecture, quickjs) {
  const gyp =
    process.env.npm_config_node_gyp ??
    join(execFileSync('npm', ['root', '-g'], { encoding: 'utf8' }).trim(), 'npm/node_modules/node-gyp/bin/node-gyp.js');
  const prefix = join(process.execPath, '../..');
  const headers = existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : [];
  const defines =
    quickjs === undefined ? [] : ['--', `-Dquickjs_include=${quickjs.include}`, `-Dquickjs_lib=${quickjs.lib}`];
  const arch = `--arch=${architectures[architecture].node}`;
  execFileSync(process.execPath, [gyp, 'configure', '--silent', arch, ...headers, ...defines], {
    stdio: ['ignore', 'ignore', 'inherit'],
    cwd: treeOf(architecture),
    env: { ...process.env, ...toolchain(architecture) },
  });
}

const toolchain = (architecture) =>
  architecture === here
    ? {}
    : {
        CC: toolFor(architecture, 'gcc'),
        CXX: toolFor(architecture, 'g++'),
        AR: toolFor(architecture, 'ar'),
        CPPFLAGS: `-isystem ${sysroot(architecture)}/include`,
        LDFLAGS: `-L${sysroot(architecture)}/lib/${architectures[architecture].triplet}`,
      };

const make = (architecture, ...targets) =>
  execFileSync(
    'make',
    ['--no-print-directory', '-s', '-C', join(treeOf(architecture), 'build'), 'BUILDTYPE=Release', ...targets],
    { stdio: 'inherit', env: { ...process.env, ...toolchain(architecture) } },
  );

/** Renamed into place: the one that is there may be running, or mapped, at this moment. */
function install(architecture, name) {
  const folder = architecture === here ? 'dist' : join('dist', architecture);
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(treeOf(architecture), 'build/Release', name), join(folder, `.${name}`));
  renameSync(join(folder, `.${name}`), join(folder, name));
}

/** The same program under the name by which it is containerd's shim. */
function nameShim(architecture) {
  const folder = architecture === here ? 'dist' : join('dist', architecture);
  const shim = join(folder, 'containerd-shim-tsrun-v2');
  rmSync(shim, { force: true });
  linkSync(join(folder, 'tsrun'), shim);
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

function buildHere(quickjs) {
  make(here, 'tsrun_addon');
  install(here, 'tsrun.node');
  if (quickjs === undefined) {
    console.log('libquickjs is not here: built the Node form only (dist/cli.js). See scripts/setup.');
  } else {
    make(here, 'tsrun-static');
    install(here, 'tsrun');
    nameShim(here);
  }
}

/** Its bytecode is made by the engine of this machine. */
function buildFor(architecture, quickjs) {
  const theirs = findQuickJs(architecture);
  if (quickjs === undefined || theirs === undefined)
    throw new Error('another architecture is built for only where libquickjs is there for both; see scripts/setup');
  const release = checkSameBytecode(quickjs.lib, theirs.lib);
  console.log(`bytecode of QuickJS ${release} is the same for ${here} and ${architecture}`);
  configure(architecture, theirs);
  make(architecture, 'tsrun_addon', 'tsrun-compile', 'tsrun-static');
  for (const name of ['tsrun', 'tsrun.node', 'tsrun-init']) install(architecture, name);
  nameShim(architecture);
}

async function main() {
  checkArchitecture(options.arch);
  node('scripts/generate.mjs');
  compileTypeScript();
  const quickjs = findQuickJs(here);
  if (!existsSync('native/gen/modules.gen.S')) writeFileSync('native/gen/modules.gen.S', '');
  mkdirSync('dist', { recursive: true });
  configure(here, quickjs);
  if (quickjs !== undefined) {
    make(here, 'tsrun-compile');
    await bundle();
  }
  if (options.arch === here) buildHere(quickjs);
  else buildFor(options.arch, quickjs);
}

try {
  await main();
} catch (error) {
  console.error(`build: ${error.message}`);
  process.exitCode = 1;
}
