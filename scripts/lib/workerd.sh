#!/bin/sh
# Stands in for workerd, which Miniflare starts through MINIFLARE_WORKERD_PATH: writes down its process id, and
# has it end with the process that started it.
[ -z "$FIELDHOOK_PIDFILE" ] || echo "$$" >"$FIELDHOOK_PIDFILE"
# A terminal sends Ctrl-C to everything in it. When workerd ends is for whoever serves the Worker to decide.
trap '' INT HUP
exec "$(dirname "$0")/with-parent.sh" "$FIELDHOOK_WORKERD" "$@"
