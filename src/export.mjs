// A body whose pages are asked for one by one, as its reader takes them.

export function streamed(pages) {
  const source = {
    async pull(controller) {
      const page = await pages.next();
      if (page === undefined) controller.close();
      else controller.enqueue(page);
    },
  };
  // Nothing is asked for ahead of the reader.
  return new ReadableStream(source, { highWaterMark: 0 });
}
