#!/bin/sh
# Prints what a container sees of itself, in sections, then waits for a signal.
trap 'echo term; kill $!; exit 3' TERM
trap 'echo usr1; kill $!; exit 4' USR1
trap 'echo int; kill $!; exit 5' INT
trap 'echo quit; kill $!; exit 6' QUIT
part() { echo "== $1"; }
me=/proc/$$
part arguments; for word in "$0" "$@"; do echo "$word"; done
part environment; tr '\0' '\n' <$me/environ
part directory; pwd
part identity; id
part first; tr '\0' ' ' </proc/1/cmdline; echo
part status; cat $me/status
part limits; cat $me/limits
part mounts; cat $me/mountinfo
part devices; cd /dev && stat -c '%n|%A|%u|%g|%t:%T|%N' ./* ./net/* ./snd/* 2>/dev/null
part data; cd / && stat -c '%n|%A|%u|%g|%F|%s' /data /data/* /mnt /mnt/* /mnt/*/* /tmp /root 2>/dev/null
part contents; cd /mnt && head -n 1 ./*/file ./*.txt 2>/dev/null; cd /
part namespaces; stat -c '%n|%N' $me/ns/*
part hosts; cat /etc/hosts 2>&1
part resolver; cat /etc/resolv.conf 2>&1
part hostname; cat /etc/hostname 2>&1
part links; ip -o addr 2>/dev/null
part routes; cat /proc/net/route
part cgroup; cd /sys/fs/cgroup 2>/dev/null && grep -s '' \
  memory/memory.limit_in_bytes memory/memory.soft_limit_in_bytes memory/memory.memsw.limit_in_bytes \
  memory/memory.swappiness memory/memory.oom_control pids/pids.max \
  cpu/cpu.shares cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpuset/cpuset.cpus cpuset/cpuset.mems \
  devices/devices.list \
  memory.max memory.low memory.swap.max pids.max cpu.weight cpu.max cpuset.cpus cpuset.mems
cd /
part values; grep -s '' $me/oom_score_adj $me/loginuid /proc/sys/kernel/hostname /proc/sys/kernel/domainname \
  /proc/sys/kernel/shm_rmid_forced /proc/sys/kernel/msgmax /proc/sys/kernel/shmmax /proc/sys/kernel/sem \
  /proc/sys/fs/mqueue/msg_max /proc/sys/net/ipv4/ip_unprivileged_port_start \
  /proc/sys/net/ipv4/ping_group_range /proc/sys/net/ipv4/ip_forward /proc/sys/net/core/somaxconn \
  /proc/sys/net/ipv4/conf/all/route_localnet /proc/sys/net/ipv4/tcp_keepalive_time
part writes
for path in / /etc /tmp /run /proc/sys/kernel /sys /sys/fs/cgroup /dev /dev/shm /root /data; do
  if (: >$path/probe.write) 2>/dev/null; then echo "$path yes"; rm -f $path/probe.write; else echo "$path no"; fi
done
for path in /etc/hosts /etc/resolv.conf /etc/hostname /proc/sysrq-trigger /proc/kcore /proc/keys /dev/null /proc/sys/kernel/domainname; do
  if (: >>$path) 2>/dev/null; then echo "$path yes"; else echo "$path no"; fi
done
part terminal; tty; stty size 2>/dev/null
echo 'to the other stream' >&2
sleep 1000000 &
part end
wait $!
