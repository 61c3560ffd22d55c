#!/bin/sh
# Stands in for workerd, which Miniflare starts through MINIFLARE_WORKERD_PATH: writes down its process id, and
# has it end when the process that started it is gone, even by SIGKILL, so that no server is left behind.
[ -z "$FIELDHOOK_PIDFILE" ] || echo "$$" >"$FIELDHOOK_PIDFILE"
if setpriv --pdeathsig KILL true 2>/dev/null; then
  exec setpriv --pdeathsig KILL "$FIELDHOOK_WORKERD" "$@"
fi
# Without Linux's parent-death signal a second process watches.
parent=$PPID
self=$$
(while kill -0 "$self" && kill -0 "$parent"; do sleep 1; done; kill -9 "$self") <&- >/dev/null 2>&1 3>&- &
exec "$FIELDHOOK_WORKERD" "$@"
