// The rows of `npm run bench` that go through containerd: tsrun by its own shim, the others by containerd's shim for runc.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, openSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const image = 'localhost/tsrun-bench:latest';
const namespace = 'tsrun-bench';

/**
 * @param {{ scratch: string, rootfs: string, contenders: { name: string, program: string }[],
 *   time: Function, memory: Function, runs: number, must: Function }} bench What bench.mjs measures with, and with whom.
 * @returns Rows of the table.
 */
export async function throughContainerd({ scratch, rootfs, contenders, time, memory, runs, must }) {
  if (['containerd', 'ctr'].some((name) => spawnSync(name, ['--version']).error !== undefined)) {
    console.log('note: containerd is not installed, so its rows are missing');
    return [];
  }
  const folder = join(scratch, 'containerd');
  const state = '/run/containerd';
  const socket = join(folder, 'c.sock');
  mkdirSync(folder);
  // All of them keep what they have to remember below /run, which no host has on a disk; the mount namespace is our own.
  // containerd's databases are there too: what it waits for a disk is no runtime's doing, and differs from run to run.
  mkdirSync(state, { recursive: true });
  must('mount', '-t', 'tmpfs', 'tmpfs', state);
  writeFileSync(
    join(folder, 'config.toml'),
    `version = 2
root = "${state}/root"
state = "${state}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "${socket}"
[ttrpc]
  address = "${socket}.ttrpc"
`,
  );
  const shims = join(folder, 'bin');
  mkdirSync(shims);
  copyFileSync(contenders[0].program, join(shims, 'containerd-shim-tsrun-v2'));
  const log = openSync(join(folder, 'log'), 'w');
  const daemon = spawn('containerd', ['--config', join(folder, 'config.toml')], {
    stdio: ['ignore', log, log],
    env: { ...process.env, PATH: `${shims}:${process.env.PATH}` },
  });
  const ended = new Promise((resolve) => daemon.on('exit', resolve));
  const ctr = (...args) => ['ctr', '--address', socket, '--namespace', namespace, ...args];
  const quietly = ([command, ...args]) => spawnSync(command, args, { encoding: 'utf8' });
  /** Also when the bench gives up, which ends this process. */
  const end = () => {
    for (const name of quietly(ctr('container', 'ls', '--quiet'))
      .stdout.split('\n')
      .filter(Boolean)) {
      quietly(ctr('task', 'rm', '--force', name));
      quietly(ctr('container', 'rm', name));
    }
    daemon.kill();
    process.off('exit', end);
  };
  process.on('exit', end);
  try {
    for (let waited = 0; waited < 20_000 && quietly(ctr('version')).status !== 0; waited += 100) await sleep(100);
    const [, ...load] = ctr('image', 'import', archive(folder, rootfs, must));
    must('ctr', ...load);

    const withoutShares = readFileSync('/sys/fs/cgroup/cgroup.controllers', 'utf8').includes('cpu ')
      ? []
      : ['--cpu-shares=0'];
    const shimOf = ({ name, program }) =>
      name === 'tsrun'
        ? ['--runtime', 'io.containerd.tsrun.v2']
        : ['--runtime', 'io.containerd.runc.v2', '--runc-binary', program];
    const flags = (contender, more) => [...shimOf(contender), ...withoutShares, ...more];
    const id = ({ name }, suffix) => `${name}-${suffix}`;
    const run = (more) => (contender) =>
      ctr('run', '--rm', ...flags(contender, more), image, id(contender, 'run'), '/bin/true');
    const isAble = (more) => (contender) => {
      const { status, stderr } = quietly(run(more)(contender));
      if (status === 0) return true;
      console.log(`note: ${contender.name}: ctr run ${more.join(' ')}: ${stderr.trim().split('\n').at(-1)}`);
      quietly(ctr('container', 'rm', id(contender, 'run')));
      return false;
    };
    // Debian 12's crun loads no device filter without CAP_SYS_RESOURCE; a privileged container has none.
    const plain = contenders.filter(isAble([]));
    const more = plain.length === contenders.length ? [] : ['--privileged'];
    const able = more.length === 0 ? plain : contenders.filter(isAble(more));
    const among = (values, who = able) => contenders.map((contender) => values[who.indexOf(contender)]);

    const start = (contender, suffix) =>
      must(
        ...ctr(
          'run',
          '--detach',
          '--null-io',
          ...flags(contender, more),
          image,
          id(contender, suffix),
          'sleep',
          '1000',
        ),
      );
    const remove = (contender, suffix) => {
      must(...ctr('task', 'rm', '--force', id(contender, suffix)));
      must(...ctr('container', 'rm', id(contender, suffix)));
    };
    const milliseconds = (lane, who = able) =>
      among(
        time(lane, runs, who).map(({ ms }) => ms),
        who,
      );

    const rows = [];
    if (plain.length > 0)
      rows.push({ name: 'ctr run --rm /bin/true', unit: 'ms', values: milliseconds(run([]), plain) });
    if (more.length > 0)
      rows.push({ name: `ctr run --rm ${more.join(' ')} /bin/true`, unit: 'ms', values: milliseconds(run(more)) });
    for (const contender of able) start(contender, 'exec');
    const exec = (contender) => ctr('task', 'exec', '--exec-id=e', id(contender, 'exec'), '/bin/true');
    rows.push({ name: 'ctr task exec /bin/true', unit: 'ms', values: milliseconds(exec) });
    for (const contender of able) remove(contender, 'exec');

    const pidOfShim = (contender) => {
      const tasks = quietly(ctr('task', 'ls')).stdout.split('\n');
      const task = tasks.find((line) => line.startsWith(`${id(contender, 'size')} `))?.split(/ +/)[1];
      return /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${task}/status`, 'utf8'))?.[1];
    };
    for (const [name, field] of [
      ['RSS, the shim of a pod', 'Rss'],
      ['PSS, the shim of a pod', 'Pss'],
    ]) {
      const size = async (contender) => {
        if (!able.includes(contender)) return undefined;
        start(contender, 'size');
        await sleep(300);
        const text = readFileSync(`/proc/${pidOfShim(contender)}/smaps_rollup`, 'utf8');
        remove(contender, 'size');
        return Number(new RegExp(`^${field}: +(\\d+) kB`, 'm').exec(text)?.[1]) / 1024;
      };
      rows.push({ name, unit: 'MB', values: among(await memory(size, able)) });
    }
    return rows;
  } finally {
    end();
    await ended;
    spawnSync('umount', ['--lazy', state]);
    // The cgroup around those of its containers; it is not there if none was made.
    if (existsSync(`/sys/fs/cgroup/${namespace}`)) rmdirSync(`/sys/fs/cgroup/${namespace}`);
  }
}

/** An image of one layer, in the form that `docker save` writes. */
function archive(folder, rootfs, must) {
  const dir = join(folder, 'image');
  mkdirSync(dir);
  must('tar', '-C', rootfs, '-cf', join(dir, 'layer.tar'), '.');
  const layer = createHash('sha256')
    .update(readFileSync(join(dir, 'layer.tar')))
    .digest('hex');
  const config = {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Env: ['PATH=/bin'], Cmd: ['sh'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${layer}`] },
  };
  writeFileSync(join(dir, 'config.json'), JSON.stringify(config));
  const manifest = [{ Config: 'config.json', RepoTags: [image], Layers: ['layer.tar'] }];
  writeFileSync(join(dir, 'manifest.json'), JSON.stringify(manifest));
  must('tar', '-C', dir, '-cf', join(folder, 'image.tar'), 'manifest.json', 'config.json', 'layer.tar');
  return join(folder, 'image.tar');
}
