// process.scheduler, ioPriority, linux.personality, memoryPolicy and the labels of security modules, seen from inside.
import { readFileSync } from 'node:fs';
import { container, expect, facts, inside, test } from '../harness/index.ts';

const old = { runc: "Debian 12's runc does not know the field", crun: "Debian 12's crun does not know the field" };
const scheduling = (t: Parameters<typeof inside>[0], changes: Parameters<typeof inside>[1]) =>
  facts(inside(t, changes, 'probe', 'scheduling'));

test('process.scheduler.policy, process.scheduler.nice: ordinary and batch scheduling with a nice value', {
  except: old,
}, (t) => {
  const at = (policy: string, nice: number) => scheduling(t, { process: { scheduler: { policy, nice } } });
  expect(at('SCHED_OTHER', 5)).toMatchObject({ policy: '0', nice: '5', priority: '0' });
  expect(at('SCHED_BATCH', -7)).toMatchObject({ policy: '3', nice: '-7', priority: '0' });
});

test('process.scheduler.policy: SCHED_IDLE', { except: old }, (t) => {
  expect(scheduling(t, { process: { scheduler: { policy: 'SCHED_IDLE' } } })).toMatchObject({ policy: '5' });
});

for (const [policy, number] of [
  ['SCHED_FIFO', '1'],
  ['SCHED_RR', '2'],
] as const) {
  test(`process.scheduler.priority, process.scheduler.flags: ${policy}, given up by children`, {
    except: old,
    needs: ['realtime scheduling'],
  }, (t) => {
    const scheduler = { policy, priority: 7, flags: ['SCHED_FLAG_RESET_ON_FORK'] };
    const changes = { process: { scheduler } };
    expect(scheduling(t, changes)).toMatchObject({ policy: number, priority: '7', flags: '1' });
    expect(facts(inside(t, changes, 'sh', '-c', 'probe scheduling; true'))).toMatchObject({ policy: '0' });
  });
}

test('process.scheduler.runtime, process.scheduler.deadline, process.scheduler.period: SCHED_DEADLINE', {
  except: old,
  needs: ['deadline scheduling'],
}, (t) => {
  const scheduler = {
    policy: 'SCHED_DEADLINE',
    runtime: 1_000_000,
    deadline: 10_000_000,
    period: 20_000_000,
    flags: ['SCHED_FLAG_RESET_ON_FORK'],
  };
  expect(scheduling(t, { process: { scheduler } })).toMatchObject({
    policy: '6',
    deadline: '1000000 10000000 20000000',
  });
});

test('process.scheduler.policy: one that the kernel does not have is a clear error, and leaves nothing', {
  only: ['tsrun'],
}, (t) => {
  const box = container(t, { process: { scheduler: { policy: 'SCHED_ISO' } } });
  const { code, err } = box.run('true');
  expect(code).toBe(1);
  expect(err).toMatch(/set scheduler failed: sched_setattr: invalid argument \(EINVAL\) \(\/process\/scheduler/);
  expect(err).toContain('this kernel does not have the policy');
});

test('process.scheduler: in a user namespace it is set with the rights of the runtime', {
  except: old,
  needs: ['user namespaces'],
}, (t) => {
  const mappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
  const linux = {
    namespaces: ['pid', 'network', 'ipc', 'uts', 'mount', 'user'].map((type) => ({ type })),
    uidMappings: mappings,
    gidMappings: mappings,
  };
  const box = container(t, { linux, process: { scheduler: { policy: 'SCHED_OTHER', nice: -3 } } }, { owner: 100000 });
  expect(facts(box.run('probe', 'scheduling').out)).toMatchObject({ policy: '0', nice: '-3' });
});

for (const [name, number] of [
  ['IOPRIO_CLASS_RT', 1],
  ['IOPRIO_CLASS_BE', 2],
  ['IOPRIO_CLASS_IDLE', 3],
] as const) {
  test(`process.ioPriority.class, process.ioPriority.priority: ${name}`, { except: old }, (t) => {
    const changes = { process: { ioPriority: { class: name, priority: 3 } } };
    expect(scheduling(t, changes)['ioprio']).toMatch(new RegExp(`^${number} [03]$`));
  });
}

// Proves: process.execCPUAffinity.initial, process.execCPUAffinity.final
test('process.execCPUAffinity: the first process of a container runs on all CPUs that its caller may not use', {
  except: {
    runc: "Debian 12's runc hands its own mask on",
    crun: "Debian 12's crun hands its own mask on",
  },
  needs: ['program:taskset'],
}, (t) => {
  const all = facts(inside(t, {}, 'probe', 'scheduling'))['cpus'];
  const box = container(t, { process: { execCPUAffinity: { initial: '0', final: '0' } } });
  box.prepare(['probe', 'scheduling']);
  const result = box.call('run', ['--bundle', box.bundle, box.id], { through: ['taskset', '--cpu-list', '0'] });
  expect(facts(result.out)['cpus']).toBe(all);
});

test('linux.personality.domain: the program has LINUX32', { except: old }, (t) => {
  expect(scheduling(t, { linux: { personality: { domain: 'LINUX32' } } })).toMatchObject({ personality: '8' });
});

test('linux.personality.domain: LINUX takes back what the caller had set', {
  except: { runc: "Debian 12's runc leaves it", crun: "Debian 12's crun leaves it" },
  needs: ['program:setarch'],
}, (t) => {
  const box = container(t, { linux: { personality: { domain: 'LINUX' } } });
  box.prepare(['probe', 'scheduling']);
  const result = box.call('run', ['--bundle', box.bundle, box.id], { through: ['setarch', '-R'] });
  expect(facts(result.out)['personality']).toBe('0');
});

test('linux.personality.flags: the specification knows none, and one is refused', { only: ['tsrun'] }, (t) => {
  const { code, err } = container(t, { linux: { personality: { domain: 'LINUX', flags: ['ADDR_NO'] } } }).run('true');
  expect(code).toBe(1);
  expect(err).toContain('/linux/personality/flags/0');
});

test('linux.memoryPolicy.mode, linux.memoryPolicy.nodes, linux.memoryPolicy.flags: the program has the policy', {
  except: old,
}, (t) => {
  const at = (memoryPolicy: { mode: string; nodes?: string; flags?: string[] }) =>
    scheduling(t, { linux: { memoryPolicy } })['mempolicy'];
  expect(at({ mode: 'MPOL_BIND', nodes: '0' })).toBe('2 1');
  expect(at({ mode: 'MPOL_BIND', nodes: '0', flags: ['MPOL_F_STATIC_NODES'] })).toBe('8002 1');
  expect(at({ mode: 'MPOL_INTERLEAVE', nodes: '0', flags: ['MPOL_F_RELATIVE_NODES'] })).toBe('4003 1');
  expect(at({ mode: 'MPOL_PREFERRED', nodes: '0' })).toBe('1 1');
  expect(at({ mode: 'MPOL_PREFERRED_MANY', nodes: '0' })).toBe('5 1');
  expect(at({ mode: 'MPOL_LOCAL' })).toBe('4 0');
  expect(at({ mode: 'MPOL_DEFAULT' })).toBe('0 0');
});

test('linux.memoryPolicy.mode: weighted interleaving', { except: old, needs: ['kernel:6.9'] }, (t) => {
  const memoryPolicy = { mode: 'MPOL_WEIGHTED_INTERLEAVE', nodes: '0' };
  expect(scheduling(t, { linux: { memoryPolicy } })['mempolicy']).toBe('6 1');
});

test('linux.memoryPolicy.nodes: a node that is not there is a clear error', { only: ['tsrun'] }, (t) => {
  const box = container(t, { linux: { memoryPolicy: { mode: 'MPOL_BIND', nodes: '900' } } });
  const { code, err } = box.run('true');
  expect(code).toBe(1);
  expect(err).toMatch(
    /set memory policy failed: set_mempolicy: .*\(\/linux\/memoryPolicy in config.json\).*one of the nodes/,
  );
});

test('process.apparmorProfile: the program is confined by it', { needs: ['AppArmor'] }, (t) => {
  const profile = 'unconfined';
  const inside_ = inside(t, { process: { apparmorProfile: profile } }, 'cat', '/proc/self/attr/apparmor/current');
  expect(inside_.trim()).toBe(profile);
});

test('process.apparmorProfile: one that is not loaded is a clear error', { needs: ['AppArmor'] }, (t) => {
  const { code, err } = container(t, { process: { apparmorProfile: 'no-such-profile' } }).run('true');
  expect(code).toBe(1);
  expect(err).toMatch(/attr\/apparmor\/exec|apparmor/);
});

test('process.apparmorProfile: without AppArmor it is refused, not dropped', {
  needs: ['no AppArmor'],
  except: { crun: "Debian 12's crun drops it" },
}, (t) => {
  const { code, err } = container(t, { process: { apparmorProfile: 'docker-default' } }).run('true');
  expect(code).not.toBe(0);
  expect(err).toMatch(/apparmor/i);
});

test('process.selinuxLabel: the program has it', { needs: ['SELinux'] }, (t) => {
  const label = readFileSync('/proc/self/attr/current', 'utf8').replace('\0', '').trim();
  expect(inside(t, { process: { selinuxLabel: label } }, 'cat', '/proc/self/attr/current')).toContain(label);
});

test('process.selinuxLabel: without SELinux it is refused, not dropped', {
  needs: ['no SELinux'],
  except: { crun: "Debian 12's crun drops it" },
}, (t) => {
  const { code, err } = container(t, { process: { selinuxLabel: 'system_u:system_r:container_t:s0' } }).run('true');
  expect(code).not.toBe(0);
  expect(err).toMatch(/selinux/i);
});
