package dissect

// TDS is the Tabular Data Stream of Microsoft SQL Server and Sybase.
var TDS = Protocol{
	Name: "tds",
	About: "Tabular Data Stream ([MS-TDS]) of SQL Server and Sybase: logins, batches, calls of procedures, errors. Parameters and rows are told as they came, and " +
		"text that they have in UTF-16 once more as text. TLS inside of it is counted as not looked into. A request and its answer are an exchange with an event.",
	Carrier: Stream,
	Ports:   []uint16{1433, 1434},
	Probe:   probeTDS,
	Fields: []FieldSpec{
		tdsQuery:      {Name: "tds.query", Doc: "a batch of statements", EVE: "query", Privacy: Statement},
		tdsVerb:       {Name: "tds.verb", Doc: "verb of its first, upper case", EVE: "verb", Derived: true},
		tdsTable:      {Name: "tds.table", Doc: "tables that it names, a value for each", EVE: "tables[]", Derived: true},
		tdsProcedure:  {Name: "tds.procedure", Doc: "procedure that is called, or its number", EVE: "procedure"},
		tdsMessage:    {Name: "tds.message", Doc: "kind of the message, as `batch`, `rpc`, `login`, `response`", EVE: "message", First: true, Derived: true},
		tdsUser:       {Name: "tds.user", Doc: "user of the session", EVE: "user"},
		tdsPassword:   {Name: "tds.password", Doc: "what the client proves its identity with", Privacy: Credential},
		tdsHost:       {Name: "tds.host", Doc: "what the client calls its host", EVE: "host"},
		tdsApp:        {Name: "tds.application", Doc: "what it calls itself", EVE: "application"},
		tdsDatabase:   {Name: "tds.database", Doc: "database of the session", EVE: "database"},
		tdsServerName: {Name: "tds.server", Doc: "what the server calls itself", EVE: "server"},
		tdsVersion:    {Name: "tds.version", Doc: "version of an end, as `15.0.2000`", EVE: "version", First: true, Derived: true},
		tdsErrorCode:  {Name: "tds.error_code", Doc: "number of an error", EVE: "error_code", Number: true, Derived: true},
		tdsErrorText:  {Name: "tds.error", Doc: "its text", EVE: "error"},
		tdsText:       {Name: "tds.text", Doc: "text in UTF-16 of parameters, rows and all else, as UTF-8; pieces of it are separated by tabs"},
		tdsData:       {Name: "tds.data", Doc: "parameters, rows and all else, as they came"},
	},
	New:    newEnveloped(&tdsEnvelope),
	Resume: resumeEnveloped(&tdsEnvelope),
}

// Fields of TDS, in the order of TDS.Fields.
const (
	tdsQuery Field = iota
	tdsVerb
	tdsTable
	tdsProcedure
	tdsMessage
	tdsUser
	tdsPassword
	tdsHost
	tdsApp
	tdsDatabase
	tdsServerName
	tdsVersion
	tdsErrorCode
	tdsErrorText
	tdsText
	tdsData
)

// from the specification
const (
	tdsHeader    = 8     // bytes
	tdsMaxPacket = 32767 // bytes

	tdsBatch     = 0x01
	tdsOldLogin  = 0x02
	tdsRPC       = 0x03
	tdsResponse  = 0x04
	tdsAttention = 0x06
	tdsLogin     = 0x10
	tdsPrelogin  = 0x12

	tdsColMetadata = 0x81
	tdsError       = 0xaa
	tdsInfo        = 0xab
	tdsLoginAck    = 0xad
	tdsEnvChange   = 0xe3
	tdsDone        = 0xfd
	tdsDoneProc    = 0xfe
	tdsDoneInProc  = 0xff
)
