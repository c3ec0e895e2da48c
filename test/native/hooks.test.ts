// All six hooks: when each runs, where it stands, what it is told, and what its failure means.
import { chmodSync, existsSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Container,
  container,
  expect,
  type Hook,
  type State,
  probe,
  type Result,
  runtime,
  test,
  until,
} from '../harness/index.ts';

const onHost = ['prestart', 'createRuntime', 'createContainer', 'poststart', 'poststop'] as const;

function expectFailure({ code }: Result): void {
  // crun ends with 255 when some of the hooks fail.
  expect(runtime.family === 'crun' ? Math.min(code, 1) : code).toBe(1);
}

// A hook of the host is a shell script that keeps the state it is told and appends to a file of the host.
function hook(box: Container, name: string, script: string, more: Partial<Hook> = {}): void {
  const path = box.path(`${name}-${Object.values(box.config.hooks ?? {}).flat().length}.sh`);
  writeFileSync(path, `#!/bin/sh\nlog=${box.path('log')}\ncat > ${box.path('told')}\n${script}\n`);
  chmodSync(path, 0o755);
  addHook(box, name, { path, ...more });
}

function addHook(box: Container, name: string, entry: Hook): void {
  box.config.hooks = { ...box.config.hooks, [name]: [...(box.config.hooks?.[name] ?? []), entry] };
}

function log(box: Container): string[] {
  return existsSync(box.path('log')) ? readFileSync(box.path('log'), 'utf8').trim().split('\n') : [];
}

// Proves: hooks.prestart[].path, hooks.createRuntime[].path, hooks.createContainer[].path, hooks.poststart[].path, hooks.poststop[].path
test('the hooks of the host run in the order of the specification', {
  except: { runc: 'runc 1.1 runs poststart before the program starts' },
}, async (t) => {
  const box = container(t);
  for (const name of onHost) hook(box, name, `echo ${name} >> $log`);
  box.created('true');
  expect(log(box)).toEqual(['prestart', 'createRuntime', 'createContainer']);
  box.start();
  await until('poststart ran', () => log(box).includes('poststart'));
  await box.reaches('stopped');
  expect(log(box)).toEqual(['prestart', 'createRuntime', 'createContainer', 'poststart']);
  box.delete();
  expect(log(box)).toEqual([...onHost]);
});

// Proves: hooks.startContainer[].path, hooks.startContainer[].args
test('startContainer runs in the container, after create and before the program', (t) => {
  const box = container(t);
  addHook(box, 'startContainer', {
    path: '/bin/sh',
    args: ['sh', '-c', 'echo hook >> /order; readlink /proc/self/ns/pid >> /order'],
  });
  expect(box.run('sh', '-c', 'echo program >> /order; readlink /proc/self/ns/pid >> /order; cat /order')).toMatchObject(
    { code: 0 },
  );
  const [first, hookNamespace, second, programNamespace] = readFileSync(join(box.rootfs, 'order'), 'utf8').split('\n');
  expect([first, second]).toEqual(['hook', 'program']);
  expect(hookNamespace).toBe(programNamespace);
});

test('several hooks of one kind run in the order of the list', (t) => {
  const box = container(t);
  for (const number of ['1', '2', '3']) hook(box, 'createRuntime', `echo ${number} >> $log`);
  box.run('true');
  expect(log(box)).toEqual(['1', '2', '3']);
});

const statuses = {
  prestart: 'creating',
  createRuntime: 'creating',
  createContainer: 'creating',
  poststart: 'running',
  poststop: 'stopped',
};

for (const [name, status] of Object.entries(statuses)) {
  const early = { runc: 'runc 1.1 runs it before the program starts' };
  const excuse = name === 'poststart' ? early : name === 'poststop' ? {} : { crun: 'it says created' };
  test(`${name} is told the state on stdin: ${status}`, { except: excuse }, async (t) => {
    const box = container(t);
    box.config.annotations = { key: 'value' };
    hook(box, name, 'echo ran >> $log');
    box.created('sleep', '100');
    const { pid } = box.state();
    box.start();
    box.delete('--force');
    await until('the hook ran', () => log(box).length > 0);
    const told = JSON.parse(readFileSync(box.path('told'), 'utf8')) as State;
    expect(told).toMatchObject({ id: box.id, status, bundle: box.bundle, annotations: { key: 'value' } });
    expect(told.ociVersion).toMatch(/^1\./);
    // The pid is the one that the hook would see: 1 for the hook that runs in the container's namespaces.
    if (name !== 'poststop') expect(told.pid).toBe(name === 'createContainer' ? 1 : pid);
  });
}

test('startContainer is told the state: created', { except: { crun: 'it gives the pid only' } }, (t) => {
  const box = container(t);
  addHook(box, 'startContainer', { path: '/bin/sh', args: ['sh', '-c', 'cat > /state'] });
  box.run('true');
  expect(JSON.parse(readFileSync(join(box.rootfs, 'state'), 'utf8'))).toMatchObject({
    id: box.id,
    status: 'created',
    bundle: box.bundle,
  });
});

test('prestart and createRuntime run in the namespaces of the host', (t) => {
  const box = container(t);
  for (const name of ['prestart', 'createRuntime'])
    hook(box, name, 'readlink /proc/self/ns/mnt /proc/self/ns/pid /proc/self/ns/net >> $log');
  box.run('true');
  const ours = ['mnt', 'pid', 'net'].map((type) => readlinkSync(`/proc/self/ns/${type}`));
  expect(log(box)).toEqual([...ours, ...ours]);
});

test("createContainer runs in the container's mount namespace, before pivot_root", (t) => {
  const box = container(t);
  // The hook's file lies on the host: that it runs at all shows that the old root is still there.
  hook(
    box,
    'createContainer',
    'readlink /proc/self/ns/mnt >> $log; grep -c "$(dirname $log)/bundle/rootfs/dev " /proc/self/mountinfo >> $log',
  );
  box.run('true');
  expect(log(box)[0]).not.toBe(readlinkSync('/proc/self/ns/mnt'));
  expect(log(box)[1]).toBe('1');
});

// Proves: hooks.prestart[].args, hooks.prestart[].env, hooks.createRuntime[].args, hooks.createRuntime[].env, hooks.createContainer[].args, hooks.createContainer[].env, hooks.startContainer[].args, hooks.startContainer[].env, hooks.poststart[].args, hooks.poststart[].env, hooks.poststop[].args, hooks.poststop[].env
test('a hook has exactly the args and the env of the config', (t) => {
  const box = container(t);
  hook(box, 'createRuntime', 'echo "$0|$1|$2" >> $log; env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= >> $log', {
    args: ['ignored-by-script', 'one', 'two words'],
    env: ['A=1', 'B=b b'],
  });
  box.run('true');
  const [args, ...env] = log(box);
  expect(args).toMatch(/\|one\|two words$/);
  expect(env.sort()).toEqual(['A=1', 'B=b b']);
});

for (const name of ['prestart', 'createRuntime', 'poststart', 'poststop'] as const) {
  test(`${name} without env has the environment of the runtime, and with an empty one none`, {
    except:
      name === 'poststart' ? {} : { crun: 'crun 1.8 hands its own on for an empty list too', runc: 'so does runc 1.1' },
  }, async (t) => {
    const box = container(t);
    hook(box, name, 'echo "$TSRUN_TEST" >> $log');
    hook(box, name, 'echo "none$TSRUN_TEST" >> $log', { env: [] });
    box.created('sleep', '100');
    box.start();
    box.delete('--force');
    await until('both hooks ran', () => log(box).length === 2);
    expect(log(box)).toEqual([box.id, 'none']);
  });
}

test('createContainer without env has the environment of the runtime', {
  except: { runc: "runc 1.1 gives it the container's" },
}, (t) => {
  const box = container(t);
  hook(box, 'createContainer', 'echo "$TSRUN_TEST" >> $log');
  box.run('true');
  expect(log(box)).toEqual([box.id]);
});

test('startContainer without env has the environment of the program', (t) => {
  const box = container(t, { process: { env: ['PATH=/bin', 'ONE=two words'] } });
  addHook(box, 'startContainer', { path: '/bin/sh', args: ['sh', '-c', 'echo "$ONE$TSRUN_TEST" > /seen'] });
  box.run('true');
  expect(readFileSync(join(box.rootfs, 'seen'), 'utf8')).toBe('two words\n');
});

for (const name of ['prestart', 'createRuntime', 'createContainer', 'poststart', 'poststop'] as const) {
  test(`${name} has the umask of the caller`, async (t) => {
    const box = container(t);
    hook(box, name, 'umask >> $log');
    box.prepare(['sleep', '100']);
    const through = ['sh', '-c', 'umask 027; exec "$@"', 'sh'];
    expect(box.call('create', ['--bundle', box.bundle, box.id], { through }).code).toBe(0);
    expect(box.call('start', [box.id], { through }).code).toBe(0);
    expect(box.call('delete', ['--force', box.id], { through }).code).toBe(0);
    await until('the hook ran', () => log(box).length > 0);
    expect(log(box)).toEqual(['0027']);
  });

  test(`${name} starts in the bundle`, {
    except:
      name === 'createContainer'
        ? { runc: 'runc starts it in the root filesystem' }
        : name === 'poststop'
          ? { runc: "runc 1.1 starts it in delete's own directory" }
          : {},
  }, async (t) => {
    const box = container(t);
    hook(box, name, 'pwd >> $log');
    box.created('sleep', '100');
    box.start();
    box.delete('--force');
    await until('the hook ran', () => log(box).length > 0);
    expect(log(box)).toEqual([box.bundle]);
  });
}

test('a program that is not a script gets args[0] as it is', (t) => {
  const box = container(t);
  writeFileSync(box.path('script'), `echo "$0" > ${box.path('log')}`);
  addHook(box, 'createRuntime', {
    path: '/bin/sh',
    args: [
      'my-name',
      '-c',
      `cat /proc/self/cmdline | tr '\\0' '|' > /dev/null; tr '\\0' '|' < /proc/$$/cmdline > ${box.path('log')}`,
    ],
  });
  box.run('true');
  expect(log(box)[0]).toMatch(/^my-name\|-c\|/);
});

for (const name of ['prestart', 'createRuntime', 'createContainer'] as const) {
  test(`${name} that fails stops the create, and nothing is left`, (t) => {
    const box = container(t);
    hook(box, name, 'echo ran >> $log; exit 3');
    const result = box.create('true');
    expectFailure(result);
    expect(result.err).toMatch(/hook/i);
    expect(log(box)).toEqual(['ran']);
    expect(existsSync(box.path('bundle/rootfs'))).toBe(true);
    expect(box.leaks()).toEqual([]);
  });
}

test('the hooks after one that fails are not run', (t) => {
  const box = container(t);
  hook(box, 'createRuntime', 'exit 1');
  hook(box, 'createRuntime', 'echo second >> $log');
  hook(box, 'createContainer', 'echo third >> $log');
  expectFailure(box.create('true'));
  expect(log(box)).toEqual([]);
});

test('poststop runs too when a hook stopped the create', { except: { crun: 'it does not' } }, (t) => {
  const box = container(t);
  hook(box, 'createRuntime', 'exit 1');
  hook(box, 'poststop', 'echo poststop >> $log');
  box.create('true');
  expect(log(box)).toEqual(['poststop']);
});

test('startContainer that fails keeps the program from running', (t) => {
  const box = container(t);
  addHook(box, 'startContainer', { path: '/bin/false' });
  const result = box.run('touch', '/program-ran');
  expect(result.code).toBeGreaterThan(0);
  expect(existsSync(join(box.rootfs, 'program-ran'))).toBe(false);
});

test('poststart that fails stops the container', { except: { crun: 'it goes on' } }, (t) => {
  const box = container(t);
  hook(box, 'poststart', 'exit 1');
  expect(box.runWith(['--detach'], 'sleep', '100').code).toBe(1);
  expect(box.leaks()).toEqual([]);
});

test('poststop that fails does not keep the container from being deleted', {
  except: { runc: 'runc 1.1 stops at it' },
}, async (t) => {
  const box = container(t);
  hook(box, 'poststop', 'echo one >> $log; exit 1');
  hook(box, 'poststop', 'echo two >> $log');
  await box.started();
  expect(box.delete('--force').code).toBe(0);
  expect(log(box)).toEqual(['one', 'two']);
});

// Proves: hooks.prestart[].timeout, hooks.createRuntime[].timeout, hooks.createContainer[].timeout, hooks.startContainer[].timeout, hooks.poststart[].timeout, hooks.poststop[].timeout
test('a hook that takes longer than its timeout is killed and fails', { timeout: 15_000 }, (t) => {
  const box = container(t);
  // exec: the shell's child would live on after the shell is killed.
  hook(box, 'createRuntime', 'exec sleep 1000', { timeout: 1 });
  const start = Date.now();
  expectFailure(box.create('true'));
  expect(Date.now() - start).toBeLessThan(8000);
  expect(box.leaks()).toEqual([]);
});

test('a hook that ends within its timeout is no failure', (t) => {
  const box = container(t);
  hook(box, 'createRuntime', 'echo ran >> $log', { timeout: 10 });
  expect(box.run('true').code).toBe(0);
  expect(log(box)).toEqual(['ran']);
});

test('a hook whose program is missing fails by its name', (t) => {
  const box = container(t);
  addHook(box, 'createRuntime', { path: '/no/such/hook' });
  const result = box.create('true');
  expectFailure(result);
  expect(result.err).toContain('/no/such/hook');
});

test('a hook may leave stdin unread', { except: { crun: 'crun 1.8 dies of SIGPIPE' } }, (t) => {
  const box = container(t);
  box.config.annotations = { large: 'x'.repeat(100_000) };
  addHook(box, 'createRuntime', { path: '/bin/true' });
  expect(box.run('true').code).toBe(0);
});

test('a hook writes into neither stdout nor stderr of the container', (t) => {
  const box = container(t);
  hook(box, 'createRuntime', 'echo noise; echo noise >&2');
  expect(box.run('echo', 'clean').out).toBe('clean\n');
});

test('a hook on the host sees no descriptor but stdio', (t) => {
  const box = container(t);
  hook(box, 'createRuntime', `${probe} fds >> $log`);
  box.run('true');
  expect(log(box)).toEqual(['0 1 2']);
});
