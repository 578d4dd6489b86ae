// Package wire says what bytes on a network look like: frames, packets and the keys of flows,
// and decodes layers 2 to 4. It keeps no state between packets and knows nothing of where
// frames come from; putting streams back in order is package flow's.
package wire

// Link is a frame's link-layer type, numbered as LINKTYPE_ values in capture files.
type Link uint16

// Link types that Decode understands. Frames of any other are kept and counted, not decoded.
const (
	LinkNull     Link = 0   // BSD loopback: 4-byte address family, host order of the capturing machine
	LinkEthernet Link = 1   // IEEE 802.3
	LinkPPP      Link = 9   // RFC 1661, with or without HDLC framing
	LinkRawBSD   Link = 12  // raw IP as some BSDs number it
	LinkRawOBSD  Link = 14  // raw IP as OpenBSD numbers it
	LinkPPPHDLC  Link = 50  // RFC 1662
	LinkPPPoE    Link = 51  // RFC 2516, from the PPPoE header on
	LinkRaw      Link = 101 // raw IPv4 or IPv6
	LinkLoop     Link = 108 // OpenBSD loopback: 4-byte address family, network order
	LinkSLL      Link = 113 // Linux cooked v1
	LinkIPv4     Link = 228 // raw IPv4
	LinkIPv6     Link = 229 // raw IPv6
	LinkSLL2     Link = 276 // Linux cooked v2
)

// Flag holds what a source knows of a frame beside its bytes.
type Flag uint8

const (
	FlagOutgoing    Flag = 1 << iota // seen as it left this host's stack through the interface
	FlagCsumPartial                  // the kernel has yet to fill in the transport checksum: do not judge it
	FlagCsumValid                    // the kernel has verified the transport checksum
	FlagVLAN                         // VLAN holds a tag that was taken out of Data
	FlagLoss                         // frames were lost by the source just before this one
)

// Frame is one captured link-layer frame. Data is borrowed: it points into the source's memory
// and is valid until the source's next call to Next or Close.
type Frame struct {
	Data  []byte
	Time  int64  // ns since the epoch
	Len   uint32 // bytes on the wire; more than len(Data) if the capture cut it
	VLAN  uint32 // TPID<<16 | TCI, valid iff FlagVLAN
	Iface uint16 // index into the source's interfaces
	Link  Link
	Flag  Flag
}
