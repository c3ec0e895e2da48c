// Completion scripts as the shells themselves read them; test/pure/cli-completion.test.ts asks bash what it would offer.
import { spawnSync } from 'node:child_process';
import { expect, runtime, test } from '../harness/index.ts';

function script(shell: string): string {
  const [command, ...args] = runtime.command;
  const { stdout, status, stderr } = spawnSync(command, [...args, 'completion', shell], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

test('zsh has nothing to say against its script', { only: ['tsrun'], needs: ['program:zsh'] }, () => {
  const { status, stderr } = spawnSync('zsh', ['-n'], { input: script('zsh'), encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

test('fish offers verbs, flags, and the words that an argument may be', {
  only: ['tsrun'],
  needs: ['program:fish'],
}, () => {
  const offers = (line: string) => {
    const text = `${script('fish')}\ncomplete -C '${line}'`;
    const { stdout, stderr } = spawnSync('fish', ['--no-config', '-c', text], { cwd: '/', encoding: 'utf8' });
    expect(stderr).toBe('');
    return stdout.split('\n').flatMap((each) => each.split('\t')[0] || []);
  };
  expect(offers('tsrun unp')).toEqual(['unpack']);
  expect(offers('tsrun unpack --max-')).toEqual(['--max-entries', '--max-size']);
  expect(offers('tsrun image pr')).toContain('prune');
});
