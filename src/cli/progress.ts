// How far the unpacking is: a bar on a terminal, elsewhere a line a layer.

import type { Progress } from '../image/pull.ts';
import { sys } from '../linux/sys.ts';
import type { Log } from './log.ts';

const BAR = 24;
/** Between two looks of a person, in ms. */
const PAUSE = 100;

/** @param quiet Lines go to the log at its level `debug` only. */
export function progressOn(log: Log, quiet: boolean): Progress {
  return sys.isTerminal(2) === 1 ? new Bar() : new Lines(log, quiet);
}

class Bar implements Progress {
  private layers = 0;
  private total = 0;
  private finished = 0;
  private bytes = 0;
  private shown = -PAUSE;
  private readonly started = now();

  begin(layers: number, bytes: number): void {
    this.layers = layers;
    this.total = bytes;
  }

  done(): void {
    this.finished++;
  }

  tick(read: () => number): void {
    if (now() - this.shown < PAUSE) return;
    this.bytes = read();
    this.draw();
  }

  end(): void {
    if (this.shown >= 0) sys.writeText(2, '\r\x1b[K');
  }

  private draw(): void {
    this.shown = now();
    const part = this.total === 0 ? 1 : this.bytes / this.total;
    const full = Math.round(part * BAR);
    const seconds = ((this.shown - this.started) / 1000).toFixed(1);
    const bar = `${'#'.repeat(full)}${'.'.repeat(BAR - full)}`;
    sys.writeText(2, `\runpacking [${bar}] ${this.finished} of ${this.layers} layers, ${seconds} s\x1b[K`);
  }
}

class Lines implements Progress {
  private readonly log: Log;
  private readonly quiet: boolean;
  private layers = 0;
  private finished = 0;

  constructor(log: Log, quiet: boolean) {
    this.log = log;
    this.quiet = quiet;
  }

  begin(layers: number): void {
    this.layers = layers;
  }

  done(layer: string, bytes: number): void {
    this.finished++;
    const line = `unpacked layer ${this.finished} of ${this.layers}: ${layer.slice(0, 19)} (${bytes} bytes)`;
    if (this.quiet) this.log.write('debug', line);
    else sys.writeText(2, `${line}\n`);
  }

  tick(): void {}

  end(): void {}
}

function now(): number {
  const [, , seconds = 0, nanoseconds = 0] = sys.clock();
  return seconds * 1000 + nanoseconds / 1e6;
}
