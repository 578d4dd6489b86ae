package engine

import "sync"

// code stands for the name of an anomaly, or a reason, in what is remembered of a flow. Names are constants, and few.
type code uint8

// codes are the names that were told of so far. 0 is none.
var codes = struct {
	sync.RWMutex
	of    map[string]code
	names []string
}{of: map[string]code{}, names: []string{""}}

// maxCodes bounds them; all that come after have the last one's code.
const maxCodes = 255

func codeOf(name string) code {
	codes.RLock()
	c, ok := codes.of[name]
	codes.RUnlock()
	if ok {
		return c
	}
	codes.Lock()
	defer codes.Unlock()
	if c, ok = codes.of[name]; ok {
		return c
	}
	if len(codes.names) > maxCodes {
		return maxCodes
	}
	c = code(len(codes.names))
	codes.of[name] = c
	codes.names = append(codes.names, name)
	return c
}

func (c code) String() string {
	codes.RLock()
	defer codes.RUnlock()
	return codes.names[c]
}
