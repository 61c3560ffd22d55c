// Text from devices and callers, which may be anything: what cannot be seen is made visible, what is long is cut.

/** What may have gone wrong with an event that was kept all the same, by the names it is told under. */
export const FLAGS = ["transform_error", "report_error", "reply_too_large"];

/** Control and format characters, bidirectional overrides, what has no shape of its own, and halves of a character. */
const UNSEEN =
  /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u2800\ufff9-\ufffb\p{Default_Ignorable_Code_Point}\p{Cs}]/u;
/** What joins two emoji into one, or says that a character is one, is part of what is seen. */
const IN_EMOJI =
  /(?<=\p{Extended_Pictographic})\ufe0f|(?<=\p{Extended_Pictographic}[\ufe0f\p{Emoji_Modifier}]?)\u200d(?=\p{Extended_Pictographic})/u;
// The class first: it is looked for at each character, and seldom there.
const HIDDEN = `(?=${UNSEEN.source})(?!${IN_EMOJI.source})${UNSEEN.source}`;
const EACH = new RegExp(HIDDEN, "gu");
/** One of them, as often as it follows itself. */
const RUN = new RegExp(`(${HIDDEN})\\1*`, "gu");
const NAMES = { "\t": "⇥", "\n": "⏎", "\r": "␍" };

/** `U+202E`. */
const codePoint = (char) => `U+${char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

/**
 * Cuts text into what can be shown as it is, and marks for what cannot: `["abc", { mark: "U+202E", … }]`, one mark for
 * the same character many times over: `U+202E ×60000`. `lines` keeps line breaks and tabs, for text in a block of its own.
 */
export function segments(text, { lines = false } = {}) {
  const found = [];
  let end = 0;
  for (const { 0: run, 1: char, index } of text.matchAll(RUN)) {
    if (lines && (char === "\n" || char === "\t")) continue;
    if (index > end) found.push(text.slice(end, index));
    const title = codePoint(char);
    const times = run.length / char.length;
    found.push({ mark: `${NAMES[char] ?? title}${times > 1 ? ` ×${times}` : ""}`, title });
    end = index + run.length;
  }
  if (end < text.length) found.push(text.slice(end));
  return found;
}

/** The same as one text, where only text can be shown. */
export const visible = (text) =>
  segments(text)
    .map((part) => part.mark ?? part)
    .join("");

/** At most so many characters, none cut in half. */
export function cut(text, most) {
  if (text.length <= most) return text;
  const isHalf = /[\ud800-\udbff]/.test(text[most - 1]);
  return text.slice(0, isHalf ? most - 1 : most);
}

/** `510000…00000b` of a long id: its end tells one device from the next. */
export const shortId = (id, isShort = true) =>
  isShort && id?.length > 16 ? `${cut(id, 6)}…${id.slice(-6)}` : id;

/** One word of a shell, whatever is in it. Control characters go as they are, within the quotes. */
export const shellQuote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** JSON that can be pasted anywhere: what cannot be seen is escaped. */
export const visibleJson = (json) =>
  json.replace(EACH, (char) =>
    char === "\n"
      ? char
      : [...Array(char.length)]
          .map((_, index) => `\\u${char.charCodeAt(index).toString(16).padStart(4, "0")}`)
          .join(""),
  );
