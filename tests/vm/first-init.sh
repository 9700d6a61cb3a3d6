#!/bin/sh
# /init of the initial RAM disk: loads the disk's modules and goes over to the disk.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in virtio_pci virtio_blk crc32c_generic ext4; do modprobe $module; done
mount -t ext4 -o rw /dev/vda /root
mount --move /dev /root/dev
exec switch_root /root /init
