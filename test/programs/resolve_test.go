package programs

import (
	"encoding/binary"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// nameServer answers every question for addresses on a port of loopback, which it returns, until the test ends.
func nameServer(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		for query := make([]byte, 512); ; {
			n, from, err := conn.ReadFromUDP(query)
			if err != nil {
				return
			}
			if a := dnsAnswer(query[:n]); a != nil {
				conn.WriteToUDP(a, from) // who gets none asks again
			}
		}
	}()
	return strconv.Itoa(conn.LocalAddr().(*net.UDPAddr).Port)
}

// dnsAnswer makes the answer to a query of one question, nil to anything else (RFC 1035, section 4).
func dnsAnswer(query []byte) []byte {
	const header = 12
	addresses := map[uint16]net.IP{1: net.IPv4(192, 0, 2, 7).To4(), 28: net.ParseIP("2001:db8::7")}
	end := header
	for end < len(query) && query[end] != 0 {
		end += int(query[end]) + 1
	}
	end += 5 // the name's end, type and class
	if end > len(query) {
		return nil
	}
	kind := binary.BigEndian.Uint16(query[end-4:])
	ip, ok := addresses[kind]
	if !ok {
		return nil
	}
	// The query's ID; an answer, recursion available; one question, one answer.
	a := append(slices.Clone(query[:2]), 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0)
	a = append(a, query[header:end]...)
	a = append(a, 0xc0, header) // the name of the question
	a = binary.BigEndian.AppendUint16(a, kind)
	a = append(a, 0, 1, 0, 0, 0, 60)
	a = binary.BigEndian.AppendUint16(a, uint16(len(ip)))
	return append(a, ip...)
}

// TestResolve looks a name up as every program with the C library of GNU does, which sends both questions in one call.
func TestResolve(t *testing.T) {
	port := nameServer(t)
	nativelyAndMonitored(t, func(s stage) {
		r := s.run(s.spec(s.behave, "resolve", port))
		got := strings.Fields(string(r.Stdout))
		slices.Sort(got)
		if want := []string{"192.0.2.7", "2001:db8::7"}; r.Status != 0 || !slices.Equal(got, want) {
			t.Errorf("%v: want %v, got %s", s.how, want, r)
		}
	})
}
