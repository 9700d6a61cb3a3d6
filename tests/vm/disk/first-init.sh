#!/bin/sh
# /init of the initial RAM disk: loads the disk's modules, mounts the disks, goes over to systemd.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in virtio_pci virtio_blk virtio_console crc32c_generic ext4; do modprobe $module; done
mount -t ext4 -o rw /dev/vda /root
mount -t ext4 -o ro /dev/vdb /root/packages
mount -t ext4 -o rw /dev/vdc /root/project
mount --move /dev /root/dev
exec switch_root /root /sbin/init
