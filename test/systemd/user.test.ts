// The service manager of a user: a container without root whose cgroup is a scope of that manager.
import { spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, readFileSync } from 'node:fs';
import { container, expect, runtime, test, until } from '../harness/index.ts';

const USER = 4243;

function must(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  expect({ program, args, status, stderr }).toMatchObject({ status: 0 });
  return stdout;
}

test('without root the scope belongs to the service manager of the user, limits and all', {
  only: ['tsrun'],
}, async (t) => {
  must('useradd', '--uid', String(USER), '--create-home', 'tsrun-user');
  t.onTestFinished(() => void spawnSync('userdel', ['tsrun-user']));
  must('systemctl', 'start', `user@${USER}.service`);
  t.onTestFinished(() => void spawnSync('systemctl', ['stop', `user@${USER}.service`]));
  const run = `/run/user/${USER}`;
  const box = container(t, {}, { owner: USER });
  for (const dir of [box.dir, box.bundle, box.path('root')]) {
    mkdirSync(dir, { recursive: true });
    chownSync(dir, USER, USER);
  }
  const as = (...command: string[]) => {
    const environment = [`XDG_RUNTIME_DIR=${run}`, `PATH=${process.env['PATH']}`];
    const user = ['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups', 'env', ...environment];
    return must(user[0] ?? '', ...user.slice(1), ...command);
  };
  as('sh', '-c', `cd ${box.bundle} && exec "$@"`, 'sh', ...runtime.command, 'spec', '--rootless');
  Object.assign(box.config, JSON.parse(readFileSync(`${box.bundle}/config.json`, 'utf8')));
  box.config.process.terminal = false;
  box.config.linux.resources = { memory: { limit: 64 << 20 }, pids: { limit: 30 } };
  box.prepare(['sleep', '1000']);

  // A process enters a cgroup only from below one that its user owns: as people do, from a scope of the manager.
  const tsrun = [...runtime.command, '--systemd-cgroup', '--root', box.path('root')];
  const command = [...tsrun, 'run', '--detach', '--bundle', box.bundle, box.id].join(' ');
  as('systemd-run', '--user', '--scope', '--quiet', 'sh', '-c', `${command} </dev/null >/dev/null 2>&1`);
  const unit = `tsrun-${box.id}.scope`;
  const shown = as('systemctl', '--user', 'show', unit);
  expect(shown).toContain('ActiveState=active');
  expect(shown).toContain(`MemoryMax=${64 << 20}`);
  expect(shown).toContain('TasksMax=30');
  const path = /^ControlGroup=(.*)$/m.exec(shown)?.[1] ?? '';
  expect(path).toContain(`user@${USER}.service`);
  expect(readFileSync(`/sys/fs/cgroup${path}/memory.max`, 'utf8').trim()).toBe(String(64 << 20));
  expect(readFileSync(`/sys/fs/cgroup${path}/cgroup.procs`, 'utf8').trim()).not.toBe('');

  as(...tsrun, 'delete', '--force', box.id);
  await until(
    'the unit is gone',
    () => !as('systemctl', '--user', 'list-units', '--all', '--no-legend').includes(unit),
  );
});
