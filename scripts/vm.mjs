// The host side of scripts/vm, which says how to use it: packs an initramfs, starts QEMU, and talks to the agent in the
// machine (test/machine/agent.c, whose first comment describes the frames).
import { spawn, spawnSync } from 'node:child_process';
import {
  accessSync,
  closeSync,
  constants as access,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { architectures, cacheOf, here } from './architectures.mjs';
import { compileStatic, prepareCheckout } from './foreign.mjs';
import { kernelModules, packInitramfs } from './initramfs.mjs';

const project = realpathSync(join(dirname(fileURLToPath(import.meta.url)), '..'));
const bootSeconds = 120;
const stdinWindow = 65536;
// Descriptors that QEMU inherits.
const portFd = 3;
const initramfsFd = 4;

const machines = {
  amd64: { qemu: 'qemu-system-x86_64', machine: 'q35', cpu: { tcg: 'max', kvm: 'max' }, console: 'ttyS0' },
  arm64: {
    qemu: 'qemu-system-aarch64',
    machine: 'virt,gic-version=3',
    // The architected algorithm of pointer authentication takes an emulator half of its time.
    cpu: { tcg: 'max,pauth-impdef=on', kvm: 'max' },
    console: 'ttyAMA0',
  },
};

function fail(message, code = 125) {
  console.error(`vm: ${message}`);
  process.exit(code);
}

// --- command line --------------------------------------------------------------------------------------------------------

const { values: options, positionals: command } = parseArgs({
  options: {
    arch: { type: 'string', default: here },
    systemd: { type: 'boolean', default: false },
    out: { type: 'string' },
    cpus: { type: 'string', default: '2' },
    memory: { type: 'string', default: '3072' },
    timeout: { type: 'string' },
    console: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const isForeign = options.arch !== here;
const { qemu, machine, cpu, console: serial } = machines[options.arch] ?? fail(`no machine for ${options.arch}`);
if (isForeign && options.arch !== 'arm64')
  fail(`--arch ${options.arch}: only ${architectures[options.arch].machine} has that`);
if (isForeign && options.systemd) fail(`--systemd: the machine of --arch ${options.arch} has none`);
for (const name of ['cpus', 'memory', 'timeout']) {
  if (options[name] !== undefined && !(Number(options[name]) > 0)) fail(`--${name} ${options[name]} is not a number`);
}
if (options.out !== undefined) mkdirSync(options.out, { recursive: true });
const out = options.out === undefined ? '' : realpathSync(options.out);

// --- what it is started from -------------------------------------------------------------------------------------------

const cache = join(project, isForeign ? cacheOf(options.arch) : '.cache/vm');
// What the machine sees at its root, and of another architecture over the checkout.
const files = join(cache, 'machine');
const modules = realpathSync(join(cache, 'kernel/modules'));

const compressions = [
  { magic: Buffer.from('fd377a585a00', 'hex'), unpack: ['xz', '-dc', '--single-stream'] },
  { magic: Buffer.from('28b52ffd', 'hex'), unpack: ['zstd', '-dc'] },
  { magic: Buffer.from('1f8b08', 'hex'), unpack: ['gzip', '-dc'] },
];

/** Unpacked once here, it need not unpack itself at each start, which takes half the time of a boot. */
function unpackedKernel() {
  const [packed, unpacked] = ['vmlinuz', 'vmlinux'].map((name) => join(cache, 'kernel', name));
  if (existsSync(unpacked)) return unpacked;
  const image = readFileSync(packed);
  // One for arm64 is no program that unpacks itself (kernel Documentation/arch/arm64/booting.rst).
  if (image.toString('latin1', 56, 60) === 'ARM\x64') return packed;
  for (const { magic, unpack } of compressions) {
    const input = image.subarray(Math.max(image.indexOf(magic), 0));
    const { stdout } = spawnSync(unpack[0], unpack.slice(1), { input, maxBuffer: 1 << 29 });
    if (stdout?.subarray(1, 4).toString() !== 'ELF') continue;
    writeFileSync(`${unpacked}.${process.pid}`, stdout);
    renameSync(`${unpacked}.${process.pid}`, unpacked);
    return unpacked;
  }
  return packed;
}

const shellQuoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

function makeInitramfs() {
  const yesOrNo = (answer) => (answer ? 'yes' : 'no');
  const settings = { checkout: project, modules, out, systemd: yesOrNo(options.systemd), foreign: yesOrNo(isForeign) };
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${shellQuoted(value)}\n`);
  return packInitramfs({
    init: readFileSync(join(project, 'test/machine/init')),
    agent: readFileSync(compileStatic(options.arch, join(project, 'test/machine/agent.c'), join(cache, 'agent'))),
    busybox: readFileSync(join(isForeign ? join(files, 'root') : '/', 'bin/busybox')),
    settings: Buffer.from(lines.join('')),
    modules: kernelModules(modules, ['virtio_pci', 'virtio_console', '9p', '9pnet_virtio', 'overlay']),
  });
}

// --- QEMU --------------------------------------------------------------------------------------------------------------

const share = (tag, path, more) => [
  '-fsdev',
  `local,id=${tag},path=${path.replaceAll(',', ',,')},security_model=none,multidevs=remap${more}`,
  '-device',
  `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`,
];

function qemuArguments(accel) {
  return [
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
    ...['-machine', machine, '-accel', accel === 'tcg' ? 'tcg,thread=multi' : accel],
    ...['-cpu', cpu[accel] ?? 'max', '-smp', options.cpus, '-m', options.memory],
    ...['-kernel', unpackedKernel(), '-initrd', `/proc/self/fd/${initramfsFd}`],
    '-append',
    `console=${serial} panic=-1 tsc=reliable ${options.console ? '' : 'quiet'}`,
    ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    ...['-chardev', `socket,id=port,fd=${portFd}`],
    ...['-device', 'virtio-serial-pci', '-device', 'virtserialport,chardev=port,name=agent'],
    ...share('host', isForeign ? files : '/', ',readonly=on'),
    ...(isForeign ? share('checkout', project, ',readonly=on') : []),
    ...(out === '' ? [] : share('out', out, '')),
    ...['-device', 'virtio-rng-pci'],
  ];
}

let qemuProcess;
let emulated = false;
let lastWords = '';

/** A machine whose agent is ready, as the stream to it; undefined if it is not within `seconds`. */
function boot(accel, seconds) {
  emulated = accel === 'tcg';
  // Whatever ends this script ends the machine.
  const [program, ...args] = ['setpriv', '--pdeathsig', 'KILL', qemu, ...qemuArguments(accel)];
  const initramfs = openInitramfs();
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe', 'pipe', initramfs], detached: true });
  closeSync(initramfs);
  qemuProcess = child;
  lastWords = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => {
      if (options.console) process.stderr.write(data);
      else lastWords = `${lastWords}${data}`.slice(-4000);
    });
  }
  const port = child.stdio[portFd];
  port.on('error', () => {}); // its end is what counts
  return new Promise((resolve) => {
    const end = (answer) => {
      clearTimeout(limit);
      if (answer === undefined) child.kill('SIGKILL');
      resolve(answer);
    };
    const limit = setTimeout(() => end(undefined), seconds * 1000);
    child.once('error', (error) => fail(`${program}: ${error.message}`));
    child.once('exit', () => end(undefined));
    port.once('readable', () => end(port.readableLength > 0 ? port : undefined)); // or its end
  });
}

/** The file has no name any more when QEMU opens it, so that nobody has to remove it. */
function openInitramfs() {
  const path = join(mkdtempSync(join(tmpdir(), 'tsrun-vm-')), 'initramfs');
  writeFileSync(path, makeInitramfs());
  const fd = openSync(path, 'r');
  rmSync(dirname(path), { recursive: true });
  return fd;
}

// /dev/kvm can be there and not start a machine; that takes a while to find out, so it is known until the next boot.
async function bootSomehow() {
  const forced = process.env['TSRUN_VM_ACCEL'];
  if (forced !== undefined || isForeign) return boot(isForeign ? 'tcg' : forced, bootSeconds);
  const answers = join(cache, 'accel');
  const thisBoot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const [at, answer] = existsSync(answers) ? readFileSync(answers, 'utf8').split(' ') : [];
  const known = at === thisBoot ? answer : undefined;
  if (known !== 'tcg' && kvmIsOpen()) {
    const port = await boot('kvm', known === 'kvm' ? bootSeconds : 10);
    if (known === undefined) writeFileSync(answers, `${thisBoot} ${port === undefined ? 'tcg' : 'kvm'}`);
    if (port !== undefined || known === 'kvm') return port;
  }
  return boot('tcg', bootSeconds);
}

function kvmIsOpen() {
  try {
    accessSync('/dev/kvm', access.R_OK | access.W_OK);
    return true;
  } catch {
    return false;
  }
}

// --- the command ---------------------------------------------------------------------------------------------------------

function request(terminal) {
  const shell = isForeign ? '/bin/bash' : (process.env['SHELL'] ?? '/bin/sh');
  const args = command.length > 0 ? command : [isForeign || existsSync(shell) ? shell : '/bin/sh'];
  const passed = Object.entries({
    TSRUN_TEST_SLOWNESS: emulated ? '4' : '1',
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/root',
    ...process.env,
  }).filter(([name]) => ['PATH', 'HOME', 'TERM', 'LANG'].includes(name) || name.startsWith('TSRUN_'));
  const words = [
    terminal ? 't' : '',
    workingDirectory(),
    args.length,
    ...args,
    ...passed.map((pair) => pair.join('=')),
  ];
  return Buffer.from(words.map((word) => `${word}\0`).join(''));
}

// The machine has its own /run and /tmp; one of another architecture has nothing of the host but the checkout.
function workingDirectory() {
  const from = process.cwd();
  const isCovered = ['/run', '/tmp', '/proc', '/sys', '/dev'].some((path) => `${from}/`.startsWith(`${path}/`));
  const isShared = [project, out].some((path) => path !== '' && `${from}/`.startsWith(`${path}/`));
  return (isCovered || isForeign) && !isShared ? '/' : from;
}

function sender(port) {
  return (kind, content = Buffer.alloc(0)) => {
    const head = Buffer.alloc(5, kind);
    head.writeUInt32LE(content.length, 1);
    port.write(Buffer.concat([head, content]));
  };
}

function passInput(send) {
  let inFlight = 0;
  process.stdin.on('readable', more);
  process.stdin.on('end', () => send('I'));
  process.stdin.on('error', () => send('I'));
  function more() {
    while (inFlight < stdinWindow && process.stdin.readableLength > 0) {
      const data = process.stdin.read(Math.min(stdinWindow - inFlight, process.stdin.readableLength));
      if (data === null) break;
      inFlight += data.length;
      send('I', data);
    }
    if (process.stdin.readableLength === 0) process.stdin.read(0);
  }
  return (taken) => {
    inFlight -= taken;
    more();
  };
}

function passSignals(send, terminal) {
  let interrupts = 0;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2']) {
    process.on(name, () => {
      if (name === 'SIGINT') interrupts += 1;
      if (interrupts > 1) finish(128 + constants.signals.SIGINT);
      send('S', Buffer.from([constants.signals[name]]));
    });
  }
  if (!terminal) return;
  const size = () => {
    const window = Buffer.alloc(4);
    window.writeUInt16LE(process.stdout.rows, 0);
    window.writeUInt16LE(process.stdout.columns, 2);
    send('W', window);
  };
  process.stdout.on('resize', size);
  process.stdin.setRawMode(true);
  size();
}

/** Calls back with each whole frame; what it returns, if anything, is waited for before the next. */
async function readFrames(port, onFrame) {
  let left = Buffer.alloc(0);
  for await (const data of port) {
    left = Buffer.concat([left, data]);
    while (left.length >= 5 && left.length >= 5 + left.readUInt32LE(1)) {
      const end = 5 + left.readUInt32LE(1);
      await onFrame(String.fromCharCode(left[0]), left.subarray(5, end));
      left = left.subarray(end);
    }
  }
}

const written = (stream, data) => new Promise((resolve) => stream.write(data, resolve));

let finished = false;
function finish(code) {
  if (finished) return;
  finished = true;
  if (process.stdin.isRaw) process.stdin.setRawMode(false);
  if (qemuProcess === undefined || qemuProcess.exitCode !== null || qemuProcess.signalCode !== null) process.exit(code);
  qemuProcess.once('exit', () => process.exit(code));
  qemuProcess.kill('SIGKILL');
}

function died() {
  if (finished) return;
  console.error(`vm: the machine ended before the command did\n${lastWords}`);
  finish(125);
}

for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'])
  process.once(name, () => finish(128 + constants.signals[name]));
let port;
try {
  if (isForeign) prepareCheckout(options.arch, join(files, 'checkout'));
  port = await bootSomehow();
} catch (error) {
  fail(error.message);
}
if (port === undefined) died();
else {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']) process.removeAllListeners(name);
  if (options.timeout !== undefined) {
    setTimeout(() => {
      console.error(`vm: not done after ${options.timeout} s`);
      finish(124);
    }, Number(options.timeout) * 1000);
  }
  const terminal = process.stdin.isTTY === true && process.stdout.isTTY === true && process.stderr.isTTY === true;
  const send = sender(port);
  send('R', request(terminal));
  passSignals(send, terminal);
  const taken = passInput(send);
  await readFrames(port, (kind, content) => {
    if (kind === 'O') return written(process.stdout, content);
    if (kind === 'E') return written(process.stderr, content);
    if (kind === 'A') taken(content.readUInt32LE(0));
    if (kind === 'X') finish(content[0]);
    return undefined;
  });
  died();
}
