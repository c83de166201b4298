/* What was polled in the last minutes. A poll that failed leaves a gap, and so does a time without polls: the machine
 * slept. Some browsers' monotonic clock sleeps with it, so the wall clock is looked at as well. A page that nobody looks at
 * is woken once a minute. */

const HISTORY_MS = 10 * 60 * 1000, SILENCE_MS = 90 * 1000;

const history = {
  paths: new Set(), /* of the figures that are kept */
  samples: [],      /* {ms, wallMs, values: Map by path}; values is null for a gap */

  add(ms, isGap, wallMs = Date.now()) {
    const values = isGap ? null : new Map([...this.paths].map(path => [path, valueAt(path) ?? null]));
    const last = this.samples[this.samples.length - 1];
    if (isGap && last && !last.values)
      return;
    if (last && Math.max(ms - last.ms, wallMs - last.wallMs) > SILENCE_MS)
      this.samples.push({ ms: last.ms, wallMs: last.wallMs, values: null });
    this.samples.push({ ms, wallMs, values });
    while (this.samples[0].ms < ms - HISTORY_MS)
      this.samples.shift();
  },

  /* Runs of [ms, value] without a gap or a value that is not known. */
  runs(path) {
    const runs = [];
    let run = null;
    for (const { ms, values } of this.samples) {
      const value = values ? values.get(path) ?? null : null;
      if (value === null) {
        run = null;
        continue;
      }
      if (!run)
        runs.push(run = []);
      run.push([ms, value]);
    }
    return runs;
  },

  nearest(ms) {
    let best = null;
    for (const sample of this.samples)
      if (sample.values && (!best || Math.abs(sample.ms - ms) < Math.abs(best.ms - ms)))
        best = sample;
    return best;
  },
};
