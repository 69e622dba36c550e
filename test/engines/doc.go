// Package engines runs containers by the engines that people use, with monmod-runtime in runc's place, and looks at what their
// users see: Docker, podman, containerd's ctr and plain runc, each from Debian's packages, each private to the tests.
//
// The test binary runs in namespaces of its own (PIDs, mounts, network), with /run, /dev/shm, /etc/monmod and /var/log/monmod of
// its own. So what a test leaves behind shows at the end, and is gone after it. Root is needed.
package engines
