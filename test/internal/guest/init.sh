#!/bin/bash
# Runs a test's script in a guest and hands over what came of it: its output as it comes, then an archive of /out and the
# kernel's messages, and last a line on the console, without which the host believes nothing.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C TZ=UTC HOME=/root
cd /
exec </dev/null >/dev/console 2>&1

# port prints the device of the host's channel of that name.
port() {
	local name n
	for ((n = 0; n < 600; n++)); do
		for name in /sys/class/virtio-ports/*/name; do
			if [ "$(cat "$name" 2>/dev/null)" = "$1" ]; then
				basename "${name%/name}"
				return
			fi
		done
		sleep 0.1
	done
	echo "guest: there is no channel $1" >&2
}

hostname guest
ip link set lo up
if [ -s /.guest/address ]; then
	ip addr add "$(cat /.guest/address)" dev eth0 && ip link set eth0 up
fi
for driver in /.guest/drivers/*.ko; do
	if [ -e "$driver" ]; then
		insmod "$driver"
	fi
done

output=/dev/$(port output)
archive=/dev/$(port archive)
mkfifo /.guest/pipe
cat /.guest/pipe >"$output" &
reader=$!
bash /.guest/script </dev/null >/.guest/pipe 2>&1
code=$?

# Whatever the script left behind holds the pipe, and would write files while they are archived.
for dir in /proc/[0-9]*; do
	pid=${dir#/proc/}
	if [ "$pid" != 1 ] && [ "$pid" != $reader ]; then
		kill -9 "$pid" 2>/dev/null
	fi
done
wait $reader

# A kernel that looks for lost memory takes what nothing points to for lost when it is five seconds old and has not changed between
# two scans.
leaks=/sys/kernel/debug/kmemleak
if [ -e $leaks ]; then
	sleep 6
	echo scan >$leaks
	echo scan >$leaks
	while IFS= read -r line; do
		echo "$line" >/dev/kmsg
	done <$leaks
fi
dmesg >/.guest/dmesg
tar -C / -cf "$archive" .guest/dmesg out
printf '\nRC=%d\n' $code
sync
busybox reboot -f
