// What containerd hears of a container that takes more memory than it has.
import { expect } from 'vitest';
import { until } from '../harness/index.ts';
import { nothingLeftOf, run, serve, test, watchEvents } from './daemon.ts';

serve();

test(
  'a process that is killed for want of memory is told of before its exit',
  async () => {
    const events = await watchEvents();
    expect(run('eats', ['--memory-limit=16777216'], 'load', 'memory', '200').code).toBe(137);
    await until('the last event came', () => events.seen().includes('/tasks/delete'), 15);
    events.end();
    const topics = [...events.seen().matchAll(/ \/tasks\/(\S+) /g)].map(([, topic]) => topic);
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
