// What a page reads: loaded when it opens, again when asked or every so often, given up when it is left.

import { useCallback, useEffect, useRef, useState } from "./preact.mjs";

/**
 * Loads with `read(signal)` whenever `deps` change, and every `every` ms while the page is seen, unless the last answer is
 * still under way. What was loaded stays while it is loaded again, and beside an error.
 *
 * `reload` gives up an answer that is under way, for what a person asks for or has changed. `beat` does not: it reads again
 * once that answer is there, so that beats faster than answers starve nothing.
 *
 * @returns {{ data, error, loading: boolean, reload: () => void, beat: () => void, set: (data) => void }}
 */
export function useLoad(read, deps = [], { every } = {}) {
  const [state, setState] = useState({ loading: true });
  const latest = useRef();
  const controller = useRef();
  const underWay = useRef();
  const isBehind = useRef(false);
  latest.current = read;
  const load = useCallback(async () => {
    controller.current?.abort();
    isBehind.current = false;
    const mine = (controller.current = underWay.current = new AbortController());
    setState((old) => ({ ...old, loading: true }));
    try {
      const data = await latest.current(mine.signal);
      if (!mine.signal.aborted) setState({ data, loading: false });
    } catch (error) {
      if (!mine.signal.aborted) setState((old) => ({ data: old.data, error, loading: false }));
    } finally {
      if (underWay.current === mine) {
        underWay.current = undefined;
        if (isBehind.current && !mine.signal.aborted) load();
      }
    }
  }, []);
  const beat = useCallback(() => {
    if (underWay.current) isBehind.current = true;
    else load();
  }, []);
  useEffect(() => {
    setState({ loading: true });
    load();
    const seen = () => document.hidden || underWay.current || load();
    const timer = every && setInterval(seen, every);
    if (every) document.addEventListener("visibilitychange", seen);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", seen);
      controller.current?.abort();
    };
  }, deps);
  return { ...state, reload: load, beat, set: (data) => setState({ data, loading: false }) };
}

/**
 * Something that is done on a click: `run(...)` calls `act`, and `busy` and `error` say how it goes.
 * Answers what `act` answered, or undefined where it failed.
 */
export function useAction(act) {
  const [state, setState] = useState({ busy: false });
  const latest = useRef();
  latest.current = act;
  const run = useCallback(async (...words) => {
    setState({ busy: true });
    try {
      const result = await latest.current(...words);
      setState({ busy: false });
      return result ?? true;
    } catch (error) {
      setState({ busy: false, error });
      return undefined;
    }
  }, []);
  return { ...state, run, clear: () => setState({ busy: false }) };
}
