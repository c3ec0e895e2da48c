// What lies over the checkout in a machine of another architecture: at the path of each program that has to be of its kind,
// that program, or a link to where the build puts it. Their time says whether they are up to date, as everywhere.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, renameSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { toolFor } from './architectures.mjs';

const project = join(dirname(fileURLToPath(import.meta.url)), '..');

/** The path of a static program made of one file of C. */
export function compileStatic(architecture, source, program) {
  if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) return program;
  mkdirSync(dirname(program), { recursive: true });
  const unfinished = `${program}.${process.pid}`;
  const options = ['-static', '-O2', '-Wall', '-Wextra', '-o', unfinished, source];
  const { status, stderr, error } = spawnSync(toolFor(architecture, 'gcc'), options, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`cannot compile ${source}\n${error?.message ?? stderr}`);
  renameSync(unfinished, program);
  return program;
}

function link(path, target) {
  mkdirSync(dirname(path), { recursive: true });
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) symlinkSync(target, path);
}

export function prepareCheckout(architecture, directory) {
  for (const name of ['tsrun', 'tsrun.node']) link(join(directory, 'dist', name), join(architecture, name));
  for (const name of ['tsrun-compile', 'tsrun-init'])
    link(join(directory, 'build/Release', name), join('..', architecture, 'build/Release', name));
  for (const name of ['probe', 'load'])
    compileStatic(architecture, join(project, `test/probe/${name}.c`), join(directory, '.cache/test', name));
  execFileSync(join(project, 'scripts/bundles'), [toolFor(architecture, 'gcc'), directory], { stdio: 'inherit' });
}
