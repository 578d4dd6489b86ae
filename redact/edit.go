package redact

import (
	"bytes"
	"fmt"

	"weir/wire"
)

// from the specifications
const (
	etherHead = 14
	ipHead    = 20
	portsHead = 4 // bytes of a transport header with the ports, which a first fragment has; a checksum would tell of what stood behind
	typeHead  = 2 // likewise of ICMP
	arp       = 0x0806
	icmpHead  = 8
	quoteHead = 48 // bytes of what an error of ICMP quotes: headers of IPv6 and ports
)

// edit overwrites what must not be shown in a frame, packet n of the capture, and says how much that was.
func (p *plan) edit(n int, f *wire.Frame) string {
	var pk wire.Packet
	before := bytes.Clone(f.Data)
	res := p.dec.Decode(f, &pk)
	was := pk.Sum()
	switch off, ok := pk.Place(); {
	case res != wire.OK || pk.IP == 0:
		p.unknown(f, &pk)
	case pk.Fragmented:
		if keep := portsHead; ok {
			switch {
			case pk.Frag.Off > 0:
				keep = 0
			case pk.Key.Proto == wire.ProtoICMP, pk.Key.Proto == wire.ProtoICMPv6:
				keep = typeHead
			}
			overwrite(f.Data[min(off+keep, len(f.Data)):])
		}
	case ok:
		p.payload(n, f.Data[off:off+len(pk.Payload)], &pk)
		if rest := f.Data[off+len(pk.Payload):]; len(bytes.Trim(rest, "\x00")) > 0 { // nothing of the packet, and no padding
			overwrite(rest)
		}
	}
	if p.needles.at != nil { // headers may hold something too
		p.needles.each(before, 0, func(v *needle, a, z int) {
			if len(v.text) >= shortly {
				overwrite(f.Data[max(a-v.beside, 0):min(z+v.beside, len(f.Data))])
			}
		})
	}
	changed := 0
	for i := range before {
		if before[i] != f.Data[i] {
			changed++
		}
	}
	if changed == 0 {
		return ""
	}
	pk.SetSum(was)
	p.count.Packets++
	p.count.Bytes += changed
	return fmt.Sprintf("weir: redacted %d bytes", changed)
}

// unknown overwrites what is no packet that is understood.
func (p *plan) unknown(f *wire.Frame, pk *wire.Packet) {
	keep := ipHead
	if f.Link == wire.LinkEthernet {
		keep = etherHead
	}
	if pk.Ether != arp {
		overwrite(f.Data[min(keep, len(f.Data)):])
	}
}

// payload overwrites what must not be shown of the payload of packet n.
func (p *plan) payload(n int, b []byte, pk *wire.Packet) {
	icmp := pk.Key.Proto == wire.ProtoICMP || pk.Key.Proto == wire.ProtoICMPv6
	whole := b
	if icmp {
		whole = b[min(icmpHead, len(b)):]
		if quotes(pk) {
			overwrite(b[min(icmpHead+quoteHead, len(b)):])
		}
	}
	if n >= len(p.of) || p.of[n] < 0 {
		overwrite(whole)
		return
	}
	c := p.list[p.of[n]>>1]
	st := &c.dirs[p.of[n]&1]
	if c.blank != "" {
		overwrite(whole)
		return
	}
	at := position(c, pk, n)
	if c.tcp {
		st.cover(at, len(b), func(a, z int) { overwrite(b[a:z]) })
		return
	}
	was := bytes.Clone(b) // values may overlap
	st.cover(at, 1, func(int, int) { overwrite(whole) })
	for _, g := range st.groups {
		if g.span.has(span{at, at + 1}) {
			for from := 0; ; {
				i := bytes.Index(was[from:], []byte(g.text))
				if i < 0 {
					break
				}
				from += i + 1 // it may overlap itself
				overwrite(b[from-1 : from-1+len(g.text)])
			}
		}
	}
}

// quotes reports whether a message of ICMP is an error, which has the beginning of another packet in it.
func quotes(pk *wire.Packet) bool {
	if pk.Key.Proto == wire.ProtoICMPv6 {
		return pk.Type < 128
	}
	return pk.Type == 3 || pk.Type == 4 || pk.Type == 5 || pk.Type == 11 || pk.Type == 12
}

func overwrite(b []byte) {
	for i := range b {
		b[i] = fill
	}
}
