package daemon

import (
	"runtime"
	"runtime/debug"

	"weir/dlp"
)

// release is set by the build: -ldflags "-X weir/daemon.release=...".
var release = "dev"

// Version returns Weir's version, with those of what it was built with.
func Version() string {
	v := release
	if info, ok := debug.ReadBuildInfo(); ok && v == "dev" {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				v = s.Value[:12]
			}
		}
	}
	return v + " (" + runtime.Version() + ", Hyperscan " + dlp.HyperscanVersion() + ")"
}
