#!/bin/sh
# sysctl(8), first on the PATH of a script's commands.
#
# A namespace takes as its default only a congestion control that the machine allows everybody
# (net.ipv4.tcp_allowed_congestion_control), which the machine's own default decides. Whichever the
# kernel has is written to a file: whoever makes the script's sockets asks for it then.

choose() {
    error=$("$REAL_SYSCTL" -q "$1" 2>&1)
    for name in $(cat /proc/sys/net/ipv4/tcp_available_congestion_control); do
        [ "$name" = "${1#*=}" ] && echo "$name" >"$CHOSEN_CONGESTION" && return
    done
    echo "$error" >&2
    return 255
}

chosen='' more='' status=0
for word; do
    shift
    case $word in
    net?ipv4?tcp_congestion_control=*) chosen=yes && choose "$word" || status=$? ;;
    -*) set -- "$@" "$word" ;;
    *) more=yes && set -- "$@" "$word" ;;
    esac
done
[ "$chosen" ] && [ ! "$more" ] && exit "$status"
"$REAL_SYSCTL" "$@" || exit
exit "$status"
