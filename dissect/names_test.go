package dissect

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"

	"weir/wire"
)

// heads are beginnings of what ends of a protocol say that is only named.
var heads = []struct {
	name    string
	carrier Carrier
	dir     string
	hex     string
}{
	{"activision", Datagram, ">", "0d0200c4234a84b4b134cfffd40f7e9a37c0a80015020c2d3f7036b587"},
	{"amongus", Datagram, ">", "0800010080d9020306414141414141"},
	{"ansi-c1222", Datagram, ">", "6030a20f060d607c86f754011600010140ce11a60e060c607c86f75401160001014021a80402020f89be0728058103800120"},
	{"atg", Stream, ">", "014932303130300d0a"},
	{"avast", Stream, ">", "4e4f534100600101000003014317156f4252451400000000058882a57447f969819e74f1b13693359a9e8e134c49431496352893d2859747515dcef6"},
	{"beckhoffads", Stream, ">", "000020000000050d756001011027c0a801630101038004000400000000000000000005000000"},
	{"ceph", Stream, ">", "636570682076303237"},
	{"checkmk", Stream, "<", "3c3c3c636865636b5f6d6b3e3e3e0a"},
	{"cip", Datagram, ">", "020002800800787b3a00e8cb5e04b1000c000300fdffffffffffffff0000"},
	{"ciscoskinny", Stream, ">", "8000000000000000010000004e4f4e5345435552455f434f4e4600000000000001000000ac126e3a3400000008000000000000001202010080007f3a"},
	{"citrix", Stream, ">", "7f7f49434100"},
	{"discord", Datagram, ">", "1337cafe0a000000"},
	{"edonkey", Stream, ">", "e37700000001101b42cd5b940ed779c20ab755fe256f977d4967e38a4d08000000020100010f005b43484e5d5b5665727943445d7866030100113c00"},
	{"ethernetglobaldata", Datagram, ">", "0d01d4f0c0a8084d7b000000be8a7e3800811b2c000000000000000000000000000000000000000000000000000000000000000000000000000000"},
	{"ethersio", Datagram, ">", "4553494f0001000000317616000000180000000d01000000005c00000001001100000b30000000000000000000000000ff"},
	{"gearman", Stream, ">", "0052455100000001000000027763"},
	{"ieee-c37118", Stream, ">", "aa41001200f100000000000000000005d7d0"},
	{"ieee-c37118", Datagram, ">", "aa410012003c4899909a00342ed50001560b"},
	{"kcp", Datagram, "<", "0a00000052007f0014000000000000000100000000000000"},
	{"kismet", Stream, ">", "213020454e41424c4520475053206c61742c6c6f6e2c616c742c7370642c68656164696e672c6669780a213020454e41424c4520494e464f206e6574"},
	{"knxnet-ip", Datagram, ">", "0610020b00140801c0a858e7a17f060401020607"},
	{"knxnet-ip", Stream, ">", "06100423000e040102000600108706100425000e0401030006001087"},
	{"lustre", Stream, ">", "c100000000000000000000000000000000000000000000007758a8c0000002007658a8c00000020039300000393000000100000008020000ffffffff"},
	{"merakicloud", Datagram, "<", "fef728910d01002e060000020000000000000000000000010014020863bebe34299a7a9307080000000238056aa7"},
	{"nano", Stream, ">", "52431414120a0500f0269f5e0110da0ffa6fb70e5c70c46ec3bd3de37cc66ac1395fdde101f35544"},
	{"nat-pmp", Datagram, ">", "028000000000000000000021000000000000000000000000"},
	{"nestlogsink", Stream, ">", "1102001308030000369e27000030b418040000000230b418110a89060400000081000039f8006d0001005a2325005a23ea2004dfc993a6ab87c79cce"},
	{"openflow", Stream, ">", "06000010000000010001000800000040"},
	{"radmin", Stream, ">", "01000000010000000808"},
	{"raft", Stream, ">", "0100000000000000010000000000000010000000000000003132372e302e302e313a393030310000"},
	{"rx", Datagram, ">", "d70fb3305c224fb0000000010000000100000001010500000000000100010004"},
	{"service-location-protocol", Datagram, ">", "0106002c0000656e00031ef700000018736572766963653a782d68706e702d646973636f7665723a00000000"},
	{"smpp", Stream, ">", "00000028000000020000000000000001616268696b0070617373776f726400534d50500001000000"},
	{"source-engine", Datagram, ">", "ffffffff54536f7572636520456e67696e6520517565727900"},
	{"spotify", Datagram, ">", "53706f7455647030dc1574282e52624c000100044895c203a241de2089b978d820564bd50c91c0e8a3e60a78"},
	{"steam", Datagram, ">", "ffffffff214c5fa01600000008fcd3f1e3b7bcbfcf76100018afca9baaa080d9e402020000000801"},
	{"stratum", Stream, ">", "7b226964223a312c226d6574686f64223a226d696e696e672e737562736372696265222c22706172616d73223a5b224557424620302e332e3462222c"},
	{"teamviewer", Stream, ">", "17240a200000000000000000004800800001000000148000006fb78c804805532216142004"},
	{"tinc", Stream, ">", "3020742031370a"},
	{"tplink-shp", Datagram, ">", "d0f281f88bff9af7d5ef94b6d1b4c09fec95e68fe187e8caf08bf68bf6"},
	{"worldofwarcraft", Stream, ">", "3000574f524c44204f4620574152435241465420434f4e4e454354494f4e202d20434c49454e5420544f2053455256455200"},
	{"xiaomi", Stream, ">", "c2fe0005000000cd00020016000000af08001a0a7869616f6d692e636f6d2a04434f4e4e4800086a120d5265646d69204e6f74652038541a11563132"},
	{"ethereum", Datagram, ">", "0000000000000000000000000000000000000000000000000000000000000000111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111110102c3010203"},
	{"mumble", Datagram, "<", "0001030403d72000fa76287e000000000000006400011940"},
	{"munin", Stream, "<", "23206d756e696e206e6f64652061742067772d63740a"},
	{"raknet", Datagram, "<", "7e00ffff00fefefefefdfdfdfd1234567898d5573af066c42d000574"},
	{"riotgames", Datagram, ">", "2bbd03111e32fd15ab597f811fcc17161db1000052f862a729000000aaaaaaaabbbbbbbb"},
	{"teamspeak", Datagram, ">", "545333494e49543100650000880dd05766005f5916e0ade76b610000000000000000"},
	{"tencentgames", Stream, ">", "3366000b000b100100000000010000004c00000000020300"},
	{"whatsapp", Stream, ">", "57410105000018f80501a59189fc10416e64726f6964"},
	{"bitcoin", Stream, ">", "f9beb4d976657273696f6e000000000066000000"},
	{"coap", Datagram, ">", "40017d34bb2e77656c6c2d6b6e6f776e04636f7265"},
	{"dnscrypt", Datagram, ">", "54ab010000010000000000000132" + "0d646e7363727970742d63657274076578616d706c6503636f6d0000100001"},
	{"hl7", Stream, ">", "0b4d53487c5e7e5c267c"},
	{"giop", Stream, ">", "47494f5001020000"},
	{"hislip", Stream, ">", "485300000100585800000000000000076869736c697030"},
	{"iax", Datagram, ">", "8001000000000003000006010b0200020603313233"},
	{"iscsi", Stream, ">", "438700000000003e00023d00000000000000000000000000000000000000000000000000000000000000000000000000496e69746961746f724e616d653d69716e2e78"},
	{"ldp", Datagram, ">", "0001001e0a00000100000100001400000001040000040" + "00f00000401000400000001"},
	{"monero", Stream, ">", "01210101010101010000000000000000"},
	{"opcua", Stream, ">", "48454c463700000000000000"},
	{"pfcp", Datagram, ">", "2005001a000001000013000101003c000500c0a800010060000400000000"},
	{"rtps", Datagram, ">", "525450530202010f"},
	{"zabbix", Stream, "<", "5a42584401"},
}

// TestNames asks all probes, in the order of the table, what a beginning is: no port helps.
func TestNames(t *testing.T) {
	for _, h := range heads {
		dir, b := wire.ToServer, unhexed(t, h.hex)
		if h.dir == "<" {
			dir = wire.ToClient
		}
		got := "nothing"
		for _, p := range Protocols {
			if p.Carrier&h.carrier != 0 && p.Probe != nil && p.Probe(dir, b) == Yes {
				got = p.Name
				break
			}
		}
		if got != h.name {
			t.Errorf("%s: named %s", h.name, got)
		}
	}
}

func unhexed(t *testing.T, s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestNamesStrict asks the probes of protocols that are only named about what is none of them.
func TestNamesStrict(t *testing.T) {
	var others [][]byte
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		b := make([]byte, 1+r.IntN(200))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		sparse := bytes.Clone(b) // as binary protocols are: numbers that are small
		for i := range sparse {
			if r.IntN(3) > 0 {
				sparse[i] = 0
			} else if r.IntN(2) > 0 {
				sparse[i] &= 15
			}
		}
		others = append(others, b, sparse)
	}
	for n := range 300 {
		others = append(others, make([]byte, n+1), bytes.Repeat([]byte{0xff}, n+1))
	}
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	w.Write([]byte(strings.Repeat("some words ", 500)))
	w.Close()
	others = append(others, zipped.Bytes(), []byte(strings.Repeat("The quick brown fox jumps over the lazy dog. ", 40)), []byte("<?xml version=\"1.0\"?><a/>"), []byte(`{"a": [1, 2, 3]}`))
	for _, p := range Protocols {
		if p.New != nil || p.Probe == nil || !strings.Contains(p.About, "only named") {
			continue
		}
		for dir := range wire.Dir(2) {
			for _, b := range others {
				if p.Probe(dir, b) == Yes {
					t.Errorf("%s is what %q is taken for", p.Name, b[:min(len(b), 40)])
				}
			}
			for _, c := range loadCases(t) {
				for _, tn := range c.turns {
					if c.protocol.Carrier&p.Carrier != 0 && tn.dir == dir && c.protocol.Name != p.Name && p.Probe(dir, []byte(tn.data[:min(len(tn.data), MaxProbe)])) == Yes {
						t.Errorf("%s is what %s is taken for: %q", p.Name, c.protocol.Name, tn.data[:min(len(tn.data), 40)])
					}
				}
			}
		}
	}
}
