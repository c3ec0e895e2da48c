// What containerd hears of a container that takes more memory than it has.
import { spawn } from 'node:child_process';
import { expect } from 'vitest';
import { until } from '../harness/index.ts';
import { mustCtr, namespace, nothingLeftOf, run, runArguments, serve, test } from './daemon.ts';

serve();

test(
  'a process that is killed for want of memory is told of before its exit',
  async () => {
    const watcher = spawn('ctr', [...runArguments('', []).slice(0, 4), 'events'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let seen = '';
    watcher.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString()));
    await until(
      'events are heard',
      () => {
        mustCtr('namespace', 'label', namespace, `x=${Date.now()}`);
        return seen.includes('/namespaces/update');
      },
      20,
    );
    expect(run('eats', ['--memory-limit=16777216'], 'load', 'memory', '200').code).toBe(137);
    await until('the last event came', () => seen.includes('/tasks/delete'), 15);
    watcher.kill();
    const topics = [...seen.matchAll(/ \/tasks\/(\S+) /g)].map(([, topic]) => topic);
    expect(topics.filter((topic, index) => topic !== topics[index - 1])).toEqual([
      'create',
      'start',
      'oom',
      'exit',
      'delete',
    ]);
    await nothingLeftOf('eats');
  },
  { needs: ['controller:memory'], except: { runc: 'tells it in any order', crun: 'tells it in any order' } },
);
