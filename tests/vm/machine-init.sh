#!/bin/sh
# /init of the virtual machine's disk: mounts what systemd would, runs the command on the second
# disk, and switches the machine off. No module that Shoal needs is loaded here.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mountpoint -q /dev || mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 /sys/fs/cgroup
mount -o remount,rw /
mkdir -p /packages /project
mount -o ro /dev/vdb /packages
mount /dev/vdc /project
ip link set lo up
hostname shoal-vm
dmesg -n 1
cd /project || exit
export HOME=/root PYTHONPATH=/project:/packages LANG=C.UTF-8
echo "== $(uname -r), $(python3 -V), cgroup v2: $(cat /sys/fs/cgroup/cgroup.controllers)"
sh /project/command.sh
echo "== exit $?"
echo o >/proc/sysrq-trigger
sleep 60
