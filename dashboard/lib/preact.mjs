// What the pages are made of, from one place: components, hooks, signals and the template tag.

import { h, render } from "preact";
import {
  useCallback,
  useEffect,
  useErrorBoundary,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "preact/hooks";
import { signal } from "@preact/signals";
import htm from "htm";

/** `html\`<p>${text}</p>\``: what is put in becomes text nodes and properties, never markup. */
export const html = htm.bind(h);

export { h, render, signal };
export { useCallback, useEffect, useErrorBoundary, useLayoutEffect, useMemo, useRef, useState };
