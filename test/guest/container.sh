# A container of runc's, unmonitored and as two variants: a program that ends by itself, and a server that is visited and
# ended by its engine's means. What the engine sees must be the same, and the module must have had every call.
set -e
export MONMOD_LIBRARY=/src/build/libmonmod.so LC_ALL=C
failed=0
mkdir -p /bundle/rootfs/{bin,docs,proc,dev,tmp} /runc
cp /bin/busybox /bundle/rootfs/bin/busybox
cp /test/server /bundle/rootfs/bin/server
seq 1 400 >/bundle/rootfs/docs/page.html

# bundle MONITORED ARGS...: the bundle's config.json anew.
bundle() {
	python3 - "$@" <<'PY'
import json, sys
monitored, args = sys.argv[1] == "yes", sys.argv[2:]
caps = ["CAP_KILL", "CAP_SETUID", "CAP_SETGID"]
spec = {
    "ociVersion": "1.0.2", "hostname": "", "root": {"path": "rootfs", "readonly": True},
    "process": {"args": args, "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 33, "gid": 33}, "noNewPrivileges": True,
                "capabilities": {"bounding": caps, "effective": caps, "permitted": caps}},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
        {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}],
    "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}]},
}
if monitored:
    spec["annotations"] = {"io.monmod.variants": "2", "io.monmod.backend": "kmod", "io.monmod.group": "guest"}
json.dump(spec, open("/bundle/config.json", "w"))
PY
}

runtime() { monmod-runtime --root /runc "$@"; }
entries() { monmod kmod status --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["entries"])'; }

for monitored in no yes; do
	before=$(entries)
	bundle $monitored /bin/busybox sha256sum /docs/page.html /docs/none
	code=0
	# runc copies the two streams one beside the other: their order is chance
	runtime run --bundle /bundle "ends-$monitored" >/tmp/ends-$monitored 2>/tmp/errors </dev/null || code=$?
	cat /tmp/errors >>/tmp/ends-$monitored
	echo "code $code" >>/tmp/ends-$monitored

	bundle $monitored /bin/server 8080 /docs
	runtime run --bundle /bundle "serves-$monitored" >/tmp/serves-$monitored 2>&1 </dev/null &
	pid=$!
	until grep -q ' 0100007F:1F90 00000000:0000 0A ' /proc/net/tcp || ! kill -0 $pid; do sleep 0.05; done
	page=http://127.0.0.1:8080/page.html
	curl -sS -m 30 -w '%{http_code} %{num_connects}\n' $page $page ${page%page.html}none >>/tmp/serves-$monitored 2>&1 || true
	if [ $monitored = yes ]; then
		monmod ps
	fi
	runtime kill "serves-$monitored" TERM
	code=0
	wait $pid || code=$?
	echo "code $code" >>/tmp/serves-$monitored
	after=$(entries)
	echo "calls redirected, monitored $monitored: $((after - before))"
	if [ $monitored = yes ] && [ $((after - before)) -lt 100 ] || [ $monitored = no ] && [ "$after" != "$before" ]; then
		echo "FAIL: the module has not had the calls, or others"
		failed=1
	fi
done
for what in ends serves; do
	if ! diff /tmp/$what-no /tmp/$what-yes; then
		echo "FAIL $what"
		failed=1
	fi
done
tail -n 3 /tmp/ends-yes
grep -E '^(200|404|code) ' /tmp/serves-yes # the pages lie between
if ls /var/log/monmod/guest/divergence-* 2>/dev/null; then
	cat /var/log/monmod/guest/divergence-*
	failed=1
fi
monmod kmod status
monmod kmod unload
exit $failed
