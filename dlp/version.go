package dlp

import "github.com/flier/gohs/hyperscan"

// HyperscanVersion returns the version of the library that patterns are compiled and matched with.
func HyperscanVersion() string { return hyperscan.Version() }
