#!/bin/busybox sh
# The first program of a guest: loads the drivers, puts the root file system together and the test's files into it.
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s /bin
export PATH=/bin

give_up() {
	echo "guest: $*" >/dev/console
	reboot -f
}

for driver in /drivers/*.ko; do
	if [ -e "$driver" ]; then
		insmod "$driver" || give_up "cannot load $driver"
	fi
done

n=0
until [ -b /dev/vda ] && [ -b /dev/vdb ]; do
	n=$((n + 1))
	[ $n -lt 600 ] || give_up "there are no disks vda and vdb"
	sleep 0.1
done
mount -t ext4 -o ro /dev/vda /lower || give_up "cannot mount the root file system"
mount -t tmpfs -o size=70% upper /upper
mkdir /upper/files /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work overlay /root || give_up "cannot mount the overlay"
cd /root || give_up "there is no root"
mkdir -p proc sys dev tmp run out
mount -t proc proc proc
mount -t sysfs sys sys
mount -t devtmpfs dev dev
mkdir -p dev/pts dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
mount -t tmpfs -o mode=1777 tmp tmp
mount -t tmpfs -o mode=755 run run
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t debugfs debugfs sys/kernel/debug
mount -t tracefs tracefs sys/kernel/tracing
ln -sf /proc/self/fd dev/fd
ln -sf /proc/self/fd/0 dev/stdin
ln -sf /proc/self/fd/1 dev/stdout
ln -sf /proc/self/fd/2 dev/stderr
tar -xf /dev/vdb || give_up "cannot unpack the test's files"
umount /proc /sys
exec switch_root /root /.guest/init
