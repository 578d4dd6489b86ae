package wire

import (
	"encoding/binary"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// TestAnyPort sends tunnels to ports that are not theirs: they are entered if there is no doubt, else they are the datagrams that they are.
func TestAnyPort(t *testing.T) {
	ip := build(t, ip4(layers.IPProtocolTCP), tcp())
	inner := build(t, ether(layers.EthernetTypeIPv4), ip4(layers.IPProtocolTCP), tcp())
	vxlan := append([]byte{8, 0, 0, 0, 0, 0, 7, 0}, inner...)
	gtp := append(binary.BigEndian.AppendUint16([]byte{0x30, 0xff}, uint16(len(ip))), append(make([]byte, 4), ip...)...)
	geneve := append([]byte{0, 0, 0x65, 0x58, 0, 0, 7, 0}, inner...)
	capwap := append([]byte{0, 0x10, 2, 0, 0, 0, 0, 0}, inner...)
	spoil := func(b []byte, at int) []byte {
		b = append([]byte(nil), b...)
		b[at] ^= 0x40
		return b
	}
	for name, c := range map[string]struct {
		payload []byte
		want    Encap
	}{
		"vxlan":             {vxlan, EncapVXLAN},
		"gtp":               {gtp, EncapGTP},
		"geneve":            {geneve, EncapGeneve},
		"capwap":            {capwap, EncapCAPWAP},
		"capwap fragment":   {append(append([]byte{0, 0x10, 2, 0x80}, capwap[4:8]...), inner...), 0},
		"capwap bad inside": {spoil(capwap, 8+14+10), 0},
		"vxlan in vxlan":    {append([]byte{8, 0, 0, 0, 0, 0, 7, 0}, udpTo(t, 4444, vxlan)...), EncapVXLAN},
		"vxlan flags":       {spoil(vxlan, 1), 0},
		"vxlan reserved":    {spoil(vxlan, 7), 0},
		"vxlan bad inside":  {spoil(vxlan, 8+14+10), 0}, // the checksum of the header inside
		"gtp other message": {spoil(gtp, 1), 0},
		"gtp length":        {spoil(gtp, 2), 0},
		"gtp bad inside":    {spoil(gtp, 8+10), 0},
		"geneve version":    {spoil(geneve, 0), 0},
		"geneve bad inside": {spoil(geneve, 8+14+10), 0},
		"cut":               {vxlan[:len(vxlan)-1], 0},
	} {
		f := frame(udpTo(t, 4444, c.payload))
		var d Decoder
		var p Packet
		if r := d.Decode(&f, &p); r != OK || p.Encap != c.want {
			t.Errorf("%s: %v, encapsulation %v, want %v", name, r, p.Encap.Names(), c.want.Names())
		}
		if proto := uint8(ProtoUDP); c.want == 0 && (p.Key.Proto != proto || len(p.Payload) != len(c.payload) || d.Opaque != 0) {
			t.Errorf("%s: not the datagram that it is: protocol %d, %d bytes, opaque %d", name, p.Key.Proto, len(p.Payload), d.Opaque)
		}
	}
}

// TestOthersPort sends a tunnel to the ports of others.
func TestOthersPort(t *testing.T) {
	vxlan := append([]byte{8, 0, 0, 0, 0, 0, 7, 0}, build(t, ether(layers.EthernetTypeIPv4), ip4(layers.IPProtocolTCP), tcp())...)
	for _, port := range []layers.UDPPort{portGeneve, portGTPU, portCAPWAP} {
		f := frame(udpTo(t, port, vxlan))
		var d Decoder
		var p Packet
		if r := d.Decode(&f, &p); r != OK || p.Encap != EncapVXLAN {
			t.Errorf("port %d: %v, encapsulation %v", port, r, p.Encap.Names())
		}
	}
}

// udpTo makes a frame with a datagram.
func udpTo(t *testing.T, port layers.UDPPort, payload []byte) []byte {
	return build(t, ether(layers.EthernetTypeIPv4), ip4(layers.IPProtocolUDP), &layers.UDP{SrcPort: 5555, DstPort: port}, gopacket.Payload(payload))
}
