// A list that comes by pages, newest first: its head is read again and again, what is older when it is asked for.

import { get, withQuery } from "./api.mjs";
import { useAction, useLoad } from "./load.mjs";
import { useLayoutEffect, useState } from "./preact.mjs";

/**
 * @param {string} name of the array in each page
 * @returns {{ rows, isEnd: boolean, older: useAction, head: useLoad }} `head.data` is undefined until the first page is there
 */
export function useRows(path, name, query = {}, options) {
  const key = withQuery(path, query);
  const [list, setList] = useState({});
  const mine = list.key === key ? list : { rows: [], next: null };
  const head = useLoad((signal) => get(key, { signal }), [key], options);
  // Before anything is painted: a page that has come is never shown as an empty list.
  useLayoutEffect(() => {
    if (!head.data) return;
    const { [name]: rows, next } = head.data;
    // What was loaded before goes on behind the page, if the two touch; else there may be a gap.
    const end = mine.rows.findIndex(({ id }) => id === rows.at(-1)?.id);
    const joins = next && end >= 0;
    setList({
      key,
      rows: joins ? [...rows, ...mine.rows.slice(end + 1)] : rows,
      next: joins ? mine.next : next,
    });
  }, [head.data]);
  const older = useAction(async () => {
    const page = await get(withQuery(path, { ...query, after: mine.next }));
    setList((now) => (now.key === key ? { key, rows: [...now.rows, ...page[name]], next: page.next } : now));
  });
  return { rows: mine.rows, isEnd: !mine.next, older, head };
}
