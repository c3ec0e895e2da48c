// npm run bench [-- --runs N] [-- --profile] [-- --strict]: one table of tsrun beside runc and crun, from one run on this
// host. TSRUN, RUNC and CRUN name other binaries. Run through scripts/in-unified-cgroup.
import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { throughContainerd } from './bench-containerd.mjs';
import { measureImages } from './bench-images.mjs';

const project = join(dirname(fileURLToPath(import.meta.url)), '..');
const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '40' },
    profile: { type: 'boolean', default: false },
    strict: { type: 'boolean', default: false },
  },
});
const runs = Number(options.runs);
const warmup = 3;
const atOnce = 20;

function fail(message) {
  console.error(`bench: ${message}`);
  process.exit(1);
}

// --- contenders --------------------------------------------------------------------------------------------------------

if (process.geteuid() !== 0) fail('needs root');
// In a mount namespace of its own, where it may mount what the host must not see.
if (process.env.TSRUN_BENCH_INSIDE === undefined) {
  const { status, error } = spawnSync('unshare', ['--mount', '--propagation', 'private', ...process.argv], {
    stdio: 'inherit',
    env: { ...process.env, TSRUN_BENCH_INSIDE: 'yes' },
  });
  if (error !== undefined) fail(`unshare: ${error.message}`);
  process.exit(status ?? 1);
}
if (!(runs >= 1)) fail(`--runs ${options.runs} is not a number of runs`);
if (
  process.env.TSRUN === undefined &&
  spawnSync(join(project, 'scripts/build'), ['--if-stale'], { stdio: 'inherit' }).status !== 0
) {
  fail('the build failed');
}

const findProgram = (name) =>
  (process.env.PATH ?? '')
    .split(delimiter)
    .map((dir) => join(dir, name))
    .find((path) => existsSync(path));

const contenders = [
  { name: 'tsrun', program: process.env.TSRUN ?? join(project, 'dist/tsrun') },
  { name: 'runc', program: process.env.RUNC ?? findProgram('runc') },
  { name: 'crun', program: process.env.CRUN ?? findProgram('crun') },
].filter(({ name, program }) => {
  if (program !== undefined && existsSync(program)) return true;
  if (name === 'tsrun') fail(`${program} does not exist; the build says why`);
  console.log(`note: ${name} is not installed, so its column is missing`);
  return false;
});

// --- bundles -----------------------------------------------------------------------------------------------------------

const scratch = mkdtempSync(join(tmpdir(), 'tsrun-bench-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

function must(command, ...args) {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8', cwd: scratch });
  if (status !== 0) fail(`${command} ${args.join(' ')}: ${error?.message ?? stderr}`);
}

const rootfs = join(scratch, 'rootfs');
must(join(project, 'scripts/busybox-rootfs'), rootfs);
const stopwatch = join(project, '.cache/bench/stopwatch');
mkdirSync(dirname(stopwatch), { recursive: true });
must('gcc', '-O2', '-static', '-o', stopwatch, join(project, 'test/bench/stopwatch.c'));

const syscalls = join(rootfs, 'bin/syscalls');
must('gcc', '-O2', '-static', '-o', syscalls, join(project, 'test/bench/syscalls.c'));

// The filter's tools are TypeScript, and Node 20 reads none.
const { build } = await import('esbuild');
const filtersFile = join(project, '.cache/bench/filters.mjs');
await build({
  entryPoints: [join(project, 'test/bench/filters.ts')],
  outfile: filtersFile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  logLevel: 'warning',
});
const { defaultProfile, filterCosts, hasProfile, header } = await import(filtersFile);

// What every container has. Debian 12's crun takes no newer version, and its device filter needs CAP_SYS_RESOURCE: so no
// linux.resources.
const small = {
  ociVersion: '1.0.2',
  process: { user: { uid: 0, gid: 0 }, args: ['/bin/true'], env: ['PATH=/bin'], cwd: '/', noNewPrivileges: true },
  root: { path: rootfs, readonly: true },
  hostname: 'bench',
  mounts: [
    { destination: '/proc', type: 'proc', source: 'proc' },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
  ],
  linux: { namespaces: ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type })) },
};

// What `spec` writes: all its mounts, masked and read-only paths, capabilities and limits.
const hello = JSON.parse(readFileSync(join(project, 'bundles/hello/config.json'), 'utf8'));
const full = {
  ...hello,
  ociVersion: small.ociVersion,
  root: small.root,
  process: { ...hello.process, args: ['/bin/true'], env: ['PATH=/bin'] },
};
const sleeping = { ...full, process: { ...full.process, args: ['/bin/sleep', '1000'] } };

function bundle(name, config) {
  const dir = join(scratch, name);
  mkdirSync(dir);
  writeFileSync(join(dir, 'config.json'), JSON.stringify(config));
  return dir;
}
const bundles = { small: bundle('small', small), full: bundle('full', full), sleeping: bundle('sleeping', sleeping) };

const callCount = 1_000_000;
if (hasProfile('docker')) {
  const filtered = { ...full, linux: { ...full.linux, seccomp: defaultProfile('docker') } };
  bundles.filtered = bundle('filtered', filtered);
  bundles.calling = bundle('calling', {
    ...filtered,
    process: { ...filtered.process, args: ['/bin/syscalls', `${callCount}`] },
  });
} else {
  console.log("note: Docker's profile is not here, so its rows are missing; scripts/setup tests says why");
}

// Each contender has its own state root, and each container its own name on this host: cgroups are named after it.
const call = ({ name, program }, verb, ...args) => [program, '--root', join(scratch, 'state', name), verb, ...args];
const id = ({ name }, suffix) => `tsrun-bench-${process.pid}-${name}-${suffix}`;

// --- time --------------------------------------------------------------------------------------------------------------

const median = (numbers) => {
  const sorted = numbers.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
};

/** Runs a lane per contender in turns. For each of them the median of every figure that the stopwatch takes. */
function time(laneOf, rounds, among = contenders) {
  const lanes = among.flatMap((contender) => ['--', ...laneOf(contender)]);
  const { status, stdout, stderr } = spawnSync(stopwatch, [`${rounds}`, `${warmup}`, ...lanes], {
    encoding: 'utf8',
    cwd: scratch,
  });
  if (status !== 0) fail(`${stderr}${readFileSync(join(scratch, 'stopwatch.err'), 'utf8')}`);
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(' ').map(Number));
  return among.map((_, lane) => {
    const column = (index) => median(rows.filter((row) => row[0] === lane).map((row) => row[index]));
    return {
      ms: column(1) / 1e6,
      userMs: column(2) / 1e3,
      systemMs: column(3) / 1e3,
      rssMb: column(4) / 1024,
      faults: column(5),
    };
  });
}

const run = (dir) => (contender) => call(contender, 'run', '-b', dir, id(contender, 'run'));

const lifecycle = (contender) => {
  const [name, pidFile] = [id(contender, 'life'), join(scratch, `${contender.name}.pid`)];
  return [
    ...call(contender, 'create', '-b', bundles.small, '--pid-file', pidFile, name),
    ';',
    ...call(contender, 'start', name),
    ';',
    // A delete that comes before the process has ended makes runc wait 100 ms; that is not what is measured here.
    '@gone',
    pidFile,
    ';',
    ...call(contender, 'delete', name),
  ];
};

/** Only tsrun keeps what it has compiled: the others start anew each time. */
const cold = (contender) => [
  '@empty',
  join(scratch, 'state', contender.name, '.seccomp'),
  ';',
  ...run(bundles.filtered)(contender),
];

const many = (contender) => [
  '@times',
  `${atOnce}`,
  ...call(contender, 'run', '-b', bundles.small, id(contender, '%%')),
];

/** A further process in a container that runs meanwhile. */
function timeExec() {
  const quietly = (...words) => {
    const [command, ...args] = words;
    const { status } = spawnSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    if (status !== 0) fail(`${words.join(' ')}: exit ${status}`);
  };
  const name = (contender) => id(contender, 'exec');
  for (const contender of contenders)
    quietly(...call(contender, 'run', '--detach', '-b', bundles.sleeping, name(contender)));
  const result = time((contender) => call(contender, 'exec', name(contender), '/bin/true'), runs);
  for (const contender of contenders) quietly(...call(contender, 'delete', '--force', name(contender)));
  return result;
}

/** What a program in a container measures itself and prints: the median of its runs, contenders in turns. */
function printed(dir, rounds) {
  const values = contenders.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, contender] of contenders.entries()) {
      const [command, ...args] = run(dir)(contender);
      const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', cwd: scratch });
      if (status !== 0) fail(`${command} ${args.join(' ')}: exit ${status}: ${stderr}`);
      values[index].push(Number(stdout));
    }
  }
  return values.map(median);
}

// --- memory ------------------------------------------------------------------------------------------------------------

const numberIn = (file, pattern) => Number(pattern.exec(readFileSync(file, 'utf8'))?.[1] ?? Number.NaN);

function processes() {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        return [
          {
            pid: Number(name),
            parent: numberIn(`/proc/${name}/status`, /^PPid:\s*(\d+)/m),
            environment: readFileSync(`/proc/${name}/environ`, 'latin1'),
          },
        ];
      } catch {
        return []; // it ended meanwhile
      }
    });
}

function familyOf(pid, all) {
  const family = new Set([pid]);
  for (let size = 0; size !== family.size; ) {
    size = family.size;
    for (const { pid: child, parent } of all) if (family.has(parent)) family.add(child);
  }
  return family;
}

const pss = (pids) =>
  [...pids].reduce((sum, pid) => sum + numberIn(`/proc/${pid}/smaps_rollup`, /^Pss:\s*(\d+)/m), 0) / 1024;

// Whatever a contender leaves running, a monitor say, is known by this mark in its environment.
const marked = (contender) => `TSRUN_BENCH=${process.pid}-${contender.name}`;
const environmentOf = (contender) => ({ PATH: process.env.PATH, TSRUN_BENCH: marked(contender).split('=')[1] });
const markedBy = (contender, all) =>
  all.filter(({ environment }) => environment.split('\0').includes(marked(contender))).map(({ pid }) => pid);

/** All that stays in memory while a container is created: its processes, and what its runtime left to watch them. */
async function createdPss(contender) {
  const [name, pidFile] = [id(contender, 'created'), join(scratch, `${contender.name}.pid`)];
  const [command, ...args] = call(contender, 'create', '-b', bundles.sleeping, '--pid-file', pidFile, name);
  const { status } = spawnSync(command, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: environmentOf(contender),
  });
  if (status !== 0) fail(`${command} ${args.join(' ')}: exit ${status}`);
  await sleep(300);
  const all = processes();
  const measured = pss(new Set([...familyOf(Number(readFileSync(pidFile, 'utf8')), all), ...markedBy(contender, all)]));
  spawnSync(command, call(contender, 'delete', '--force', name).slice(1));
  return measured;
}

/** What a runtime itself keeps in memory while its container runs in the foreground; the container is not counted. */
async function foregroundPss(contender) {
  const [name, pidFile] = [id(contender, 'foreground'), join(scratch, `${contender.name}.foreground.pid`)];
  const [command, ...args] = call(contender, 'run', '-b', bundles.sleeping, '--pid-file', pidFile, name);
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'], env: environmentOf(contender) });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  for (let waited = 0; waited < 5000 && !existsSync(pidFile); waited += 10) await sleep(10);
  await sleep(300);
  if (child.exitCode !== null) fail(`${command} ${args.join(' ')}: exit ${child.exitCode}`);
  const all = processes();
  const pid = Number(readFileSync(pidFile, 'utf8'));
  const container = familyOf(pid, all);
  const measured = pss(
    [...familyOf(child.pid, all), ...markedBy(contender, all)].filter(
      (each, index, list) => !container.has(each) && list.indexOf(each) === index,
    ),
  );
  // Not through the contender: on a busy host crun does not find a container that it has just started.
  process.kill(pid, 'SIGKILL');
  await ended;
  return measured;
}

async function memory(measure, among = contenders) {
  const values = among.map(() => []);
  for (let round = 0; round < 3; round++) {
    for (const [index, contender] of among.entries()) values[index].push(await measure(contender));
  }
  return values.map(median);
}

// --- the table -----------------------------------------------------------------------------------------------------------

const milliseconds = (result) => result.map(({ ms }) => ms);
const rows = [];
const add = (name, unit, values) => rows.push({ name, unit, values });

add('run /bin/true', 'ms', milliseconds(time(run(bundles.small), runs)));
add('run /bin/true, all that spec writes', 'ms', milliseconds(time(run(bundles.full), runs)));
if (bundles.filtered !== undefined) {
  add("run /bin/true, Docker's profile", 'ms', milliseconds(time(run(bundles.filtered), runs)));
  const [tsrun] = time(cold, runs, contenders.slice(0, 1));
  add("run, Docker's profile not yet cached", 'ms', [tsrun.ms]);
}
add('create + start + delete', 'ms', milliseconds(time(lifecycle, runs)));
add('exec /bin/true', 'ms', milliseconds(timeExec()));
add(`${atOnce} containers at once`, 'ms', milliseconds(time(many, Math.max(3, Math.round(runs / 8)))));
if (bundles.calling !== undefined) add("getppid(2), Docker's profile", 'ns', printed(bundles.calling, 5));
rows.push(...(await throughContainerd({ scratch, rootfs, contenders, time, memory, runs, must })));
add('PSS, a created container', 'MB', await memory(createdPss));
add('PSS, a foreground run', 'MB', await memory(foregroundPss));
add(
  'size of the program',
  'MB',
  contenders.map(({ program }) => statSync(realpathSync(program)).size / 1024 / 1024),
);

const column = (name) => contenders.findIndex((contender) => contender.name === name);
const value = (row, name) => row.values[column(name)];
const ratio = (row, name) => value(row, 'tsrun') / value(row, name);
const figure = (number, unit) => (number === undefined ? '–' : `${number.toFixed(number < 10 ? 2 : 1)} ${unit}`);
const factor = (row, name) => (row.values[column(name)] === undefined ? '–' : ratio(row, name).toFixed(2));

function printTable(heads, lines) {
  const widths = heads.map((head, index) => Math.max(head.length, ...lines.map((line) => line[index].length)));
  const draw = (line) =>
    line.map((cell, index) => (index === 0 ? cell.padEnd(widths[index]) : cell.padStart(widths[index]))).join('  ');
  console.log(draw(heads));
  console.log(widths.map((width) => '─'.repeat(width)).join('  '));
  for (const line of lines) console.log(draw(line));
}

const versions = contenders.map(
  ({ program }) => spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout?.split('\n')[0],
);
console.log(`\nmedians of ${runs} interleaved runs; ${versions.join(', ')}\n`);
printTable(
  ['', ...contenders.map(({ name }) => name), 'tsrun/runc', 'tsrun/crun'],
  rows.map((row) => [
    row.name,
    ...contenders.map((_, index) => figure(row.values[index], row.unit)),
    factor(row, 'runc'),
    factor(row, 'crun'),
  ]),
);

// --- filters ---------------------------------------------------------------------------------------------------------------

const filters = existsSync(header)
  ? [
      { of: "Docker's default profile", costs: filterCosts('docker') },
      { of: "podman's default profile", costs: filterCosts('podman') },
    ].filter(({ costs }) => costs !== undefined)
  : [];
if (filters.length > 0) {
  console.log('\nBPF instructions per call, over all system calls of x86_64\n');
  printTable(
    ['', 'tsrun mean', 'worst', 'program', 'libseccomp mean', 'worst', 'program', 'mean tsrun/libseccomp'],
    filters.map(({ of, costs: { ours, libseccomp } }) => [
      of,
      ...[ours, libseccomp].flatMap(({ mean, worst, size }) => [mean.toFixed(1), `${worst}`, `${size}`]),
      (ours.mean / libseccomp.mean).toFixed(2),
    ]),
  );
} else {
  console.log('\nnote: no profile, or no libseccomp to compare with, is installed: instructions are not counted');
}

// --- images ----------------------------------------------------------------------------------------------------------------

/** One turn of one lane. */
function once(lane) {
  const { status, stdout, stderr } = spawnSync(stopwatch, ['1', '0', '--', ...lane], {
    encoding: 'utf8',
    cwd: scratch,
  });
  if (status !== 0) fail(`${stderr}${readFileSync(join(scratch, 'stopwatch.err'), 'utf8')}`);
  const [, nanoseconds, , , rss] = stdout.trim().split(' ').map(Number);
  return { ms: nanoseconds / 1e6, rssMb: rss / 1024 };
}

const images = measureImages({
  tsrun: contenders[0].program,
  scratch,
  cache: join(project, '.cache/bench'),
  find: findProgram,
  once,
  median,
});
if (images !== undefined) {
  const { bytes, time: timeOf, rss } = images;
  const seconds = (name) => figure(timeOf(name) / 1000, 's');
  console.log(
    `\na Debian root of ${Math.round(bytes / 1e6)} MB in one layer, unpacked in ${images.rounds} interleaved rounds\n`,
  );
  printTable(
    ['', 'tsrun', 'umoci', 'tsrun/umoci'],
    [
      ['gzip', seconds('gzip'), seconds('umoci'), (timeOf('gzip') / timeOf('umoci')).toFixed(2)],
      [
        'gzip, largest RSS',
        figure(rss('gzip'), 'MB'),
        figure(rss('umoci'), 'MB'),
        (rss('gzip') / rss('umoci')).toFixed(2),
      ],
      ['zstd', seconds('zstd'), '–', '–'],
      ['zstd, largest RSS', figure(rss('zstd'), 'MB'), '–', '–'],
      ['a further container of it', figure(timeOf('again'), 'ms'), '–', '–'],
    ],
  );
}

// --- where tsrun's time goes -----------------------------------------------------------------------------------------------

function profile() {
  const costs = time(run(bundles.full), runs);
  console.log('\none run of the full bundle, runtime and container together\n');
  printTable(
    ['', ...contenders.map(({ name }) => name)],
    [
      ['time', ...costs.map(({ ms }) => figure(ms, 'ms'))],
      ['on the CPU, user', ...costs.map(({ userMs }) => figure(userMs, 'ms'))],
      ['on the CPU, kernel', ...costs.map(({ systemMs }) => figure(systemMs, 'ms'))],
      ['largest RSS', ...costs.map(({ rssMb }) => figure(rssMb, 'MB'))],
      ['page faults', ...costs.map(({ faults }) => `${faults}`)],
    ],
  );
  if (findProgram('strace') === undefined)
    return console.log('\nnote: strace is not installed, so system calls are not counted');
  for (const contender of contenders) {
    const out = join(scratch, 'strace');
    const { status } = spawnSync(
      'strace',
      ['-f', '-c', '-S', 'calls', '-U', 'calls,errors,name', '-o', out, ...run(bundles.full)(contender)],
      { stdio: 'ignore' },
    );
    console.log(`\n${contender.name}: system calls${status === 0 ? '' : ` (exit ${status} under strace)`}\n`);
    const lines = readFileSync(out, 'utf8').trimEnd().split('\n');
    console.log([...lines.slice(0, 14), lines.at(-1)].join('\n'));
  }
}
if (options.profile) profile();

// --- limits ----------------------------------------------------------------------------------------------------------------

const row = (name) => rows.find((candidate) => candidate.name.startsWith(name));
const ctrRuns = (peer) =>
  rows.filter(({ name, values }) => name.startsWith('ctr run') && values[column(peer)] !== undefined);
const limits = [
  { text: 'run /bin/true at most 0.45 of runc', of: 'runc', met: () => ratio(row('run /bin/true'), 'runc') <= 0.45 },
  { text: 'run /bin/true no more than crun', of: 'crun', met: () => ratio(row('run /bin/true'), 'crun') <= 1 },
  { text: 'exec no more than runc', of: 'runc', met: () => ratio(row('exec'), 'runc') <= 1 },
  { text: 'create + start + delete no more than crun', of: 'crun', met: () => ratio(row('create'), 'crun') <= 1 },
  {
    text: "run with Docker's profile no more than crun",
    of: 'crun',
    measured: bundles.filtered !== undefined,
    met: () => ratio(row("run /bin/true, Docker's"), 'crun') <= 1,
  },
  {
    text: "a filter's mean instructions at most a quarter of libseccomp's",
    of: 'tsrun',
    measured: filters.length > 0,
    met: () => filters.every(({ costs: { ours, libseccomp } }) => ours.mean <= libseccomp.mean / 4),
  },
  {
    text: 'a created container at most 0.3 MB PSS',
    of: 'tsrun',
    met: () => value(row('PSS, a created'), 'tsrun') <= 0.3,
  },
  { text: 'a foreground run at most 4 MB PSS', of: 'tsrun', met: () => value(row('PSS, a foreground'), 'tsrun') <= 4 },
  {
    text: "ctr run at most 0.5 of runc through containerd's shim",
    of: 'runc',
    measured: ctrRuns('runc').length > 0,
    met: () => ctrRuns('runc').every((each) => ratio(each, 'runc') <= 0.5),
  },
  {
    text: "ctr run at most 0.65 of crun through containerd's shim",
    of: 'crun',
    measured: ctrRuns('crun').length > 0,
    met: () => ctrRuns('crun').every((each) => ratio(each, 'crun') <= 0.65),
  },
  {
    text: "ctr task exec at most 0.4 of runc through containerd's shim",
    of: 'runc',
    measured: row('ctr task exec') !== undefined,
    met: () => ratio(row('ctr task exec'), 'runc') <= 0.4,
  },
  {
    text: 'the shim of a pod at most 6 MB RSS',
    of: 'tsrun',
    measured: row('RSS, the shim') !== undefined,
    met: () => value(row('RSS, the shim'), 'tsrun') <= 6,
  },
  { text: 'dist/tsrun at most 5 MB', of: 'tsrun', met: () => value(row('size'), 'tsrun') <= 5 },
  {
    text: 'an image unpacked no slower than by umoci',
    of: 'tsrun',
    measured: images !== undefined,
    met: () => images.time('gzip') <= images.time('umoci'),
  },
  {
    text: 'an image unpacked in at most 64 MB',
    of: 'tsrun',
    measured: images !== undefined,
    met: () => Math.max(images.rss('gzip'), images.rss('zstd')) <= 64,
  },
];
const verdicts = limits.map(({ text, of, measured = true, met }) => ({
  text,
  verdict: column(of) < 0 || !measured ? 'not measured' : met() ? 'met' : 'NOT MET',
}));
console.log('');
for (const { text, verdict } of verdicts) console.log(`${verdict.padEnd(12)}  ${text}`);
if (options.strict && verdicts.some(({ verdict }) => verdict !== 'met')) process.exitCode = 1;
