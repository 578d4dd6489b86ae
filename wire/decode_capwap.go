package wire

import "encoding/binary"

// From the specification.
const (
	portCAPWAP = 5247 // RFC 5415 section 3.1: data; control has a port of its own, and no packets inside

	// Flags of the header, RFC 5415 section 4.3, in its first 32 bits.
	capwapNative   = 1 << 8 // the frame is one of its own medium, not of Ethernet
	capwapFragment = 1 << 7
	capwapWireless = 1 << 5
	capwapRadioMAC = 1 << 4
	capwapAlive    = 1 << 3
	capwap80211    = 1 // of the five bits that name the medium

	// Frame control of IEEE 802.11 section 9.2.4.1: the first byte, then flags in the second.
	wlanKind      = 0x0f // type and version
	wlanData      = 0x08
	wlanNull      = 0x40 // a subtype without a frame
	wlanQoS       = 0x80
	wlanToDS      = 0x01
	wlanFromDS    = 0x02
	wlanMore      = 0x04
	wlanProtected = 0x40
	wlanOrder     = 0x80 // with QoS: four bytes of HT control
	wlanAggregate = 0x80 // in QoS control: several frames in one

	wlanHead = 24 // bytes
)

// capwap decodes the header of CAPWAP's data channel (RFC 5415 section 4.3) and, where it says so, one of IEEE 802.11 behind it. What was cut
// into fragments by CAPWAP itself, or is encrypted, is not entered.
func (d *Decoder) capwap(p *Packet, left int) Result {
	typ, inside, ok := CAPWAP(p.Payload)
	if !ok || inside == nil {
		return d.opaque()
	}
	return d.tunnel(p, EncapCAPWAP, 0, typ, inside, left)
}

// CAPWAP takes the frame out of a datagram of CAPWAP's data channel: what Decoder.ether takes for an EtherType, and what it announces. inside is
// nil where a frame is there that is not to be looked into; ok is false if there is no such header.
func CAPWAP(b []byte) (typ uint16, inside []byte, ok bool) {
	if len(b) < 8 || b[0] != 0 { // version 0, and nothing encrypted behind it
		return 0, nil, false
	}
	head := binary.BigEndian.Uint32(b)
	n, flags := 4*int(head>>19&0x1f), head&0xfff
	if n < 8 || n >= len(b) || flags&7 != 0 || head>>9&0x1f > 3 {
		return 0, nil, false
	}
	c := Cut(b[8:n])
	if flags&capwapRadioMAC != 0 && !c.aligned() || flags&capwapWireless != 0 && !c.aligned() || c.Len() != 0 {
		return 0, nil, false
	}
	b = b[n:]
	switch {
	case flags&(capwapFragment|capwapAlive) != 0:
		return 0, nil, true
	case flags&capwapNative == 0:
		return typeTEB, b, true
	case head>>9&0x1f != capwap80211 || len(b) < wlanHead:
		return 0, nil, true
	}
	if inside = wlan(b, b[0], b[1]); inside == nil {
		inside = wlan(b, b[1], b[0]) // controllers of one make swap the two
	}
	return typeLLC, inside, true
}

// aligned passes over a field that says its length in one byte, and what fills it up to a multiple of four.
func (c *Cursor) aligned() bool {
	n := int(c.U8())
	c.Skip(n + (4-(n+1)&3)&3)
	return !c.Short()
}

// wlan returns what stands behind the header of a data frame of IEEE 802.11 (section 9.3.2), if that is an LLC header with SNAP; else nil.
func wlan(b []byte, kind, flags byte) []byte {
	if kind&wlanKind != wlanData || kind&wlanNull != 0 || flags&(wlanMore|wlanProtected) != 0 {
		return nil
	}
	c := Cut(b)
	c.Skip(wlanHead)
	if flags&(wlanToDS|wlanFromDS) == wlanToDS|wlanFromDS {
		c.Skip(6) // a fourth address
	}
	if kind&wlanQoS != 0 {
		if c.U8()&wlanAggregate != 0 {
			return nil
		}
		c.Skip(1)
		if flags&wlanOrder != 0 {
			c.Skip(4)
		}
	}
	if b := c.Rest(); !c.Short() && len(b) > 8 && string(b[:3]) == "\xaa\xaa\x03" {
		return b
	}
	return nil
}
