// Package control is what the runtime, the hooks and the command line say to a
// supervisor: the plan that the runtime leaves for it, and the protocol over
// its control socket.
//
// It knows nothing of arenas, records or peers, starts no process, and edits no
// bundle. Everything in it is reachable only by the user that owns the state
// folder (root, for containers).
package control
