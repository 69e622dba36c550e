package peer

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/sirupsen/logrus"
)

// Fact is one property of a variant that its peers learn in the handshake.
// Names are unique, 1 to 128 bytes; values up to 64 KiB; remedies up to 1 KiB; at most 256 facts.
type Fact struct {
	Name   string
	Value  string
	Remedy string // what to do when it does not fit: part of the error on both sides

	MustEqual  bool // another value, or none, on the other side is refused (it is enough that one side says so)
	MustDiffer bool // the same value on the other side is refused
}

// Self describes this variant.
type Self struct {
	Group  string // 1 to 128 bytes
	ID     uint16 // 1 and up
	Digest [32]byte
	Facts  []Fact
	Start  []byte // start state for the peers, opaque here; up to 8 MiB
}

// Peer is another variant of the group.
type Peer struct {
	ID uint16
	// Network ("unix" or "tcp") and Address say where a peer with a lower ID listens. A peer with a higher ID comes to
	// Options.Listen; for it both are ignored.
	Network, Address string
}

// Endpoint is where this variant listens for peers with higher IDs: Network "unix" with the path of a socket in a directory that only this
// user can enter (made if it is not there), or "tcp" with host:port.
type Endpoint struct {
	Network, Address string
}

// Keys are the group's keys, as this variant holds them.
type Keys interface {
	// Server is the configuration for peers that dial. It must require a client certificate and verify it.
	Server() *tls.Config
	// Client is the configuration for dialling a peer. It must verify the peer's certificate.
	// Both are copied before use; TLS 1.3 without resumption is forced on the copies.
	Client(peer int) *tls.Config
	// Peer says which variant of this group the verified certificate at the other end names.
	Peer(state tls.ConnectionState) (id int, err error)
}

// Options are the means and limits of a mesh. Zero values mean the defaults named here.
type Options struct {
	Listen Endpoint // needed when a peer has a higher ID
	Keys   Keys     // needed when a peer is reached or listened for by TCP
	// Plaintext allows TCP without TLS when Keys is nil. Whoever reaches the port can then read, join or end the group; a
	// warning is logged at every start.
	Plaintext bool

	StartTimeout     time.Duration // until every session stands: 60 s
	HandshakeTimeout time.Duration // for one connection, from its first byte to agreement: 10 s
	Heartbeat        time.Duration // longest pause between two signs of life: 0.5 s
	PeerTimeout      time.Duration // silence after which a peer is lost: 3 s; below 1 s a few lost packets are enough, TCP repeats them that late
	Window           int           // bytes of memory per kind and session for frames not yet handled: 1 MiB

	Logger logrus.FieldLogger // nil: silent
}

const (
	minWindow     = 2 * (MaxPayload + frameOverhead)
	maxWindow     = 64 << 20
	defaultWindow = 1 << 20
)

func (o Options) withDefaults() Options {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&o.StartTimeout, 60*time.Second)
	def(&o.HandshakeTimeout, 10*time.Second)
	def(&o.Heartbeat, 500*time.Millisecond)
	def(&o.PeerTimeout, 3*time.Second)
	if o.Window == 0 {
		o.Window = defaultWindow
	}
	if o.Logger == nil {
		silent := logrus.New()
		silent.SetOutput(io.Discard)
		o.Logger = silent
	}
	return o
}

// plan is what Connect was asked for, checked.
type plan struct {
	self   Self
	opts   Options                // defaults filled in
	lower  []Peer                 // to be dialled
	higher []Peer                 // to be waited for
	server *tls.Config            // nil without keys
	client map[uint16]*tls.Config // by peer
}

func newPlan(self Self, peers []Peer, opts Options) (*plan, error) {
	p := &plan{self: self, opts: opts.withDefaults()}
	if err := p.sort(peers); err != nil {
		return nil, err
	}
	if err := p.checkOptions(); err != nil {
		return nil, err
	}
	if err := p.checkKeys(); err != nil {
		return nil, err
	}
	// What this side would refuse to read it must not send.
	if _, err := parseHello(p.hello(0).encode()); err != nil {
		return nil, fmt.Errorf("describing variant %d to its peers: %w", self.ID, err)
	}
	if len(self.Start) > maxStart {
		return nil, fmt.Errorf("describing variant %d to its peers: a start state of %d bytes, more than %d: shorten arguments or environment",
			self.ID, len(self.Start), maxStart)
	}
	return p, nil
}

func (p *plan) sort(peers []Peer) error {
	seen := map[uint16]bool{p.self.ID: true}
	for _, peer := range peers {
		if peer.ID == 0 {
			return errors.New("connecting the group: variant ID 0: IDs start at 1")
		}
		if seen[peer.ID] {
			return fmt.Errorf("connecting the group: variant ID %d is used twice: give every variant its own", peer.ID)
		}
		seen[peer.ID] = true
		if peer.ID > p.self.ID {
			p.higher = append(p.higher, peer)
			continue
		}
		if err := checkEndpoint(peer.Network, peer.Address); err != nil {
			return fmt.Errorf("reaching variant %d: %w", peer.ID, err)
		}
		p.lower = append(p.lower, peer)
	}
	if p.self.ID == 0 {
		return errors.New("connecting the group: this variant has ID 0: IDs start at 1")
	}
	if len(p.higher) > 0 {
		if err := checkEndpoint(p.opts.Listen.Network, p.opts.Listen.Address); err != nil {
			return fmt.Errorf("listening for variants with an ID above %d: %w", p.self.ID, err)
		}
	}
	byID := func(a, b Peer) int { return int(a.ID) - int(b.ID) }
	slices.SortFunc(p.lower, byID)
	slices.SortFunc(p.higher, byID)
	return nil
}

func checkEndpoint(network, address string) error {
	switch network {
	case "unix":
		return checkSocketPath(address)
	case "tcp":
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return fmt.Errorf("address %q: %w: write host:port, an IPv6 address in brackets", address, err)
		}
		if port == "" || port == "0" {
			return fmt.Errorf("address %q of host %q has no port: write one between 1 and 65535", address, host)
		}
		return nil
	}
	return fmt.Errorf("network %q: only \"unix\" and \"tcp\" are known", network)
}

func (p *plan) checkOptions() error {
	o := p.opts
	switch {
	case o.StartTimeout < 0 || o.HandshakeTimeout < 0 || o.Heartbeat < 0 || o.PeerTimeout < 0:
		return errors.New("connecting the group: a time-out is negative: give a positive one, or 0 for the default")
	case o.Heartbeat < time.Millisecond:
		return fmt.Errorf("connecting the group: a heartbeat every %v: at most one in a millisecond is possible", o.Heartbeat)
	case o.PeerTimeout < 2*o.Heartbeat:
		return fmt.Errorf("connecting the group: peer time-out %v with a heartbeat every %v: allow at least two heartbeats", o.PeerTimeout, o.Heartbeat)
	case o.Window < minWindow || o.Window > maxWindow:
		return fmt.Errorf("connecting the group: a window of %d bytes: allowed are %d to %d", o.Window, minWindow, maxWindow)
	}
	return nil
}

// usesTCP says whether any session of this variant goes over a network.
func (p *plan) usesTCP() bool {
	return len(p.higher) > 0 && p.opts.Listen.Network == "tcp" ||
		slices.ContainsFunc(p.lower, func(peer Peer) bool { return peer.Network == "tcp" })
}

func (p *plan) checkKeys() error {
	if !p.usesTCP() {
		return nil
	}
	keys := p.opts.Keys
	if keys == nil {
		if !p.opts.Plaintext {
			return errors.New("connecting the group over TCP: no keys were given: make them with `monmod keygen`, or allow a session without protection explicitly")
		}
		p.opts.Logger.Warnf("group %q runs WITHOUT KEYS: whoever reaches the ports of its supervisors can read, join or end it: make keys with `monmod keygen`", p.self.Group)
		return nil
	}
	p.server = hardened(keys.Server())
	if s := p.server; s.ClientAuth != tls.RequireAndVerifyClientCert && (s.ClientAuth != tls.RequireAnyClientCert || !verifies(s)) {
		return errors.New("connecting the group over TCP: the TLS configuration of the listener does not demand a verified certificate of the caller")
	}
	p.client = map[uint16]*tls.Config{}
	for _, peer := range p.lower {
		c := hardened(keys.Client(int(peer.ID)))
		if c.InsecureSkipVerify && !verifies(c) {
			return fmt.Errorf("connecting the group over TCP: the TLS configuration for dialling variant %d does not verify its certificate", peer.ID)
		}
		p.client[peer.ID] = c
	}
	return nil
}

// verifies says whether a configuration has a check of its own in place of the one by host name.
func verifies(c *tls.Config) bool { return c.VerifyConnection != nil || c.VerifyPeerCertificate != nil }

func hardened(c *tls.Config) *tls.Config {
	c = c.Clone()
	c.MinVersion, c.MaxVersion = tls.VersionTLS13, tls.VersionTLS13
	c.SessionTicketsDisabled, c.ClientSessionCache = true, nil
	c.DynamicRecordSizingDisabled = true // whole records: fewer of them, and the latency of one frame is the same
	return c
}

func (p *plan) hello(to uint16) *hello {
	return &hello{
		group: p.self.Group, id: p.self.ID, to: to, digest: p.self.Digest,
		window: uint32(p.opts.Window), heartbeat: p.opts.Heartbeat, facts: p.self.Facts,
	}
}
