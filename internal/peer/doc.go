// Package peer holds the authenticated sessions between the supervisors of a variant group: how they find each other, prove who they are,
// agree that they run the same thing, carry frames in order with bounded memory, and notice at once when one of them is gone.
//
// It must know nothing of arenas, records, engines or configuration files: what is compared arrives as facts, what is carried as bytes of a kind.
//
// # Who calls whom
//
// Of two variants the one with the lower ID listens and the other dials, again and again with a growing pause, so the order of starting does
// not matter. A listener with an address speaks TCP with TLS 1.3, both ends showing a certificate; one without is a unix socket in a directory
// that only its owner can enter, and the kernel vouches for the caller's user (SO_PEERCRED).
//
// # Handshake
//
// Each step is bounded in size, and all of them together in time:
//
//	dialer → listener   preface (magic, protocol version), hello (group, own ID, ID looked for, digest, window, heartbeat, facts)
//	listener → dialer   preface, hello, accept or refuse
//	dialer → listener   accept and start state, or refuse
//	listener → dialer   start state
//
// The preface never changes its form, so that two versions can always name each other. Nothing of this group is told to a caller that has not
// shown that it belongs to it. Once both hellos are known each end compares them for itself: both report the same differences.
//
// # Frames
//
// A frame is an 8-byte header {length u32, type u8, kind u8, zero u16}, little-endian, and its payload. Data frames have one of 16 kinds and
// are delivered in order within a kind, and across the kinds that one Recv call serves.
//
// # Flow control
//
// Every kind has a window of its own: the receiver promises that many bytes of memory, the sender spends them, the consumer's progress gives
// them back as credit frames. The reader therefore always has room for what arrives and never waits for a consumer. It follows that
// a slow handler blocks only the peer's Send of the kinds it serves, that heartbeats, credits and the goodbye pass meanwhile, and that a
// slow peer is never mistaken for a dead one. What must not wait behind a bulk stream has a kind and a Recv call of its own.
//
// # Loss
//
// A peer is alive while authenticated bytes arrive from it; an idle end sends a heartbeat. An end of the connection without a goodbye is a loss
// at once, silence is one after PeerTimeout. Each session's end is reported exactly once.
package peer
