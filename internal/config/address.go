package config

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

var (
	label = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
	// A name whose last label is a number is an IPv4 literal gone wrong, and
	// resolvers do not agree on what it is.
	numeric = regexp.MustCompile(`^(0[xX][0-9A-Fa-f]*|[0-9]+)$`)
)

// address returns the one spelling of an address, or "" after saying what is
// wrong with it.
func (d *decoder) address(n *node) string {
	a := n.text
	bad := func(why, fix string) string {
		d.bad(n.line, ErrBadAddress, fix, "address %s %s", strconv.Quote(a), why)
		return ""
	}
	if ip, err := netip.ParseAddr(a); err == nil {
		ip = ip.Unmap()
		switch {
		case ip.IsUnspecified():
			return bad("is no address that a peer can dial", "write the variant's own address")
		case ip.IsMulticast() || ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
			return bad("is not the address of one host", "write the variant's own address")
		case ip.Is6() && ip.IsLinkLocalUnicast() && ip.Zone() == "":
			return bad("is link-local and names no interface", "write it with one, such as "+a+"%eth0, or another address")
		}
		return ip.String()
	}
	if inner, ok := strings.CutPrefix(a, "["); ok {
		inner, rest, _ := strings.Cut(inner, "]")
		return bad("has brackets", "write "+inner+portHint(rest))
	}
	host, port, found := strings.Cut(a, ":")
	if found && !strings.Contains(port, ":") {
		return bad("holds a port", "write "+host+portHint(":"+port))
	}
	if strings.Contains(a, ":") {
		return bad("is no IPv6 literal", "write one such as 2001:db8::15")
	}
	name := strings.ToLower(strings.TrimSuffix(a, "."))
	labels := strings.Split(name, ".")
	if numeric.MatchString(labels[len(labels)-1]) {
		return bad("is no IPv4 literal", "write four numbers from 0 to 255, such as 10.0.0.15")
	}
	if len(name) > 253 {
		return bad("is too long for a host name", "write at most 253 characters")
	}
	for _, l := range labels {
		if !label.MatchString(l) {
			return bad("is neither an IP literal nor a host name", "write one such as 10.0.0.15, 2001:db8::15 or db1.example.org")
		}
	}
	return name
}

func portHint(rest string) string {
	if port, ok := strings.CutPrefix(rest, ":"); ok && numeric.MatchString(port) {
		return ", and port: " + port
	}
	return ""
}

// meaningOf leaves out what only one host understands: the name of its own
// interface in a link-local address.
func meaningOf(address string) string {
	if ip, err := netip.ParseAddr(address); err == nil {
		return ip.WithZone("").String()
	}
	return address
}
