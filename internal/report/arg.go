package report

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/monmod/monmod/internal/abi"
	"github.com/monmod/monmod/internal/words"
	"golang.org/x/sys/unix"
)

var le = binary.LittleEndian

// fill puts an item into an argument of the named call.
func (a *Arg) fill(call string, it item) {
	a.Total = it.Total
	switch it.Kind {
	case abi.ItemValue:
		v := le.Uint64(it.bytes)
		h := Hex(v)
		a.Form, a.Value, a.Total, a.Text = "value", &h, 0, valueText(call, a.Name, a.Kind, v)
		if a.Index == faultPlace {
			a.Text = h.String()
		}
	case abi.ItemBytes:
		a.Form, a.Raw = "bytes", append([]byte(nil), it.bytes...)
		a.Text = bytesText(a.Kind, a.Raw)
		if uint64(it.Total) > uint64(len(a.Raw)) {
			a.Text += fmt.Sprintf("%s (%d bytes)", ellipsis, it.Total)
		}
	case abi.ItemDigest:
		a.Form, a.Digest = "digest", hex.EncodeToString(it.bytes[:digestBytes])
		a.Raw = append([]byte(nil), it.bytes[digestBytes:]...)
		// The excerpt comes last: it is what may be cut off on a screen.
		a.Text = fmt.Sprintf("%d bytes, digest %s: %s%s", it.Total, a.Digest[:8], bytesText(a.Kind, a.Raw), ellipsis)
	case abi.ItemNull:
		a.Form, a.Text = "null", "NULL"
	case abi.ItemPtr:
		a.Form, a.Text = "pointer", "pointer"
	case abi.ItemFault:
		a.Form, a.Text = "unreadable", unreadableText(int64(le.Uint64(it.bytes)))
	}
}

// unreadableText says how many bytes could be read, or why no path could.
func unreadableText(n int64) string {
	if n < 0 {
		return fmt.Sprintf("unreadable (%s)", resultText(n))
	}
	return fmt.Sprintf("memory unreadable after %d bytes", n)
}

// valueText shows a number by its meaning: first what this argument of this call is known to be, then its kind.
func valueText(call, name, kind string, v uint64) string {
	if meaning, ok := meanings[argument{call, name}]; ok {
		return meaning(v)
	}
	switch kind {
	case "fd", "dirfd":
		return descriptor(v)
	case "int":
		return strconv.Itoa(int(int32(v)))
	}
	if s := int64(v); s > -4096 && s < 1<<40 {
		return strconv.FormatInt(s, 10)
	}
	return Hex(v).String()
}

func descriptor(v uint64) string {
	if int32(v) == unix.AT_FDCWD {
		return "AT_FDCWD"
	}
	return fmt.Sprintf("fd %d", int32(v))
}

func octal(v uint64) string { return fmt.Sprintf("0%o", uint32(v)) }

func signalName(v uint64) string {
	if name := words.SignalName(v); name != "" {
		return name
	}
	return words.Signal(v)
}

// bytesText shows memory by its meaning.
func bytesText(kind string, b []byte) string {
	switch kind {
	case "path":
		return quote([]byte(strings.TrimSuffix(string(b), "\x00")))
	case "addrin", "addrout":
		if text := sockaddrText(b); text != "" {
			return text
		}
	case "sigset":
		if len(b) == 8 {
			return signalSet(le.Uint64(b))
		}
	}
	if unprintable(b) {
		return "bytes " + hex.EncodeToString(b)
	}
	return quote(b)
}

func signalSet(set uint64) string {
	var names []string
	for i := range 64 {
		if set>>i&1 != 0 {
			names = append(names, signalName(uint64(i+1)))
		}
	}
	return "{" + strings.Join(names, " ") + "}"
}

// unprintable says whether bytes are better shown as numbers than as a string.
func unprintable(b []byte) bool {
	odd := 0
	for _, c := range b {
		if (c < 0x20 || c >= 0x7f) && c != '\n' && c != '\r' && c != '\t' {
			odd++
		}
	}
	return odd*2 > len(b)
}

// sockaddrText gives "" for an address that it does not know or that is too short.
func sockaddrText(b []byte) string {
	if len(b) < 2 {
		return ""
	}
	port := func() uint16 { return uint16(b[2])<<8 | uint16(b[3]) }
	switch family := le.Uint16(b); {
	case family == unix.AF_INET && len(b) >= 8:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), port()).String()
	case family == unix.AF_INET6 && len(b) >= 24:
		addr := netip.AddrFrom16([16]byte(b[8:24]))
		if len(b) >= 28 && le.Uint32(b[24:]) != 0 {
			addr = addr.WithZone(strconv.FormatUint(uint64(le.Uint32(b[24:])), 10))
		}
		return netip.AddrPortFrom(addr, port()).String()
	case family == unix.AF_UNIX && len(b) == 2:
		return "unix (no name)"
	case family == unix.AF_UNIX && b[2] == 0:
		return "unix @" + quote(b[3:])
	case family == unix.AF_UNIX:
		path, _, _ := strings.Cut(string(b[2:]), "\x00")
		return "unix " + quote([]byte(path))
	case family == unix.AF_NETLINK && len(b) >= 12:
		return fmt.Sprintf("netlink pid %d groups %#x", le.Uint32(b[4:]), le.Uint32(b[8:]))
	case family == unix.AF_UNSPEC:
		return "AF_UNSPEC"
	}
	return ""
}
