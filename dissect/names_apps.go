package dissect

import (
	"bytes"
	"math/big"

	"weir/wire"
)

// Games, applications of many peers, and what talks to a vendor's cloud, that are only named.
var (
	Activision    = onlyNamed("activision", "Activision, matching of players", Datagram, datagram(isActivision))
	AmongUs       = onlyNamed("amongus", "Hazel, by the hello of Among Us", Datagram, datagram(isAmongUs), 22023)
	Avast         = onlyNamed("avast", "Avast, updates and telemetry", Stream, begins("NOSA"))
	Bitcoin       = onlyNamed("bitcoin", "Bitcoin", Stream, stream(16, isBitcoin, "\xf9\xbe\xb4\xd9", "\x0b\x11\x09\x07", "\xfa\xbf\xb5\xda", "\x0a\x03\xcf\x40"), 8333)
	Discord       = onlyNamed("discord", "Discord, discovery of a voice server", Datagram, datagram(isDiscord))
	Dropbox       = onlyNamed("dropbox", "Dropbox, discovery in a local network", Datagram, datagram(isDropbox), 17500)
	EAQ           = onlyNamed("eaq", "EAQ, measurement of lines", Datagram, datagram(isEAQ))
	EDonkey       = onlyNamed("edonkey", "eDonkey", Stream, stream(7, isEDonkey, "\xe3"), 4662)
	Ethereum      = onlyNamed("ethereum", "Ethereum, RLPx", Stream, probeRLPx, 30303)
	EthereumUDP   = onlyNamed("ethereum", "Ethereum, discovery", Datagram, datagram(isDiscv4), 30303)
	Gnutella      = onlyNamed("gnutella", "Gnutella", Stream, begins("GNUTELLA CONNECT/", "GNUTELLA/0."))
	KCP           = onlyNamed("kcp", "KCP", Datagram, datagram(isKCP))
	Monero        = onlyNamed("monero", "Monero, Levin", Stream, begins("\x01\x21\x01\x01\x01\x01\x01\x01"), 18080)
	Mumble        = onlyNamed("mumble", "Mumble, the answer of a server", Datagram, datagram(isMumble), 64738)
	Nano          = onlyNamed("nano", "Nano, by its handshake", Stream, stream(8, isNano, "RA", "RB", "RC"), 7075)
	NestLogSink   = onlyNamed("nestlogsink", "Weave, as Nest devices send their logs with it", Stream, probeWeave, 11095)
	NoMachine     = onlyNamed("nomachine", "NX, NoMachine", Stream, begins("NXD-"), 4000)
	RakNet        = onlyNamed("raknet", "RakNet, by the magic number of messages before a connection", Datagram, datagram(isRakNet))
	RiotGames     = onlyNamed("riotgames", "Riot Games, probing of servers", Datagram, datagram(isRiot))
	SDRTN         = onlyNamed("sd-rtn", "SD-RTN, Agora", Datagram, datagram(isSDRTN))
	SourceEngine  = onlyNamed("source-engine", "queries to servers of the Source engine", Datagram, datagram(isSourceQuery), 27015)
	Spotify       = onlyNamed("spotify", "Spotify, discovery in a local network", Datagram, begins("SpotUdp0"), 57621)
	StarCraft     = onlyNamed("starcraft", "StarCraft II", Stream, begins("\x4a\x00\x00\x0a\x66\x02\x0a"), 1119)
	Steam         = onlyNamed("steam", "Steam, discovery in a local network", Datagram, begins("\xff\xff\xff\xff\x21\x4c\x5f\xa0"), 27036)
	SteamRelay    = onlyNamed("steamdatagramrelay", "Steam Datagram Relay, pings", Datagram, datagram(func(b []byte) bool { return len(b) > 16 && string(b[2:8]) == "sdping" }))
	Syncthing     = onlyNamed("syncthing", "Syncthing, discovery in a local network", Datagram, begins("\x2e\xa7\xd9\x0b"), 21027)
	Tailscale     = onlyNamed("tailscale", "Tailscale, DISCO", Datagram, begins("TS\xf0\x9f\x92\xac"), 41641)
	TeamSpeak     = onlyNamed("teamspeak", "TeamSpeak 3", Datagram, begins("TS3INIT1"), 9987)
	TeamViewer    = onlyNamed("teamviewer", "TeamViewer", Stream, stream(6, isTeamViewer, "\x17\x24\x0a", "\x17\x24\x0b"), 5938)
	TeamViewerUDP = onlyNamed("teamviewer", "TeamViewer over UDP", Datagram, datagram(func(b []byte) bool {
		return len(b) > 16 && zeros(b[:10]) && string(b[10:13]) == "\x03\x17\x24"
	}), 5938)
	TencentGames    = onlyNamed("tencentgames", "TGCP, Tencent Games", Stream, begins("\x33\x66\x00\x0b\x00\x0b"))
	Tinc            = onlyNamed("tinc", "tinc", Stream, probeTinc, 655)
	TiVoConnect     = onlyNamed("tivoconnect", "TiVoConnect discovery", Datagram, begins("TiVoConnect="), 2190)
	WhatsApp        = onlyNamed("whatsapp", "WhatsApp", Stream, begins("WA\x01\x02\x00", "WA\x01\x05\x00", "WA\x05\x02\x00", "WA\x06\x02\x00", "WA\x06\x03\x00", "ED\x00\x01\x00\x00"), 5222)
	WorldOfWarcraft = onlyNamed("worldofwarcraft", "World of Warcraft", Stream, begins("0\x00WORLD OF WARCRAFT CONNECTION"), 3724)
	Xiaomi          = onlyNamed("xiaomi", "Xiaomi, push messages", Stream, begins("\xc2\xfe\x00\x05\x00\x00"), 5222)
	Yojimbo         = onlyNamed("yojimbo", "netcode, as yojimbo uses it", Datagram, begins("\x00NETCODE 1."))
	Zoom            = onlyNamed("zoom", "Zoom, between two participants", Datagram, datagram(isZoom))
)

// isActivision recognises the address that the player believes to have, in a private network, and the port.
func isActivision(b []byte) bool {
	const addr = 17
	return len(b) == 29 && (b[0] == 12 || b[0] == 13) && b[1] == 2 && b[2] == 0 && u16le(b[addr+4:]) >= 1024>>1 &&
		(b[addr] == 10 || b[addr] == 192 && b[addr+1] == 168 || b[addr] == 172 && b[addr+1]>>4 == 1)
}

// isAmongUs recognises a hello: its version counts days.
func isAmongUs(b []byte) bool {
	if len(b) < 10 || b[0] != 8 || b[3] != 0 {
		return false
	}
	version, n := u32le(b[4:]), int(b[8])
	return version > 2018*25000 && version < 2040*25000 && n > 0 && n <= 10 && 9+n <= len(b) && oneLine(b[9:9+n])
}

func isBitcoin(b []byte) bool {
	command := bytes.TrimRight(b[4:16], "\x00")
	for _, c := range command {
		if c < '0' || c > 'z' {
			return false
		}
	}
	return len(command) > 2
}

// isDiscord recognises a question for the own address, its answer, and what keeps a flow open.
func isDiscord(b []byte) bool {
	switch len(b) {
	case 8:
		return string(b[:4]) == "\x13\x37\xca\xfe"
	case 74:
		return b[0] == 0 && (b[1] == 1 && zeros(b[8:]) || b[1] == 2 && b[8] > '0' && b[8] <= '9') && u16be(b[2:]) == 70
	}
	return false
}

func isDropbox(b []byte) bool {
	return b[0] == '{' && bytes.Contains(b, []byte(`"host_int": `)) && bytes.Contains(b, []byte(`"version": [`))
}

func isEAQ(b []byte) bool {
	return len(b) == 16 && b[0]|b[1]|b[4]|b[5]|b[8] == 0 && b[6] != 0 && u32be(b[8:]) < 1e6 && (u32be(b[12:]) == 0x9000 || u32be(b[12:]) == 0x6000)
}

// isEDonkey recognises a hello and its answer.
func isEDonkey(b []byte) bool {
	n := u32le(b[1:])
	return b[0] == 0xe3 && n > 24 && n < 1024 && (b[5] == 1 && b[6] == 16 || b[5] == 0x4c)
}

// secp256k1 is the prime of the curve's field.
var secp256k1, _ = new(big.Int).SetString("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f", 16)

// probeRLPx recognises how a connection begins (EIP-8): a length, and a point of the curve secp256k1.
func probeRLPx(_ wire.Dir, head []byte) Guess {
	if head[0] > 3 || len(head) > 2 && head[2] != 4 {
		return No
	}
	if len(head) < 67 {
		return Maybe
	}
	if n := u16be(head); n < 194 || n > 1024 {
		return No
	}
	x, y := new(big.Int).SetBytes(head[3:35]), new(big.Int).SetBytes(head[35:67])
	x.Exp(x, big.NewInt(3), secp256k1).Add(x, big.NewInt(7)).Mod(x, secp256k1)
	return yes(y.Exp(y, big.NewInt(2), secp256k1).Cmp(x) == 0)
}

// isDiscv4 recognises a hash, a signature, a kind and a list up to the end.
func isDiscv4(b []byte) bool {
	const kind = 97
	if len(b) < kind+3 || b[kind-1] > 1 || b[kind] == 0 || b[kind] > 6 {
		return false
	}
	n := -1
	switch l := b[kind+1]; {
	case l >= 0xc0 && l <= 0xf7:
		n = kind + 2 + int(l-0xc0)
	case l == 0xf8:
		n = kind + 3 + int(b[kind+2])
	case l == 0xf9 && len(b) > kind+4:
		n = kind + 4 + u16be(b[kind+2:])
	}
	return n == len(b)
}

// isKCP walks over the segments up to the end.
func isKCP(b []byte) bool {
	if len(b) < 24 {
		return false
	}
	conv := u32le(b)
	for len(b) > 0 {
		if len(b) < 24 || u32le(b) != conv || b[4] < 81 || b[4] > 84 || u32le(b[20:]) > len(b)-24 || b[4] > 81 && u32le(b[20:]) > 0 {
			return false
		}
		b = b[24+u32le(b[20:]):]
	}
	return true
}

func isMumble(b []byte) bool {
	return len(b) == 24 && b[0] == 0 && b[1] == 1 && b[2] >= 2 && b[2] <= 9 && !zeros(b[4:12]) && u32be(b[12:]) < 1<<16 && u32be(b[16:]) < 1<<20 && u32be(b[20:]) > 1000
}

// isNano recognises a handshake by its versions.
func isNano(b []byte) bool {
	return b[0] == 'R' && b[1] >= 'A' && b[1] <= 'C' && b[2] >= b[3] && b[3] >= b[4] && b[4] >= 5 && b[2] < 64 && b[5] == 10
}

// probeWeave recognises the length, and the numbers of both devices, which begin with the vendor's.
func probeWeave(_ wire.Dir, head []byte) Guess {
	const nest = "\x30\xb4\x18"
	if oneLine(head[:1]) || len(head) > 1 && head[1] > 7 || len(head) > 3 && head[3] != 0x13 { // no text
		return No
	}
	if len(head) < 24 {
		return Maybe
	}
	return yes(u16le(head) >= 24 && string(head[13:16]) == nest && string(head[21:24]) == nest)
}

func isRakNet(b []byte) bool {
	return bytes.Contains(b[:min(len(b), 64)], []byte("\x00\xff\xff\x00\xfe\xfe\xfe\xfe\xfd\xfd\xfd\xfd\x12\x34\x56\x78"))
}

func isRiot(b []byte) bool {
	return len(b) == 36 && string(b[28:]) == "\xaa\xaa\xaa\xaa\xbb\xbb\xbb\xbb"
}

func isSDRTN(b []byte) bool {
	return len(b) > 32 && b[6] == 0x21 && string(b[13:17]) == "SNI\x00" && bytes.Contains(b, []byte("PDMD"))
}

// isSourceQuery recognises the questions and the answer that tells of a server.
func isSourceQuery(b []byte) bool {
	if len(b) < 9 || string(b[:4]) != "\xff\xff\xff\xff" {
		return false
	}
	switch b[4] {
	case 'T':
		return bytes.HasPrefix(b[5:], []byte("Source Engine Query\x00"))
	case 'I':
		return b[5] == 0x11 && len(b) > 20
	case 'U', 'V', 'A':
		return len(b) == 9
	}
	return false
}

// isTeamViewer recognises a command of the first kinds, and its length.
func isTeamViewer(b []byte) bool {
	return b[0] == 0x17 && b[1] == 0x24 && (b[2] == 10 || b[2] == 11) && b[4] == 0 && b[3] >= 8
}

// probeTinc recognises the line that a node begins with: 0, its name and the version.
func probeTinc(_ wire.Dir, head []byte) Guess {
	if !beginning(head, "0 ") {
		return No
	}
	line, _, whole := bytes.Cut(head, []byte("\n"))
	switch {
	case len(line) > 64 || !oneLine(line):
		return No
	case !whole:
		return Maybe
	}
	f := bytes.Fields(line)
	return yes(len(f) == 3 && (string(f[2]) == "17" || bytes.HasPrefix(f[2], []byte("17."))))
}

// isZoom recognises the number of a call behind an address, both as text.
func isZoom(b []byte) bool {
	if len(b) < 64 || string(b[:4]) != "\x1f\x02\x01\x00" {
		return false
	}
	i := bytes.Index(b, []byte("\x00\x00\x00\x24"))
	return i > 0 && i+40 <= len(b) && b[i+12] == '-' && b[i+17] == '-' && oneLine(b[i+4:i+40])
}
