// Package hosts tests groups whose variants run on different hosts: network, mount and host-name namespaces of the test's own,
// each with its own copy of the files, under `fs: own`. It also tests groups of one host whose variants have supervisors of
// their own. What one host alone can show belongs to package programs, what the wire alone can show to internal/peer.
package hosts
