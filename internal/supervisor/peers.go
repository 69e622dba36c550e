package supervisor

import "golang.org/x/sys/unix"

type peers struct{}
type peerEvent struct{}

func (p *peers) signal(unix.Signal)              {}
func (p *peers) ended(*variant)                  {}
func (s *session) handlePeer(*peerEvent)         {}
func (s *session) peerBefore(*peerEvent) error   { return nil }
func (p *peers) ending(cause)                    {}
func (p *peers) status(*session) []VariantStatus { return nil }

type peerCase struct{}
