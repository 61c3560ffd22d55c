#!/bin/sh
# with-parent.sh PROGRAM ARGUMENTS…: becomes that program, and has it end when the process that started it is
# gone, even by SIGKILL, so that nothing is left behind.
if setpriv --pdeathsig KILL true 2>/dev/null; then
  exec setpriv --pdeathsig KILL "$@"
fi
# Without Linux's parent-death signal a second process watches.
parent=$PPID
self=$$
(while kill -0 "$self" && kill -0 "$parent"; do sleep 1; done; kill -9 "$self") <&- >/dev/null 2>&1 3>&- &
exec "$@"
