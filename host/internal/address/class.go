package address

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// Class says what an IP address is good for.
type Class string

// The classes. All but Public are refused unless an operator grants them.
const (
	Public        Class = "public"
	Loopback      Class = "loopback"
	Private       Class = "private"
	Shared        Class = "shared" // between a provider and its customers
	LinkLocal     Class = "link-local"
	Metadata      Class = "metadata" // of a cloud's machine, with its credentials
	Multicast     Class = "multicast"
	Broadcast     Class = "broadcast"
	Unspecified   Class = "unspecified"
	Documentation Class = "documentation"
	Translated    Class = "translated" // it stands for an address of the other version
	Reserved      Class = "reserved"
	Own           Class = "own" // public, and this machine's; Classify does not know it
)

// span is a range of addresses of one class.
type span struct {
	prefix netip.Prefix
	class  Class
}

func span4(a, b, c, d byte, bits int, class Class) span {
	return span{netip.PrefixFrom(netip.AddrFrom4([4]byte{a, b, c, d}), bits), class}
}

// span6 is of an IPv6 prefix with the first two groups.
func span6(first, second uint16, bits int, class Class) span {
	return span{netip.PrefixFrom(addr6([8]uint16{first, second}), bits), class}
}

func addr6(groups [8]uint16) netip.Addr {
	var raw [16]byte
	for i, g := range groups {
		binary.BigEndian.PutUint16(raw[2*i:], g)
	}
	return netip.AddrFrom16(raw)
}

// metadata are the single addresses at which clouds tell a machine its secrets.
func metadata() []netip.Addr {
	return []netip.Addr{
		netip.AddrFrom4([4]byte{169, 254, 169, 254}),
		netip.AddrFrom4([4]byte{169, 254, 170, 2}), // of containers
		netip.AddrFrom4([4]byte{169, 254, 170, 23}),
		netip.AddrFrom4([4]byte{100, 100, 100, 200}),
		netip.AddrFrom4([4]byte{192, 0, 0, 192}),
		netip.AddrFrom4([4]byte{168, 63, 129, 16}), // it looks like a public one
		addr6([8]uint16{0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254}),
		addr6([8]uint16{0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23}),
		addr6([8]uint16{0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254}),
	}
}

// special4 is what IANA registers of IPv4 for a special purpose.
func special4() []span {
	return []span{
		span4(0, 0, 0, 0, 8, Unspecified),
		span4(10, 0, 0, 0, 8, Private),
		span4(100, 64, 0, 0, 10, Shared),
		span4(127, 0, 0, 0, 8, Loopback),
		span4(169, 254, 0, 0, 16, LinkLocal),
		span4(172, 16, 0, 0, 12, Private),
		span4(192, 0, 0, 0, 24, Reserved),
		span4(192, 0, 2, 0, 24, Documentation),
		span4(192, 31, 196, 0, 24, Reserved),
		span4(192, 52, 193, 0, 24, Reserved),
		span4(192, 88, 99, 0, 24, Translated), // relays of 6to4
		span4(192, 168, 0, 0, 16, Private),
		span4(192, 175, 48, 0, 24, Reserved),
		span4(198, 18, 0, 0, 15, Reserved), // benchmarks
		span4(198, 51, 100, 0, 24, Documentation),
		span4(203, 0, 113, 0, 24, Documentation),
		span4(224, 0, 0, 0, 4, Multicast),
		span4(255, 255, 255, 255, 32, Broadcast),
		span4(240, 0, 0, 0, 4, Reserved),
	}
}

// special6 is what of IPv6 has a name. What is in none of these is Public only
// within 2000::/3, where all global addresses are given out.
func special6() []span {
	return []span{
		{netip.PrefixFrom(netip.IPv6Unspecified(), 128), Unspecified},
		{netip.PrefixFrom(netip.IPv6Loopback(), 128), Loopback},
		span6(0, 0, 96, Translated),         // compatible with IPv4
		span6(0x64, 0xff9b, 32, Translated), // NAT64, also with a prefix of its own
		span6(0x100, 0, 64, Reserved),       // discarded
		span6(0x2001, 0x0, 32, Translated),  // Teredo
		span6(0x2001, 0xdb8, 32, Documentation),
		span6(0x2001, 0x0, 23, Reserved),   // protocols
		span6(0x2002, 0x0, 16, Translated), // 6to4
		span6(0x3fff, 0x0, 20, Documentation),
		span6(0x5f00, 0x0, 16, Reserved), // segment routing
		span6(0xfc00, 0x0, 7, Private),
		span6(0xfe80, 0x0, 10, LinkLocal),
		span6(0xfec0, 0x0, 10, Private), // once "site-local"
		span6(0xff00, 0x0, 8, Multicast),
	}
}

// Classify returns the class of an address. One that stands for an IPv4 address by
// being mapped has the class of that.
func Classify(ip netip.Addr) Class {
	ip = ip.Unmap()
	if !ip.IsValid() {
		return Reserved
	}
	if ip.Zone() != "" {
		return LinkLocal
	}
	if slices.Contains(metadata(), ip) {
		return Metadata
	}
	spans, otherwise := special4(), Public
	if ip.Is6() {
		spans, otherwise = special6(), Reserved
		if ip.As16()[0]>>5 == 1 { // 2000::/3
			otherwise = Public
		}
	}
	for _, s := range spans {
		if s.prefix.Contains(ip) {
			return s.class
		}
	}
	return otherwise
}

// Embedded returns the IPv4 address that a translator on the way connects to for an
// address of the well-known NAT64 prefix.
func Embedded(ip netip.Addr) (netip.Addr, bool) {
	if !netip.PrefixFrom(addr6([8]uint16{0x64, 0xff9b}), 96).Contains(ip) {
		return netip.Addr{}, false
	}
	raw := ip.As16()
	return netip.AddrFrom4([4]byte(raw[12:])), true
}
