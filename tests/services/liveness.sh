# Sourced by the others. Is a process alive? A killed one may stay a zombie for seconds, for which
# kill -0 says yes.

is_alive() { # PID NAME
    [ -n "${1:-}" ] && grep -qs "^Name:.$2" "/proc/$1/status" && ! grep -qs '^State:.Z' "/proc/$1/status"
}

stop_process() { # PID NAME [KILL]: politely, or -9 at once; waits until it is gone
    is_alive "$1" "$2" || return 0
    if [ "${3:-}" = KILL ]; then kill -9 "$1"; else kill "$1"; fi
    for _ in $(seq 150); do
        is_alive "$1" "$2" || return 0
        sleep 0.1
    done
    kill -9 "$1"
}
