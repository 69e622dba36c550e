// Package runtime is the OCI runtime that wraps another one: it reads an
// engine's command line, decides whether a container asks for monitoring,
// turns its specification into a monitored one, leaves the supervisor a plan,
// and becomes the low-level runtime. It also makes and ends the follower
// containers that are derived from one bundle.
//
// The way of a command: argv.go (tables) → dispatch.go (one function per
// command) → request.go, check.go, program.go, seccomp.go (may it run
// monitored?) → rewrite.go, followers.go (specification and plan) → lowlevel.go
// (exec).
//
// What happens after the low-level runtime has started belongs to hooks and to
// the supervisor. Nothing here reads an arena, speaks to a peer or knows a
// system call by anything but its name.
package runtime
