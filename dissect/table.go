package dissect

// Protocols is the table of all protocols, in the order in which probes are asked when no port
// hints at another. The order is visible here on purpose: a protocol whose probe is sure of little comes last.
var Protocols = number([]*Protocol{
	// web
	&HTTP,
	&HTTP2,
	&GRPC,
	&SSE,
	&WebSocket,
	&Proxy,

	// encryption and tunnels
	&TLS,
	&QUIC,
	&DTLS,
	&Tailscale,
	&WireGuard,
	&IKE,
	&OpenVPN,
	&OpenVPNTCP,
	&L2TP,
	&PPTP,
	&VXLAN,
	&Geneve,
	&Teredo,
	&AYIYA,
	&GRE,
	&IPIP,

	// over IP without ports
	&IGMP,
	&EGP,
	&RSVP,
	&ESP,
	&EIGRP,
	&OSPF,
	&PIM,
	&VRRP,
	&PGM,
	&HIP,

	// databases
	&PostgreSQL,
	&MySQL,
	&MongoDB,
	&Redis,
	&Cassandra,
	&CassandraNode,
	&TDS,
	&OracleTNS,
	&ZooKeeper,
	&Couchbase,
	&Memcached,
	&MemcachedUDP,
	&Bolt,
	&ClickHouse,
	&DRDA,
	&Aerospike,

	// messaging
	&Kafka,
	&AMQP,
	&MQTT,
	&NATS,
	&STOMP,
	&OpenWire,
	&Pulsar,
	&RocketMQ,
	&ZMTP,
	&Dubbo,
	&Thrift,
	&ThriftUDP,
	&BRPC,
	&SparkRPC,
	&AJP,
	&FastCGI,
	&FIX,
	&JavaRMI,

	// mail, files, directories and remote access
	&SSH,
	&SMTP,
	&IMAP,
	&POP3,
	&FTP,
	&FTPData,
	&SMB,
	&LDAP,
	&CLDAP,
	&Kerberos,
	&KerberosTCP,
	&DCERPC,
	&DCERPCUDP,
	&NetBIOS,
	&NetBIOSSession,
	&NFS,
	&NFSTCP,
	&RDP,
	&RDPUDP,
	&RFB,
	&XMPP,
	&IRC,
	&NNTP,
	&Rsync,
	&ADB,
	&Git,
	&X11,
	&XDMCP,
	&SyslogTCP,
	&SOCKS,
	&Telnet,
	&Finger,

	// names, addresses and time
	&DHCP,
	&MDNS,
	&LLMNR,
	&DNSCrypt,
	&DNS,
	&DNSTCP,
	&NTP,
	&TFTP,
	&DHCPv6,
	&SSDP,

	// management and routing
	&SNMP,
	&SNMPTCP,
	&RADIUS,
	&Syslog,
	&NetFlow,
	&SFlow,
	&BGP,
	&BFD,
	&HSRP,
	&RMCP,
	&Diameter,
	&GTP,

	// voice and video
	&SIP,
	&SIPTCP,
	&RTSP,
	&STUN,
	&STUNTCP,
	&Megaco,
	&H323,

	// industry
	&Modbus,
	&DNP3,
	&DNP3UDP,
	&IEC104,
	&S7comm,
	&S7commPlus,
	&BACnet,
	&SOMEIP,

	// everything else
	&Stratum,
	&JSONRPC,
	&BitTorrent,
	&BitTorrentUDP,
	&PTP,

	// only named
	&AFP,
	&BFCP,
	&BJNP,
	&CAPWAP,
	&Ceph,
	&CheckMK,
	&Skinny,
	&Citrix,
	&CoAP,
	&Collectd,
	&DLEP,
	&ESTransport,
	&FLUTE,
	&Gearman,
	&GIOP,
	&HL7,
	&IAX,
	&ISCSI,
	&Kismet,
	&LDP,
	&LDPUDP,
	&Lustre,
	&Meraki,
	&MGCP,
	&MPEGTS,
	&Munin,
	&NATPMP,
	&OpenFlow,
	&PFCP,
	&Radmin,
	&Raft,
	&RTMP,
	&RTPS,
	&Roughtime,
	&Rx,
	&SLP,
	&SMPP,
	&TPLinkSHP,
	&TPLinkTCP,
	&Tuya,
	&TuyaTCP,
	&WSD,
	&Z3950,
	&Zabbix,
	&Activision,
	&AmongUs,
	&Avast,
	&Bitcoin,
	&Discord,
	&Dropbox,
	&EDonkey,
	&Ethereum,
	&EthereumUDP,
	&Gnutella,
	&KCP,
	&Monero,
	&Mumble,
	&Nano,
	&NestLogSink,
	&NoMachine,
	&RakNet,
	&RiotGames,
	&SDRTN,
	&SourceEngine,
	&Spotify,
	&StarCraft,
	&Steam,
	&SteamRelay,
	&Syncthing,
	&TeamSpeak,
	&TeamViewer,
	&TeamViewerUDP,
	&TencentGames,
	&Tinc,
	&TiVoConnect,
	&WhatsApp,
	&WorldOfWarcraft,
	&Xiaomi,
	&Yojimbo,
	&Zoom,
	&C1222,
	&ATG,
	&ADS,
	&ENIP,
	&ENIPUDP,
	&CIPIO,
	&EGD,
	&EtherSIO,
	&EtherSBus,
	&HARTIP,
	&FINS,
	&FINSTCP,
	&KNX,
	&KNXTCP,
	&C37118,
	&MMS,
	&OPCUA,
	&TRDP,
	&HiSLIP,
	&COSEM,
	&CNPIP,
	&EAQ,

	// sure of little
	&RTCP,
	&RTP,
	&RTPAnnounced,
	&ICMP,
	&ICMPv6,
})

// Raw is the protocol of flows that nobody recognises: their bytes are one endless message for each direction. It
// has no probe and is not in Protocols.
var Raw = Protocol{
	Name: "unknown",
	About: "Bytes of flows that nobody understands, in order, each direction as one endless value; a datagram is a value of its own. " +
		"`app_proto` is `failed` in the flow's event.",
	Carrier: Stream | Datagram,
	Fields: []FieldSpec{
		{Name: "raw", Doc: "the bytes"},
		{Name: "raw.refused", Doc: "bytes of any flow that were sent, but that their receiver did not take as far as is known, or took others in place of: decoys, and what " +
			"overlaps; each segment by itself"},
	},
}

// Fields of Raw.
const (
	RawBytes Field = iota
	RefusedBytes
)

// OnDisk is the protocol of what is no traffic: a file is a message. Like Raw it has no probe and is not in Protocols.
var OnDisk = Protocol{
	Name: "file",
	About: "Files, for `weir dlp scan` and `weir rules test`: no flow has this protocol. Which rules look at files stands in " +
		"[rules.md](rules.md#files).",
	Fields: []FieldSpec{
		{Name: "file.content", Doc: "the bytes"},
		{Name: "file.name", Doc: "the name, with the folders that lead there"},
	},
	Base: 2, // behind Raw
}

// The fields of OnDisk.
const (
	OnDiskContent Field = iota
	OnDiskName
)

// FieldNames lists every field of every protocol; a field's index is Protocol.Base+Field. Protocols that
// share names (DNS over UDP and TCP) have each their own entries.
var FieldNames = names()

func number(ps []*Protocol) []*Protocol {
	base := OnDisk.Base + len(OnDisk.Fields)
	for _, p := range ps {
		p.Base = base
		base += len(p.Fields)
	}
	return ps
}

func names() []string {
	var out []string
	for _, p := range append([]*Protocol{&Raw, &OnDisk}, Protocols...) {
		for _, f := range p.Fields {
			out = append(out, f.Name)
		}
	}
	return out
}
