// An initramfs out of files in memory, and the kernel modules that it needs, in the order in which they can be loaded.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** The format "newc" of cpio (kernel Documentation/driver-api/early-userspace/buffer-format.rst): a header in hexadecimal, name, content. */
function cpio(entries) {
  const pad = (buffer) => Buffer.concat([buffer, Buffer.alloc(-buffer.length & 3)]);
  const chunks = entries.flatMap(([name, mode, content], index) => {
    const fields = [index + 1, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, Buffer.byteLength(name) + 1, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`;
    return [pad(Buffer.from(header)), pad(content)];
  });
  return Buffer.concat(chunks);
}

const nothing = Buffer.alloc(0);
const directory = (name) => [name, 0o40755, nothing];
const program = (name, content) => [name, 0o100755, content];
const link = (name, target) => [name, 0o120777, Buffer.from(target)];

/** Every path is one of its root; `modules` are [file name, content] in the order of loading. */
export function packInitramfs({ init, agent, busybox, settings, modules }) {
  const applets = ['sh', 'cp', 'hostname', 'insmod', 'ip', 'ln', 'mkdir', 'mount', 'rm', 'switch_root', 'uname'];
  return cpio([
    ...['bin', 'dev', 'lower', 'modules', 'proc', 'root', 'sys', 'upper'].map(directory),
    program('init', init),
    program('agent', agent),
    program('bin/busybox', busybox),
    ...applets.map((applet) => link(`bin/${applet}`, 'busybox')),
    program('settings', settings),
    ...modules.map(([name, content]) => program(`modules/${name}`, content)),
    program('modules/order', Buffer.from(modules.map(([name]) => `${name}\n`).join(''))),
    ['TRAILER!!!', 0, nothing],
  ]);
}

/**
 * Modules and all that they depend on, dependencies first. What is built into the kernel is left out.
 * @param directory A kernel's directory of modules, with modules.dep (depmod) and modules.builtin.
 */
export function kernelModules(directory, wanted) {
  const nameOf = (path) =>
    basename(path)
      .replace(/\.ko(\.[a-z0-9]+)?$/, '')
      .replaceAll('-', '_');
  const lines = (file) => readFileSync(join(directory, file), 'utf8').trim().split('\n');
  const builtin = new Set(lines('modules.builtin').map(nameOf));
  const known = new Map(
    lines('modules.dep').map((line) => {
      const [path, ...needs] = line.split(/:? /);
      return [nameOf(path.replace(/:$/, '')), { path: path.replace(/:$/, ''), needs }];
    }),
  );
  const order = new Map();
  const add = (name) => {
    if (order.has(name) || builtin.has(name)) return;
    const module = known.get(name);
    if (module === undefined) throw new Error(`the kernel of ${directory} has no module ${name}`);
    for (const path of module.needs) add(nameOf(path));
    order.set(name, [`${name}.ko`, plain(join(directory, module.path))]);
  };
  for (const name of wanted) add(name);
  return [...order.values()];
}

const decompressors = { xz: 'xz', zst: 'zstd', gz: 'gzip' };

function plain(path) {
  const program = decompressors[path.split('.').at(-1)];
  return program === undefined ? readFileSync(path) : execFileSync(program, ['-dc', path], { maxBuffer: 1 << 26 });
}
