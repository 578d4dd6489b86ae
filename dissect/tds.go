package dissect

// TDS is the Tabular Data Stream of Microsoft SQL Server and Sybase.
var TDS = Protocol{
	Name:    "tds",
	About:   "Tabular Data Stream ([MS-TDS]).",
	Carrier: Stream,
	Ports:   []uint16{1433, 1434},
	Probe:   probeTDS,
}

// from the specification
const (
	tdsHeader    = 8     // bytes
	tdsMaxPacket = 32767 // bytes

	tdsBatch    = 0x01
	tdsOldLogin = 0x02
	tdsRPC      = 0x03
	tdsResponse = 0x04
	tdsLogin    = 0x10
	tdsPrelogin = 0x12

	tdsColMetadata = 0x81
	tdsError       = 0xaa
	tdsInfo        = 0xab
	tdsLoginAck    = 0xad
	tdsEnvChange   = 0xe3
	tdsDone        = 0xfd
	tdsDoneProc    = 0xfe
	tdsDoneInProc  = 0xff
)
