#!/bin/sh
# Searches a database with all the memory there is, and in a memory cgroup of a part of its size, cold each time.
#
#   larger_than_memory.sh OPEN DIRECTORY QUERY TRUTH [PARTS] [ARGUMENT...]
#
# OPEN is the benchmark's binary (`cargo build --release -p ragstone-benches --bin open`), DIRECTORY a database that
# `OPEN build` made, QUERY and TRUTH arrays as its help says. The limit is the database's size divided by PARTS (4), the
# program and its queries included. It needs systemd, or root and a cgroup file system of either version.
set -eu
open=$1 directory=$2 query=$3 truth=$4 parts=${5:-4}
[ $# -gt 5 ] && shift 5 || shift $#

database_bytes=$(du -sb "$directory" | cut -f1)
limit_bytes=$((database_bytes / parts))

# What the page cache has of the files is charged to whoever read them first: it has to go.
cold() {
    sync
    for file in "$directory"/* "$query" "$truth"; do
        dd if="$file" iflag=nocache count=0 2>/dev/null
    done
}

run="$open query --directory $directory --query $query --truth $truth $*"
cold
echo "{\"limit_bytes\":null,\"database_bytes\":$database_bytes}"
$run
cold
echo "{\"limit_bytes\":$limit_bytes,\"database_bytes\":$database_bytes}"
if [ -d /run/systemd/system ]; then
    exec systemd-run --quiet --scope -p MemoryMax="$limit_bytes" -p MemorySwapMax=0 $run
elif [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    group=/sys/fs/cgroup/ragstone-bench-$$ limit=memory.max
    echo +memory >/sys/fs/cgroup/cgroup.subtree_control
else
    group=/sys/fs/cgroup/memory/ragstone-bench-$$ limit=memory.limit_in_bytes
fi
mkdir "$group"
trap 'rmdir "$group"' EXIT
echo "$limit_bytes" >"$group/$limit"
sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' sh "$group" $run
