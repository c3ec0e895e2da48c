// Configurations that other tools write run as they are.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { container, expect, test } from '../harness/index.ts';

// They take a terminal over from their caller, and here is none.
const wantsTerminal = { runc: 'it needs a terminal of its caller', crun: 'it needs a terminal of its caller' };

for (const tool of ['runc', 'crun'] as const) {
  test(`ociVersion: what ${tool} spec writes runs unchanged`, {
    needs: [`program:${tool}`],
    except: wantsTerminal,
  }, (t) => {
    const box = container(t);
    expect(spawnSync(tool, ['spec'], { cwd: box.bundle }).status).toBe(0);
    const input = box.path('input');
    writeFileSync(input, 'echo $((6 * 7)) of $HOSTNAME\nhostname\nexit 7\n');
    const { code, out } = box.call('run', ['--bundle', box.bundle, box.id], { input });
    expect(code).toBe(7);
    expect(out).toContain(tool);
  });
}

test('ociVersion: a bundle that umoci has unpacked runs unchanged', {
  needs: ['program:umoci'],
  except: wantsTerminal,
}, (t) => {
  const box = container(t);
  const [layout, unpacked] = [box.path('layout'), box.path('unpacked')];
  const umoci = (...args: string[]) => {
    const { status, stderr } = spawnSync('umoci', args, { encoding: 'utf8' });
    expect(status, `umoci ${args.join(' ')}: ${stderr}`).toBe(0);
  };
  umoci('init', '--layout', layout);
  umoci('new', '--image', `${layout}:1`);
  umoci('insert', '--image', `${layout}:1`, box.rootfs, '/');
  umoci('config', '--image', `${layout}:1`, '--config.cmd', 'sh', '--config.env', 'GREETING=hello');
  umoci('unpack', '--image', `${layout}:1`, unpacked);
  const input = box.path('input');
  writeFileSync(input, 'echo $GREETING $((6 * 7))\nexit 7\n');
  const { code, out } = box.call('run', ['--bundle', unpacked, box.id], { input });
  expect(code).toBe(7);
  expect(out).toContain('hello 42');
});

test('process.consoleSize.height, process.consoleSize.width: the terminal has the size from the start', {
  except: wantsTerminal,
}, (t) => {
  const box = container(t, { process: { terminal: true, consoleSize: { height: 33, width: 111 } } });
  box.prepare(['stty', 'size']);
  const { code, out } = box.call('run', ['--bundle', box.bundle, box.id]);
  expect(code).toBe(0);
  expect(out).toContain('33 111');
});
