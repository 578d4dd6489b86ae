package dissect

// MongoDB is MongoDB's wire protocol.
var MongoDB = Protocol{
	Name:    "mongodb",
	About:   "MongoDB's wire protocol.",
	Carrier: Stream,
	Ports:   []uint16{27017, 27018, 27019},
	Probe:   probeMongoDB,
}

// from the specification
const (
	mongoReply      = 1
	mongoUpdate     = 2001
	mongoInsert     = 2002
	mongoQuery      = 2004
	mongoGetMore    = 2005
	mongoDelete     = 2006
	mongoKill       = 2007
	mongoCommand    = 2010
	mongoCompressed = 2012
	mongoMsg        = 2013
	mongoMaxMessage = 48000000 // bytes
	mongoMaxName    = 255      // bytes of a namespace
)
