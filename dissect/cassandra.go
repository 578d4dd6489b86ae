package dissect

// Cassandra is the CQL binary protocol.
var Cassandra = Protocol{
	Name: "cassandra",
	About: "CQL binary protocol v3 to v5 (native_protocol_v3.spec to v5.spec) of Cassandra and ScyllaDB, with the segments of v5, bodies compressed by LZ4 or Snappy: " +
		"statements, user, errors, rows; bound values, and rows behind the first 512 KiB of a frame, as they came. A request and its answer are an exchange with an event; " +
		"what a server tells by itself is one of its own. What nodes say to each other is named only.",
	Carrier: Stream,
	Ports:   []uint16{9042, 9142},
	Probe:   probeCassandra,
	Fields: []FieldSpec{
		cqlText:      {Name: "cassandra.query", Doc: "statement, to run or to prepare", EVE: "query", Privacy: Statement},
		cqlVerb:      {Name: "cassandra.verb", Doc: "its verb, upper case", EVE: "verb", Derived: true},
		cqlTable:     {Name: "cassandra.table", Doc: "tables that it names", EVE: "tables[]", Derived: true},
		cqlVersion:   {Name: "cassandra.version", Doc: "version of the protocol", EVE: "version", Number: true, First: true, Derived: true},
		cqlOpcode:    {Name: "cassandra.message", Doc: "kind of the message, as `query`, `result`", EVE: "message", First: true, Derived: true},
		cqlOption:    {Name: "cassandra.option", Doc: "options of the connection"},
		cqlPassword:  {Name: "cassandra.password", Doc: "what the client proves its identity with", Privacy: Credential},
		cqlErrorCode: {Name: "cassandra.error_code", Doc: "number of an error", EVE: "error_code", Number: true, Derived: true},
		cqlErrorText: {Name: "cassandra.error", Doc: "its text", EVE: "error"},
		cqlData:      {Name: "cassandra.data", Doc: "bound values and all else, as they came"},
		cqlAnswer:    {Name: "cassandra.answer", Doc: "kind of the answer", EVE: "answer", Derived: true},
		cqlColumn:    {Name: "cassandra.column", Doc: "names of the result's columns, a value for each; those of prepared statements are often left out", Derived: true, Table: ColumnName},
		cqlRow:       {Name: "cassandra.row", Doc: "a row of the result, its columns separated by tabs, numbers as text", Table: RowOfCells},
	},
	New:    newEnveloped(&cqlEnvelope),
	Resume: resumeEnveloped(&cqlEnvelope),
}

// Fields of Cassandra, in the order of Cassandra.Fields.
const (
	cqlText Field = iota
	cqlVerb
	cqlTable
	cqlVersion
	cqlOpcode
	cqlOption
	cqlPassword
	cqlErrorCode
	cqlErrorText
	cqlData
	cqlAnswer
	cqlColumn
	cqlRow
)

// CassandraNode is what nodes of a cluster say to each other.
var CassandraNode = Protocol{Name: "cassandra", Carrier: Stream, Ports: []uint16{7000}, Probe: probeCassandraNode}

// from the specification
const (
	cqlHeader         = 9       // bytes
	cqlMaxFrame       = 1 << 28 // bytes of a frame's body
	cqlResponse       = 0x80    // in a frame's version
	cqlFlagCompressed = 1
	cqlFlagTracing    = 2
	cqlFlagPayload    = 4
	cqlFlagWarning    = 8

	cqlError         = 0x00
	cqlStartup       = 0x01
	cqlReady         = 0x02
	cqlAuthenticate  = 0x03
	cqlOptions       = 0x05
	cqlSupported     = 0x06
	cqlQuery         = 0x07
	cqlResult        = 0x08
	cqlPrepare       = 0x09
	cqlExecute       = 0x0a
	cqlRegister      = 0x0b
	cqlEvent         = 0x0c
	cqlBatch         = 0x0d
	cqlAuthChallenge = 0x0e
	cqlAuthResponse  = 0x0f
	cqlAuthSuccess   = 0x10
	cqlOpLast        = cqlAuthSuccess
)
