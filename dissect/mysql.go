package dissect

// MySQL is the client/server protocol of MySQL and MariaDB.
var MySQL = Protocol{
	Name:    "mysql",
	About:   "MySQL's and MariaDB's client/server protocol.",
	Carrier: Stream,
	Ports:   []uint16{3306, 3307, 4000, 6033},
	Probe:   probeMySQL,
}

// from the specification
const (
	mysqlProtocol41 = 0x200
	mysqlSecure     = 0x8000 // CLIENT_SECURE_CONNECTION
	mysqlQuery      = 0x03
	mysqlPrepare    = 0x16
)

// ours
const (
	mysqlMaxGreeting = 1 << 10 // bytes of a server's first message
	mysqlMaxVersion  = 100     // bytes of a server's version
)
