# Sourced by tests/vm.sh: the disk of the virtual machine. Uses $suite and $keep, and its say and die.
packages=systemd,systemd-sysv,udev,python3,busybox-static,kmod,iproute2,mount,util-linux,hostname,procps
packages+=,nftables,crun,runc,apparmor,linux-image-cloud-amd64

make_disk() { # disk.img, kernel and initrd.gz in $keep, from Debian packages
  local work=$keep/work-$$ wanted tree
  wanted=$({ echo "$packages"; cat tests/vm/disk/*.{sh,service}; } | sha256sum)
  [ "$(cat "$keep/disk.stamp" 2>/dev/null)" = "$wanted" ] && return 0
  mkdir -p "$work"
  tree=$work/tree
  say "Making a disk of Debian $suite in $keep (a minute, once) ..."
  mmdebstrap --quiet --variant=minbase --include="$packages" "$suite" "$tree" ||
    die "mmdebstrap could not make a Debian $suite: is a mirror within reach?"
  cp "$tree"/boot/vmlinuz-* "$work/kernel"
  rm -f "$tree"/boot/initrd.img-*
  mkdir -p "$tree/packages" "$tree/project"
  echo shoal-vm >"$tree/etc/hostname"
  printf '/project\n/packages\n' >"$tree/usr/lib/python3/dist-packages/shoal.pth"
  printf '#!/usr/bin/python3\nimport sys\nfrom compose.cli import main\nsys.exit(main())\n' >"$tree/usr/local/bin/shoal"
  chmod 755 "$tree/usr/local/bin/shoal"
  cp tests/vm/disk/shoal-test-agent.service "$tree/etc/systemd/system/"
  ln -s ../shoal-test-agent.service "$tree/etc/systemd/system/multi-user.target.wants/"
  # Nobody logs in, and no time is spent on what no test looks at.
  ln -sf /dev/null "$tree/etc/systemd/system/getty.target"
  ln -sf /dev/null "$tree/etc/systemd/system/apt-daily.timer"
  ln -sf /dev/null "$tree/etc/systemd/system/apt-daily-upgrade.timer"
  make_first_disk "$work"
  truncate -s 4G "$work/disk.img"
  mke2fs -q -t ext4 -d "$tree" "$work/disk.img"
  mv "$work/kernel" "$work/initrd.gz" "$work/disk.img" "$keep/"
  rm -rf "$work"
  printf '%s' "$wanted" >"$keep/disk.stamp"
}

make_first_disk() { # an initial RAM disk with busybox and the modules of the disk
  local work=$1 first=$1/tree/first release name line
  release=$(ls "$work/tree/lib/modules")
  mkdir -p "$first"/{bin,proc,sys,dev,root}
  cp "$(command -v busybox)" "$first/bin/busybox"
  for name in sh mount modprobe switch_root; do ln -s busybox "$first/bin/$name"; done
  cp tests/vm/disk/first-init.sh "$first/init"
  chmod 755 "$first/init"
  for name in virtio_pci virtio_blk virtio_console crc32c_generic ext4; do
    chroot "$work/tree" modprobe -S "$release" --show-depends "$name"
  done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u | while read -r line; do
    mkdir -p "$first$(dirname "$line")"
    cp "$work/tree$line" "$first$line"
  done
  cp "$work/tree/lib/modules/$release"/modules.{order,builtin} "$first/lib/modules/$release/"
  chroot "$work/tree" depmod -b /first "$release"
  (cd "$first" && find . | cpio -o -H newc --quiet | gzip) >"$work/initrd.gz"
  rm -rf "$first"
}
