# Runs programs natively and as variants whose calls the kernel module redirects, and compares what they did: output, exit code,
# the files they left, what a client got. Prints a line for each way of each program, and how often calls were redirected.
failed=0
mkdir -p /in/tree/a/b /in/docs /out /tmp/run
export XDG_RUNTIME_DIR=/tmp/run XDG_STATE_HOME=/tmp/state LC_ALL=C
seq 1 5000 | awk '{ printf "%d line %d of %d\n", ($1 * 7919) % 5003, $1, $1 % 17 }' >/in/text
split -n 6 /in/text /in/tree/a/b/part
head -c 4096 /in/text >/in/docs/page.html
head -c 90000 /in/text >/in/docs/large.html
awk -v quote="'" 'BEGIN { print "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT);\nBEGIN;"
	for (i = 0; i < 800; i++) print "INSERT INTO t VALUES(" i "," quote "row " (i * 7919) % 1511 quote ");"
	print "COMMIT;\nBEGIN; DELETE FROM t WHERE id > 300; SELECT count(*) FROM t; ROLLBACK;"
	print "CREATE INDEX n ON t(name); SELECT count(*), min(name), max(name) FROM t; PRAGMA integrity_check;" }' >/in/sql
{ echo 'PRAGMA journal_mode=DELETE;'; cat /in/sql; } >/in/rollback.sql
{ echo 'PRAGMA journal_mode=WAL;'; cat /in/sql; } >/in/wal.sql
cat >/in/script.py <<'PY'
import os, signal, time, zlib
words = open("/in/text").read().split()
print(len(set(words)), sorted(set(words))[:5], zlib.crc32("".join(words).encode()))
seen = []
signal.signal(signal.SIGALRM, lambda number, frame: seen.append(number))
signal.setitimer(signal.ITIMER_REAL, 0.05)
time.sleep(0.3)
print(seen)
r, w = os.pipe()
print(os.write(w, b"x" * 5000), len(os.read(r, 8000)))
os.mkdir("d")
for i in range(20):
    with open("d/%d" % i, "w") as f:
        f.write(str(i))
os.rename("d/3", "d/three")
print(sorted(os.listdir("d")), os.stat("d/three").st_size)
try:
    open("/nowhere")
except OSError as e:
    print(e)
raise SystemExit(3)
PY
cat >/in/script.pl <<'PL'
my %n; open(my $f, "<", "/in/text") or die;
while (<$f>) { $n{$2}++ if /^(\d+) (\w+) \d+ of (\d)/; $sum += $1 }
print "$sum ", join(",", map { "$_=$n{$_}" } sort keys %n), "\n";
open(my $o, ">", "out") or die; printf $o "%05d\n", $_ * $_ for 1 .. 500; close $o;
print -s "out", " ", (stat "out")[2], "\n"; unlink "none" or print "$!\n"; exit 5;
PL
printf 'scale=60\n4*a(1)\nquit\n' >/in/pi.bc
cat >/lighttpd.conf <<'CONF'
server.modules = ( "mod_accesslog" )
server.document-root = "/in/docs"
server.bind = "127.0.0.1"
server.port = 8080
accesslog.filename = "/w/access.log"
accesslog.format = "%r %s %b"
mimetype.assign = ( ".html" => "text/html" )
CONF
cat >/nginx.conf <<'CONF'
daemon off;
master_process off;
pid /w/nginx.pid;
error_log stderr warn;
events { worker_connections 64; }
http {
	types { text/html html; }
	sendfile on;
	log_format plain '$request $status $body_bytes_sent';
	access_log /w/access.log plain;
	client_body_temp_path /w/1; proxy_temp_path /w/2; fastcgi_temp_path /w/3; uwsgi_temp_path /w/4; scgi_temp_path /w/5;
	server { listen 127.0.0.1:8080; root /in/docs; }
}
CONF

# run_it WAY ARGV...: the program to its end, in an empty folder. WAY is native or VARIANTS-POLICY.
run_it() {
	local way=$1
	shift
	if [ "$way" != native ]; then
		set -- monmod run --backend kmod --variants "${way%%-*}" --policy "${way#*-}" -- "$@"
	fi
	exec "$@"
}

# fresh empties the folder that programs work in.
fresh() {
	cd / && rm -rf /w && mkdir /w && cd /w || exit
	if [ -n "$copy" ]; then
		cp "$copy" .
	fi
}

# record DIR CODE: what is compared, beside the output that lies in DIR already.
record() {
	echo "code $2" >"$1/code"
	sha256sum -- /w/* >"$1/files" 2>&1 # folders and where there is nothing are errors, to be the same too
}

# command WAY DIR: one run of a program that ends by itself.
command_once() {
	fresh
	(run_it "$1" "${argv[@]}") <"$stdin" >"$2/output" 2>"$2/errors"
	record "$2" $?
}

# serve_once WAY DIR: one run of a server, which is visited, by one connection while it keeps it, and then ended by SIGTERM.
serve_once() {
	local pid n page=http://127.0.0.1:8080/page.html
	fresh
	(run_it "$1" "${argv[@]}") <"$stdin" >"$2/output" 2>"$2.errors" & # times and process numbers are in its messages
	pid=$!
	for ((n = 0; n < 600; n++)); do
		if grep -q ' 0100007F:1F90 00000000:0000 0A ' /proc/net/tcp || ! kill -0 "$pid"; then
			break
		fi
		sleep 0.05
	done
	curl -sS -m 30 -w '%{http_code} %{num_connects} %{size_download}\n' "$page" "$page" "${page%page.html}none" "${page%page.html}large.html" "$page" \
		>"$2/answers" 2>&1
	kill -TERM "$pid"
	wait "$pid"
	record "$2" $?
}

# compare HOW NAME STDIN WAYS... -- ARGV...: a program natively, and then in each way the same.
compare() {
	local how=$1 name=$2 stdin=$3 way dir=/results ways=() argv
	shift 3
	while [ "$1" != -- ]; do
		ways+=("$1")
		shift
	done
	argv=("${@:2}")
	for way in native "${ways[@]}"; do
		rm -rf "${dir:?}/$way" && mkdir -p "$dir/$way"
		"$how" "$way" "$dir/$way"
		if [ "$way" != native ] && ! diff -r "$dir/native" "$dir/$way" >"$dir/diff"; then
			echo "FAIL $name $way"
			head -c 3000 "$dir/diff" "$dir/$way.errors"
			failed=1
		elif [ "$way" != native ]; then
			echo "PASS $name $way ${SECONDS}s: $(cat "$dir/$way/code"), $(cat "$dir/$way/output" "$dir/$way/answers" 2>/dev/null | wc -c) bytes"
		fi
	done
}

program() { compare command_once "$@"; }
server() { compare serve_once "$@"; }

copy=
server lighttpd /dev/null 2-full 2-socket_rw -- /usr/sbin/lighttpd -D -f /lighttpd.conf
server nginx /dev/null 3-full 2-socket_rw -- /usr/sbin/nginx -e stderr -p /w -c /nginx.conf
program sqlite3-rollback /in/rollback.sql 2-full 2-socket_rw -- sqlite3 -batch data.db
program sqlite3-WAL /in/wal.sql 3-socket_rw -- sqlite3 -batch data.db
copy=/in/text
program gzip /dev/null 2-full -- gzip -9n text
copy=
program tar /dev/null 2-full 3-socket_rw -- tar cf out.tar -C /in tree
program sha256sum /dev/null 2-socket_rw -- sha256sum /in/text /in/tree/a/b/partaa /in/none
program sort /dev/null 3-full -- sort --parallel=1 -S 64k -k1,1n /in/text
program awk /dev/null 2-full -- gawk '{ n[$NF] += $1 } END { for (i = 0; i < 17; i++) print i, n[i]; print n[1] > "out"; exit 4 }' /in/text
program bc /dev/null 2-socket_rw -- bc -lq /in/pi.bc
program perl /dev/null 2-socket_rw -- perl /in/script.pl
program python3 /dev/null 2-full -- python3 -B /in/script.py
monmod kmod status
exit $failed
