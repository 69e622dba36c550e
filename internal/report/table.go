package report

import "github.com/monmod/monmod/internal/syscalls"

// Syscalls is the Decoder that knows every call of this version.
var Syscalls Decoder = table{}

type table struct{}

func (table) Name(nr uint16) string             { return syscalls.Name(nr) }
func (table) ArgName(nr uint16, arg int) string { return syscalls.ArgName(nr, arg) }
func (table) ArgKind(nr uint16, arg int) string { return syscalls.ArgKind(nr, arg) }
